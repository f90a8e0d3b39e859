//! Tables without borders that never break: on a terminal they fit its width, elsewhere every column is whole.
//!
//! To fit, columns that may wrap shrink to a least width first; where that is not enough the least important columns are left out (and
//! named, so that nobody takes them for absent; one without content goes unnamed); where even that is not enough the remaining ones wrap.

use comfy_table::{Attribute, CellAlignment, ColumnConstraint, ContentArrangement, Width};
use unicode_width::UnicodeWidthStr as _;

use super::printer::Screen;
use super::text::{Paint, Tone, one_line};

/// Blanks between two columns.
const GAP: usize = 2;
/// A column that wraps stays at least this wide while less important ones can be left out instead; narrower is unreadable.
const WRAP_MIN: usize = 16;
/// The narrowest column when nothing can be left out any more.
const LAST_RESORT_MIN: usize = 3;

/// How a column behaves when space is short.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    title: &'static str,
    right: bool,
    /// Least width where it may wrap.
    wraps: Option<usize>,
    /// 0 stays; the highest goes first.
    expendable: u8,
}

impl Column {
    /// A column that stays, whole, aligned left.
    #[must_use]
    pub const fn new(title: &'static str) -> Self {
        Self { title, right: false, wraps: None, expendable: 0 }
    }

    /// A column of numbers.
    #[must_use]
    pub const fn right(mut self) -> Self {
        self.right = true;
        self
    }

    /// A column of sentences or lists, which may wrap.
    #[must_use]
    pub const fn wraps(mut self) -> Self {
        self.wraps = Some(WRAP_MIN);
        self
    }

    /// A column of names, which may be broken, but not below this width.
    #[must_use]
    pub const fn shrinks_to(mut self, least: usize) -> Self {
        self.wraps = Some(least);
        self
    }

    /// May be left out; those with the highest `rank` first.
    #[must_use]
    pub const fn expendable(mut self, rank: u8) -> Self {
        self.expendable = rank;
        self
    }
}

/// One value, made fit for a terminal when it is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// A value with a meaning.
    #[must_use]
    pub fn toned(text: impl AsRef<str>, tone: Tone) -> Self {
        Self { text: one_line(text.as_ref()), tone }
    }

    /// A state's name, in the colour of its meaning.
    #[must_use]
    pub fn state(name: &str) -> Self {
        Self::toned(name, Tone::of_state(name))
    }

    /// A count in which zero is background.
    #[must_use]
    pub fn count(number: impl Into<u64>) -> Self {
        let number = number.into();
        Self { text: number.to_string(), tone: if number == 0 { Tone::Dim } else { Tone::Plain } }
    }

    /// A count in which anything but zero is bad.
    #[must_use]
    pub fn harm(number: impl Into<u64>) -> Self {
        let number = number.into();
        Self { text: number.to_string(), tone: if number == 0 { Tone::Dim } else { Tone::Bad } }
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::toned(text, Tone::Plain)
    }
}

/// A table as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// Lines, each with its end.
    pub text: String,
    /// Titles of the columns that were left out for want of space.
    pub left_out: Vec<&'static str>,
}

/// Lays a table out for `screen`. Rows that are shorter than `columns` are filled with blanks.
#[must_use]
pub fn render(columns: &[Column], rows: &[Vec<Cell>], screen: Screen) -> Rendered {
    let natural: Vec<usize> = columns.iter().enumerate().map(|(index, column)| natural_width(column, index, rows)).collect();
    let empty: Vec<bool> = columns.iter().enumerate().map(|(index, column)| is_empty(column, index, rows)).collect();
    let fitted = match screen.width {
        None => natural.into_iter().map(Some).collect(),
        Some(width) => fit(columns, &natural, &empty, usize::from(width)),
    };
    let missing = columns.iter().enumerate().filter(|(index, _)| fitted[*index].is_none() && !empty[*index]);
    let left_out = missing.map(|(_, column)| column.title).collect();
    Rendered { text: draw(columns, rows, &fitted, screen.paint), left_out }
}

/// Whether a column could go and would not be missed, since nothing is in it.
fn is_empty(column: &Column, index: usize, rows: &[Vec<Cell>]) -> bool {
    column.expendable > 0 && rows.iter().all(|row| row.get(index).is_none_or(|cell| cell.text.is_empty()))
}

