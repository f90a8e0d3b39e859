//! `patchwave rollout`: plan, start, watch, explain, take back.

mod plan;
mod show;

use clap::{Args, Subcommand};
use patchwave_common::domain::{PolicyName, RolloutId, Selector};
use patchwave_proto::operator::v1::{
    ExplainRolloutRequest, ListRolloutsRequest, PlanRolloutRequest, ReportHarmRequest, Rollout, RolloutReasonRequest, RolloutRequest,
    StartRolloutRequest,
};
use tonic::{Response, Status};

use crate::cli::output;
use crate::cli::session::Client;
use crate::cli::status::About;
use crate::cli::text::one_line;
use crate::cli::watch::{Until, follow};
use crate::cli::{CliError, Session, values};

const PLAN_EXAMPLES: &str = "\
Changes nothing on any host. Shows every wave, every update, every host that is left out with the reason, and what will hurt.

Examples:
  patchwave rollout plan --policy web
  patchwave rollout plan --policy web --update openssl --update src:nginx=1.22.1-9+deb12u1
  patchwave rollout plan --policy web --select site=ams -o json";
const START_EXAMPLES: &str = "\
Examples:
  patchwave rollout start r-7k2m9qxa
  patchwave rollout start r-7k2m9qxa --watch";
const WATCH_EXAMPLES: &str = "\
Interrupting it (Ctrl-C) stops the drawing, not the rollout. Elsewhere than on a terminal it prints one line for each change. \
Hosts that are away get the patch when they return, maybe days later: when only those are left it ends too, and says so; --until end \
waits for them. Status 0 when everything that could be reached went well; 1 when the rollout was stopped, aborted, or needs attention.

Examples:
  patchwave rollout watch r-7k2m9qxa
  patchwave rollout watch r-7k2m9qxa --until end
  patchwave rollout watch r-7k2m9qxa -o json      one JSON object for each change";
const SHOW_EXAMPLES: &str = "\
Examples:
  patchwave rollout show r-7k2m9qxa
  patchwave rollout show r-7k2m9qxa --hosts
  patchwave rollout show r-7k2m9qxa -o json";
const EXPLAIN_EXAMPLES: &str = "\
Examples:
  patchwave rollout explain r-7k2m9qxa web-3";
const RESUME_EXAMPLES: &str = "\
Where a gate paused it for want of evidence or of time, it only watches on for another time limit: --reason lets that gate pass on your \
word. Hosts that could not download are asked again.

Examples:
  patchwave rollout resume r-7k2m9qxa
  patchwave rollout resume r-7k2m9qxa --reason 'tested by hand'";
const ABORT_EXAMPLES: &str = "\
No host begins any more and the rollout cannot be resumed. What has begun on a host finishes or is taken back; hosts that are healthy on \
the new version keep it (`rollout rollback` takes those back).

Examples:
  patchwave rollout abort r-7k2m9qxa --reason 'the vendor withdrew it'";
const ROLLBACK_EXAMPLES: &str = "\
Harmed hosts are taken back by themselves. This plans the reverse rollout, which takes back the healthy hosts too, in waves like any \
other; nothing happens until it is started.

Examples:
  patchwave rollout rollback r-7k2m9qxa --reason 'slow after a week'";
const HARM_EXAMPLES: &str = "\
Counts like any other harm: it is charged to the rollout's failure limit, and the host is taken back unless the policy leaves that to people.

Examples:
  patchwave rollout report-harm r-7k2m9qxa web-3 --reason 'logins fail since the patch'";

/// One rollout.
#[derive(Debug, Args)]
pub struct Which {
    /// The rollout, as `rollout list` shows it
    #[arg(value_parser = |text: &str| RolloutId::parse(text))]
    pub rollout: RolloutId,
}

/// One rollout, and why.
#[derive(Debug, Args)]
pub struct WhichAndWhy {
    /// The rollout, as `rollout list` shows it
    #[arg(value_parser = |text: &str| RolloutId::parse(text))]
    pub rollout: RolloutId,
    /// Why; kept, and told in `patchwave events`
    #[arg(long, value_parser = values::reason)]
    pub reason: Option<String>,
}

impl From<Which> for RolloutRequest {
    fn from(which: Which) -> Self {
        Self { rollout: which.rollout.into() }
    }
}

impl From<WhichAndWhy> for RolloutReasonRequest {
    fn from(which: WhichAndWhy) -> Self {
        Self { rollout: which.rollout.into(), reason: which.reason.unwrap_or_default() }
    }
}

