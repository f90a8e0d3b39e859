//! `patchwave events`: what happened in the fleet, and what happens now.

use clap::Args;
use futures::StreamExt as _;
use patchwave_common::domain::Timestamp;
use patchwave_common::runtime::retry::Retry;
use patchwave_proto::operator::v1::{EventsRequest, FleetEvent};

use crate::cli::output::{self, Format, Tabular};
use crate::cli::session::before_next_try;
use crate::cli::status::About;
use crate::cli::table::{Cell, Column};
use crate::cli::text::{Tone, one_line};
use crate::cli::{CliError, Printer, Session};

const EXAMPLES: &str = "\
Examples:
  patchwave events
  patchwave events --follow
  patchwave events --follow -o json          one JSON object a line
  patchwave events --after 1200 --all        everything since number 1200";

/// Arguments of `events`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct EventsArguments {
    /// Go on printing what happens, until interrupted
    #[arg(short, long)]
    pub follow: bool,
    /// Only events after this number
    #[arg(long, value_name = "NUMBER")]
    pub after: Option<u64>,
    /// At most so many of the past
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
    /// All of the past
    #[arg(long, conflicts_with = "limit")]
    pub all: bool,
}

pub(super) async fn run(arguments: EventsArguments, session: &mut Session<'_>) -> Result<(), CliError> {
    let limit = if arguments.all { u32::MAX } else { arguments.limit };
    let mut request = EventsRequest { follow: arguments.follow, after: arguments.after.unwrap_or(0), limit };
    if !arguments.follow {
        let events = session.stream(About::Fleet, async |client| client.events(request).await).await?;
        return output::stream(session.printer, events).await;
    }
    let mut retry = Retry::new();
    loop {
        let mut opened = false;
        match follow(session, &mut request, &mut retry, &mut opened).await {
            // A first connection that fails is told at once.
            Err(error) if opened || retry.failures() > 0 => before_next_try(&mut retry, error, session.printer).await?,
            ended => return ended,
        }
    }
}

/// Prints events until the controller ends the list or the connection breaks. `request` is kept such that asking again goes on exactly
/// behind what was printed.
async fn follow(session: &mut Session<'_>, request: &mut EventsRequest, retry: &mut Retry, opened: &mut bool) -> Result<(), CliError> {
    let asked = *request;
    let mut events = session.stream(About::Fleet, async |client| client.events(asked).await).await?;
    *opened = true;
    while let Some(event) = events.next().await {
        let event = event?;
        print_line(session.printer, &event)?;
        retry.reset();
        // Whatever was missed in between is wanted, however much it is.
        *request = EventsRequest { follow: true, after: event.number, limit: u32::MAX };
    }
    Ok(())
}

fn print_line(printer: &mut Printer, event: &FleetEvent) -> Result<(), CliError> {
    if printer.format() == Format::Json {
        return output::json_line(printer, event);
    }
    let paint = printer.screen().paint;
    let about =
        [&event.rollout, &event.host].into_iter().filter(|name| !name.is_empty()).map(|name| one_line(name)).collect::<Vec<_>>().join(" ");
    let line = [
        paint.apply(&one_line(&event.at), Tone::Dim),
        paint.apply(&one_line(&event.kind), tone(&event.kind)),
        about,
        one_line(&event.text),
    ];
    printer.line(&line.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("  "))?;
    Ok(printer.flush()?)
}

/// Kinds are open-ended; what sounds like harm looks like it.
fn tone(kind: &str) -> Tone {
    let has = |words: &[&str]| words.iter().any(|word| kind.contains(word));
    if has(&["harm", "fail", "stopped", "quarantine", "clone", "attention", "halt", "taken-back"]) {
        Tone::Bad
    } else if has(&["completed", "healthy", "advanced", "passed"]) {
        Tone::Good
    } else {
        Tone::Plain
    }
}

impl Tabular for FleetEvent {
    const COLUMNS: &'static [Column] = &[
        Column::new("NUMBER").right().expendable(3),
        Column::new("AT").expendable(1),
        Column::new("KIND"),
        Column::new("ROLLOUT").expendable(2),
        Column::new("HOST").expendable(4),
        Column::new("TEXT").wraps(),
    ];
    const EMPTY: &'static str = "Nothing happened yet.";

    fn row(&self, _now: Timestamp) -> Vec<Cell> {
        vec![
            Cell::toned(self.number.to_string(), Tone::Dim),
            Cell::toned(&self.at, Tone::Dim),
            Cell::toned(&self.kind, tone(&self.kind)),
            Cell::from(&self.rollout),
            Cell::from(&self.host),
            Cell::from(&self.text),
        ]
    }
}
