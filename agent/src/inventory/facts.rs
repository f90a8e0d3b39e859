//! What the machine is: operating system, kernel, hardware, addresses, boot. Attributes for people, never identity (rule 27).

use std::net::IpAddr;
use std::path::Path;

use patchwave_common::domain::{HostFacts, clean_text};
use patchwave_common::runtime::atomic_file;
use sysinfo::{Networks, System};

/// Bound on os-release; real ones are below 1 KB.
const OS_RELEASE_MAX_BYTES: u64 = 64 * 1024;
/// Bound on one fact.
const FACT_MAX_CHARS: usize = 256;
/// Addresses reported; a host with more (a router, a container host) is recognised by the first.
const ADDRESSES_MAX: usize = 64;

/// The machine's facts; what the packages tell (reboot, other hands) and the agent's own are left at their defaults. `root` is the package
/// root of a sandbox host, whose release then counts, if it says one. Reads `/proc`, starts nothing; a few milliseconds.
#[must_use]
pub fn machine_facts(root: Option<&Path>) -> HostFacts {
    let release = os_release(root.unwrap_or(Path::new("/"))).or_else(|| os_release(Path::new("/"))).unwrap_or_default();
    let memory_bytes = System::new().map_or(0, |mut system| {
        system.refresh_memory();
        system.total_memory()
    });
    HostFacts {
        hostname: fact(System::host_name().ok()),
        os: fact(release.get("ID").cloned()),
        release: fact(release.get("VERSION_ID").cloned()),
        codename: fact(release.get("VERSION_CODENAME").cloned()),
        kernel: fact(System::kernel_version().ok()),
        architecture: fact(Some(System::cpu_arch())),
        cpus: std::thread::available_parallelism().map_or(0, |count| u32::try_from(count.get()).unwrap_or(u32::MAX)),
        memory_bytes,
        addresses: addresses(),
        booted_at_secs: i64::try_from(System::boot_time().unwrap_or(0)).unwrap_or(0),
        boot_id: boot_id(),
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        ..HostFacts::default()
    }
}

fn fact(text: Option<String>) -> String {
    clean_text(text.unwrap_or_default().trim(), FACT_MAX_CHARS)
}

fn boot_id() -> String {
    fact(atomic_file::read_text(Path::new("/proc/sys/kernel/random/boot_id"), 256).ok())
}

/// Addresses by which others may know the host: no loopback, no link-local ones. Ordered, so that a new order is no change.
fn addresses() -> Vec<String> {
    let networks = Networks::new_with_refreshed_list().ok();
    let all = networks.iter().flat_map(|networks| networks.values()).flat_map(|network| network.ip_networks()).map(|network| network.addr);
    let mut told: Vec<IpAddr> = all.filter(|address| is_told(*address)).collect();
    told.sort_unstable();
    told.dedup();
    told.truncate(ADDRESSES_MAX);
    told.iter().map(ToString::to_string).collect()
}

fn is_told(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !address.is_loopback() && !address.is_link_local() && !address.is_unspecified(),
        IpAddr::V6(address) => !address.is_loopback() && !address.is_unicast_link_local() && !address.is_unspecified(),
    }
}

/// os-release(5) of a root: `etc`'s wins over `usr/lib`'s.
fn os_release(root: &Path) -> Option<std::collections::BTreeMap<String, String>> {
    let text = ["etc/os-release", "usr/lib/os-release"]
        .iter()
        .find_map(|path| atomic_file::read_text(&root.join(path), OS_RELEASE_MAX_BYTES).ok())?;
    Some(parse_os_release(&text))
}

/// `NAME=value`, the value quoted as in a shell.
pub(crate) fn parse_os_release(text: &str) -> std::collections::BTreeMap<String, String> {
    let entries = text.lines().filter_map(|line| line.trim().split_once('=')).filter(|(name, _)| !name.starts_with('#'));
    entries.map(|(name, value)| (name.to_owned(), unquote(value.trim()))).collect()
}

fn unquote(value: &str) -> String {
    let quoted = |quote: char| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    let (text, escapes) = match (quoted('"'), quoted('\'')) {
        (Some(text), _) => (text, true),
        (None, Some(text)) => (text, false),
        (None, None) => (value, true),
    };
    let mut characters = text.chars();
    let mut plain = String::with_capacity(text.len());
    while let Some(character) = characters.next() {
        match character {
            '\\' if escapes => plain.extend(characters.next()),
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn os_release_is_read_with_its_quotes() {
        let told = parse_os_release("# x\nID=debian\nVERSION_ID=\"12\"\nNAME='A B'\nPRETTY_NAME=\"a \\\"b\\\" \\$c\"\nodd\n");
        let get = |name: &str| told.get(name).map(String::as_str);
        assert_eq!(
            [get("ID"), get("VERSION_ID"), get("NAME"), get("PRETTY_NAME")],
            [Some("debian"), Some("12"), Some("A B"), Some("a \"b\" $c")]
        );
    }

    #[test]
    fn the_facts_of_this_machine_are_those_that_it_tells_elsewhere() {
        let facts = machine_facts(None);
        let uname = rustix::system::uname();
        assert_eq!(facts.kernel, uname.release().to_string_lossy());
        assert_eq!(facts.architecture, uname.machine().to_string_lossy());
        assert_eq!(facts.hostname, uname.nodename().to_string_lossy());
        assert_eq!(facts.boot_id.len(), 36);
        assert!(facts.memory_bytes > 0 && facts.cpus > 0 && facts.booted_at_secs > 0);
        assert!(facts.addresses.iter().all(|address| !address.starts_with("127.") && address != "::1"));
        assert_eq!(machine_facts(None), facts, "asked twice, told alike");
    }

    #[test]
    fn a_sandboxs_own_release_counts_and_the_machines_where_it_has_none() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(machine_facts(Some(root.path())).os, machine_facts(None).os);
        std::fs::create_dir(root.path().join("etc")).unwrap();
        std::fs::write(root.path().join("etc/os-release"), "ID=sandbox\nVERSION_CODENAME=\"sand\u{1b}box\"\n").unwrap();
        let facts = machine_facts(Some(root.path()));
        assert_eq!((facts.os.as_str(), facts.codename.as_str(), facts.release.as_str()), ("sandbox", "sand box", ""));
    }

    proptest! {
        #[test]
        fn any_os_release_is_survived(text in "(?s).{0,200}|([A-Z]{0,4}=[\"'\\\\a]{0,6}\n){0,6}") {
            let _ = parse_os_release(&text);
        }
    }
}
