//! The shell around the drawing: follows a rollout and shows it where the output goes, until it ends.

use std::time::Duration;

use crossterm::cursor::MoveUp;
use crossterm::terminal::{Clear, ClearType};
use futures::StreamExt as _;
use patchwave_common::domain::RolloutId;
use patchwave_common::runtime::retry::Retry;
use patchwave_proto::operator::v1::{RolloutDetail, RolloutRequest};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior};
use unicode_width::UnicodeWidthStr as _;

use super::changes::changes;
use super::draw::{Canvas, is_harmed, paint};
use super::{Until, Verdict};
use crate::cli::output::{self, Format};
use crate::cli::session::before_next_try;
use crate::cli::status::About;
use crate::cli::text::{Paint, one_line};
use crate::cli::{CliError, Printer, Session};

/// How often the running times are drawn anew between two answers of the controller.
const TICK: Duration = Duration::from_secs(1);
/// Where nothing is drawn and nothing changes, it is said again what is waited for: often enough that a log does not look dead.
const REMIND: Duration = Duration::from_secs(300);

/// Shows a rollout until its waves are done, or until it ends: `Ok` when all went well, [`CliError::Shown`] when it ended otherwise or hosts
/// came to harm. An interrupt ends the showing.
pub async fn run(session: &mut Session<'_>, rollout: &RolloutId, until: Until) -> Result<(), CliError> {
    // From before the first line is shown, and for all the time: an interrupt between two answers counts too.
    let mut interrupt = signal(SignalKind::interrupt())
        .map_err(|error| CliError::failed(format!("cannot listen for interrupts: {error}"), "check this process's limits (`ulimit -a`)"))?;
    tokio::select! {
        ended = to_the_end(session, rollout, until) => ended,
        _ = interrupt.recv() => {
            Err(CliError::failed("stopped watching; the rollout goes on", format!("`patchwave rollout pause {rollout}` pauses it")))
        }
    }
}