fn natural_width(column: &Column, index: usize, rows: &[Vec<Cell>]) -> usize {
    rows.iter().filter_map(|row| row.get(index)).map(|cell| cell.text.width()).max().unwrap_or(0).max(column.title.width()).max(1)
}

/// The width of each column, `None` for one that is left out. The sum with gaps is at most `available` unless that is less than the
/// last resort.
fn fit(columns: &[Column], natural: &[usize], empty: &[bool], available: usize) -> Vec<Option<usize>> {
    let mut widths: Vec<Option<usize>> = natural.iter().zip(empty).map(|(width, empty)| (!empty).then_some(*width)).collect();
    let least =
        |index: usize| columns[index].wraps.map_or(natural[index], |least| natural[index].min(least.max(columns[index].title.width())));
    while total(&widths, &|index, _| least(index)) > available {
        let expendable = (0..columns.len())
            .filter(|&index| widths[index].is_some() && columns[index].expendable > 0)
            .max_by_key(|&index| columns[index].expendable);
        match expendable {
            Some(index) => widths[index] = None,
            None => break,
        }
    }
    shrink_widest(&mut widths, &|index| columns[index].wraps.is_some(), &least, available);
    shrink_widest(&mut widths, &|_| true, &|_| LAST_RESORT_MIN, available);
    widths
}

/// The width of the whole table where column `index` takes `of(index, width)`.
fn total(widths: &[Option<usize>], of: &dyn Fn(usize, usize) -> usize) -> usize {
    let kept: Vec<usize> = widths.iter().enumerate().filter_map(|(index, width)| width.map(|width| of(index, width))).collect();
    kept.iter().sum::<usize>() + GAP * kept.len().saturating_sub(1)
}

/// Takes from the widest columns that may give, one character at a time, until all fit or nothing can be given.
fn shrink_widest(widths: &mut [Option<usize>], may_give: &dyn Fn(usize) -> bool, least: &dyn Fn(usize) -> usize, available: usize) {
    let mut excess = total(widths, &|_, width| width).saturating_sub(available);
    while excess > 0 {
        let widest = (0..widths.len())
            .filter(|&index| may_give(index) && widths[index].is_some_and(|width| width > least(index)))
            .max_by_key(|&index| widths[index]);
        let Some(width) = widest.and_then(|index| widths[index].as_mut()) else {
            return;
        };
        *width -= 1;
        excess -= 1;
    }
}

fn draw(columns: &[Column], rows: &[Vec<Cell>], widths: &[Option<usize>], paint: Paint) -> String {
    let kept: Vec<usize> = (0..columns.len()).filter(|&index| widths[index].is_some()).collect();
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled).force_no_tty();
    if paint == Paint::Yes {
        table.enforce_styling();
        table.style_text_only();
    }
    if kept.iter().any(|&index| !columns[index].title.is_empty()) {
        table.set_header(kept.iter().map(|&index| cell(columns[index].title, Tone::Strong, columns[index].right)).collect::<Vec<_>>());
    }
    for row in rows {
        table.add_row(
            kept.iter()
                .map(|&index| {
                    row.get(index).map_or_else(|| cell("", Tone::Plain, false), |have| cell(&have.text, have.tone, columns[index].right))
                })
                .collect::<Vec<_>>(),
        );
    }
    let last = kept.len().saturating_sub(1);
    for (place, &index) in kept.iter().enumerate() {
        let gap = if place == last { 0 } else { GAP };
        let width = u16::try_from(widths[index].unwrap_or(1) + gap).unwrap_or(u16::MAX);
        if let Some(column) = table.column_mut(place) {
            column.set_padding((0, u16::try_from(gap).unwrap_or(0)));
            column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(width)));
        }
    }
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

fn cell(text: &str, tone: Tone, right: bool) -> comfy_table::Cell {
    let cell = comfy_table::Cell::new(text).set_alignment(if right { CellAlignment::Right } else { CellAlignment::Left });
    match tone {
        Tone::Plain => cell,
        Tone::Good => cell.fg(comfy_table::Color::DarkGreen),
        Tone::Busy => cell.fg(comfy_table::Color::DarkCyan),
        Tone::Warn => cell.fg(comfy_table::Color::DarkYellow),
        Tone::Bad => cell.fg(comfy_table::Color::DarkRed),
        Tone::Dim => cell.add_attribute(Attribute::Dim),
        Tone::Strong => cell.add_attribute(Attribute::Bold),
    }
}
