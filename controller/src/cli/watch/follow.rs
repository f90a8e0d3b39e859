//! The shell around the drawing: follows a rollout and shows it where the output goes, until it ends.

use std::time::{Duration, Instant};

use crossterm::cursor::MoveUp;
use crossterm::terminal::{Clear, ClearType};
use futures::StreamExt as _;
use patchwave_common::domain::RolloutId;
use patchwave_common::runtime::retry::Retry;
use patchwave_proto::operator::v1::{RolloutDetail, RolloutRequest};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::MissedTickBehavior;
use unicode_width::UnicodeWidthStr as _;

use super::Verdict;
use super::changes::changes;
use super::draw::{Canvas, paint};
use crate::cli::output::{self, Format};
use crate::cli::session::before_next_try;
use crate::cli::status::About;
use crate::cli::text::Paint;
use crate::cli::{CliError, Printer, Session};

/// How often the running times are drawn anew between two answers of the controller.
const TICK: Duration = Duration::from_secs(1);

/// Shows a rollout until it ends: `Ok` when it completed, [`CliError::Shown`] when it ended otherwise. An interrupt ends the showing.
pub async fn run(session: &mut Session<'_>, rollout: &RolloutId) -> Result<(), CliError> {
    // From before the first line is shown, and for all the time: an interrupt between two answers counts too.
    let mut interrupt = signal(SignalKind::interrupt())
        .map_err(|error| CliError::failed(format!("cannot listen for interrupts: {error}"), "check this process's limits (`ulimit -a`)"))?;
    tokio::select! {
        ended = to_the_end(session, rollout) => ended,
        _ = interrupt.recv() => {
            Err(CliError::failed("stopped watching; the rollout goes on", format!("`patchwave rollout pause {rollout}` pauses it")))
        }
    }
}

async fn to_the_end(session: &mut Session<'_>, rollout: &RolloutId) -> Result<(), CliError> {
    let mut view = View::new(session.printer);
    let mut retry = Retry::new();
    loop {
        let mut opened = false;
        match once(session, rollout, &mut view, &mut retry, &mut opened).await {
            Ok(Verdict::Completed) => return Ok(()),
            Ok(Verdict::Ended) => {
                session.printer.next(&format!("`patchwave rollout show {rollout}` tells which hosts and why"));
                return Err(CliError::Shown);
            }
            Ok(Verdict::GoesOn) => {
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
                    if verdict != Verdict::GoesOn {
                        return Ok(verdict);
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
    /// The last state, and when it came.
    last: Option<(RolloutDetail, Instant)>,
    drawn: Vec<String>,
}

impl View {
    fn new(printer: &Printer) -> Self {
        let style = match (printer.format(), printer.screen().width) {
            (Format::Json, _) => Style::Json,
            (Format::Table, Some(_)) => Style::Live,
            (Format::Table, None) => Style::Lines,
        };
        Self { style, last: None, drawn: Vec::new() }
    }

    /// Lets the present drawing stand: talk follows it, and the next one begins below.
    fn forget(&mut self) {
        self.drawn.clear();
    }

    fn show(&mut self, printer: &mut Printer, state: RolloutDetail) -> Result<(), CliError> {
        match self.style {
            Style::Json => output::json_line(printer, &state)?,
            Style::Live => self.draw(printer, &state)?,
            Style::Lines => {
                for line in changes(self.last.as_ref().map(|(last, _)| last), &state) {
                    printer.line(&line)?;
                }
                printer.flush()?;
            }
        }
        self.last = Some((state, Instant::now()));
        Ok(())
    }

    /// Draws the last state again, with running times moved on.
    fn tick(&mut self, printer: &mut Printer) -> Result<(), CliError> {
        if self.style != Style::Live {
            return Ok(());
        }
        let Some((last, at)) = &self.last else {
            return Ok(());
        };
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

fn paint_plain(state: &RolloutDetail, canvas: Canvas) -> Vec<String> {
    paint(state, Canvas { paint: Paint::No, ..canvas })
}

/// Rows that lines drawn earlier take now: a window that became narrower has wrapped them.
fn rows_taken(lines: &[String], width: usize) -> usize {
    lines.iter().map(|line| line.width().div_ceil(width).max(1)).sum()
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
