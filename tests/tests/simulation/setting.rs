//! What kind of life a seed leads: how many hosts, which policy, how much goes wrong.

use std::fmt::Write as _;

use patchwave_common::domain::policy::{Policy, parse_policy};

use crate::choices::Choices;

const MINUTE_MS: u64 = 60_000;

#[derive(Debug, Clone)]
pub struct Setting {
    pub hosts: usize,
    pub policy: Policy,
    /// The network drops, repeats and reorders single messages, instead of breaking whole streams only.
    pub loose: bool,
    /// Mean time between two troubles; 0 for none.
    pub trouble_every_ms: u64,
    /// From then on nothing more goes wrong, and everything must come to an end.
    pub calm_from_ms: u64,
    /// The new version is bad on one host in so many; 0 for none.
    pub bad_one_in: u64,
    /// A check fails by chance once in so many rounds; 0 for never.
    pub noise_one_in: u64,
    /// A transaction goes wrong once in so many; 0 for never.
    pub fails_one_in: u64,
}

impl Setting {
    pub fn draw(choices: &mut Choices) -> Self {
        let quiet = choices.one_in(12);
        let hosts = if choices.one_in(8) { choices.between(17, 64) } else { 16 };
        Self {
            hosts: usize::try_from(hosts).unwrap(),
            policy: policy(choices),
            loose: choices.one_in(3),
            trouble_every_ms: if quiet { 0 } else { choices.of(&[2, 5, 10, 30]) * MINUTE_MS },
            calm_from_ms: choices.between(60, 240) * MINUTE_MS,
            bad_one_in: choices.of(&[0, 0, 0, 2, 4, 16]),
            noise_one_in: if quiet { 0 } else { choices.of(&[0, 0, 60, 400]) },
            fails_one_in: if quiet { 0 } else { choices.of(&[0, 6, 12, 30]) },
        }
    }
}

/// A test ring, canaries, and one or two more waves, with every number drawn.
fn policy(choices: &mut Choices) -> Policy {
    let mut text = String::from("name = \"sim\"\n");
    let automatic = !choices.one_in(5);
    let unavailable = choices.of(&["2", "\"20%\"", "\"50%\"", "\"all\""]);
    let _ = write!(
        text,
        "automatic_rollback = {automatic}\n[limits]\nfailures = {}\nmax_unavailable = {unavailable}\nmax_in_flight_per_site = {}\n\
         not_staged = {}\nstaging_per_minute = {}\n[health]\npatience = \"8m\"\ninterval = \"4m\"\nsettle = \"4m\"\nsilence = \"{}m\"\n\
         [[health.check]]\nname = \"works\"\nkind = \"executable\"\n[transaction]\ntime_limit = \"20m\"\n[offline]\nbudget = {}\ngrace = \"5m\"\n\
         deadline = \"{}h\"\ncatch_up_per_minute = {}\n",
        choices.between(1, 6),
        choices.between(1, 8),
        choices.between(1, 6),
        choices.of(&[4, 20, 600]),
        choices.of(&[15, 20, 30]),
        choices.between(0, 4),
        choices.of(&[2, 12, 48]),
        choices.between(1, 4),
    );
    let waves = if choices.one_in(2) { 4 } else { 3 };
    for wave in 0..waves {
        let members = match wave {
            0 => "name = \"test\"\nkind = \"test\"\nhosts = \"ring=test\"".to_owned(),
            1 => format!("name = \"canary\"\nkind = \"canary\"\nsize = {}", choices.between(1, 3)),
            2 if waves == 4 => "name = \"half\"\nsize = \"50%\"".to_owned(),
            _ => "name = \"rest\"".to_owned(),
        };
        let _ = write!(
            text,
            "[[wave]]\n{members}\nsoak = \"{}m\"\nfailure_limit = {}\nmax_in_flight = {}\ntime_limit = \"{}h\"\n",
            choices.of(&[2, 6, 10]),
            choices.between(1, 4),
            choices.between(1, 12),
            choices.of(&[2, 6]),
        );
    }
    parse_policy(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}
