//! `-o table` and `-o json`: a list is one table or one JSON array, a single thing is a card or one JSON object.
//!
//! JSON names are the field names of `proto/fleet/v1/operator.proto`; they are stable. Lists are printed as they arrive, so a list of a
//! million hosts needs no memory as JSON; one that breaks off half-way is left without its closing bracket, and the status is 1.

use clap::ValueEnum;
use futures::{Stream, StreamExt as _};
use patchwave_common::domain::Timestamp;
use serde::Serialize;

use super::error::CliError;
use super::printer::Printer;
use super::table::{Cell, Column, render};
use super::text::{Tone, one_line};

/// How to print what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Table,
    /// For programs: a list is one array, a single thing one object
    Json,
}

/// What a list of things looks like as a table.
pub trait Tabular: Serialize {
    /// The columns.
    const COLUMNS: &'static [Column];
    /// What to say of an empty list: why that may be, and what to do.
    const EMPTY: &'static str;
    /// One row; ages are counted to `now`.
    fn row(&self, now: Timestamp) -> Vec<Cell>;
}

/// Prints a list.
pub fn list<T: Tabular>(printer: &mut Printer, items: &[T]) -> Result<(), CliError> {
    let now = printer.now();
    list_as(printer, items, T::EMPTY, |printer| rows(printer, T::COLUMNS, &items.iter().map(|item| item.row(now)).collect::<Vec<_>>()))
}

/// Prints a list that is no table for people; `empty` is what to say of an empty one.
pub fn list_as<T: Serialize>(
    printer: &mut Printer,
    items: &[T],
    empty: &str,
    show: impl FnOnce(&mut Printer) -> Result<(), CliError>,
) -> Result<(), CliError> {
    match printer.format() {
        Format::Json => {
            let mut array = JsonArray::default();
            items.iter().try_for_each(|item| array.item(printer, item))?;
            array.end(printer)
        }
        Format::Table if items.is_empty() => {
            printer.talk(empty);
            Ok(())
        }
        Format::Table => show(printer),
    }
}

/// Prints a list while it arrives; a table when all of it is there, since its widths depend on all of it.
pub async fn stream<T: Tabular>(printer: &mut Printer, mut items: impl Stream<Item = Result<T, CliError>> + Unpin) -> Result<(), CliError> {
    if printer.format() == Format::Json {
        let mut array = JsonArray::default();
        while let Some(item) = items.next().await {
            array.item(printer, &item?)?;
        }
        return array.end(printer);
    }
    let mut all = Vec::new();
    while let Some(item) = items.next().await {
        all.push(item?.row(printer.now()));
    }
    if all.is_empty() {
        printer.talk(T::EMPTY);
    }
    rows(printer, T::COLUMNS, &all)
}

/// Prints rows as a table; nothing where there are none.
pub fn rows(printer: &mut Printer, columns: &[Column], rows: &[Vec<Cell>]) -> Result<(), CliError> {
    if rows.is_empty() {
        return Ok(());
    }
    let rendered = render(columns, rows, printer.screen());
    printer.data(&rendered.text)?;
    printer.left_out(&rendered.left_out);
    Ok(())
}

/// Prints one thing: `-o json` as it is, otherwise what `card` makes of it.
pub fn one<T: Serialize>(
    printer: &mut Printer,
    thing: &T,
    card: impl FnOnce(&mut Printer, &T) -> Result<(), CliError>,
) -> Result<(), CliError> {
    match printer.format() {
        Format::Json => json(printer, thing),
        Format::Table => card(printer, thing),
    }
}

/// Reports an act: `-o json` prints the thing that was acted on, otherwise `said` tells the person and nothing is data.
pub fn act<T: Serialize>(printer: &mut Printer, thing: &T, said: impl FnOnce(&T) -> String) -> Result<(), CliError> {
    one(printer, thing, |printer, thing| {
        printer.talk(&said(thing));
        Ok(())
    })
}

/// Prints one JSON object over several lines.
pub fn json<T: Serialize>(printer: &mut Printer, thing: &T) -> Result<(), CliError> {
    serde_json::to_writer_pretty(printer.writer(), thing).map_err(std::io::Error::from)?;
    Ok(printer.line("")?)
}

/// Prints one JSON object on one line, at once: for what is followed.
pub fn json_line<T: Serialize>(printer: &mut Printer, thing: &T) -> Result<(), CliError> {
    serde_json::to_writer(printer.writer(), thing).map_err(std::io::Error::from)?;
    printer.line("")?;
    Ok(printer.flush()?)
}

/// One JSON array, an element a line.
#[derive(Debug, Default)]
struct JsonArray {
    any: bool,
}

impl JsonArray {
    fn item<T: Serialize>(&mut self, printer: &mut Printer, item: &T) -> Result<(), CliError> {
        printer.data(if self.any { ",\n  " } else { "[\n  " })?;
        self.any = true;
        serde_json::to_writer(printer.writer(), item).map_err(std::io::Error::from)?;
        Ok(())
    }

    fn end(self, printer: &mut Printer) -> Result<(), CliError> {
        Ok(printer.line(if self.any { "\n]" } else { "[]" })?)
    }
}

/// A single thing as lines of `name  value`; what is empty is left out.
#[derive(Debug, Default)]
pub struct Card(Vec<Vec<Cell>>);

impl Card {
    /// Without lines.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a line, unless the value is empty.
    #[must_use]
    pub fn field(self, name: &str, value: impl AsRef<str>) -> Self {
        self.toned(name, value, Tone::Plain)
    }

    /// Adds a state.
    #[must_use]
    pub fn state(self, name: &str, value: &str) -> Self {
        self.toned(name, value, Tone::of_state(value))
    }

    /// Adds a list, joined by commas.
    #[must_use]
    pub fn items(self, name: &str, values: &[String]) -> Self {
        self.field(name, values.join(", "))
    }

    /// Adds a line with a meaning, unless the value is empty.
    #[must_use]
    pub fn toned(mut self, name: &str, value: impl AsRef<str>, tone: Tone) -> Self {
        if !one_line(value.as_ref()).is_empty() {
            self.0.push(vec![Cell::toned(name, Tone::Dim), Cell::toned(value, tone)]);
        }
        self
    }

    /// Prints the lines.
    pub fn print(self, printer: &mut Printer) -> Result<(), CliError> {
        const COLUMNS: [Column; 2] = [Column::new(""), Column::new("").wraps()];
        rows(printer, &COLUMNS, &self.0)
    }
}

/// Prints a heading between parts of a card, with a blank line before it.
pub fn heading(printer: &mut Printer, title: &str) -> Result<(), CliError> {
    let title = printer.screen().paint.apply(&one_line(title), Tone::Strong);
    Ok(printer.line(&format!("\n{title}"))?)
}
