//! Renewal without anybody's help.

use crate::support::{Controller, Host, Manner};

#[test]
fn an_expired_certificate_is_renewed_before_anything_else_and_the_host_is_back() {
    let controller = Controller::start(Manner { validity: (-7200, -3600), ..Manner::default() });
    let host = Host::new(&["web"], &[]);
    host.enrol(&controller);
    controller.state().manner.validity = (-3600, 7200);
    let _agent = host.start();
    controller.wait("a session", |state| state.hellos().first().map(|_| ()));
    assert_eq!(controller.state().renewals, 1);
}

#[test]
fn a_certificate_is_renewed_at_two_thirds_of_its_life_and_the_next_stream_proves_the_new_one() {
    let controller = Controller::start(Manner { validity: (-10, 8), ..Manner::default() });
    let host = Host::new(&["web"], &[]);
    host.enrol(&controller);
    let _agent = host.start();
    controller.wait("a session", |state| state.hellos().first().map(|_| ()));
    controller.state().manner.validity = (-10, 3600);
    controller.wait("a session with another certificate", |state| {
        (state.sessions.len() >= 2 && state.sessions.first() != state.sessions.last() && state.hellos().len() >= 2).then_some(())
    });
    let state = controller.state();
    assert_eq!(state.hellos().first().unwrap().instance, state.hellos().last().unwrap().instance);
}
