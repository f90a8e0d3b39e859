//! `patchwave host`: hosts of the fleet.

mod show;

use std::collections::BTreeMap;

use clap::Subcommand;
use patchwave_common::domain::{Selector, Timestamp};
use patchwave_proto::operator::v1::{Host, LabelHostsRequest, ListHostsRequest, ReplaceHostRequest, RetireHostRequest, ShowHostRequest};

use crate::cli::output::{self, Tabular};
use crate::cli::status::About;
use crate::cli::table::{Cell, Column};
use crate::cli::text::{Tone, count, one_line, relative};
use crate::cli::{CliError, Session, values};

const LIST_EXAMPLES: &str = "\
A selector is a list of conditions, joined by commas; all must hold. Keys are labels, or id, name, os, release, codename, arch, mode, state.

Examples:
  patchwave host list
  patchwave host list ring=test,os=debian
  patchwave host list 'site!=ams,ring in (early, broad)'
  patchwave host list state=active -o json | jq -r '.[].name'";
const SHOW_EXAMPLES: &str = "\
Examples:
  patchwave host show web-3
  patchwave host show web-3 --packages
  patchwave host show h-7k2m9qxa -o json";
const LABEL_EXAMPLES: &str = "\
Examples:
  patchwave host label web-3 ring=test site=ams
  patchwave host label web-3 site-                removes the label
  patchwave host label site=ams ring=broad        every host that the selector selects";
const REFRESH_EXAMPLES: &str = "\
Hosts look by themselves when their archives' indexes change; this has them fetch the indexes now.

Examples:
  patchwave host refresh
  patchwave host refresh ring=test";
const RETIRE_EXAMPLES: &str = "\
The host's certificate is refused from now on and cannot be renewed; it leaves all plans and denominators. What was recorded of it stays. \
A retired host never comes back: to manage the machine again, enrol it anew.

Examples:
  patchwave host retire web-3 --reason 'machine scrapped'
  patchwave host retire web-3 --yes";
const REPLACE_EXAMPLES: &str = "\
For a machine that was installed anew and enrolled as a new host: the new host gets the old one's labels, the old one is retired. \
Receipts and baselines do not pass over.

Examples:
  patchwave host replace h-old1 h-new7";

