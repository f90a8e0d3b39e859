//! Tables: whatever is in them, they fit and they lose nothing unsaid.

use patchwave::cli::printer::Screen;
use patchwave::cli::table::{Cell, Column, render};
use patchwave::cli::text::{Paint, Tone};
use proptest::prelude::*;
use unicode_width::UnicodeWidthStr as _;

const COLUMNS: [Column; 5] = [
    Column::new("NAME"),
    Column::new("STATE").expendable(1),
    Column::new("HOSTS").right(),
    Column::new("WHY").wraps(),
    Column::new("LABELS").wraps().expendable(2),
];

fn screen(width: u16) -> Screen {
    Screen { width: Some(width), paint: Paint::No }
}

fn rows(texts: &[[&str; 5]]) -> Vec<Vec<Cell>> {
    texts.iter().map(|row| row.iter().map(Cell::from).collect()).collect()
}

#[test]
fn long_sentences_wrap_before_columns_are_left_out() {
    let table = rows(&[
        ["web-1", "online", "7", "the check failed for five minutes and the host was taken back", "site=ams,kind=web"],
        ["数据库-1", "offline", "12345", "fine", ""],
    ]);
    let shown: Vec<String> = [120, 80, 60, 40, 24]
        .iter()
        .map(|&width| {
            let rendered = render(&COLUMNS, &table, screen(width));
            format!("at {width}, left out {:?}:\n{}", rendered.left_out, rendered.text)
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn colour_changes_no_width() {
    let row = vec![vec![Cell::state("online"), Cell::toned("x", Tone::Dim), Cell::harm(3_u32)]];
    let columns = [Column::new("A"), Column::new("B"), Column::new("C").right()];
    let plain = render(&columns, &row, screen(40)).text;
    let coloured = render(&columns, &row, Screen { width: Some(40), paint: Paint::Yes }).text;
    assert!(coloured.contains("\u{1b}["));
    assert_eq!(strip(&coloured), plain);
}

/// Without ANSI colour sequences and without blanks at line ends.
fn strip(text: &str) -> String {
    let mut plain = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            characters.by_ref().find(|end| end.is_ascii_alphabetic());
        } else {
            plain.push(character);
        }
    }
    plain.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

proptest! {
    #[test]
    fn no_line_is_wider_than_the_terminal(
        cells in proptest::collection::vec(proptest::collection::vec("[a-z日é -]{0,60}", 5), 0..6),
        width in 24_u16..200,
    ) {
        let table: Vec<Vec<Cell>> = cells.iter().map(|row| row.iter().map(Cell::from).collect()).collect();
        let rendered = render(&COLUMNS, &table, screen(width));
        for line in rendered.text.lines() {
            prop_assert!(line.width() <= usize::from(width), "{} > {width}: {line}", line.width());
        }
    }

    #[test]
    fn without_a_terminal_every_cell_is_on_one_line_whole(cells in proptest::collection::vec(proptest::collection::vec("[a-z]{0,300}", 5), 1..4)) {
        let table: Vec<Vec<Cell>> = cells.iter().map(|row| row.iter().map(Cell::from).collect()).collect();
        let rendered = render(&COLUMNS, &table, Screen::PLAIN);
        prop_assert_eq!(rendered.text.lines().count(), cells.len() + 1);
        for cell in cells.iter().flatten() {
            prop_assert!(rendered.text.contains(cell.as_str()));
        }
    }
}
