//! Carries a rollout out and draws its waves while it goes on.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use anyhow::Context as _;
use patchwave_proto::operator::v1 as wire;

use super::controller::Controller;
use super::hosts::Fleet;
use super::say;

/// How long it may take until every host offers the new version.
const OFFER_TIMEOUT: Duration = Duration::from_secs(60);
/// How long one rollout may take.
const ROLLOUT_TIMEOUT: Duration = Duration::from_secs(120);

/// Waits until every host could get the version, plans, starts and watches; gives the rollout as it ended.
pub(super) async fn carry_out(controller: &Controller, fleet: &Fleet, version: &str) -> anyhow::Result<wire::RolloutDetail> {
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
        Ok((hosts == wanted).then_some(()))
    });
    offered.await?;
    let request = wire::PlanRolloutRequest { policy: "demo".into(), selector: String::new(), updates: vec![format!("shop={version}")] };
    let plan = controller.client().plan_rollout(request).await?.into_inner();
    let id = plan.rollout.context("the plan names no rollout")?.id;
    controller.client().start_rollout(wire::StartRolloutRequest { rollout: id.clone(), despite_lints: false }).await?;
    tokio::time::timeout(ROLLOUT_TIMEOUT, watch(controller, &id)).await.context("the rollout takes too long")?
}

async fn watch(controller: &Controller, id: &str) -> anyhow::Result<wire::RolloutDetail> {
    let mut rows = controller.client().watch_rollout(wire::RolloutRequest { rollout: id.to_owned() }).await?.into_inner();
    let mut picture = Picture::default();
    let mut last = None;
    while let Some(detail) = rows.message().await? {
        picture.draw(&detail)?;
        last = Some(detail);
    }
    last.context("the rollout could not be watched")
}

/// The waves, drawn in place on a terminal; elsewhere only the last picture is shown.
#[derive(Default)]
struct Picture {
    lines: usize,
}

impl Picture {
    fn draw(&mut self, detail: &wire::RolloutDetail) -> anyhow::Result<()> {
        let ended = detail.rollout.as_ref().is_some_and(|rollout| !rollout.ended_at.is_empty());
        let mut out = std::io::stdout().lock();
        if out.is_terminal() {
            if self.lines > 0 {
                write!(out, "\x1b[{}A\x1b[J", self.lines)?;
            }
        } else if !ended {
            return Ok(());
        }
        let width = terminal_width();
        let lines = patchwave::cli::watch::draw(detail, width);
        self.lines = lines.len();
        drop(out);
        say(&lines.join("\n"));
        Ok(())
    }
}

fn terminal_width() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stdout());
    size.map_or(100, |size| usize::from(size.ws_col)).clamp(40, 160)
}
