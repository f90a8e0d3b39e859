//! Lines of toned pieces that never get wider than asked for.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::cli::text::{Paint, Tone};

/// One line of a drawing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Line {
    pieces: Vec<(String, Tone)>,
}

impl Line {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Adds a piece.
    pub(super) fn put(mut self, text: impl Into<String>, tone: Tone) -> Self {
        self.push(text, tone);
        self
    }

    pub(super) fn push(&mut self, text: impl Into<String>, tone: Tone) {
        self.pieces.push((text.into(), tone));
    }

    /// Adds a piece after two blanks, or at the start without; nothing where it is empty.
    pub(super) fn then(mut self, text: impl Into<String>, tone: Tone) -> Self {
        let text = text.into();
        if !text.is_empty() {
            if !self.pieces.is_empty() {
                self.push("  ", Tone::Plain);
            }
            self.push(text, tone);
        }
        self
    }

    pub(super) fn width(&self) -> usize {
        self.pieces.iter().map(|(text, _)| text.width()).sum()
    }

    /// The line as text, cut with an ellipsis where it is wider than `width`.
    pub(super) fn show(&self, width: usize, paint: Paint) -> String {
        let mut left = if self.width() > width { width.saturating_sub(1) } else { width };
        let mut shown = String::new();
        for (text, tone) in &self.pieces {
            let cut = cut(text, left);
            left -= cut.width();
            shown.push_str(&paint.apply(cut, *tone));
            if cut.len() < text.len() {
                break;
            }
        }
        if self.width() > width && width > 0 {
            shown.push('…');
        }
        shown.truncate(shown.trim_end_matches(' ').len());
        shown
    }
}

/// The longest start of `text` that is at most `width` wide.
pub(super) fn cut(text: &str, width: usize) -> &str {
    let mut used = 0;
    for (index, character) in text.char_indices() {
        used += character.width().unwrap_or(0);
        if used > width {
            return &text[..index];
        }
    }
    text
}

/// The words of `pieces`, in lines of at most `width`, each indented by `indent`; a word that is wider by itself is cut when shown.
pub(super) fn wrap(pieces: &[(String, Tone)], width: usize, indent: usize) -> Vec<Line> {
    let words = pieces.iter().flat_map(|(text, tone)| text.split(' ').filter(|word| !word.is_empty()).map(|word| (word, *tone)));
    fill(words, width, indent)
}

/// Like [`wrap`], but a piece is never broken.
pub(super) fn wrap_whole(pieces: &[(String, Tone)], width: usize, indent: usize) -> Vec<Line> {
    fill(pieces.iter().map(|(text, tone)| (text.as_str(), *tone)), width, indent)
}

fn fill<'a>(words: impl Iterator<Item = (&'a str, Tone)>, width: usize, indent: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut line = Line::new();
    let mut used = 0;
    for (word, tone) in words {
        let needed = word.width() + usize::from(used > 0);
        if used > 0 && indent + used + needed > width {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
        if used == 0 {
            line.push(" ".repeat(indent), Tone::Plain);
            used = word.width();
        } else {
            line.push(" ", Tone::Plain);
            used += needed;
        }
        line.push(word, tone);
    }
    if used > 0 {
        lines.push(line);
    }
    lines
}
