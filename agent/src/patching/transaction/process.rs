//! Processes by name that nobody else can take: process id and start, within one boot. Read from `/proc`.

use std::fs;

use patchwave_common::runtime::atomic_file;
use rustix::process::{Pid, Signal};

/// A `stat` line is under 1 KiB; the name in it is at most 16 bytes.
const STAT_MAX_BYTES: u64 = 4096;

/// What `/proc/PID/stat` says of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessStat {
    /// Session id: the process id of the session's leader.
    pub session: i32,
    /// Start in ticks since boot.
    pub start_ticks: u64,
    /// Ended, and only not yet collected by its parent.
    pub is_zombie: bool,
}

/// Looks at a process; `None` where there is none.
#[must_use]
pub fn examine(pid: i32) -> Option<ProcessStat> {
    let bytes = atomic_file::read_bounded(format!("/proc/{pid}/stat").as_ref(), STAT_MAX_BYTES).ok()?;
    parse_stat(&String::from_utf8_lossy(&bytes))
}

/// Whether that very process runs.
#[must_use]
pub fn is_running(pid: i32, start_ticks: u64) -> bool {
    examine(pid).is_some_and(|stat| stat.start_ticks == start_ticks && !stat.is_zombie)
}

/// Processes that are in the session of that leader and not older than it: what it started and what outlived it.
#[must_use]
pub fn session_members(leader: i32, start_ticks: u64) -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let is_member = |stat: ProcessStat| stat.session == leader && stat.start_ticks >= start_ticks && !stat.is_zombie;
    pids.filter(|pid| examine(*pid).is_some_and(is_member)).collect()
}

/// Ends processes by force.
pub fn kill_all(pids: &[i32]) {
    for pid in pids.iter().filter_map(|pid| Pid::from_raw(*pid)) {
        // One that is gone already is as wanted.
        let _ = rustix::process::kill_process(pid, Signal::KILL);
    }
}

/// The fields after the command's name, which stands in parentheses and may hold anything, parentheses included.
fn parse_stat(line: &str) -> Option<ProcessStat> {
    let (_, rest) = line.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    // Counting from the state, which is field 3 of proc_pid_stat(5): session is field 6, start field 22.
    Some(ProcessStat {
        session: fields.get(3)?.parse().ok()?,
        start_ticks: fields.get(19)?.parse().ok()?,
        is_zombie: matches!(*fields.first()?, "Z" | "X"),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_process_is_known_by_its_start_and_not_by_its_number_alone() {
        let own = i32::try_from(std::process::id()).unwrap();
        let stat = examine(own).unwrap();
        assert!(is_running(own, stat.start_ticks));
        assert!(!is_running(own, stat.start_ticks + 1));
        assert!(session_members(stat.session, 0).contains(&own));
        assert!(!session_members(stat.session, stat.start_ticks + 1).contains(&own));
    }

    #[test]
    fn a_command_may_be_named_like_the_end_of_its_name() {
        let line = "77 (a) Z 1 (b) S 1 50 60 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 0 0";
        assert_eq!(parse_stat(line).unwrap(), ProcessStat { session: 60, start_ticks: 4711, is_zombie: false });
        assert_eq!(parse_stat("77 (cut"), None);
    }
}
