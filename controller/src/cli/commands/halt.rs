//! `patchwave halt`: stops every rollout in the fleet at once.

use clap::Args;
use patchwave_proto::operator::v1::{Halt, SetHaltRequest, ShowHaltRequest};

use crate::cli::output::{self, Card};
use crate::cli::status::About;
use crate::cli::text::{Tone, relative};
use crate::cli::{CliError, Printer, Session, values};

const HELP: &str = "\
Nothing new begins anywhere: no wave advances and no host gets leave to apply. A transaction that has begun on a host finishes or is \
taken back, since a half-done one is the worst of all. Reports and health checks go on.

Examples:
  patchwave halt --reason 'datacentre fire drill'
  patchwave halt --status
  patchwave halt --lift --reason 'drill is over'";

/// Arguments of `halt`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct HaltArguments {
    /// Let rollouts go on again
    #[arg(long)]
    pub lift: bool,
    /// Only show whether the fleet is halted
    #[arg(long, conflicts_with_all = ["lift", "reason"])]
    pub status: bool,
    /// Why; `halt --status` and `events` tell it
    #[arg(long, value_parser = values::reason)]
    pub reason: Option<String>,
}

pub(super) async fn run(arguments: HaltArguments, session: &mut Session<'_>) -> Result<(), CliError> {
    if arguments.status {
        let halt = session.ask(About::Fleet, async |client| client.show_halt(ShowHaltRequest {}).await).await?;
        return output::one(session.printer, &halt, show);
    }
    let request = SetHaltRequest { halted: !arguments.lift, reason: arguments.reason.unwrap_or_default() };
    let halt = session.ask(About::Fleet, async |client| client.set_halt(request).await).await?;
    output::act(session.printer, &halt, |halt| {
        if halt.halted {
            "The fleet is halted: nothing new begins; what has begun on a host finishes.\nNext: `patchwave rollout list` shows what stands; \
             `patchwave halt --lift` lets it go on."
                .to_owned()
        } else {
            "The halt is lifted: rollouts go on where they stood.".to_owned()
        }
    })
}

fn show(printer: &mut Printer, halt: &Halt) -> Result<(), CliError> {
    let (state, tone) = if halt.halted { ("yes: no rollout advances", Tone::Bad) } else { ("no", Tone::Good) };
    Card::new()
        .toned("halted", state, tone)
        .field("by", &halt.by)
        .field("since", if halt.at.is_empty() { String::new() } else { format!("{} ({})", halt.at, relative(&halt.at, printer.now())) })
        .field("reason", &halt.reason)
        .print(printer)
}