async fn to_the_end(session: &mut Session<'_>, rollout: &RolloutId, until: Until) -> Result<(), CliError> {
    let mut view = View::new(session.printer, until);
    let mut retry = Retry::new();
    loop {
        let mut opened = false;
        match once(session, rollout, &mut view, &mut retry, &mut opened).await {
            Ok(Verdict::Completed) => return Ok(()),
            Ok(Verdict::OnlyAbsent) if until == Until::Waves => return view.leave(session.printer, rollout),
            Ok(Verdict::Ended) => {
                session.printer.next(&format!("`patchwave rollout show {rollout}` tells which hosts and why"));
                return Err(CliError::Shown);
            }
            Ok(Verdict::GoesOn | Verdict::OnlyAbsent) => {
                return Err(CliError::failed(
                    "the controller ended the view though the rollout goes on",
                    format!("`patchwave rollout watch {rollout}` looks again"),
                ));
            }
            // A first connection that fails is told at once; later the controller may only be restarting.
            Err(error) if opened || retry.failures() > 0 => {
                view.forget();
                before_next_try(&mut retry, error, session.printer).await?;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Follows one stream to its end.
async fn once(
    session: &mut Session<'_>,
    rollout: &RolloutId,
    view: &mut View,
    retry: &mut Retry,
    opened: &mut bool,
) -> Result<Verdict, CliError> {
    let request = RolloutRequest { rollout: rollout.as_str().to_owned() };
    let mut states = session.stream(About::Rollout, async |client| client.watch_rollout(request).await).await?;
    *opened = true;
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            state = states.next() => match state {
                Some(state) => {
                    let state = state?;
                    retry.reset();
                    let verdict = Verdict::of(&state);
                    view.show(session.printer, state)?;
                    match verdict {
                        Verdict::GoesOn => {}
                        Verdict::OnlyAbsent if view.until == Until::End => view.say_absent(session.printer),
                        verdict => return Ok(verdict),
                    }
                }
                None => return Ok(view.last.as_ref().map_or(Verdict::GoesOn, |(last, _)| Verdict::of(last))),
            },
            _ = tick.tick() => view.tick(session.printer)?,
        }
    }
}

/// How it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    /// Drawn over itself.
    Live,
    /// A line for each change.
    Lines,
    /// An object for each change.
    Json,
}

/// What is shown, and what was.
struct View {
    style: Style,
    until: Until,
    /// It was told that only absent hosts are left.
    told_absent: bool,
    /// When something was last said.
    said: Instant,
    /// The last state, and when it came.
    last: Option<(RolloutDetail, Instant)>,
    drawn: Vec<String>,
}

impl View {
    fn new(printer: &Printer, until: Until) -> Self {
        let style = match (printer.format(), printer.screen().width) {
            (Format::Json, _) => Style::Json,
            (Format::Table, Some(_)) => Style::Live,
            (Format::Table, None) => Style::Lines,
        };
        Self { style, until, told_absent: false, said: Instant::now(), last: None, drawn: Vec::new() }
    }

    /// Lets the present drawing stand: talk follows it, and the next one begins below.
    fn forget(&mut self) {
        self.drawn.clear();
    }

    fn show(&mut self, printer: &mut Printer, state: RolloutDetail) -> Result<(), CliError> {
        match self.style {
            Style::Json => {
                if self.last.as_ref().is_none_or(|(last, _)| timeless(last) != timeless(&state)) {
                    output::json_line(printer, &state)?;
                    self.said = Instant::now();
                }
            }
            Style::Live => self.draw(printer, &state)?,
            Style::Lines => {
                let lines = changes(self.last.as_ref().map(|(last, _)| last), &state);
                if !lines.is_empty() {
                    self.said = Instant::now();
                }
                lines.iter().try_for_each(|line| printer.line(line))?;
                printer.flush()?;
            }
        }
        self.last = Some((state, Instant::now()));
        Ok(())
    }

    /// Every wave is done, and the rest needs no watcher.
    fn leave(&self, printer: &mut Printer, rollout: &RolloutId) -> Result<(), CliError> {
        let (waits, harmed) = self.last.as_ref().map_or(("", false), |(last, _)| {
            (last.waiting_for.as_str(), last.hosts.iter().any(|host| is_harmed(&host.state) && host.state != "taken-back"))
        });
        printer.flush()?;
        printer.talk(&format!("Every wave is done; the rollout goes on without a watcher. It waits for: {}", one_line(waits)));
        printer.next(&format!("`patchwave rollout show {rollout}`; `patchwave rollout watch {rollout} --until end` waits for them too"));
        if harmed { Err(CliError::Shown) } else { Ok(()) }
    }

    /// Says once that only absent hosts are waited for, and how to leave.
    fn say_absent(&mut self, printer: &mut Printer) {
        if !std::mem::replace(&mut self.told_absent, true) {
            self.forget();
            printer.talk("Every wave is done and only hosts that are away are left. Ctrl-C leaves; the rollout goes on without a watcher.");
        }
    }

    /// Draws the last state again, with running times moved on; elsewhere says now and then what is waited for.
    fn tick(&mut self, printer: &mut Printer) -> Result<(), CliError> {
        let Some((last, at)) = &self.last else {
            return Ok(());
        };
        if self.style != Style::Live {
            if self.said.elapsed() >= REMIND {
                printer.talk(&reminder(last));
                self.said = Instant::now();
            }
            return Ok(());
        }
        let aged = aged(last, at.elapsed());
        self.draw(printer, &aged)
    }

    fn draw(&mut self, printer: &mut Printer, state: &RolloutDetail) -> Result<(), CliError> {
        // Asked each time: the window may have changed.
        let (columns, rows) = crossterm::terminal::size().unwrap_or((printer.screen().width.unwrap_or(80), 24));
        let width = usize::from(columns).max(1);
        let canvas = Canvas { width, height: Some(usize::from(rows).saturating_sub(1).max(1)), paint: printer.screen().paint };
        let lines = paint(state, canvas);
        let up = rows_taken(&self.drawn, width);
        let mut frame: Vec<u8> = Vec::new();
        if up > 0 {
            crossterm::queue!(frame, MoveUp(u16::try_from(up).unwrap_or(u16::MAX)))?;
        }
        for line in &lines {
            frame.extend_from_slice(line.as_bytes());
            crossterm::queue!(frame, Clear(ClearType::UntilNewLine))?;
            frame.push(b'\n');
        }
        crossterm::queue!(frame, Clear(ClearType::FromCursorDown))?;
        // One write a frame: no half-drawn frame is seen.
        printer.writer().write_all(&frame)?;
        printer.flush()?;
        // Kept without colours, to know its width.
        self.drawn = paint_plain(state, canvas);
        Ok(())
    }
}

/// What is waited for, for a log in which nothing else moves.
fn reminder(state: &RolloutDetail) -> String {
    let rollout = state.rollout.clone().unwrap_or_default();
    let why = [&state.waiting_for, &rollout.reason].into_iter().find(|text| !text.is_empty()).map_or("the next change", String::as_str);
    format!(
        "{} is still {}; waits for: {}. Ctrl-C leaves; the rollout goes on.",
        one_line(&rollout.id),
        one_line(&rollout.state),
        one_line(why)
    )
}

fn paint_plain(state: &RolloutDetail, canvas: Canvas) -> Vec<String> {
    paint(state, Canvas { paint: Paint::No, ..canvas })
}

/// Rows that lines drawn earlier take now: a window that became narrower has wrapped them.
fn rows_taken(lines: &[String], width: usize) -> usize {
    lines.iter().map(|line| line.width().div_ceil(width).max(1)).sum()
}

/// The state without its running times: the controller tells it every second, and time alone is no change.
fn timeless(state: &RolloutDetail) -> RolloutDetail {
    let mut state = RolloutDetail { elapsed_ms: 0, ..state.clone() };
    state.waves.iter_mut().for_each(|wave| wave.elapsed_ms = 0);
    state
}

/// The state as it will be when nothing but time has passed.
fn aged(state: &RolloutDetail, by: Duration) -> RolloutDetail {
    let by_ms = u64::try_from(by.as_millis()).unwrap_or(0);
    let mut aged = state.clone();
    let ended = state.rollout.as_ref().is_none_or(|rollout| rollout.started_at.is_empty() || !rollout.ended_at.is_empty());
    if ended {
        return aged;
    }
    aged.elapsed_ms = aged.elapsed_ms.saturating_add(by_ms);
    for wave in aged.waves.iter_mut().filter(|wave| wave.elapsed_ms > 0 && matches!(wave.state.as_str(), "running" | "soaking")) {
        wave.elapsed_ms = wave.elapsed_ms.saturating_add(by_ms);
    }
    aged
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use patchwave_common::domain::Timestamp;
    use patchwave_proto::operator::v1::Rollout;

    use super::*;
    use crate::cli::printer::Screen;

    #[tokio::test(start_paused = true)]
    async fn a_watch_in_which_nothing_moves_says_now_and_then_what_it_waits_for() {
        let (mut printer, captured) = Printer::captured(Format::Table, Screen::PLAIN, Timestamp(0));
        let mut view = View::new(&printer, Until::Waves);
        let state = RolloutDetail {
            rollout: Some(Rollout {
                id: "r-1".into(),
                state: "paused".into(),
                reason: "paused by anna: lunch".into(),
                ..Rollout::default()
            }),
            ..RolloutDetail::default()
        };
        for _ in 0..REMIND.as_secs() * 2 + 1 {
            view.show(&mut printer, state.clone()).unwrap();
            view.tick(&mut printer).unwrap();
            tokio::time::advance(TICK).await;
        }
        assert_eq!(captured.data().lines().count(), 1, "a change is told once");
        assert_eq!(captured.talk().matches("is still paused; waits for: paused by anna: lunch. Ctrl-C leaves").count(), 2);
    }
}
