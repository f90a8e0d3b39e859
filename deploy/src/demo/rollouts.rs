//! Carries a rollout out and shows its waves: live on a terminal, as lines in a log, and at the end as they ended.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use patchwave::cli::text::{Paint, Tone, elapsed, one_line};
use patchwave::cli::watch::draw::{Canvas, waves};
use patchwave_proto::operator::v1 as wire;

use super::controller::Controller;
use super::hosts::Fleet;
use super::output::{Live, say, story, talk};

/// How long it may take until every host offers the new version: seconds as a rule, and a machine may be many times slower or busy.
const OFFER_TIMEOUT: Duration = Duration::from_secs(180);
/// How long one rollout may take, likewise.
const ROLLOUT_TIMEOUT: Duration = Duration::from_secs(600);
/// How often running times move on while nothing else does.
const TICK: Duration = Duration::from_millis(500);

/// Waits until every host could get the version, plans, starts and watches; gives the rollout as it ended.
pub(super) async fn carry_out(controller: &Controller, fleet: &Fleet, version: &str) -> anyhow::Result<wire::RolloutDetail> {
    let mut live = Live::new();
    controller.client().refresh_hosts(wire::ListHostsRequest { selector: "mode=managed".into() }).await?;
    let wanted = u32::try_from(fleet.managed())?;
    let offered = controller.wait_for("every host to be offered the update", OFFER_TIMEOUT, async |controller| {
        let mut rows = controller.client().list_updates(wire::ListUpdatesRequest { selector: "mode=managed".into() }).await?.into_inner();
        let mut hosts = 0;
        while let Some(row) = rows.message().await? {
            if row.name == "shop" && row.to_version == version {
                hosts += row.hosts;
            }
        }
        live.line(&format!("  shop {version} is published; {hosts} of {wanted} hosts have seen it …"));
        Ok((hosts == wanted).then_some(()))
    });
    offered.await?;
    let request = wire::PlanRolloutRequest { policy: "demo".into(), selector: String::new(), updates: vec![format!("shop={version}")] };
    let plan = controller.client().plan_rollout(request).await?.into_inner();
    let id = plan.rollout.context("the plan names no rollout")?.id;
    controller.client().start_rollout(wire::StartRolloutRequest { rollout: id.clone(), despite_lints: false }).await?;
    let ended = tokio::time::timeout(ROLLOUT_TIMEOUT, watch(controller, &id, live)).await.context("the rollout takes too long")??;
    tell(&ended);
    Ok(ended)
}

async fn watch(controller: &Controller, id: &str, mut live: Live) -> anyhow::Result<wire::RolloutDetail> {
    let mut rows = controller.client().watch_rollout(wire::RolloutRequest { rollout: id.to_owned() }).await?.into_inner();
    let mut tick = tokio::time::interval(TICK);
    let mut last: Option<(wire::RolloutDetail, Instant)> = None;
    loop {
        tokio::select! {
            row = rows.message() => match row? {
                Some(detail) => {
                    if !live.is_seen() {
                        log(last.as_ref().map(|(last, _)| last), &detail);
                    }
                    draw(&mut live, &detail);
                    last = Some((detail, Instant::now()));
                }
                None => break,
            },
            _ = tick.tick() => if let Some((detail, at)) = &last {
                draw(&mut live, &aged(detail, at.elapsed()));
            },
        }
    }
    let (detail, _) = last.context("the rollout could not be watched")?;
    Ok(detail)
}

/// A line for each wave that went on: for a log, where nothing can be drawn over.
fn log(before: Option<&wire::RolloutDetail>, now: &wire::RolloutDetail) {
    for wave in now.waves.iter().filter(|wave| wave.state != "waiting") {
        let earlier = before.and_then(|before| before.waves.iter().find(|earlier| earlier.name == wave.name));
        if earlier.is_none_or(|earlier| earlier.state != wave.state) {
            talk(&format!("  {:>4}  {}: {}", elapsed(now.elapsed_ms), one_line(&wave.name), one_line(&wave.state)));
        }
    }
}

fn draw(live: &mut Live, detail: &wire::RolloutDetail) {
    let (width, height, paint) = live.canvas();
    let mut canvas = Canvas { width, height: Some(height.saturating_sub(1).max(1)), paint };
    let time = format!("  {}", elapsed(detail.elapsed_ms));
    let lines = |canvas: Canvas, time: String| std::iter::once(time).chain(waves(detail, canvas)).collect::<Vec<_>>();
    let shown = lines(canvas, canvas.paint.apply(&time, Tone::Dim));
    canvas.paint = Paint::No;
    let plain = lines(canvas, time);
    live.draw(&shown, plain.iter().map(|line| line.chars().count()).collect());
}

/// The rollout as it is when nothing but time has passed.
fn aged(detail: &wire::RolloutDetail, by: Duration) -> wire::RolloutDetail {
    let mut aged = detail.clone();
    let by_ms = u64::try_from(by.as_millis()).unwrap_or(0);
    aged.elapsed_ms += by_ms;
    for wave in aged.waves.iter_mut().filter(|wave| matches!(wave.state.as_str(), "running" | "soaking")) {
        wave.elapsed_ms += by_ms;
    }
    aged
}

/// The waves as they ended, and what became of each host that came to harm.
fn tell(detail: &wire::RolloutDetail) {
    let (width, paint) = story();
    say(&waves(detail, Canvas { width, height: None, paint }).join("\n"));
    let mut harmed: Vec<_> = detail.hosts.iter().filter(|host| host.state == "taken-back").collect();
    harmed.sort_by(|left, right| left.name.cmp(&right.name));
    for host in harmed {
        // The health check's own words come last.
        let words = one_line(host.detail.rsplit(": ").next().unwrap_or_default());
        say(&format!("  {}: health check failed (\"{words}\"); taken back, and verified to be exactly as before", host.name));
    }
}
