//! Facts of a host. Every string is cleaned and bounded: it ends in tables and logs.

use patchwave_common::domain::{HostFacts, RebootRequired, clean_text};

use super::{MAX_FACT_CHARS, MAX_SMALL_LIST};
use crate::fleet::v1 as wire;

/// To the wire.
#[must_use]
pub fn encode_facts(facts: &HostFacts) -> wire::Facts {
    wire::Facts {
        hostname: facts.hostname.clone(),
        os: facts.os.clone(),
        release: facts.release.clone(),
        codename: facts.codename.clone(),
        kernel: facts.kernel.clone(),
        architecture: facts.architecture.clone(),
        cpus: facts.cpus,
        memory_bytes: facts.memory_bytes,
        addresses: facts.addresses.clone(),
        booted_at_secs: facts.booted_at_secs,
        boot_id: facts.boot_id.clone(),
        agent_version: facts.agent_version.clone(),
        reboot_required: facts.reboot.required,
        reboot_packages: facts.reboot.packages.clone(),
        other_hands: facts.other_hands.clone(),
        hold: facts.hold.clone(),
    }
}

/// From the wire; cannot fail, since facts prove nothing: what is too long is cut.
#[must_use]
pub fn decode_facts(facts: wire::Facts) -> HostFacts {
    let text = |value: &str| clean_text(value, MAX_FACT_CHARS);
    let list = |values: Vec<String>| values.iter().take(MAX_SMALL_LIST).map(|value| text(value)).collect();
    HostFacts {
        hostname: text(&facts.hostname),
        os: text(&facts.os),
        release: text(&facts.release),
        codename: text(&facts.codename),
        kernel: text(&facts.kernel),
        architecture: text(&facts.architecture),
        cpus: facts.cpus,
        memory_bytes: facts.memory_bytes,
        addresses: list(facts.addresses),
        booted_at_secs: facts.booted_at_secs,
        boot_id: text(&facts.boot_id),
        agent_version: text(&facts.agent_version),
        reboot: RebootRequired { required: facts.reboot_required, packages: list(facts.reboot_packages) },
        other_hands: list(facts.other_hands),
        hold: facts.hold.as_deref().map(text),
    }
}
