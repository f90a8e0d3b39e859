//! Reads a policy from TOML. Unknown keys are refused; every error names the field and the way out.

use std::time::Duration;

use serde::Deserialize;

use super::{
    Amount, HealthRules, KEEP_ORIGINALS_DEFAULT, OfflineRules, PatchFilter, PatchKind, Policy, RolloutLimits, TransactionRules, WaveKind,
    WaveRule,
};
use crate::domain::{
    CheckKind, CheckName, HealthCheck, LabelKey, PolicyName, Selector, UnitName, clean_text, parse_duration, steers_output,
};

/// A policy file larger than this is refused unread; real ones are a few KiB.
pub const MAX_POLICY_BYTES: usize = 256 * 1024;
const MAX_WAVES: usize = 64;
const MAX_CHECKS: usize = 64;
/// Patterns of one list, and characters of one: real ones are a dozen names.
const MAX_PATTERNS: usize = 256;
const MAX_PATTERN_CHARS: usize = 256;
/// Lines of a syntax error, and characters of one: the reader needs five, of which one quotes the file.
const MAX_ERROR_LINES: usize = 8;
const MAX_ERROR_CHARS: usize = 300;

/// What is wrong with a policy file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyError {
    /// The field, e.g. `wave[2].soak`; empty where the file as a whole is meant.
    pub field: String,
    /// What is wrong and what is allowed.
    pub problem: String,
}

impl std::fmt::Display for PolicyError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.field.is_empty() { formatter.write_str(&self.problem) } else { write!(formatter, "{}: {}", self.field, self.problem) }
    }
}
impl std::error::Error for PolicyError {}

fn problem(field: impl Into<String>, problem: impl std::fmt::Display) -> PolicyError {
    PolicyError { field: field.into(), problem: problem.to_string() }
}

