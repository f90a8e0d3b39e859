//! A wave as a bar and as counts: one table of what a host can be in, so that both say the same.

use patchwave_proto::operator::v1::WaveProgress;

use crate::cli::text::Tone;

/// One of the things that a host of a wave can be in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    /// The word in the counts.
    pub(super) word: &'static str,
    /// Its sign in the bar; told apart without colour.
    pub(super) sign: char,
    pub(super) tone: Tone,
    pub(super) count: fn(&WaveProgress) -> u32,
}

/// In the order of the bar: what is done first, what cannot be done last.
pub(super) const KINDS: [Kind; 11] = [
    Kind { word: "healthy", sign: '█', tone: Tone::Good, count: |wave| wave.healthy },
    Kind { word: "verifying", sign: '▓', tone: Tone::Busy, count: |wave| wave.verifying },
    Kind { word: "applying", sign: '▒', tone: Tone::Busy, count: |wave| wave.applying },
    Kind { word: "staged", sign: '░', tone: Tone::Plain, count: |wave| wave.staged },
    Kind { word: "staging", sign: '░', tone: Tone::Busy, count: |wave| wave.staging },
    Kind { word: "pending", sign: '░', tone: Tone::Dim, count: |wave| wave.pending },
    Kind { word: "failed", sign: '×', tone: Tone::Bad, count: |wave| wave.failed },
    Kind { word: "taken back", sign: '‹', tone: Tone::Bad, count: |wave| wave.taken_back },
    Kind { word: "offline", sign: '·', tone: Tone::Warn, count: |wave| wave.offline },
    Kind { word: "not staged", sign: '·', tone: Tone::Warn, count: |wave| wave.not_staged },
    Kind { word: "refused", sign: '·', tone: Tone::Warn, count: |wave| wave.refused },
];

/// The counts that are not zero.
pub(super) fn counts(wave: &WaveProgress) -> Vec<(String, Tone)> {
    let shown = KINDS.iter().filter(|kind| (kind.count)(wave) > 0);
    let mut pieces: Vec<(String, Tone)> = shown.map(|kind| (format!("{} {}", (kind.count)(wave), kind.word), kind.tone)).collect();
    let last = pieces.len().saturating_sub(1);
    pieces.iter_mut().take(last).for_each(|(text, _)| text.push(','));
    pieces
}

/// The bar, `width` characters wide: each kind by its share, and at least one character for each kind that has a host.
pub(super) fn bar(wave: &WaveProgress, width: usize) -> Vec<(String, Tone)> {
    let hosts: Vec<u64> = KINDS.iter().map(|kind| u64::from((kind.count)(wave))).collect();
    let cells = shares(&hosts, u64::from(wave.hosts), width);
    let filled: usize = cells.iter().sum();
    let mut pieces: Vec<(String, Tone)> = KINDS
        .iter()
        .zip(&cells)
        .filter(|(_, cells)| **cells > 0)
        .map(|(kind, cells)| (kind.sign.to_string().repeat(*cells), kind.tone))
        .collect();
    if filled < width {
        pieces.push((" ".repeat(width - filled), Tone::Plain));
    }
    pieces
}

/// Divides `width` cells by `parts` of `total` (or of their sum, where that is more): rounded down, then the largest remainders get one
/// more, and nobody who has a part goes empty while somebody has two.
fn shares(parts: &[u64], total: u64, width: usize) -> Vec<usize> {
    let sum: u64 = parts.iter().sum();
    let total = u128::from(total.max(sum).max(1));
    let exact = |part: u64| u128::from(part) * width as u128;
    let mut cells: Vec<usize> = parts.iter().map(|&part| usize::try_from(exact(part) / total).unwrap_or(width)).collect();
    let wanted = usize::try_from((u128::from(sum) * width as u128).div_ceil(total)).unwrap_or(width);
    let mut by_remainder: Vec<usize> = (0..parts.len()).filter(|&index| parts[index] > 0).collect();
    by_remainder.sort_by_key(|&index| std::cmp::Reverse(exact(parts[index]) % total));
    for &index in by_remainder.iter().cycle().take(parts.len()) {
        if cells.iter().sum::<usize>() < wanted {
            cells[index] += 1;
        }
    }
    for index in 0..parts.len() {
        if parts[index] > 0
            && cells[index] == 0
            && let Some(richest) = (0..cells.len()).filter(|&other| cells[other] > 1).max_by_key(|&other| cells[other])
        {
            cells[richest] -= 1;
            cells[index] = 1;
        }
    }
    cells
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_failed_host_of_a_thousand_shows() {
        assert_eq!(shares(&[999, 1], 1000, 10), [9, 1]);
        assert_eq!(shares(&[0, 0], 0, 10), [0, 0]);
        assert_eq!(shares(&[1, 1, 1], 3, 10), [4, 3, 3]);
    }

    proptest! {
        #[test]
        fn a_bar_is_never_wider_than_asked_and_is_full_when_every_host_is_counted(parts in proptest::collection::vec(0_u64..5000, 1..11), width in 0_usize..60) {
            let sum: u64 = parts.iter().sum();
            let cells = shares(&parts, sum, width);
            prop_assert_eq!(cells.iter().sum::<usize>(), if sum == 0 { 0 } else { width });
        }
    }
}
