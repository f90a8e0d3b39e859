//! Where output goes: data to standard output, talk to standard error, colour only where a terminal shows it.

use std::io::{self, IsTerminal as _, Write};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::tz::TimeZone;
use patchwave_common::domain::Timestamp;
use patchwave_common::runtime::clock::{Clock as _, SystemClock};

use super::error::CliError;
use super::output::Format;
use super::text::{Paint, Tone, many_lines, one_line};

/// Width of a terminal that does not tell.
const UNKNOWN_WIDTH: u16 = 80;

/// What is known about where data goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Screen {
    /// Columns of the terminal; `None` where it is none and lines may be of any length.
    pub width: Option<u16>,
    /// Whether colours show.
    pub paint: Paint,
}

impl Screen {
    /// Not a terminal: whole lines, no colour.
    pub const PLAIN: Self = Self { width: None, paint: Paint::No };
}

/// Prints for one command.
pub struct Printer {
    data: Box<dyn Write + Send>,
    talk: Box<dyn Write + Send>,
    screen: Screen,
    talk_paint: Paint,
    interactive: bool,
    format: Format,
    now: Timestamp,
    zone: TimeZone,
    left_out: Vec<&'static str>,
}

impl Printer {
    /// This process's standard streams.
    #[must_use]
    pub fn standard(format: Format) -> Self {
        let (out, talk) = (io::stdout(), io::stderr());
        let colours = colours_wanted(std::env::var_os("NO_COLOR").as_deref(), std::env::var_os("TERM").as_deref());
        let paint = |terminal: bool| if terminal && colours { Paint::Yes } else { Paint::No };
        let width = out.is_terminal().then(|| crossterm::terminal::size().map_or(UNKNOWN_WIDTH, |(columns, _)| columns));
        Self {
            screen: Screen {
                width: width.map(|columns| if columns == 0 { UNKNOWN_WIDTH } else { columns }),
                paint: paint(out.is_terminal()),
            },
            talk_paint: paint(talk.is_terminal()),
            interactive: talk.is_terminal() && io::stdin().is_terminal(),
            // Whole lines at a time: a list of a hundred thousand rows is not written byte by byte.
            data: Box::new(io::BufWriter::new(out)),
            talk: Box::new(talk),
            format,
            now: SystemClock::new().now(),
            zone: TimeZone::system(),
            left_out: Vec::new(),
        }
    }

    /// Keeps what is printed, as if printed to `screen` at `now`: for tests of commands.
    #[must_use]
    pub fn captured(format: Format, screen: Screen, now: Timestamp) -> (Self, Captured) {
        let captured = Captured::default();
        let printer = Self {
            data: Box::new(captured.data.clone()),
            talk: Box::new(captured.talk.clone()),
            screen,
            talk_paint: Paint::No,
            interactive: false,
            format,
            now,
            zone: TimeZone::UTC,
            left_out: Vec::new(),
        };
        (printer, captured)
    }

    /// How data is to be printed.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// When the command began; ages in tables are counted to it.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// An RFC 3339 instant as whoever reads it tells the time, with the zone; the text itself where it is none.
    #[must_use]
    pub fn local(&self, instant: &str) -> String {
        instant
            .parse::<jiff::Timestamp>()
            .map_or_else(|_| one_line(instant), |instant| instant.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M %Z").to_string())
    }

    /// Where data goes.
    #[must_use]
    pub fn screen(&self) -> Screen {
        self.screen
    }

    /// Whether a person sits there who can answer a question.
    #[must_use]
    pub fn interactive(&self) -> bool {
        self.interactive
    }

    /// Prints data as it is.
    pub fn data(&mut self, text: &str) -> io::Result<()> {
        self.data.write_all(text.as_bytes())
    }

    /// Prints a line of data.
    pub fn line(&mut self, text: &str) -> io::Result<()> {
        self.data.write_all(text.as_bytes())?;
        self.data.write_all(b"\n")
    }

    /// Where bytes of data go, e.g. a JSON writer's.
    pub fn writer(&mut self) -> &mut dyn Write {
        &mut self.data
    }

    /// Puts out what is buffered. Errors of a disk show here.
    pub fn flush(&mut self) -> io::Result<()> {
        self.data.flush()
    }

    /// Remembers columns that a table had no room for.
    pub fn left_out(&mut self, titles: &[&'static str]) {
        let new: Vec<_> = titles.iter().filter(|title| !self.left_out.contains(title)).copied().collect();
        self.left_out.extend(new);
    }

    /// A command's last act: puts out what is buffered and names, once, the columns that are missing.
    pub fn finish(&mut self) -> io::Result<()> {
        self.flush()?;
        let missing = std::mem::take(&mut self.left_out);
        if !missing.is_empty() {
            let titles = missing.join(", ");
            self.talk(&format!("Left out for want of width: {titles}; a wider terminal or -o json shows them."));
        }
        Ok(())
    }

    /// Says something to the person. What cannot be said is not worth failing for.
    pub fn talk(&mut self, text: &str) {
        let _ = writeln!(self.talk, "{text}");
    }

    /// Says what to do next.
    pub fn next(&mut self, what: &str) {
        let label = self.talk_paint.apply("Next:", Tone::Strong);
        let _ = writeln!(self.talk, "{label} {what}");
    }

    /// Asks a question, without a line end.
    pub fn ask(&mut self, question: &str) {
        let _ = write!(self.talk, "{question}");
        let _ = self.talk.flush();
    }

    /// Says what went wrong and what to do.
    pub fn error(&mut self, error: &CliError) {
        // What was printed before stands before the error where both go to one terminal.
        let _ = self.data.flush();
        if let CliError::Told { message, hint, .. } | CliError::Unreachable { message, hint } = error {
            let (wrong, way) = (self.talk_paint.apply("error:", Tone::Bad), self.talk_paint.apply("hint:", Tone::Strong));
            // Both may quote what a controller or a file said.
            let _ = writeln!(self.talk, "{wrong} {}\n{way} {}", many_lines(message), many_lines(hint));
        }
    }
}

/// <https://no-color.org>: set and not empty means no colour. `TERM=dumb` shows none.
fn colours_wanted(no_color: Option<&std::ffi::OsStr>, term: Option<&std::ffi::OsStr>) -> bool {
    no_color.is_none_or(|value| value.is_empty()) && term.is_none_or(|value| value != "dumb")
}

/// What a [`Printer::captured`] printed.
#[derive(Debug, Clone, Default)]
pub struct Captured {
    data: Kept,
    talk: Kept,
}

impl Captured {
    /// Standard output.
    #[must_use]
    pub fn data(&self) -> String {
        self.data.text()
    }

    /// Standard error.
    #[must_use]
    pub fn talk(&self) -> String {
        self.talk.text()
    }
}

#[derive(Debug, Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Kept {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn no_color_and_a_dumb_terminal_are_respected_and_an_empty_no_color_is_not() {
        assert!(colours_wanted(None, Some(OsStr::new("xterm"))));
        assert!(colours_wanted(Some(OsStr::new("")), None));
        assert!(!colours_wanted(Some(OsStr::new("1")), None));
        assert!(!colours_wanted(None, Some(OsStr::new("dumb"))));
    }

    #[test]
    fn an_error_is_talk_and_never_data() {
        let (mut printer, captured) = Printer::captured(Format::Table, Screen::PLAIN, Timestamp(0));
        printer.error(&CliError::failed("it broke", "mend it"));
        assert_eq!(captured.data(), "");
        assert_eq!(captured.talk(), "error: it broke\nhint: mend it\n");
    }
}
