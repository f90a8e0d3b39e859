//! Data to standard output, talk to standard error. The only file of the agent that prints.

use std::io::{self, BufWriter, Write as _};

use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use super::CliError;

/// Form of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    /// For programs; field names are stable.
    Json,
}

/// JSON goes out in pieces of this size, so that a large inventory is not in memory a second time.
const PIECE_BYTES: usize = 32 * 1024;

/// Where a command's words go.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    format: Format,
}

impl Output {
    /// Data in this form.
    #[must_use]
    pub fn new(format: Format) -> Self {
        Self { format }
    }

    /// One value: as JSON, or as `text` gives it.
    pub fn show<T: Serialize>(&self, value: &T, text: impl FnOnce() -> String) -> io::Result<()> {
        match self.format {
            Format::Json => {
                let mut out = BufWriter::with_capacity(PIECE_BYTES, io::stdout().lock());
                let written = serde_json::to_writer_pretty(&mut out, value).map_err(io::Error::from);
                unless_gone(written.and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush()))
            }
            Format::Table => self.raw(text().as_bytes()),
        }
    }

    /// Bytes as they are.
    pub fn raw(&self, bytes: &[u8]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        unless_gone(out.write_all(bytes).and_then(|()| out.flush()))
    }

    /// A remark to the user.
    pub fn say(&self, text: &str) {
        // A user without a standard error does not want remarks.
        let _ = writeln!(io::stderr().lock(), "{text}");
    }
}

/// A reader that went away (`| head`) is no failure.
fn unless_gone(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Tells a failure.
pub fn complain(error: &CliError) {
    let _ = io::stderr().lock().write_all(error.text().as_bytes());
}

/// A table as our commands draw it: no frame, headings in capitals, columns two spaces apart.
#[must_use]
pub fn table<const COLUMNS: usize>(headings: [&str; COLUMNS], rows: impl IntoIterator<Item = [String; COLUMNS]>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(headings.map(str::to_uppercase));
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let mut text: String = table.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    if text.is_empty() {
        text.push('\n');
    }
    text
}
