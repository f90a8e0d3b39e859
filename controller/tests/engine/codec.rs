//! Every event and every plan comes back from its stored form as it went in; what was damaged does not come back at all.

use bytes::Bytes;
use patchwave::records::Actor;
use patchwave::rollout::{
    AbsenceCause, Event, HostIndex, Ordered, Outcome, PassReason, PauseReason, Progress, Recorded, SilenceCause, StopReason, WaitingReason,
    WaveIndex,
};
use patchwave::rollout_log::{decode, encode, open, seal};
use patchwave_common::domain::policy::parse_policy;
use patchwave_common::domain::{
    Architecture, Digest, Generation, HarmReason, HostId, Manager, NotStagedReason, OperatorName, PackageName, PackageVersion,
    QuarantineKey, RefusalReason, RolloutId, Timestamp,
};
use proptest::prelude::*;
use proptest::sample::select;

use crate::fleet::{Host, plan_for, request, request_for};

fn actor() -> impl Strategy<Value = Actor> {
    prop_oneof![
        "[a-z][a-z0-9.@_-]{0,20}".prop_map(|name| Actor::Operator(OperatorName::parse(name).unwrap())),
        "[a-z0-9][a-z0-9-]{0,20}".prop_map(|id| Actor::Host(HostId::parse(id).unwrap())),
        Just(Actor::Local),
        Just(Actor::Controller),
    ]
}

fn operator() -> impl Strategy<Value = OperatorName> {
    "[a-z][a-z0-9.@_-]{0,20}".prop_map(|name| OperatorName::parse(name).unwrap())
}

fn host() -> impl Strategy<Value = HostIndex> {
    prop_oneof![8 => 0_u32..12, 1 => any::<u32>()].prop_map(HostIndex)
}

fn hosts() -> impl Strategy<Value = Vec<HostIndex>> {
    prop::collection::vec(host(), 0..20)
}

fn wave() -> impl Strategy<Value = WaveIndex> {
    prop_oneof![8 => 0_u16..4, 1 => any::<u16>()].prop_map(WaveIndex)
}

fn generation() -> impl Strategy<Value = Generation> {
    (any::<u32>(), any::<u64>()).prop_map(|(epoch, counter)| Generation { epoch, counter })
}

fn orders() -> impl Strategy<Value = Vec<Ordered>> {
    prop::collection::vec((host(), generation()).prop_map(|(host, generation)| Ordered { host, generation }), 0..20)
}

fn progress() -> impl Strategy<Value = Progress> {
    prop_oneof![
        Just(Progress::Accepted),
        (select(RefusalReason::ALL), ".*").prop_map(|(reason, detail)| Progress::Refused { reason, detail }),
        Just(Progress::Applying),
        Just(Progress::Begun),
        Just(Progress::Verifying),
        Just(Progress::Healthy),
        (select(HarmReason::ALL), ".*").prop_map(|(reason, detail)| Progress::Harmed { reason, detail }),
        Just(Progress::TakingBack),
        Just(Progress::TakenBack),
        ".*".prop_map(|detail| Progress::NeedsAttention { detail }),
    ]
}

fn key() -> impl Strategy<Value = QuarantineKey> {
    (".*", "[a-z0-9][a-z0-9+.-]{0,20}", "[0-9][0-9.:~+-]{0,20}").prop_map(|(origin, source, version)| QuarantineKey {
        manager: Manager::Dpkg,
        origin,
        source: PackageName::parse(source).unwrap(),
        version: PackageVersion::parse(version).unwrap(),
        architecture: Architecture::parse("amd64").unwrap(),
    })
}

fn operator_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (actor(), any::<[u8; 32]>()).prop_map(|(by, plan)| Event::Created { by, plan: Digest(plan) }),
        operator().prop_map(|by| Event::Approved { by }),
        actor().prop_map(|by| Event::Started { by }),
        (actor(), select(PauseReason::ALL), ".*").prop_map(|(by, reason, detail)| Event::Paused { by, reason, detail }),
        actor().prop_map(|by| Event::Resumed { by }),
        (actor(), wave(), ".*").prop_map(|(by, wave, reason)| Event::GateOverridden { by, wave, reason }),
        (actor(), ".*").prop_map(|(by, reason)| Event::Aborted { by, reason }),
        any::<u64>().prop_map(|revision| Event::Halted { revision }),
        any::<u64>().prop_map(|revision| Event::HaltLifted { revision }),
        "[a-z0-9][a-z0-9-]{0,20}".prop_map(|to| Event::HandedOver { to: RolloutId::parse(to).unwrap() }),
        (host(), operator(), ".*").prop_map(|(host, by, reason)| Event::OperatorReportedHarm { host, by, reason }),
    ]
}

fn host_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        hosts().prop_map(|hosts| Event::StageRequested { hosts }),
        (host(), any::<bool>()).prop_map(|(host, way_back)| Event::HostStaged { host, way_back }),
        (host(), select(NotStagedReason::ALL), ".*").prop_map(|(host, reason, detail)| Event::HostNotStaged { host, reason, detail }),
        orders().prop_map(|hosts| Event::Released { hosts }),
        hosts().prop_map(|hosts| Event::Withdrawn { hosts }),
        (host(), generation(), progress()).prop_map(|(host, generation, progress)| Event::HostProgress { host, generation, progress }),
        (hosts(), select(SilenceCause::ALL)).prop_map(|(hosts, cause)| Event::HostSilent { hosts, cause }),
        (hosts(), select(AbsenceCause::ALL)).prop_map(|(hosts, cause)| Event::HostOffline { hosts, cause }),
        hosts().prop_map(|hosts| Event::HostReturned { hosts }),
        orders().prop_map(|hosts| Event::TakeBackOrdered { hosts }),
        hosts().prop_map(|hosts| Event::HostConcluded { hosts }),
        hosts().prop_map(|hosts| Event::HostRetired { hosts }),
    ]
}

