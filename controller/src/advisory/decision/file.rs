//! Reads a decision table from TOML and proves that it is whole: every combination has a row and every row a combination. Unknown keys are
//! refused; every error names the field and the way out.

use std::collections::{BTreeMap, BTreeSet};

use patchwave_common::domain::{clean_text, parse_duration, steers_output};
use serde::Deserialize;

use super::{Due, Outcome, Point, Row, Table};

/// A file larger than this is refused unread; CISA's table has 2 KiB.
pub const MAX_TABLE_BYTES: usize = 64 * 1024;
/// Combinations of values, each of which is looked at for a decision about which nothing is known. The largest table of SSVC has 72.
const MAX_COMBINATIONS: usize = 4_096;
/// Points of a table, each with at least two values: more have too many combinations.
const MAX_POINTS: usize = 12;
/// Characters of a name or value: they stand in tables and lines.
const MAX_WORD_CHARS: usize = 40;
/// Characters of a description or of a problem that quotes the file.
const MAX_TEXT_CHARS: usize = 500;
/// What `within` says of a hole that waits for the next upgrade.
const NEXT_UPGRADE: &str = "next-upgrade";

/// What is wrong with a decision table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("decision table: {field}{}{problem}", if field.is_empty() { "" } else { ": " })]
pub struct TableError {
    /// The field, e.g. `row[2].within`, counted from 1; empty where the file as a whole is meant.
    pub field: String,
    /// What is wrong and what is allowed.
    pub problem: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TableFile {
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    point: Vec<PointFile>,
    #[serde(default)]
    row: Vec<RowFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PointFile {
    name: String,
    #[serde(default)]
    description: String,
    values: Vec<String>,
    unknown: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RowFile {
    #[serde(default)]
    when: BTreeMap<String, OneOrMore>,
    within: String,
    #[serde(default)]
    investigate: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

fn problem(field: impl Into<String>, problem: impl std::fmt::Display) -> TableError {
    TableError { field: field.into(), problem: clean_text(&problem.to_string(), MAX_TEXT_CHARS) }
}

/// Reads and checks a table.
pub fn parse_table(text: &str) -> Result<Table, TableError> {
    if text.len() > MAX_TABLE_BYTES {
        return Err(problem("", format_args!("the file has {} bytes; {MAX_TABLE_BYTES} are allowed", text.len())));
    }
    let file: TableFile = toml::from_str(text).map_err(|error| problem("", error))?;
    check_word("name", &file.name)?;
    check_text("description", &file.description)?;
    let points = read_points(file.point)?;
    let rows = file.row.into_iter().enumerate().map(|(index, row)| read_row(index + 1, row, &points)).collect::<Result<_, _>>()?;
    let table = Table { name: file.name, description: file.description, points, rows, row_of: Vec::new() };
    let row_of = rows_of_combinations(&table)?;
    Ok(Table { row_of, ..table })
}

fn read_points(files: Vec<PointFile>) -> Result<Vec<Point>, TableError> {
    if files.is_empty() || files.len() > MAX_POINTS {
        return Err(problem("point", format_args!("a table has 1 to {MAX_POINTS} [[point]] parts, this one {}", files.len())));
    }
    let (mut points, mut names, mut combinations) = (Vec::new(), BTreeSet::new(), 1_usize);
    for (index, point) in files.into_iter().enumerate() {
        let field = |name: &str| format!("point[{}].{name}", index + 1);
        check_word(&field("name"), &point.name)?;
        check_text(&field("description"), &point.description)?;
        if !names.insert(point.name.clone()) {
            return Err(problem(field("name"), format_args!("{} stands there twice", point.name)));
        }
        for value in &point.values {
            check_word(&field("values"), value)?;
        }
        let distinct: BTreeSet<_> = point.values.iter().collect();
        if distinct.len() < 2 || distinct.len() < point.values.len() {
            return Err(problem(field("values"), "a point has at least two values, each of them once, the mildest first"));
        }
        combinations = combinations.saturating_mul(point.values.len());
        let unknown = point.unknown.map(|taken| {
            let known = point.values.iter().position(|value| *value == taken);
            known.ok_or_else(|| {
                let taken = clean_text(&taken, MAX_WORD_CHARS);
                problem(field("unknown"), format_args!("\"{taken}\" is none of its values {}", listed(&point.values)))
            })
        });
        points.push(Point { unknown: unknown.transpose()?, name: point.name, description: point.description, values: point.values });
    }
    if combinations > MAX_COMBINATIONS {
        return Err(problem("point", format_args!("the values have {combinations} combinations; {MAX_COMBINATIONS} are allowed")));
    }
    Ok(points)
}

fn read_row(number: usize, row: RowFile, points: &[Point]) -> Result<Row, TableError> {
    let mut when: Vec<Vec<usize>> = points.iter().map(|point| (0..point.values.len()).collect()).collect();
    for (name, values) in row.when {
        let field = format!("row[{number}].when.{}", clean_text(&name, MAX_WORD_CHARS));
        let Some((point, matching)) = points.iter().zip(&mut when).find(|(point, _)| point.name == name) else {
            return Err(problem(
                field,
                format_args!("there is no such point; there are {}", listed(points.iter().map(|point| &point.name))),
            ));
        };
        let values = match values {
            OneOrMore::One(value) => vec![value],
            OneOrMore::More(values) => values,
        };
        let found = values.iter().map(|value| {
            point.values.iter().position(|it| it == value).ok_or_else(|| {
                problem(&field, format_args!("\"{}\" is none of its values {}", clean_text(value, MAX_WORD_CHARS), listed(&point.values)))
            })
        });
        *matching = found.collect::<Result<_, _>>()?;
        if matching.is_empty() {
            return Err(problem(field, "no value matches; leave the point out where its value does not matter"));
        }
    }
    let due = if row.within == NEXT_UPGRADE {
        Due::NextUpgrade
    } else {
        let refused = |error| problem(format!("row[{number}].within"), format_args!("{error}; or \"{NEXT_UPGRADE}\""));
        Due::Within(parse_duration(&row.within).map_err(refused)?)
    };
    Ok(Row { when, outcome: Outcome { due, investigate: row.investigate } })
}

/// The first row that matches each combination. Each has one, and each row is some combination's.
fn rows_of_combinations(table: &Table) -> Result<Vec<usize>, TableError> {
    let mut row_of = Vec::new();
    for combination in 0..table.combinations() {
        let values: Vec<usize> = table.values_of(combination).collect();
        let matches = |row: &Row| row.when.iter().zip(&values).all(|(matching, value)| matching.contains(value));
        let Some(row) = table.rows.iter().position(matches) else {
            let named = table.points.iter().zip(&values);
            let combination =
                named.map(|(point, &value)| format!("{} = {}", point.name, point.values.get(value).map_or("", String::as_str)));
            return Err(problem("row", format_args!("no row matches {}; a last one without `when` matches the rest", listed(combination))));
        };
        row_of.push(row);
    }
    let used: BTreeSet<usize> = row_of.iter().copied().collect();
    match (0..table.rows.len()).find(|row| !used.contains(row)) {
        Some(idle) => Err(problem(format!("row[{}]", idle + 1), "it never holds: rows before it match all that it matches")),
        None => Ok(row_of),
    }
}

fn check_word(field: &str, word: &str) -> Result<(), TableError> {
    let allowed = |character: char| character.is_ascii_lowercase() || character.is_ascii_digit() || character == '-';
    let is_word = !word.is_empty() && word.len() <= MAX_WORD_CHARS && word.chars().all(allowed);
    if is_word { Ok(()) } else { Err(problem(field, format_args!("1 to {MAX_WORD_CHARS} lower-case letters, digits and '-' are allowed"))) }
}

fn check_text(field: &str, text: &str) -> Result<(), TableError> {
    if text.chars().count() <= MAX_TEXT_CHARS && !text.chars().any(steers_output) {
        return Ok(());
    }
    Err(problem(field, format_args!("at most {MAX_TEXT_CHARS} characters on one line are allowed")))
}

fn listed<T: AsRef<str>>(words: impl IntoIterator<Item = T>) -> String {
    words.into_iter().map(|word| word.as_ref().to_owned()).collect::<Vec<_>>().join(", ")
}