/// What the TOML reader says, fit to be sent and shown: it quotes a line of the file, which may be all of it.
fn syntax_problem(error: &toml::de::Error) -> PolicyError {
    let shown = error.to_string();
    let lines: Vec<String> = shown.lines().take(MAX_ERROR_LINES).map(|line| clean_text(line.trim_end(), MAX_ERROR_CHARS)).collect();
    problem("", lines.join("\n"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyFile {
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    hosts: String,
    #[serde(default)]
    patches: PatchesFile,
    #[serde(default)]
    approvals: u32,
    #[serde(default = "yes")]
    automatic_rollback: bool,
    #[serde(default)]
    transaction: TransactionFile,
    #[serde(default)]
    health: HealthFile,
    #[serde(default)]
    limits: LimitsFile,
    #[serde(default)]
    offline: OfflineFile,
    #[serde(default)]
    wave: Vec<WaveFile>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct PatchesFile {
    kinds: Vec<String>,
    origins: Vec<String>,
    include: Vec<String>,
    exclude: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct TransactionFile {
    allow_removals: bool,
    allow_new_packages: Option<bool>,
    allow_no_way_back: bool,
    observe_other_hands: bool,
    lock_wait: Option<String>,
    time_limit: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct HealthFile {
    patience: Option<String>,
    interval: Option<String>,
    settle: Option<String>,
    silence: Option<String>,
    check: Vec<CheckFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckFile {
    name: String,
    kind: String,
    address: Option<String>,
    url: Option<String>,
    status: Option<u16>,
    unit: Option<String>,
    timeout: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct LimitsFile {
    failures: Option<u32>,
    max_unavailable: Option<AmountFile>,
    max_in_flight_per_site: Option<u32>,
    site_label: Option<String>,
    not_staged: Option<AmountFile>,
    staging_per_minute: Option<u32>,
    keep_originals: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct OfflineFile {
    budget: Option<AmountFile>,
    grace: Option<String>,
    deadline: Option<String>,
    catch_up_per_minute: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WaveFile {
    name: String,
    kind: Option<WaveKind>,
    #[serde(default)]
    hosts: String,
    size: Option<AmountFile>,
    minimum: Option<u32>,
    soak: Option<String>,
    failure_limit: Option<u32>,
    max_in_flight: Option<u32>,
    time_limit: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum AmountFile {
    Count(u32),
    Text(String),
}

fn yes() -> bool {
    true
}

/// Reads and validates a policy file.
pub fn parse_policy(text: &str) -> Result<Policy, PolicyError> {
    if text.len() > MAX_POLICY_BYTES {
        return Err(problem("", format!("the policy is larger than {MAX_POLICY_BYTES} bytes")));
    }
    let file: PolicyFile = toml::from_str(text).map_err(|error| syntax_problem(&error))?;
    if file.wave.is_empty() || file.wave.len() > MAX_WAVES {
        return Err(problem("wave", format!("a policy needs 1 to {MAX_WAVES} [[wave]] sections; start with one for the test ring")));
    }
    let waves = file
        .wave
        .iter()
        .enumerate()
        .map(|(index, wave)| read_wave(&format!("wave[{}]", index + 1), wave))
        .collect::<Result<Vec<_>, _>>()?;
    for (index, wave) in waves.iter().enumerate() {
        if waves[..index].iter().any(|earlier| earlier.name == wave.name) {
            return Err(problem(format!("wave[{}].name", index + 1), format!("two waves are named \"{}\"", wave.name)));
        }
    }
    Ok(Policy {
        name: PolicyName::parse(&file.name).map_err(|error| problem("name", error))?,
        description: clean_text(&file.description, 1000),
        hosts: Selector::parse(&file.hosts).map_err(|error| problem("hosts", error))?,
        patches: read_patches(file.patches)?,
        approvals: file.approvals,
        transaction: read_transaction(&file.transaction)?,
        health: read_health(&file.health)?,
        automatic_rollback: file.automatic_rollback,
        waves,
        limits: read_limits(&file.limits)?,
        offline: read_offline(&file.offline)?,
    })
}

fn duration(field: &str, value: Option<&String>, default_secs: u64) -> Result<Duration, PolicyError> {
    match value {
        None => Ok(Duration::from_secs(default_secs)),
        Some(text) => parse_duration(text).map_err(|error| problem(field, error)),
    }
}

fn amount(field: &str, value: Option<&AmountFile>, default: Amount) -> Result<Amount, PolicyError> {
    let refuse =
        |text: &str| problem(field, format!("\"{}\" is no amount: write a count (3), a share (\"25%\") or \"all\"", clean_text(text, 40)));
    match value {
        None => Ok(default),
        Some(AmountFile::Count(count)) => Ok(Amount::Count(*count)),
        Some(AmountFile::Text(text)) if text == "all" => Ok(Amount::All),
        Some(AmountFile::Text(text)) => match text.strip_suffix('%').and_then(|digits| digits.parse::<u8>().ok()) {
            Some(percent @ 1..=100) => Ok(Amount::Percent(percent)),
            _ => Err(refuse(text)),
        },
    }
}

fn at_least_one(field: &str, value: Option<u32>, default: u32) -> Result<u32, PolicyError> {
    match value.unwrap_or(default) {
        0 => Err(problem(field, "must be at least 1")),
        count => Ok(count),
    }
}

fn read_patches(file: PatchesFile) -> Result<PatchFilter, PolicyError> {
    let kinds =
        file.kinds.iter().map(|kind| PatchKind::parse(kind)).collect::<Result<_, _>>().map_err(|error| problem("patches.kinds", error))?;
    Ok(PatchFilter {
        kinds,
        origins: patterns("patches.origins", file.origins)?,
        include: patterns("patches.include", file.include)?,
        exclude: patterns("patches.exclude", file.exclude)?,
    })
}

/// Patterns are matched against every candidate of the fleet, and shown.
fn patterns(field: &str, list: Vec<String>) -> Result<Vec<String>, PolicyError> {
    if list.len() > MAX_PATTERNS {
        return Err(problem(field, format!("at most {MAX_PATTERNS} patterns")));
    }
    let bad = |pattern: &&String| pattern.is_empty() || pattern.chars().count() > MAX_PATTERN_CHARS || pattern.chars().any(steers_output);
    match list.iter().find(bad) {
        Some(pattern) => {
            Err(problem(field, format!("\"{}\" is no pattern: 1 to {MAX_PATTERN_CHARS} printable characters", clean_text(pattern, 40))))
        }
        None => Ok(list),
    }
}

fn read_transaction(file: &TransactionFile) -> Result<TransactionRules, PolicyError> {
    Ok(TransactionRules {
        allow_removals: file.allow_removals,
        allow_new_packages: file.allow_new_packages.unwrap_or(true),
        allow_no_way_back: file.allow_no_way_back,
        observe_other_hands: file.observe_other_hands,
        lock_wait: duration("transaction.lock_wait", file.lock_wait.as_ref(), 600)?,
        time_limit: duration("transaction.time_limit", file.time_limit.as_ref(), 3600)?,
    })
}

fn read_health(file: &HealthFile) -> Result<HealthRules, PolicyError> {
    if file.check.len() > MAX_CHECKS {
        return Err(problem("health.check", format!("at most {MAX_CHECKS} checks")));
    }
    Ok(HealthRules {
        checks: file
            .check
            .iter()
            .enumerate()
            .map(|(index, check)| read_check(&format!("health.check[{}]", index + 1), check))
            .collect::<Result<_, _>>()?,
        patience: duration("health.patience", file.patience.as_ref(), 300)?,
        interval: duration("health.interval", file.interval.as_ref(), 10)?.max(Duration::from_millis(100)),
        settle: duration("health.settle", file.settle.as_ref(), 30)?,
        silence: duration("health.silence", file.silence.as_ref(), 600)?,
    })
}

fn read_check(field: &str, file: &CheckFile) -> Result<HealthCheck, PolicyError> {
    let missing = |key: &str| problem(format!("{field}.{key}"), format!("a check of kind \"{}\" needs it", clean_text(&file.kind, 40)));
    let kind = match file.kind.as_str() {
        "tcp" => {
            let address = file.address.as_ref().ok_or_else(|| missing("address"))?;
            let address = address
                .parse()
                .map_err(|_| problem(format!("{field}.address"), "must be a numeric address and port, e.g. \"127.0.0.1:443\""))?;
            CheckKind::Tcp { address }
        }
        "http" => {
            let url = file.url.as_ref().ok_or_else(|| missing("url"))?;
            CheckKind::http(url, file.status.unwrap_or(200)).map_err(|error| problem(format!("{field}.url"), error))?
        }
        "unit" => {
            let unit = file.unit.as_ref().ok_or_else(|| missing("unit"))?;
            CheckKind::Unit { unit: UnitName::parse(unit).map_err(|error| problem(format!("{field}.unit"), error))? }
        }
        "executable" => CheckKind::Executable,
        other => {
            return Err(problem(format!("{field}.kind"), format!("\"{}\" is none of tcp, http, unit, executable", clean_text(other, 40))));
        }
    };
    Ok(HealthCheck {
        name: CheckName::parse(&file.name).map_err(|error| problem(format!("{field}.name"), error))?,
        kind,
        timeout: duration(&format!("{field}.timeout"), file.timeout.as_ref(), 10)?,
    })
}

fn read_limits(file: &LimitsFile) -> Result<RolloutLimits, PolicyError> {
    Ok(RolloutLimits {
        failures: at_least_one("limits.failures", file.failures, 1)?,
        max_unavailable: amount("limits.max_unavailable", file.max_unavailable.as_ref(), Amount::Percent(25))?,
        max_in_flight_per_site: at_least_one("limits.max_in_flight_per_site", file.max_in_flight_per_site, 50)?,
        site_label: LabelKey::parse(file.site_label.as_deref().unwrap_or("site"))
            .map_err(|error| problem("limits.site_label", error))?
            .as_str()
            .to_owned(),
        not_staged: amount("limits.not_staged", file.not_staged.as_ref(), Amount::Percent(20))?,
        staging_per_minute: at_least_one("limits.staging_per_minute", file.staging_per_minute, 600)?,
        keep_originals: duration("limits.keep_originals", file.keep_originals.as_ref(), KEEP_ORIGINALS_DEFAULT.as_secs())?,
    })
}

fn read_offline(file: &OfflineFile) -> Result<OfflineRules, PolicyError> {
    Ok(OfflineRules {
        budget: amount("offline.budget", file.budget.as_ref(), Amount::Percent(20))?,
        grace: duration("offline.grace", file.grace.as_ref(), 300)?,
        deadline: duration("offline.deadline", file.deadline.as_ref(), 14 * 86_400)?,
        catch_up_per_minute: at_least_one("offline.catch_up_per_minute", file.catch_up_per_minute, 60)?,
    })
}

fn read_wave(field: &str, file: &WaveFile) -> Result<WaveRule, PolicyError> {
    if file.name.is_empty() || file.name.len() > 64 || file.name.chars().any(steers_output) {
        return Err(problem(format!("{field}.name"), "must be 1 to 64 printable characters"));
    }
    Ok(WaveRule {
        name: file.name.clone(),
        kind: file.kind.unwrap_or(WaveKind::Production),
        hosts: Selector::parse(&file.hosts).map_err(|error| problem(format!("{field}.hosts"), error))?,
        size: amount(&format!("{field}.size"), file.size.as_ref(), Amount::All)?,
        minimum: at_least_one(&format!("{field}.minimum"), file.minimum, 1)?,
        soak: duration(&format!("{field}.soak"), file.soak.as_ref(), 1800)?,
        failure_limit: at_least_one(&format!("{field}.failure_limit"), file.failure_limit, 1)?,
        max_in_flight: at_least_one(&format!("{field}.max_in_flight"), file.max_in_flight, 20)?,
        time_limit: duration(&format!("{field}.time_limit"), file.time_limit.as_ref(), 86_400)?,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    const SMALL: &str = "name = \"p\"\n[[wave]]\nname = \"test\"\nkind = \"test\"\nhosts = \"ring=test\"\nsoak = \"1m\"\n";

    #[test]
    fn a_small_policy_gets_careful_defaults() {
        let policy = parse_policy(SMALL).unwrap();
        assert!(policy.automatic_rollback && !policy.transaction.allow_removals);
        assert_eq!(policy.health.patience, Duration::from_secs(300));
        assert_eq!(policy.waves[0].failure_limit, 1);
        assert_eq!(policy.limits.max_unavailable.of(7), 1);
    }

    #[test]
    fn each_wrong_field_is_named() {
        let cases = [
            ("name = \"p\"\n", "wave"),
            ("name = \"p\"\nwavs = 1\n[[wave]]\nname = \"a\"\n", "wavs"),
            ("name = \"-x\"\n[[wave]]\nname = \"a\"\n", "name"),
            ("name = \"p\"\n[[wave]]\nname = \"a\"\nsoak = \"10\"\n", "wave[1].soak"),
            ("name = \"p\"\n[[wave]]\nname = \"a\"\nsize = \"120%\"\n", "wave[1].size"),
            ("name = \"p\"\n[[wave]]\nname = \"a\"\n[[wave]]\nname = \"a\"\n", "wave[2].name"),
            ("name = \"p\"\n[[wave]]\nname = \"a\"\nfailure_limit = 0\n", "wave[1].failure_limit"),
            ("name = \"p\"\n[[wave]]\nname = \"a\u{202e}b\"\n", "wave[1].name"),
            ("name = \"p\"\n[limits]\nsite_label = \"a b\"\n[[wave]]\nname = \"a\"\n", "limits.site_label"),
            ("name = \"p\"\n[patches]\ninclude = [\"\"]\n[[wave]]\nname = \"a\"\n", "patches.include"),
            ("name = \"p\"\n[patches]\norigins = [\"a\\u001bc\"]\n[[wave]]\nname = \"a\"\n", "patches.origins"),
            ("name = \"p\"\n[[wave]]\nname = \"a\"\n[[health.check]]\nname = \"c\"\nkind = \"tcp\"\n", "health.check[1].address"),
            ("name = \"p\"\n[[wave]]\nname = \"a\"\n[[health.check]]\nname = \"../c\"\nkind = \"executable\"\n", "health.check[1].name"),
        ];
        for (text, field) in cases {
            let error = parse_policy(text).expect_err(field).to_string();
            assert!(error.contains(field), "{error} does not name {field}");
        }
    }

    #[test]
    fn a_syntax_error_quotes_no_more_of_the_file_than_fits_on_a_screen() {
        let long = format!("name = \"p\"\n\"{}\u{202e}\" = 1\n", "x".repeat(200_000));
        for text in [long.as_str(), "a = \u{1b}[2J", "\u{1b}c\u{9b}31m = \n"] {
            let error = parse_policy(text).expect_err("it is no policy").to_string();
            assert!(error.chars().count() < 3_000 && !error.chars().any(|each| each != '\n' && steers_output(each)), "{error:?}");
        }
    }
}
