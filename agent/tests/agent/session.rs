//! What goes over the stream, and when.

use std::time::Duration;

use patchwave_common::domain::{FromAgent, Mark};

use crate::support::{Controller, Host, Manner, package};

#[test]
fn a_new_host_says_hello_and_brings_its_whole_inventory_and_its_candidates() {
    let controller = Controller::start(Manner::default());
    let host = Host::new(&["web", "db"], &["web"]);
    host.enrol(&controller);
    let _agent = host.start();
    let (full, count) = controller
        .wait("the inventory", |state| state.inventory.as_ref().map(|inventory| (state.deltas()[0].base.is_none(), inventory.len())));
    assert!(full);
    assert_eq!(count, 2);
    let set = controller.wait("the candidates", |state| state.candidates.clone());
    assert_eq!(set.candidates.len(), 1);
    assert_eq!(set.candidates[0].to.as_str(), "2");
}

#[test]
fn a_restart_with_nothing_changed_sends_a_hello_and_neither_inventory_nor_candidates() {
    let controller = Controller::start(Manner::default());
    let host = Host::new(&["web"], &["web"]);
    host.enrol(&controller);
    let agent = host.start();
    controller.wait("both contents", |state| state.inventory.as_ref().and(state.candidates.as_ref()).map(|_| ()));
    // Acknowledged is what the agent has noted, not what the controller has said.
    crate::support::eventually("the note of both", || {
        let status = host.ask(&["status"]);
        let noted = &status["agent"]["session"]["acknowledged"];
        (noted["inventory"].is_string() && noted["candidates"].is_string()).then_some(())
    });
    drop(agent);
    let before = controller.state().heard.len();
    let beats = controller.state().heartbeats;
    let _agent = host.start();
    controller
        .wait("some heartbeats after the second hello", |state| (state.hellos().len() == 2 && state.heartbeats >= beats + 2).then_some(()));
    let state = controller.state();
    let extra: Vec<_> = state.heard[before..].iter().filter(|heard| !matches!(heard, FromAgent::Hello(_))).collect();
    assert!(extra.is_empty(), "{extra:?}");
    assert_ne!(state.hellos()[0].instance, state.hellos()[1].instance, "each run of an agent is an instance of its own");
}

#[test]
fn a_changed_package_is_reported_as_a_difference_within_seconds() {
    let controller = Controller::start(Manner::default());
    let host = Host::new(&["web", "db"], &[]);
    host.enrol(&controller);
    let _agent = host.start();
    let first = controller.wait("the inventory", |state| state.inventory.as_ref().map(|inventory| inventory.digest()));
    host.packages.install(&package("web", "3"), Mark::Manual).unwrap();
    controller.wait("the difference", |state| {
        let delta = state.deltas().into_iter().find(|delta| delta.base == Some(first))?;
        assert_eq!((delta.changed.len(), delta.removed.len()), (1, 0));
        assert_eq!(delta.changed[0].version.as_str(), "3");
        Some(())
    });
}

#[test]
fn a_controller_that_lost_the_inventory_gets_it_whole_at_the_next_hello() {
    let controller = Controller::start(Manner::default());
    let host = Host::new(&["web"], &[]);
    host.enrol(&controller);
    let _agent = host.start();
    controller.wait("the inventory", |state| state.inventory.as_ref().map(|_| ()));
    controller.state().inventory = None;
    controller.cut();
    controller.wait("the inventory again", |state| state.inventory.as_ref().map(|_| ()));
    let state = controller.state();
    assert_eq!(state.hellos().len(), 2);
    assert_eq!(state.hellos()[0].instance, state.hellos()[1].instance, "a reconnect is the same instance");
}

#[test]
fn an_agent_leaves_a_controller_that_stopped_answering_and_comes_back() {
    let controller = Controller::start(Manner { mute: true, ..Manner::default() });
    let host = Host::new(&[], &[]);
    host.enrol(&controller);
    let _agent = host.start();
    controller.wait("a second hello", |state| (state.hellos().len() >= 2).then_some(()));
    let stay = controller.state().heartbeats;
    assert!(stay >= 1, "it was connected in between");
}

#[test]
fn an_agent_waits_for_a_controller_that_is_not_there_and_says_so() {
    let url = {
        let controller = Controller::start(Manner::default());
        let host = Host::new(&[], &[]);
        host.enrol(&controller);
        let path = host.path("state");
        drop(controller);
        let agent = host.start();
        let status = crate::support::eventually("the status", || {
            let status = host.ask(&["status"]);
            (status["agent"]["session"]["link"]["state"] == "waiting").then_some(status)
        });
        assert!(status["agent"]["session"]["link"]["why"].as_str().unwrap().contains("cannot reach"), "{status}");
        let (ended, took) = agent.stop();
        assert!(ended.success() && took < Duration::from_secs(2), "{ended} after {took:?}");
        path
    };
    drop(url);
}
