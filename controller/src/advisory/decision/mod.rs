//! Decision tables in the manner of SSVC, as data: decision points with their values, rows that combine them, an outcome for each row.
//! Pure.
//!
//! A *point* is a question about a hole on a host (is it known to be exploited?); its *values* are the possible answers, the mildest first.
//! A *row* names values of some points, and matches whatever the others are; the first row that matches holds, and a table has one for every
//! combination. An *outcome* is by when the hole must be closed. Where a point is unknown, its table may name the value that it is then taken
//! to have; otherwise every value of it is tried and the most cautious outcome holds: the soonest, and of two as soon the one that asks for
//! an investigation. The decision says which.
//!
//! `file` reads a table from TOML and proves that it is whole; `severity.toml` and `bod-26-04.toml` come with the program and show the form.

mod file;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;
use std::time::Duration;

pub use file::{MAX_TABLE_BYTES, TableError, parse_table};

/// Tables that come with the program. A test reads them, so that none is missing here.
static BUILT_IN: LazyLock<Vec<Table>> = LazyLock::new(|| BUILT_IN_TEXTS.iter().flat_map(|text| parse_table(text)).collect());
const BUILT_IN_TEXTS: [&str; 2] = [include_str!("severity.toml"), include_str!("bod-26-04.toml")];

/// A decision table that has a row for every combination of its points' values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    name: String,
    description: String,
    points: Vec<Point>,
    rows: Vec<Row>,
    /// The row of each combination, in the order of [`Table::values_of`].
    row_of: Vec<usize>,
}

/// A question with its possible answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// Its name, e.g. `known-exploited`.
    pub name: String,
    /// What it asks.
    pub description: String,
    /// The answers, the mildest first. At least two.
    pub values: Vec<String>,
    /// Which of the values an unknown point has; none: whichever leads to the most cautious outcome.
    pub unknown: Option<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    /// For each point of the table, the values that match, as indexes.
    when: Vec<Vec<usize>>,
    outcome: Outcome,
}

/// What a row demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// By when the hole must be closed.
    pub due: Due,
    /// Whether the host must be searched for traces of an attack.
    pub investigate: bool,
}

/// A span of time until a hole must be closed. The order is by time: the soonest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    /// Within this span.
    Within(Duration),
    /// With the next upgrade that comes anyway: no deadline of its own.
    NextUpgrade,
}

/// An outcome with the way to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision<'a> {
    /// The outcome.
    pub outcome: Outcome,
    /// Which row of the table holds, counted from 1.
    pub row: usize,
    /// Each point of the table with the value that it was taken to have.
    pub points: Vec<Answer<'a>>,
}

/// A point with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<'a> {
    /// The point.
    pub point: &'a Point,
    /// The value that it was taken to have.
    pub value: &'a str,
    /// Why that value.
    pub basis: Basis,
}

/// Why a point was taken to have a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Basis {
    /// It has.
    Known,
    /// Nobody knows (or what was said is no value of the point), and the outcome depends on it, alone or together with other unknown points.
    Assumed,
    /// Nobody knows, and the table says which value that stands for.
    Agreed,
    /// Nobody knows, and it makes no difference.
    Indifferent,
}

