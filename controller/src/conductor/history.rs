//! What happened to one host in one rollout, read from the log when somebody asks.

use std::collections::VecDeque;

use crate::rollout::{HostIndex, Plan, history_line};
use crate::rollout_log;
use crate::store::{MAX_PAGE, Result, StoreError, StoreRead};

/// Most lines of one host's history: an ordinary life is about ten, one of refusals and returns some dozens; the newest are told.
pub const HISTORY_LINES: usize = 100;
/// Most records that are read for one answer, the newest of the log: every event of twenty thousand hosts, some 20 MB and a fraction of a
/// second on a thread of its own. The log of a million hosts has millions; reading all of them for one question would keep the disk from
/// those who append.
pub const HISTORY_RECORDS: u64 = 200_000;

/// What happened to a host, oldest first, each line an RFC 3339 instant and plain words. Where a bound cut something off, the first line
/// says so.
///
/// # Errors
/// Where the store cannot be read, or a record is not what it should be.
pub fn host_history(store: &dyn StoreRead, plan: &Plan, host: HostIndex) -> Result<Vec<String>> {
    bounded(store, plan, host, HISTORY_RECORDS, HISTORY_LINES)
}

fn bounded(store: &dyn StoreRead, plan: &Plan, host: HostIndex, most_records: u64, most_lines: usize) -> Result<Vec<String>> {
    let id = &plan.header().rollout;
    let first = store.rollout_revision(id)?.saturating_sub(most_records);
    let (mut from, mut lines, mut left_out) = (first, VecDeque::new(), 0_usize);
    loop {
        let page = store.rollout_log(id, from, MAX_PAGE)?;
        for bytes in &page {
            let recorded = rollout_log::decode(bytes)
                .map_err(|error| StoreError::Damaged { path: format!("rollout {id}").into(), detail: error.to_string() })?;
            lines.extend(history_line(plan, host, &recorded));
            if lines.len() > most_lines {
                lines.pop_front();
                left_out += 1;
            }
        }
        from += page.len() as u64;
        if page.len() < MAX_PAGE {
            break;
        }
    }
    if left_out > 0 {
        lines.push_front(format!("({left_out} earlier lines are left out: the newest {most_lines} are told)"));
    } else if first > 0 {
        lines.push_front(format!("(what is older than the newest {most_records} records of the rollout is left out)"));
    }
    Ok(lines.into())
}
