//! What the demo says: what happened on standard output, talk (progress, errors) on standard error.
//!
//! A reader that goes away ends neither the demo nor its verdict, so failed writes are passed over.

use std::io::{IsTerminal as _, Write as _};

use patchwave::cli::text::Paint;

/// Width where it cannot be asked: a wide line of a log.
const WIDTH_UNKNOWN: usize = 100;
/// Narrower drawings say nothing, wider ones are hard to read.
const WIDTHS: std::ops::RangeInclusive<usize> = 40..=160;

/// Something that happened.
pub(super) fn say(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Something about the demo itself.
pub(super) fn talk(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Columns of standard output and whether it takes colours.
pub(super) fn story() -> (usize, Paint) {
    let out = std::io::stdout();
    (width(rustix::termios::tcgetwinsize(&out).ok()), if out.is_terminal() && colours() { Paint::Yes } else { Paint::No })
}

fn width(size: Option<rustix::termios::Winsize>) -> usize {
    size.map_or(WIDTH_UNKNOWN, |size| match usize::from(size.ws_col) {
        0 => WIDTH_UNKNOWN,
        columns => columns.clamp(*WIDTHS.start(), *WIDTHS.end()),
    })
}

fn colours() -> bool {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb")
}

/// Lines on standard error that are drawn over, and gone when this is dropped. Where that is no terminal, nothing is drawn.
pub(super) struct Live {
    terminal: bool,
    /// What stands on the screen, without colours.
    drawn: Vec<usize>,
}

impl Live {
    pub(super) fn new() -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { terminal: std::io::stderr().is_terminal() && !dumb, drawn: Vec::new() }
    }

    /// Whether anybody sees it.
    pub(super) fn is_seen(&self) -> bool {
        self.terminal
    }

    /// Columns, rows and colours to draw with.
    pub(super) fn canvas(&self) -> (usize, usize, Paint) {
        let size = rustix::termios::tcgetwinsize(std::io::stderr()).ok();
        let rows = size.map_or(24, |size| usize::from(size.ws_row.max(2)));
        (width(size), rows - 1, if colours() { Paint::Yes } else { Paint::No })
    }

    /// Draws these lines over the last ones. `widths` are the lines' columns, since colours take none.
    pub(super) fn draw(&mut self, lines: &[String], widths: Vec<usize>) {
        if !self.terminal {
            return;
        }
        // One write a frame: no half-drawn frame is seen.
        let mut frame = self.back();
        for line in lines {
            frame.push_str(line);
            frame.push_str("\x1b[K\n");
        }
        frame.push_str("\x1b[J");
        let _ = std::io::stderr().lock().write_all(frame.as_bytes());
        self.drawn = widths;
    }

    /// Draws one line.
    pub(super) fn line(&mut self, text: &str) {
        let text: String = text.chars().take(self.canvas().0).collect();
        let width = text.chars().count();
        self.draw(&[text], vec![width]);
    }

    /// To the start of what was drawn; a window that became narrower has wrapped it.
    fn back(&self) -> String {
        let columns = self.canvas().0;
        let rows: usize = self.drawn.iter().map(|width| width.div_ceil(columns).max(1)).sum();
        if rows == 0 { String::new() } else { format!("\r\x1b[{rows}A") }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if self.terminal && !self.drawn.is_empty() {
            let _ = write!(std::io::stderr().lock(), "{}\x1b[J", self.back());
        }
    }
}