/// Verbs of `host`.
#[derive(Debug, Subcommand)]
pub enum HostCommand {
    /// List hosts
    #[command(after_help = LIST_EXAMPLES)]
    List {
        /// Only these hosts, e.g. ring=test,os=debian
        #[arg(value_name = "SELECTOR", value_parser = values::selector, default_value = "", hide_default_value = true)]
        selector: Selector,
    },
    /// Show one host: facts, alarms, updates
    #[command(after_help = SHOW_EXAMPLES)]
    Show {
        /// Its id, or a name that only one host has
        #[arg(value_parser = values::host)]
        host: String,
        /// Also list what is installed
        #[arg(long)]
        packages: bool,
    },
    /// Set and remove labels
    #[command(after_help = LABEL_EXAMPLES)]
    Label {
        /// Its id, a name that only one host has, or a selector of several
        #[arg(value_parser = values::host_or_selector)]
        host: String,
        /// KEY=VALUE sets a label, KEY- removes it
        #[arg(value_name = "CHANGE", required = true, value_parser = values::label_change)]
        changes: Vec<String>,
    },
    /// Ask hosts to look now at what they could get
    #[command(after_help = REFRESH_EXAMPLES)]
    Refresh {
        /// Only these hosts, e.g. ring=test,os=debian
        #[arg(value_name = "SELECTOR", value_parser = values::selector, default_value = "", hide_default_value = true)]
        selector: Selector,
    },
    /// Take a host out of the fleet for good
    #[command(after_help = RETIRE_EXAMPLES)]
    Retire {
        /// Its id, or a name that only one host has
        #[arg(value_parser = values::host)]
        host: String,
        /// Why
        #[arg(long, value_parser = values::reason)]
        reason: Option<String>,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Pass an old host's labels to the new host on the same machine
    #[command(after_help = REPLACE_EXAMPLES)]
    Replace {
        /// The host that was
        #[arg(value_name = "OLD", value_parser = values::host)]
        old: String,
        /// The host that is
        #[arg(value_name = "NEW", value_parser = values::host)]
        new: String,
    },
}

pub(super) async fn run(command: HostCommand, session: &mut Session<'_>) -> Result<(), CliError> {
    match command {
        HostCommand::List { selector } => {
            let request = ListHostsRequest { selector: selector.into() };
            let hosts = session.stream(About::Host, async |client| client.list_hosts(request).await).await?;
            output::stream(session.printer, hosts).await
        }
        HostCommand::Show { host, packages } => {
            let detail = session.ask(About::Host, async |client| client.show_host(ShowHostRequest { host }).await).await?;
            output::one(session.printer, &detail, |printer, detail| show::print(printer, detail, packages))
        }
        HostCommand::Label { host, changes } => {
            if let Err(key) = values::distinct_keys(&changes) {
                return Err(CliError::wrong_use(format!("the label \"{key}\" is changed twice"), "give each label once"));
            }
            let changed = session.ask(About::Host, async |client| client.label_hosts(LabelHostsRequest { host, changes }).await).await?;
            output::list(session.printer, &changed.hosts)
        }
        HostCommand::Refresh { selector } => {
            let request = ListHostsRequest { selector: selector.into() };
            let asked = session.ask(About::Host, async |client| client.refresh_hosts(request).await).await?;
            output::act(session.printer, &asked, |asked| {
                format!(
                    "{} asked, {} away. What they find shows within a minute or so: `patchwave update list`",
                    count(asked.asked, "host"),
                    asked.away
                )
            })
        }
        HostCommand::Retire { host, reason, yes } => retire(session, host, reason.unwrap_or_default(), yes).await,
        HostCommand::Replace { old, new } => {
            let request = ReplaceHostRequest { old_host: old.clone(), new_host: new };
            let host = session.ask(About::Host, async |client| client.replace_host(request).await).await?;
            output::act(session.printer, &host, |host| {
                format!("{} ({}) has the labels of {old} now: {}. {old} is retired.", one_line(&host.name), host.id, labels(&host.labels))
            })
        }
    }
}

async fn retire(session: &mut Session<'_>, host: String, reason: String, yes: bool) -> Result<(), CliError> {
    let mut id = host.clone();
    if session.printer.interactive() && !yes {
        // Asked about the host that is meant, which need not be the one that was typed; and what is confirmed is what is retired.
        let detail = session.ask(About::Host, async |client| client.show_host(ShowHostRequest { host }).await).await?;
        let shown = detail.host.unwrap_or_default();
        let question = format!(
            "Retire {} ({}, {}, last seen {})? Its certificate is refused from now on, and it cannot come back. [y/N] ",
            one_line(&shown.name),
            shown.id,
            shown.presence,
            relative(&shown.last_seen_at, session.printer.now())
        );
        if !confirm(session, &question).await? {
            return Err(CliError::failed("nothing was changed", "answer y, or give --yes, to retire the host"));
        }
        id = shown.id;
    }
    let request = RetireHostRequest { host: id, reason };
    let retired = session.ask(About::Host, async |client| client.retire_host(request).await).await?;
    output::act(session.printer, &retired, |host| {
        format!(
            "{} ({}) is retired: its certificate is refused, it leaves all plans. What was recorded of it stays.",
            one_line(&host.name),
            host.id
        )
    })
}

async fn confirm(session: &mut Session<'_>, question: &str) -> Result<bool, CliError> {
    session.printer.ask(question);
    let read = tokio::task::spawn_blocking(|| {
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).map(|_| answer)
    });
    let unreadable =
        |error: &dyn std::fmt::Display| CliError::failed(format!("cannot read the answer: {error}"), "give --yes to go without");
    let answer = read.await.map_err(|error| unreadable(&error))?.map_err(|error| unreadable(&error))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Labels in the order of their keys.
pub(super) fn labels(labels: &BTreeMap<String, String>) -> String {
    labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

impl Tabular for Host {
    const COLUMNS: &'static [Column] = &[
        Column::new("NAME").shrinks_to(24),
        Column::new("ID").expendable(4),
        Column::new("STATE"),
        Column::new("RING"),
        Column::new("MODE").expendable(6),
        Column::new("OS").expendable(3),
        Column::new("PACKAGES").right().expendable(9),
        Column::new("UPDATES").right(),
        Column::new("SECURITY").right(),
        Column::new("SEEN").expendable(2),
        Column::new("LABELS").wraps().expendable(7),
        Column::new("ROLLOUT").expendable(5),
        Column::new("ALARMS").wraps().expendable(1),
    ];
    const EMPTY: &'static str = "No such hosts. `patchwave token create` makes a token with which hosts enrol.";

    fn row(&self, now: Timestamp) -> Vec<Cell> {
        // Presence says nothing of a host that is gone for good.
        let state = if self.state == "active" { &self.presence } else { &self.state };
        let mut alarms = self.alarms.clone();
        if self.reboot_required {
            alarms.push("reboot required".to_owned());
        }
        let mut others = self.labels.clone();
        others.remove("ring");
        vec![
            Cell::from(&self.name),
            Cell::toned(&self.id, Tone::Dim),
            Cell::state(state),
            Cell::from(&self.ring),
            Cell::from(&self.mode),
            Cell::from(format!("{} {}", self.os, self.release).trim()),
            Cell::count(self.packages),
            Cell::count(self.updates),
            Cell::harm(self.security_updates),
            Cell::toned(relative(&self.last_seen_at, now), Tone::Dim),
            Cell::from(labels(&others)),
            Cell::toned(&self.rollout, Tone::Busy),
            Cell::toned(alarms.join(", "), Tone::Warn),
        ]
    }
}
