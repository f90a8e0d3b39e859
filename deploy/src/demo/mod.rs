//! The demo: a controller, twelve sandbox hosts with real agents and real packages, this machine as a report-only host; a good update for
//! all, and a bad one that is stopped at the canaries and taken back.
//!
//! Nothing of the machine is changed: every host is a process with a package root of its own below one temporary folder, and all traffic
//! stays on loopback. As root it goes on as an ordinary user, since a sandbox's maintainer scripts must not reach the real system.

mod arguments;
mod controller;
mod hosts;
mod packages;
mod place;
mod processes;
mod rollouts;
mod summary;
mod verify;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;
use clap::Parser as _;

use arguments::Arguments;
use controller::Controller;
use hosts::Fleet;
use place::Place;
use summary::Summary;

/// Plays the demo; 0 only if everything went as it should.
pub(crate) fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match place::as_ordinary_user() {
        Ok(Some(code)) => return code,
        Ok(None) => {}
        Err(error) => return fail(&error),
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.into()),
    };
    match runtime.block_on(play(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(error: &anyhow::Error) -> ExitCode {
    say(&format!("\nThe demo did not go as it should: {error:#}"));
    ExitCode::FAILURE
}

/// Everything that the demo says, in plain words.
#[allow(clippy::print_stdout, reason = "a demo talks to the person who runs it; this is its one way to")]
pub(crate) fn say(text: &str) {
    println!("{text}");
}

async fn play(arguments: &Arguments) -> anyhow::Result<()> {
    let began = Instant::now();
    let place = Place::make(arguments.keep)?;
    let mut repository = packages::Shop::publish_first(&place)?;
    say(&format!("Patchwave demo in {}. Nothing outside of it is changed.", place.path().display()));
    if !repository.is_real() {
        say("This machine has no apt, so the hosts use the simulated package manager.");
    }
    let controller = Controller::start(&place).await?;
    say(&format!("Controller: {} (mutual TLS, store in {}).", controller.url(), controller.state_dir().display()));
    let fleet = Fleet::start(&place, &repository, &controller).await?;
    fleet.introduce(&controller).await?;

    let mut summary = Summary::new(fleet.managed());
    controller.apply_policy(packages::POLICY).await?;

    say("\n1. A good update, shop 1.1, to every host:");
    repository.publish(packages::GOOD)?;
    let good = rollouts::carry_out(&controller, &fleet, packages::GOOD).await?;
    summary.add(&controller, "good", &good, &fleet).await?;
    verify::good(&fleet, &good)?;

    say("\n2. A bad update, shop 1.2: fine on the test ring, broken where shop runs as a cluster:");
    repository.publish(packages::BAD)?;
    let bad = rollouts::carry_out(&controller, &fleet, packages::BAD).await?;
    summary.add(&controller, "bad", &bad, &fleet).await?;
    verify::bad(&controller, &fleet, &bad, summary.last()).await?;

    say(&summary.in_plain_words(began.elapsed()));
    if let Some(file) = &arguments.summary {
        std::fs::write(file, summary.to_json()?).with_context(|| format!("writing {}", file.display()))?;
    }
    controller.how_to_go_on(&place, arguments.keep);
    if arguments.keep {
        tokio::signal::ctrl_c().await.context("waiting for Ctrl-C")?;
    }
    Ok(())
}
