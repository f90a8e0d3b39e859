//! What rounds of checks mean (rule 4): a check that passed before and now fails for the policy's patience, a newly failed unit, a unit
//! that keeps starting again. What failed already before the change proves nothing.

use std::collections::BTreeMap;

use patchwave_common::domain::policy::HealthRules;
use patchwave_common::domain::{CheckName, HarmReason, UnitName, clean_text, show_duration};

use super::facts::{Baseline, Harm, Round, Units};

/// So many automatic restarts of one unit within [`CRASH_LOOP_WINDOW_MS`] are a crash loop. One is an accident, and a package's scripts
/// may cause a second; systemd itself gives up at five in ten seconds by default, but a unit with a longer pause never gets there.
const CRASH_LOOP_RESTARTS: usize = 3;
/// See [`CRASH_LOOP_RESTARTS`]: longer than the pauses that units have in practice (seconds to a minute or two).
const CRASH_LOOP_WINDOW_MS: u64 = 10 * 60 * 1000;
/// Rounds further apart than this many intervals have a gap between them (the host slept, the agent was down): a failure before it and
/// one after it do not make a failure that lasted.
const GAP_INTERVALS: u64 = 3;
/// Added to the gap, since a round itself takes time (at most the checks' timeouts).
const GAP_SLACK_MS: u64 = 60_000;

/// What the rounds since the change showed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Watch {
    failing_since: BTreeMap<CheckName, u64>,
    passing_since: Option<u64>,
    last_round: Option<u64>,
    units_seen: bool,
    restart_counts: BTreeMap<UnitName, u64>,
    restarts_seen: BTreeMap<UnitName, Vec<u64>>,
}

/// What a round means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Everything that counts passes, since this boot time without a break.
    PassingSince(u64),
    /// Something fails, not yet for long enough; in words.
    Failing(String),
    /// Harm.
    Harm(Harm),
}

impl Watch {
    /// Takes one round in at boot time `at`.
    pub fn observe(&mut self, at: u64, rules: &HealthRules, baseline: &Baseline, round: &Round) -> Verdict {
        let gap_ms = milliseconds(rules.interval).saturating_mul(GAP_INTERVALS).saturating_add(GAP_SLACK_MS);
        if self.last_round.is_some_and(|last| at.saturating_sub(last) > gap_ms) {
            self.failing_since.clear();
            self.passing_since = None;
        }
        self.last_round = Some(at);
        if let Some(harm) = round.units.as_ref().and_then(|units| self.judge_units(at, baseline, units)) {
            return Verdict::Harm(harm);
        }
        let failing = self.note_checks(at, baseline, round);
        if failing.is_empty() {
            return Verdict::PassingSince(*self.passing_since.get_or_insert(at));
        }
        self.passing_since = None;
        let patience_ms = milliseconds(rules.patience);
        let lasting = failing.iter().find(|(name, _)| self.failing_since.get(name).is_some_and(|since| at - since >= patience_ms));
        match lasting {
            Some((name, seen)) => Verdict::Harm(Harm {
                reason: HarmReason::CheckFailed,
                detail: format!("check {name} passed before and fails for {} now: {seen}", show_duration(rules.patience)),
            }),
            None => {
                Verdict::Failing(failing.iter().map(|(name, seen)| format!("check {name} fails: {seen}")).collect::<Vec<_>>().join("; "))
            }
        }
    }

    /// Checks that fail and count, with what was seen; keeps since when each fails.
    fn note_checks(&mut self, at: u64, baseline: &Baseline, round: &Round) -> Vec<(CheckName, String)> {
        let failing = failing_checks(baseline, round);
        self.failing_since.retain(|name, _| failing.iter().any(|(failing, _)| failing == name));
        for (name, _) in &failing {
            self.failing_since.entry(name.clone()).or_insert(at);
        }
        failing
    }