impl Table {
    /// A table that comes with the program, by its name.
    #[must_use]
    pub fn built_in(name: &str) -> Option<&'static Self> {
        BUILT_IN.iter().find(|table| table.name == name)
    }

    /// The table that decides where nobody names another: `severity`.
    #[must_use]
    pub fn by_severity() -> &'static Self {
        // A test reads it: the empty one, which decides nothing, is never met.
        static EMPTY: Table =
            Table { name: String::new(), description: String::new(), points: Vec::new(), rows: Vec::new(), row_of: Vec::new() };
        Self::built_in("severity").unwrap_or(&EMPTY)
    }

    /// Names of the tables that come with the program.
    pub fn built_in_names() -> impl Iterator<Item = &'static str> {
        BUILT_IN.iter().map(|table| table.name.as_str())
    }

    /// The name by which a policy asks for it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is for.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.description
    }

    /// The points, in the order of the file.
    #[must_use]
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// Decides with what is `known`: values by the names of their points, in any case. What is missing, or is no value of its point, is
    /// unknown; names that the table does not have do not count.
    #[must_use]
    pub fn decide<'a>(&'a self, known: &BTreeMap<String, String>) -> Decision<'a> {
        let given: Vec<Option<usize>> = self
            .points
            .iter()
            .map(|point| known.get(&point.name).and_then(|value| point.values.iter().position(|it| it.eq_ignore_ascii_case(value.trim()))))
            .collect();
        let taken: Vec<Option<usize>> = given.iter().zip(&self.points).map(|(given, point)| given.or(point.unknown)).collect();
        let possible: Vec<usize> = (0..self.row_of.len())
            .filter(|&combination| self.values_of(combination).zip(&taken).all(|(value, taken)| taken.is_none_or(|taken| taken == value)))
            .collect();
        // Of equally cautious ones the last: values stand from the mildest to the worst, so it assumes the most.
        let chosen = possible.iter().copied().max_by_key(|&combination| self.outcome(combination).caution()).unwrap_or_default();
        let points = self.points.iter().zip(self.values_of(chosen)).enumerate().map(|(index, (point, value))| Answer {
            point,
            value: point.values.get(value).map_or("", String::as_str),
            basis: match given.get(index) {
                Some(Some(_)) => Basis::Known,
                _ if point.unknown.is_some() => Basis::Agreed,
                _ if self.is_indifferent(index, &possible) => Basis::Indifferent,
                _ => Basis::Assumed,
            },
        });
        Decision { outcome: self.outcome(chosen), row: self.row_of.get(chosen).map_or(0, |row| row + 1), points: points.collect() }
    }

    /// Whether no possible combination changes its outcome when this point alone changes its value.
    fn is_indifferent(&self, point: usize, possible: &[usize]) -> bool {
        let mut outcomes: BTreeMap<Vec<usize>, Outcome> = BTreeMap::new();
        possible.iter().all(|&combination| {
            let outcome = self.outcome(combination);
            let others = self.values_of(combination).enumerate().filter(|(index, _)| *index != point).map(|(_, value)| value).collect();
            *outcomes.entry(others).or_insert(outcome) == outcome
        })
    }

    fn outcome(&self, combination: usize) -> Outcome {
        let row = self.row_of.get(combination).and_then(|&row| self.rows.get(row));
        // A table that was read has a row for each combination; should one ever lack it, nothing may be put off.
        row.map_or(Outcome { due: Due::Within(Duration::ZERO), investigate: false }, |row| row.outcome)
    }

    /// The values of the points, as indexes, in a combination: numbers with the last point as the lowest digit.
    fn values_of(&self, combination: usize) -> impl Iterator<Item = usize> {
        let mut weight = self.combinations();
        self.points.iter().map(move |point| {
            let values = point.values.len();
            weight /= values;
            combination / weight % values
        })
    }

    fn combinations(&self) -> usize {
        self.points.iter().map(|point| point.values.len()).product()
    }
}

impl Outcome {
    /// The greater, the more cautious.
    fn caution(self) -> (Reverse<Due>, bool) {
        (Reverse(self.due), self.investigate)
    }
}

impl fmt::Display for Due {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const HOUR_SECS: u64 = 3_600;
        const DAY_SECS: u64 = 24 * HOUR_SECS;
        match self {
            Self::NextUpgrade => formatter.write_str("with the next upgrade"),
            Self::Within(span) => match span.as_secs() {
                secs if secs >= 3 * DAY_SECS && secs % DAY_SECS == 0 => write!(formatter, "within {} days", secs / DAY_SECS),
                secs if secs >= HOUR_SECS && secs % HOUR_SECS == 0 => write!(formatter, "within {} h", secs / HOUR_SECS),
                secs => write!(formatter, "within {} min", secs / 60),
            },
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", self.due, if self.investigate { ", and investigate the host" } else { "" })
    }
}

impl fmt::Display for Answer<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.basis {
            Basis::Known => write!(formatter, "{} is {}", self.point.name, self.value),
            Basis::Assumed => write!(formatter, "{} is unknown, taken as {}", self.point.name, self.value),
            Basis::Agreed => write!(formatter, "{} is unknown, which the table takes as {}", self.point.name, self.value),
            Basis::Indifferent => write!(formatter, "{} is unknown and makes no difference", self.point.name),
        }
    }
}

impl fmt::Display for Decision<'_> {
    /// The whole ruling in a line, e.g. `within 14 days (row 4: known-exploited is yes; automatable is unknown, taken as yes)`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} (row {}: ", self.outcome, self.row)?;
        for (index, answer) in self.points.iter().enumerate() {
            write!(formatter, "{}{answer}", if index == 0 { "" } else { "; " })?;
        }
        formatter.write_str(")")
    }
}
