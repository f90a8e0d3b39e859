//! The demo: a controller, twelve sandbox hosts with real agents and real packages, this machine as a report-only host; a good update for
//! all, and a bad one that is stopped at the canaries and taken back.
//!
//! Nothing of the machine is changed: every host is a process with a package root of its own below one temporary folder, and all traffic
//! stays on loopback. As root it goes on as an ordinary user, since a sandbox's maintainer scripts must not reach the real system. However
//! it ends, its processes end with it and its folder is removed; only kill -9 leaves the folder.

mod arguments;
mod controller;
mod hosts;
mod ordinary_user;
mod output;
mod packages;
mod place;
mod policy;
mod processes;
mod report;
mod rollouts;
mod signals;
mod summary;
mod summary_file;
mod verify;

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser as _;
use rustix::process::Signal;

use arguments::Arguments;
use controller::Controller;
use hosts::Fleet;
use output::{say, talk};
use packages::Shop;
use place::Place;
use signals::Signals;
use summary::Summary;
use summary_file::SummaryFile;

/// Added to a signal's number in the exit status of what it ended, as shells have it.
const ENDED_BY_SIGNAL: u8 = 128;

/// What a controller or an agent of the demo does first: it ends with the demo.
pub(crate) fn end_with_parent() {
    processes::end_with_parent(Signal::KILL);
}

/// Plays the demo; 0 only if everything went as it should.
pub(crate) fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Where root started it again, it still has to clean up.
    processes::end_with_parent(Signal::TERM);
    let result = if rustix::process::geteuid().is_root() { ordinary_user::run(&arguments) } else { run(&arguments) };
    result.unwrap_or_else(|error| {
        talk(&format!("\nerror: the demo did not go as it should: {error:#}"));
        ExitCode::FAILURE
    })
}

fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut summary = match &arguments.summary {
        Some(path) => Some(SummaryFile::open(path)?),
        None => arguments.summary_on_stdin.then(SummaryFile::from_stdin).transpose()?,
    };
    let place = arguments.folder.clone().map_or_else(|| Place::make(false), |folder| Ok(Place::given(folder)))?;
    processes::adopt_orphans();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        let mut signals = Signals::watch()?;
        let played = tokio::select! {
            played = play(arguments, &place, summary.as_mut()) => played?,
            number = signals.next() => {
                talk("\nEnding, and clearing away …");
                return Ok(ExitCode::from(ENDED_BY_SIGNAL + number));
            }
        };
        if arguments.keep {
            signals.next().await;
            talk("\nEnding, and clearing away …");
        }
        drop(played);
        Ok(ExitCode::SUCCESS)
    });
    processes::end_all(runtime);
    place.remove()?;
    result
}

/// What goes on running where it is to be kept.
struct Played {
    _controller: Controller,
    _fleet: Fleet,
    _shop: Shop,
}

async fn play(arguments: &Arguments, place: &Place, file: Option<&mut SummaryFile>) -> anyhow::Result<Played> {
    let began = Instant::now();
    let mut shop = Shop::open(arguments.package_manager, place)?;
    say(&format!("Patchwave demo in {}. Nothing outside of it is changed.", place.path().display()));
    say(shop.describe(arguments.package_manager));
    let controller = Controller::start(place).await?;
    say(&format!("Controller: {} (mutual TLS, store in {}).", controller.url(), controller.state_dir().display()));
    let fleet = Fleet::start(place, &mut shop, &controller).await?;
    verify::first(&fleet, &shop)?;
    fleet.introduce(&controller).await?;
    controller.apply_policy(policy::POLICY).await?;

    let mut summary = Summary::new(fleet.managed());
    let (good, bad, stopped) = match two_updates(&controller, &fleet, &mut shop, &mut summary).await {
        Ok(went_well) => went_well,
        Err(error) => {
            // Programs shall learn how far it got.
            file.map(|file| file.write(&summary.to_json()?)).transpose()?;
            return Err(error);
        }
    };
    let this_machine = fleet.this_machine(&controller).await?;
    say(&report::in_short(&good, &bad, shop.witness(), &this_machine, began.elapsed()));
    file.map(|file| file.write(&summary.to_json()?)).transpose()?;
    if arguments.keep {
        say(&report::look_around(&place.path().display().to_string(), &controller.how_to_connect()?, &stopped));
    } else {
        say(report::HOW_TO_GO_ON);
    }
    Ok(Played { _controller: controller, _fleet: fleet, _shop: shop })
}

/// The good one and the bad one; gives both in numbers and the stopped rollout's id.
async fn two_updates(
    controller: &Controller,
    fleet: &Fleet,
    shop: &mut Shop,
    summary: &mut Summary,
) -> anyhow::Result<(summary::RolloutSummary, summary::RolloutSummary, String)> {
    say(&format!("\n1. A good update, shop {}, to every host", packages::GOOD));
    shop.publish(packages::GOOD)?;
    let good = summary.add("good", &rollouts::carry_out(controller, fleet, packages::GOOD).await?)?;
    verify::good(fleet, shop, &good)?;

    say(&format!("\n2. A bad update, shop {}: fine in the test ring, broken where shop runs as a cluster", packages::BAD));
    shop.publish(packages::BAD)?;
    let ended = rollouts::carry_out(controller, fleet, packages::BAD).await?;
    let bad = summary.add("bad", &ended)?;
    verify::bad(controller, fleet, shop, &bad).await?;
    Ok((good, bad, ended.rollout.map(|rollout| rollout.id).unwrap_or_default()))
}