    fn judge_units(&mut self, at: u64, baseline: &Baseline, units: &Units) -> Option<Harm> {
        let counted = |unit: &UnitName| !baseline.unsteady_units.contains(unit) && !baseline.failed_units.contains(unit);
        let first = !std::mem::replace(&mut self.units_seen, true);
        for (unit, count) in units.restarts.iter().filter(|(unit, _)| counted(unit)) {
            // A lower count means that somebody started the unit anew. What the first round finds is where counting starts.
            let before = self.restart_counts.insert(unit.clone(), *count).unwrap_or(if first { *count } else { 0 });
            let seen = self.restarts_seen.entry(unit.clone()).or_default();
            let more = usize::try_from(count.saturating_sub(before)).unwrap_or(usize::MAX).min(CRASH_LOOP_RESTARTS);
            seen.extend(std::iter::repeat_n(at, more));
            seen.retain(|seen| at.saturating_sub(*seen) <= CRASH_LOOP_WINDOW_MS);
            if seen.len() >= CRASH_LOOP_RESTARTS {
                let detail = format!("unit {unit} keeps failing and starting again ({count} automatic restarts)");
                return Some(Harm { reason: HarmReason::UnitFailed, detail });
            }
        }
        let failed = newly_failed(baseline, units);
        (!failed.is_empty()).then(|| Harm { reason: HarmReason::UnitFailed, detail: format!("newly failed: {}", failed.join(", ")) })
    }
}

/// Checks that passed before and fail in this round, with what was seen.
#[must_use]
pub fn failing_checks(baseline: &Baseline, round: &Round) -> Vec<(CheckName, String)> {
    let counted = round.checks.iter().filter(|check| baseline.passed.contains(&check.name));
    counted.filter_map(|check| check.result.as_ref().err().map(|seen| (check.name.clone(), clean_text(seen, 300)))).collect()
}

/// Units that are failed and were not before.
#[must_use]
pub fn newly_failed(baseline: &Baseline, units: &Units) -> Vec<String> {
    units.failed.difference(&baseline.failed_units).map(ToString::to_string).collect()
}

/// A span in whole milliseconds.
#[must_use]
pub fn milliseconds(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::facts::CheckOutcome;
    use super::super::simulation::orders;
    use super::*;

    fn baseline() -> Baseline {
        Baseline { passed: [orders::check_name()].into(), ..Baseline::default() }
    }

    fn restarted(count: u64) -> Round {
        let restarts = BTreeMap::from([(UnitName::parse("web.service").unwrap(), count)]);
        Round { checks: vec![], units: Some(Units { restarts, ..Units::default() }) }
    }

    fn check(passes: bool) -> Round {
        let result = if passes { Ok(()) } else { Err("x".to_owned()) };
        Round { checks: vec![CheckOutcome { name: orders::check_name(), result }], units: None }
    }

    #[test]
    fn three_automatic_restarts_in_ten_minutes_are_a_crash_loop_and_restarts_from_before_are_not() {
        let is_harm = |counts: &[u64], seconds_apart: u64, baseline: &Baseline| {
            let mut watch = Watch::default();
            let rounds = counts.iter().zip(0..);
            rounds.fold(false, |seen, (count, at)| {
                seen | matches!(watch.observe(at * seconds_apart * 1000, &orders::health(), baseline, &restarted(*count)), Verdict::Harm(_))
            })
        };
        assert!(is_harm(&[0, 1, 2, 3], 10, &baseline()));
        assert!(is_harm(&[7, 10], 10, &baseline()), "a fast loop makes several between two rounds");
        assert!(!is_harm(&[7, 7, 8, 9], 10, &baseline()), "what it had before does not count");
        assert!(!is_harm(&[5, 0, 1, 2], 10, &baseline()), "somebody started it anew");
        assert!(!is_harm(&[0, 1, 2, 3, 4], 301, &baseline()), "one in five minutes is no loop");
        let unsteady = Baseline { unsteady_units: [UnitName::parse("web.service").unwrap()].into(), ..Baseline::default() };
        assert!(!is_harm(&[0, 9, 18], 10, &unsteady), "it did so before");
    }

    #[test]
    fn a_failure_before_and_one_after_a_gap_are_no_lasting_failure() {
        let mut watch = Watch::default();
        let mut observe = |seconds: u64, passes| watch.observe(seconds * 1000, &orders::health(), &baseline(), &check(passes));
        assert!(matches!(observe(0, false), Verdict::Failing(_)));
        assert!(matches!(observe(3600, false), Verdict::Failing(_)), "the host slept for an hour");
        assert!(matches!(observe(3630, false), Verdict::Failing(_)));
        assert!(matches!(observe(3660, false), Verdict::Harm(_)));
    }

    #[test]
    fn a_pass_in_between_starts_the_patience_anew() {
        let mut watch = Watch::default();
        let mut observe = |seconds: u64, passes| watch.observe(seconds * 1000, &orders::health(), &baseline(), &check(passes));
        for (seconds, passes) in [(0, false), (50, false), (60, true), (70, false), (120, false)] {
            assert!(!matches!(observe(seconds, passes), Verdict::Harm(_)), "{seconds}");
        }
        assert!(matches!(observe(130, false), Verdict::Harm(_)));
    }
}