/// Verbs of `rollout`.
#[derive(Debug, Subcommand)]
pub enum RolloutCommand {
    /// Plan a rollout
    #[command(after_help = PLAN_EXAMPLES)]
    Plan {
        /// The policy that decides patches, waves and health
        #[arg(long, value_parser = |text: &str| PolicyName::parse(text))]
        policy: PolicyName,
        /// Only these of the policy's hosts
        #[arg(long, value_name = "SELECTOR", value_parser = values::selector, default_value = "", hide_default_value = true)]
        select: Selector,
        /// NAME[=VERSION], or src:NAME[=VERSION] for all of a source; may be repeated; without it all that the policy allows
        #[arg(long = "update", value_name = "UPDATE", value_parser = values::update)]
        updates: Vec<String>,
    },
    /// Approve a plan of somebody else
    #[command(
        after_help = "Examples:\n  patchwave rollout show r-7k2m9qxa --hosts     read it first\n  patchwave rollout approve r-7k2m9qxa"
    )]
    Approve(Which),
    /// Start a planned rollout
    #[command(after_help = START_EXAMPLES)]
    Start {
        /// The rollout, as `rollout list` shows it
        #[command(flatten)]
        which: Which,
        /// Start although the plan has lint errors
        #[arg(long)]
        despite_lints: bool,
        /// Watch it from the start
        #[arg(long)]
        watch: bool,
    },
    /// List rollouts, newest first
    #[command(
        after_help = "Examples:\n  patchwave rollout list\n  patchwave rollout list -o json | jq -r '.[] | select(.state == \"running\") | .id'"
    )]
    List,
    /// Show a rollout: waves, hosts that need a look, hosts left out
    #[command(after_help = SHOW_EXAMPLES)]
    Show {
        /// The rollout, as `rollout list` shows it
        #[command(flatten)]
        which: Which,
        /// Every host
        #[arg(long)]
        hosts: bool,
    },
    /// Draw the waves live until they are done
    #[command(after_help = WATCH_EXAMPLES)]
    Watch {
        /// The rollout, as `rollout list` shows it
        #[command(flatten)]
        which: Which,
        /// What to wait for
        #[arg(long, value_enum, default_value_t)]
        until: Until,
    },
    /// Say what happens to one host, when, or why not
    #[command(after_help = EXPLAIN_EXAMPLES)]
    Explain {
        /// The rollout, as `rollout list` shows it
        #[command(flatten)]
        which: Which,
        /// The host's id, or a name that only one host has
        #[arg(value_parser = values::host)]
        host: String,
    },
    /// Begin nothing new until it is resumed
    #[command(
        after_help = "What has begun on a host finishes.\n\nExamples:\n  patchwave rollout pause r-7k2m9qxa --reason 'end of the quarter'"
    )]
    Pause(WhichAndWhy),
    /// Go on with a paused rollout
    #[command(after_help = RESUME_EXAMPLES)]
    Resume {
        /// The rollout, as `rollout list` shows it
        #[command(flatten)]
        which: Which,
        /// Why a gate may pass that lacks evidence; kept, and told in `patchwave events`
        #[arg(long, value_parser = values::reason)]
        reason: Option<String>,
    },
    /// End a rollout for good where it stands
    #[command(after_help = ABORT_EXAMPLES)]
    Abort(WhichAndWhy),
    /// Plan the way back for the healthy hosts too
    #[command(after_help = ROLLBACK_EXAMPLES)]
    Rollback(WhichAndWhy),
    /// Plan a successor for hosts whose version was superseded or could not be staged
    #[command(after_help = "Examples:\n  patchwave rollout replan r-7k2m9qxa")]
    Replan(Which),
    /// Report that a host is harmed though its checks pass
    #[command(after_help = HARM_EXAMPLES)]
    ReportHarm {
        /// The rollout, as `rollout list` shows it
        #[command(flatten)]
        which: Which,
        /// The host's id, or a name that only one host has
        #[arg(value_parser = values::host)]
        host: String,
        /// What is wrong with it
        #[arg(long, value_parser = values::reason)]
        reason: String,
    },
}

