//! FIRST's Exploit Prediction Scoring System (<https://www.first.org/epss/data_stats>): a table of `cve,epss,percentile`, new each day.

use patchwave_common::domain::{Timestamp, clean_text};

use super::{ENTRIES_MAX, Facts, NotAFeed, read_cve, rows, text_of};

/// How likely it is that a vulnerability is exploited within the next 30 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epss {
    /// The probability, in hundred-thousandths: 91,963 is 91.963 %.
    pub probability: u32,
    /// The part of all vulnerabilities that are less likely, in hundred-thousandths.
    pub percentile: u32,
}

/// A probability of 1.
const WHOLE: u32 = 100_000;

/// Reads the table. Its first line is a remark with the version of the model and the date.
pub fn parse_epss(bytes: &[u8]) -> Result<Facts<Epss>, NotAFeed> {
    let refuse = |reason: &str| NotAFeed::new("a table of EPSS scores", reason);
    let text = text_of(bytes);
    let dated = text.lines().next().and_then(|line| line.strip_prefix('#')).and_then(read_score_date);
    let mut facts = Facts { dated, ..Facts::default() };
    let mut rows = rows(&text);
    let (_, header) = rows.next().ok_or_else(|| refuse("it is empty"))?;
    if !header.eq_ignore_ascii_case("cve,epss,percentile") {
        return Err(refuse(&format!("its columns are \"{}\" and not cve,epss,percentile", clean_text(header, 80))));
    }
    for (line, row) in rows {
        if facts.by_cve.len() >= ENTRIES_MAX {
            return Err(refuse(&format!("it has more than {ENTRIES_MAX} rows")));
        }
        match read_row(row) {
            Ok((cve, epss)) => {
                facts.by_cve.insert(cve, epss);
            }
            Err(reason) => facts.bad.note(&format!("line {line}"), &reason),
        }
    }
    Ok(facts)
}

/// `model_version:v2023.03.01,score_date:2024-10-25T00:00:00+0000`
fn read_score_date(remark: &str) -> Option<Timestamp> {
    let date = remark.split(',').find_map(|part| part.trim().strip_prefix("score_date:"))?;
    super::read_date(date.get(..10)?).ok()
}

fn read_row(row: &str) -> Result<(patchwave_common::domain::AdvisoryId, Epss), String> {
    let mut columns = row.split(',');
    let mut next = |name: &str| columns.next().ok_or_else(|| format!("there is no column {name}"));
    let cve = read_cve(next("cve")?)?;
    let probability = read_part(next("epss")?).map_err(|reason| format!("epss: {reason}"))?;
    let percentile = read_part(next("percentile")?).map_err(|reason| format!("percentile: {reason}"))?;
    if columns.next().is_some() {
        return Err("there are more than three columns".into());
    }
    Ok((cve, Epss { probability, percentile }))
}

/// A number from 0 to 1 in hundred-thousandths; digits beyond the fifth are left out.
fn read_part(text: &str) -> Result<u32, String> {
    let refuse = || format!("\"{}\" is no number from 0 to 1", clean_text(text, 40));
    let (whole, fraction) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 4 || fraction.len() > 64 || !digits(whole) || !digits(fraction) {
        // Small numbers may be written as 1e-05.
        return read_exponent(text).ok_or_else(refuse);
    }
    let whole: u32 = whole.parse().map_err(|_| refuse())?;
    let fraction: u32 = format!("{fraction:0<5}").get(..5).and_then(|digits| digits.parse().ok()).ok_or_else(refuse)?;
    let part = whole.saturating_mul(WHOLE).saturating_add(fraction);
    if part <= WHOLE { Ok(part) } else { Err(refuse()) }
}

fn read_exponent(text: &str) -> Option<u32> {
    let value: f64 = text.trim().parse().ok()?;
    (text.contains(['e', 'E']) && (0.0..=1.0).contains(&value)).then_some(())?;
    // The greatest part that is not above, halving: a cast of a number that is none would say something too.
    let (mut low, mut high) = (0, WHOLE);
    while low < high {
        let middle = (low + high).div_ceil(2);
        if f64::from(middle) <= value * f64::from(WHOLE) { low = middle } else { high = middle - 1 }
    }
    Some(low)
}
