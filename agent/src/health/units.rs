//! What systemd says of its units. The output is parsed as `systemctl show` has it: blocks of `Key=value`, an empty line between them.

use patchwave_common::domain::UnitName;

use crate::packages::CommandSpec;
use crate::patching::machine::Units;
use crate::patching::tool;

/// Asking takes some 20 ms for 500 units; a systemd that is being re-executed answers after a second.
const ASK_LIMIT_SECS: u64 = 30;
/// Units of our own transactions: their ends are judged by their results.
const OWN_PREFIX: &str = "patchwave-tx-";

/// Every unit that is loaded; `None` where there is no systemd or it does not answer.
#[must_use]
pub fn all_units() -> Option<Units> {
    if !std::path::Path::new("/run/systemd/system").is_dir() {
        return None;
    }
    let arguments = ["show", "--property=Id,ActiveState,SubState,NRestarts", "--", "*"];
    match tool::run(&systemctl(arguments.map(str::to_owned).to_vec())) {
        Ok(answer) => Some(parse(&answer)),
        Err(error) => {
            tracing::warn!(error, "cannot ask systemd for its units");
            None
        }
    }
}

/// The units of the list that are active.
#[must_use]
pub fn active_of(units: &[UnitName]) -> Vec<UnitName> {
    let is_active = |unit: &&UnitName| state_of(unit).is_ok_and(|state| state == "active");
    units.iter().filter(is_active).cloned().collect()
}

/// A unit's active state in systemd's words; `inactive` for one that it does not know.
pub fn state_of(unit: &UnitName) -> Result<String, String> {
    let answer = tool::run(&systemctl(vec!["show".into(), "--property=ActiveState".into(), "--".into(), unit.to_string()]))?;
    let state = answer.lines().find_map(|line| line.strip_prefix("ActiveState=")).unwrap_or("unknown");
    Ok(state.trim().to_owned())
}

fn systemctl(arguments: Vec<String>) -> CommandSpec {
    CommandSpec {
        program: "systemctl".to_owned(),
        arguments,
        environment: std::collections::BTreeMap::new(),
        time_limit_secs: ASK_LIMIT_SECS,
        purpose: "ask for the state of units".to_owned(),
        may_fail: false,
    }
}

pub(crate) fn parse(answer: &str) -> Units {
    let mut units = Units::default();
    for block in answer.split("\n\n") {
        let value = |key: &str| block.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
        let Some(unit) = value("Id=").and_then(|name| UnitName::parse(name).ok()) else { continue };
        if unit.as_str().starts_with(OWN_PREFIX) {
            continue;
        }
        if let Some(count @ 1..) = value("NRestarts=").and_then(|count| count.parse::<u64>().ok()) {
            units.restarts.insert(unit.clone(), count);
        }
        if value("SubState=").is_some_and(|state| state.starts_with("auto-restart")) {
            units.restarting.insert(unit.clone());
        }
        if value("ActiveState=") == Some("failed") {
            units.failed.insert(unit);
        }
    }
    units
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemctls_blocks_tell_failed_restarting_and_restarted_units_and_ours_do_not_count() {
        // As systemd 252 answers.
        let answer = "NRestarts=0\nId=cron.service\nActiveState=active\nSubState=running\n\n\
                      NRestarts=3\nId=web.service\nActiveState=activating\nSubState=auto-restart\n\n\
                      Id=data.mount\nActiveState=failed\nSubState=failed\n\n\
                      NRestarts=0\nId=patchwave-tx-1-2-apply-1.service\nActiveState=failed\nSubState=failed\n\n\
                      Id=sys-devices-odd name.device\nActiveState=failed\nSubState=x\n";
        let units = parse(answer);
        let names = |set: &std::collections::BTreeSet<UnitName>| set.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names(&units.failed), ["data.mount"]);
        assert_eq!(names(&units.restarting), ["web.service"]);
        assert_eq!(
            units.restarts.into_iter().map(|(unit, count)| (unit.to_string(), count)).collect::<Vec<_>>(),
            [("web.service".into(), 3)]
        );
    }
}