fn wave_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        wave().prop_map(|wave| Event::WaveStarted { wave }),
        (wave(), select(PassReason::ALL)).prop_map(|(wave, because)| Event::WavePassed { wave, because }),
        (wave(), select(WaitingReason::ALL)).prop_map(|(wave, waiting)| Event::WaveTimedOut { wave, waiting }),
        prop_oneof![Just(StopReason::RolloutLimit), wave().prop_map(StopReason::WaveLimit)].prop_map(|reason| Event::Stopped { reason }),
        prop::collection::vec(key(), 0..5).prop_map(|keys| Event::Quarantined { keys }),
        select(Outcome::ALL).prop_map(|outcome| Event::Completed { outcome }),
    ]
}

/// Any event, sensible or not.
pub fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![operator_event(), host_event(), wave_event()]
}

proptest! {
    #[test]
    fn every_event_comes_back_as_it_went_in(at in any::<i64>(), event in any_event()) {
        let recorded = Recorded { at: Timestamp(at), event };
        prop_assert_eq!(decode(&encode(&recorded)).unwrap(), recorded);
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&bytes);
        let _ = open(Digest::of(&bytes), &bytes, &[]);
    }

    #[test]
    fn a_cut_or_changed_event_is_refused_or_another_event(cut in 0_usize..40, flip in any::<u8>(), event in wave_event()) {
        let recorded = Recorded { at: Timestamp(1), event };
        let mut bytes = encode(&recorded).to_vec();
        bytes.truncate(cut);
        if let Some(byte) = bytes.last_mut() {
            *byte ^= flip;
        }
        let _ = decode(&bytes);
    }
}

/// A policy that sets everything.
const FULL: &str = r#"
    name = "full"
    description = "Everything set"
    hosts = "os=debian"
    approvals = 2
    automatic_rollback = false
    [patches]
    kinds = ["security", "update"]
    origins = ["Debian*/*"]
    include = ["src:openssl", "curl"]
    exclude = ["linux-*"]
    [transaction]
    allow_removals = true
    allow_new_packages = false
    allow_no_way_back = true
    observe_other_hands = true
    lock_wait = "1m"
    time_limit = "2m"
    [health]
    patience = "3m"
    interval = "4s"
    settle = "5s"
    silence = "6m"
    [[health.check]]
    name = "port"
    kind = "tcp"
    address = "[::1]:443"
    [[health.check]]
    name = "page"
    kind = "http"
    url = "http://127.0.0.1/health"
    status = 204
    timeout = "250ms"
    [[health.check]]
    name = "service"
    kind = "unit"
    unit = "nginx.service"
    [[health.check]]
    name = "own"
    kind = "executable"
    [limits]
    failures = 3
    max_unavailable = "10%"
    max_in_flight_per_site = 4
    site_label = "dc"
    not_staged = "all"
    staging_per_minute = 5
    keep_originals = "3d"
    [offline]
    budget = 7
    grace = "8m"
    deadline = "9d"
    catch_up_per_minute = 10
    [[wave]]
    name = "test ring"
    kind = "test"
    hosts = "ring=test"
    size = "50%"
    minimum = 2
    soak = "11m"
    failure_limit = 12
    max_in_flight = 13
    time_limit = "14h"
    [[wave]]
    name = "few"
    kind = "canary"
    size = 1
    [[wave]]
    name = "rest"
"#;

fn fleet() -> Vec<Host> {
    let mut fleet: Vec<Host> = (0..9).map(|number| Host::new(&format!("h-{number}"), "dc=ams").offered("curl", "1", "2")).collect();
    fleet.push(Host::new("t-1", "ring=test,dc=fra").offered("curl", "1:1", "1:2"));
    fleet.push(Host::new("held", "").has("curl", "2"));
    fleet
}

#[test]
fn a_plan_with_every_rule_comes_back_as_it_went_in() {
    let (plan, _) = plan_for(&fleet(), &request_for(&["curl", "src:curl"]), &parse_policy(FULL).unwrap()).unwrap();
    assert!(plan.host_count() == 10 && plan.excluded().len() == 1 && plan.target_sets().len() == 2);
    let (sealed, stored) = seal(plan);
    let opened = open(stored.root, &stored.header, &stored.segments).unwrap();
    assert_eq!(opened.plan, sealed.plan);
    assert_eq!(seal(opened.plan.as_ref().clone()).1, stored, "the same plan has the same bytes");
}

#[test]
fn a_changed_byte_anywhere_is_seen() {
    let (plan, _) = plan_for(&fleet(), &request(), &parse_policy(FULL).unwrap()).unwrap();
    let (_, stored) = seal(plan);
    for index in 0..stored.header.len() {
        let mut header = stored.header.to_vec();
        header[index] ^= 1;
        assert!(open(stored.root, &header, &stored.segments).is_err(), "byte {index} of the header");
    }
    for (number, segment) in stored.segments.iter().enumerate() {
        for index in (0..segment.len()).step_by(7) {
            let mut segments = stored.segments.clone();
            let mut bytes = segment.to_vec();
            bytes[index] ^= 1;
            segments[number] = Bytes::from(bytes);
            assert!(open(stored.root, &stored.header, &segments).is_err(), "byte {index} of segment {number}");
        }
    }
    assert!(open(stored.root, &stored.header, &stored.segments[1..]).is_err(), "a missing segment");
}