pub(super) async fn run(command: RolloutCommand, session: &mut Session<'_>) -> Result<(), CliError> {
    match command {
        RolloutCommand::Plan { policy, select, updates } => {
            let request = PlanRolloutRequest { policy: policy.into(), selector: select.into(), updates };
            let planned = session.ask(About::Policy, async |client| client.plan_rollout(request).await).await?;
            output::one(session.printer, &planned, plan::print)
        }
        RolloutCommand::Rollback(which) => {
            let planned =
                session.ask(About::Rollout, async |client| client.rollback_rollout(RolloutReasonRequest::from(which)).await).await?;
            output::one(session.printer, &planned, plan::print)
        }
        RolloutCommand::Replan(which) => {
            let planned = session.ask(About::Rollout, async |client| client.replan_rollout(RolloutRequest::from(which)).await).await?;
            output::one(session.printer, &planned, plan::print)
        }
        RolloutCommand::List => {
            let list = session.ask(About::Rollout, async |client| client.list_rollouts(ListRolloutsRequest {}).await).await?;
            output::list(session.printer, &list.rollouts)
        }
        RolloutCommand::Show { which, hosts } => {
            let detail = session.ask(About::Rollout, async |client| client.show_rollout(RolloutRequest::from(which)).await).await?;
            output::one(session.printer, &detail, |printer, detail| show::print(printer, detail, hosts))
        }
        RolloutCommand::Watch { which, until } => follow::run(session, &which.rollout, until).await,
        RolloutCommand::Explain { which, host } => {
            let request = ExplainRolloutRequest { rollout: which.rollout.into(), host };
            let explanation = session.ask(About::Host, async |client| client.explain_rollout(request).await).await?;
            output::one(session.printer, &explanation, show::explain)
        }
        RolloutCommand::Start { which, despite_lints, watch } => start(session, which, despite_lints, watch).await,
        acts => act(session, acts).await,
    }
}

/// The verbs that change a rollout and answer with it.
async fn act(session: &mut Session<'_>, command: RolloutCommand) -> Result<(), CliError> {
    match command {
        RolloutCommand::Approve(which) => {
            changed(session, show::approved, async |client| client.approve_rollout(RolloutRequest::from(which)).await).await
        }
        RolloutCommand::Pause(which) => {
            let said = |rollout: &Rollout| {
                format!(
                    "{} is paused: nothing new begins, what has begun finishes.\nNext: `patchwave rollout resume {}`",
                    rollout.id, rollout.id
                )
            };
            changed(session, said, async |client| client.pause_rollout(RolloutReasonRequest::from(which)).await).await
        }
        RolloutCommand::Resume { which, reason } => {
            let request = RolloutReasonRequest { rollout: which.rollout.into(), reason: reason.unwrap_or_default() };
            let said = |rollout: &Rollout| format!("{} goes on.\nNext: `patchwave rollout watch {}`", rollout.id, rollout.id);
            changed(session, said, async |client| client.resume_rollout(request).await).await
        }
        RolloutCommand::Abort(which) => {
            changed(session, show::aborted, async |client| client.abort_rollout(RolloutReasonRequest::from(which)).await).await
        }
        RolloutCommand::ReportHarm { which, host, reason } => {
            let request = ReportHarmRequest { rollout: which.rollout.into(), host: host.clone(), reason };
            let said = |rollout: &Rollout| {
                format!(
                    "{host} counts as harmed in {}, which is {} now.\nNext: `patchwave rollout watch {}`",
                    rollout.id, rollout.state, rollout.id
                )
            };
            changed(session, said, async |client| client.report_harm(request).await).await
        }
        // Every other verb is answered by `run`.
        _ => Ok(()),
    }
}

async fn start(session: &mut Session<'_>, which: Which, despite_lints: bool, watch: bool) -> Result<(), CliError> {
    let request = StartRolloutRequest { rollout: which.rollout.as_str().to_owned(), despite_lints };
    if watch {
        let started = session.ask(About::Rollout, async |client| client.start_rollout(request).await).await?;
        session.printer.talk(&format!("{} is {}.", started.id, one_line(&started.state)));
        return follow::run(session, &which.rollout, Until::Waves).await;
    }
    let said =
        |rollout: &Rollout| format!("{} is {}.\nNext: `patchwave rollout watch {}`", rollout.id, one_line(&rollout.state), rollout.id);
    changed(session, said, async |client| client.start_rollout(request).await).await
}

async fn changed(
    session: &mut Session<'_>,
    said: impl FnOnce(&Rollout) -> String,
    call: impl AsyncFnOnce(&mut Client) -> Result<Response<Rollout>, Status>,
) -> Result<(), CliError> {
    let rollout = session.ask(About::Rollout, call).await?;
    output::act(session.printer, &rollout, said)
}
