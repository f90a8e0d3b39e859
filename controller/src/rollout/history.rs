//! What a recorded event says about one host, in plain words, and when a host last changed its state.
//!
//! Nothing is kept for it: whoever asks reads the log again, so that a plan of a million hosts stays at tens of bytes a host.

use patchwave_common::domain::{Timestamp, clean_text};

use super::event::{AbsenceCause, Event, Ordered, Progress, Recorded, SilenceCause};
use super::plan::{HostIndex, Plan};
use super::state::{Phase, Rollout};

/// Characters of what a tool or a person wrote, as far as a line of the history repeats it; all of it stands in the explanation.
const MAX_QUOTED_CHARS: usize = 200;

/// What an event says about a host: its RFC 3339 instant and plain words. `None` where it is not about this host.
#[must_use]
pub fn history_line(plan: &Plan, host: HostIndex, recorded: &Recorded) -> Option<String> {
    words(plan, host, &recorded.event).map(|words| format!("{} {words}", recorded.at))
}

fn words(plan: &Plan, host: HostIndex, event: &Event) -> Option<String> {
    let among = |hosts: &[HostIndex], words: &str| hosts.contains(&host).then(|| words.to_owned());
    let ordered = |orders: &[Ordered], words: &str| orders.iter().any(|order| order.host == host).then(|| words.to_owned());
    let wave = |index| plan.rule(index).filter(|_| plan.wave_of(host) == Some(index)).map(|rule| rule.name.as_str());
    match event {
        Event::StageRequested { hosts } => among(hosts, "asked to download what it needs"),
        Event::HostStaged { host: of, way_back } if *of == host => {
            Some(if *way_back { "downloaded everything" } else { "downloaded everything, but its way back is not certain" }.to_owned())
        }
        Event::HostNotStaged { host: of, reason, detail } if *of == host => {
            Some(because(&format!("could not download ({reason})"), detail))
        }
        Event::WaveStarted { wave: index } => wave(*index).map(|name| format!("its wave \"{name}\" began")),
        Event::WavePassed { wave: index, because } => wave(*index).map(|name| format!("its wave \"{name}\" passed its gate ({because})")),
        Event::Released { hosts } => ordered(hosts, "ordered"),
        Event::Withdrawn { hosts } => among(hosts, "its order was withdrawn before it had begun"),
        Event::HostProgress { host: of, progress, .. } if *of == host => Some(progress_words(progress)),
        Event::HostSilent { hosts, cause: SilenceCause::Offline } => among(hosts, "fell silent after it had begun: its connection is gone"),
        Event::HostSilent { hosts, cause: SilenceCause::NoProgress } => {
            among(hosts, "fell silent after it had begun: it answers, but tells nothing of its order")
        }
        Event::HostOffline { hosts, cause } => among(hosts, absence_words(*cause)),
        Event::HostReturned { hosts } => among(hosts, "can be reached again"),
        Event::OperatorReportedHarm { host: of, by, reason } if *of == host => Some(because(&format!("{by} reported harm"), reason)),
        Event::TakeBackOrdered { hosts } => ordered(hosts, "ordered to return to exactly what it had"),
        Event::HostConcluded { hosts } => among(hosts, "done: it keeps what it has and is watched no longer"),
        Event::HostRetired { hosts } => among(hosts, "retired from the fleet"),
        _ => None,
    }
}

fn progress_words(progress: &Progress) -> String {
    match progress {
        Progress::Accepted => "took the order into its journal".to_owned(),
        Progress::Refused { reason, detail } => because(&format!("refused ({reason}); nothing was changed"), detail),
        Progress::Applying => "got leave to change packages".to_owned(),
        Progress::Begun => "said that it had begun to change packages".to_owned(),
        Progress::Verifying => "changed its packages; health checks run".to_owned(),
        Progress::Healthy => "proved healthy".to_owned(),
        Progress::Harmed { reason, detail } => because(&format!("harm was seen ({reason})"), detail),
        Progress::TakingBack => "began to return to what it had".to_owned(),
        Progress::TakenBack => "exactly as before, verified".to_owned(),
        Progress::NeedsAttention { detail } => because("could reach neither the target nor what it had; a person must look at it", detail),
    }
}

fn absence_words(cause: AbsenceCause) -> &'static str {
    match cause {
        AbsenceCause::Offline => "not reached before it had begun; it gets the patch when it returns",
        AbsenceCause::Cloned => "two running copies use its key; left out until that is mended",
        AbsenceCause::ClockOff => "its clock is more than five minutes off; left out until that is mended",
    }
}

fn because(words: &str, detail: &str) -> String {
    if detail.is_empty() { words.to_owned() } else { format!("{words}: {}", clean_text(detail, MAX_QUOTED_CHARS)) }
}

impl Rollout {
    /// When a host last changed its state; that of a host to which nothing happened yet is as old as the plan. `None` where the plan does
    /// not know the host, or nothing is recorded.
    #[must_use]
    pub fn changed_at(&self, host: HostIndex) -> Option<Timestamp> {
        let phase = self.phase_of(host)?;
        // A download changes the state of a host only before its order.
        let download = if phase == Phase::Pending { self.hosts.staging_since(host) } else { Timestamp::default() };
        let newest = self.hosts.since(host).max(download);
        if newest > Timestamp::default() { Some(newest) } else { self.created.as_ref().map(|(_, at)| *at) }
    }
}
