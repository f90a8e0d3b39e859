//! The pure engine: a whole rollout over a large fleet, one event after the other.

use std::time::Instant;

use criterion::{Criterion, Throughput};
use patchwave::rollout::plan::SealedPlan;
use patchwave::rollout::{Event, HostIndex, Look, Recorded, Rollout, RolloutState};
use patchwave::rollout_log;
use patchwave_common::domain::policy::Amount;
use patchwave_common::domain::{DirectiveProgress, Generation};

use crate::agent::World;
use crate::fleet::{START, alice, plan_for, policy, request, simple_fleet};

/// How many hosts, in place of [`HOSTS`].
const VARIABLE: &str = "PATCHWAVE_BENCH_HOSTS";
const HOSTS: usize = 10_000;
/// More hosts than these go through once only.
const REPEATED_HOSTS: usize = 20_000;

fn plan(hosts: usize) -> SealedPlan {
    let mut rules = policy("name = \"p\"\n[[wave]]\nname = \"all\"\nsoak = \"0s\"\nmax_in_flight = 1000000\n");
    rules.limits.max_unavailable = Amount::All;
    rules.limits.max_in_flight_per_site = 1_000_000;
    rules.limits.staging_per_minute = 1_000_000;
    rollout_log::seal(plan_for(&simple_fleet(hosts), &request(), &rules).unwrap().0).0
}

struct Run {
    rollout: Rollout,
    events: u64,
    counter: u64,
}

impl Run {
    fn fold(&mut self, mut event: Event) {
        event.fill_generations(|| {
            self.counter += 1;
            Generation { epoch: 1, counter: self.counter }
        });
        self.rollout.step(&Recorded { at: START, event }).unwrap();
        self.events += 1;
    }
}

/// From the first event to the last: staged, ordered, ready, verified, healthy. Gives the rollout and the number of events.
fn carry_out(sealed: &SealedPlan, world: &World) -> (Rollout, u64) {
    let mut run = Run { rollout: Rollout::new(sealed.clone()), events: 0, counter: 0 };
    run.fold(Event::Created { by: alice(), plan: sealed.root });
    run.fold(Event::Started { by: alice() });
    while matches!(run.rollout.state(), RolloutState::Running | RolloutState::CatchingUp) {
        for event in run.rollout.decide(START, &Look::default().at(world)) {
            let (asked, ordered) = match &event {
                Event::StageRequested { hosts } => (hosts.clone(), Vec::new()),
                Event::Released { hosts } => (Vec::new(), hosts.iter().map(|order| order.host).collect::<Vec<HostIndex>>()),
                _ => (Vec::new(), Vec::new()),
            };
            run.fold(event);
            for host in asked {
                run.fold(Event::HostStaged { host, way_back: true });
            }
            for host in ordered {
                let id = sealed.plan.host(host).unwrap().clone();
                let generation = run.rollout.directive_for(&id).unwrap().generation;
                for progress in [DirectiveProgress::Ready, DirectiveProgress::Verifying, DirectiveProgress::Healthy] {
                    let event = run.rollout.observe(&id, generation, &progress).unwrap();
                    run.fold(event);
                }
            }
        }
    }
    assert_eq!((run.rollout.state(), run.rollout.summary().updated as usize), (RolloutState::Completed, sealed.plan.hosts().count()));
    (run.rollout, run.events)
}

fn anonymous_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() * 1024
}

pub fn bench(criterion: &mut Criterion) {
    let hosts = std::env::var(VARIABLE).map_or(HOSTS, |text| text.parse().expect("PATCHWAVE_BENCH_HOSTS is a number"));
    let began = Instant::now();
    let sealed = plan(hosts);
    let planned = began.elapsed().as_secs_f64();
    let mut world = World::default();
    for host in sealed.plan.hosts() {
        world.presence.insert(host.id.clone(), patchwave::rollout::Presence::Connected { since: START });
    }
    // Of the state beside the plan, which is shared; memory that earlier runs left is taken again, so the first run tells.
    let (before, began) = (anonymous_bytes(), Instant::now());
    let (rollout, events) = carry_out(&sealed, &world);
    let (seconds, grown) = (began.elapsed().as_secs_f64(), anonymous_bytes().saturating_sub(before));
    eprintln!(
        "engine: {hosts} hosts planned in {planned:.1} s; {events} events in {seconds:.1} s, {:.0} a second; {} bytes a host resident",
        f64::from(u32::try_from(events).unwrap()) / seconds,
        grown / hosts as u64
    );
    drop(rollout);
    if hosts > REPEATED_HOSTS {
        return;
    }
    let mut group = criterion.benchmark_group("engine");
    group.sample_size(10).throughput(Throughput::Elements(events));
    group.bench_function(format!("{hosts} hosts through a whole rollout"), |bencher| bencher.iter(|| carry_out(&sealed, &world)));
    group.finish();
}
