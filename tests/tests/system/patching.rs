//! Scenario 1: eight hosts enrol, report, and are patched with real packages in test ring, canary and two further waves.

use anyhow::Result;
use patchwave_tests::{Fleet, real_patches};

use super::support::{Patched, policy};

const HOSTS: [(&str, &str); 8] = [
    ("test-1", "test"),
    ("test-2", "test"),
    ("early-1", "early"),
    ("broad-1", "broad"),
    ("broad-2", "broad"),
    ("broad-3", "broad"),
    ("last-1", "last"),
    ("last-2", "last"),
];

const WAVES: [(&str, &str, &str, &str); 4] = [
    ("test ring", "test", "ring=test", "\"all\""),
    ("canary", "canary", "ring=early", "1"),
    ("half", "production", "ring in (broad, last)", "\"50%\""),
    ("rest", "production", "", "\"all\""),
];

#[test]
fn eight_hosts_are_patched_with_real_packages_in_four_waves() -> Result<()> {
    Fleet::test("patching", |fleet| {
        let first = fleet.host("chooser")?;
        let chosen = real_patches(fleet, &first, 2)?;
        let patched = Patched::start(fleet, &HOSTS, |host| chosen.make_outdated(host))?;
        for host in &patched.hosts {
            patched.agrees_with_dpkg(host)?;
        }
        for patch in &chosen.patches {
            patched.wait_until_offered(&patch.package, &patch.newer, 8)?;
        }
        patched.apply_policy(&policy("\n[limits]\nmax_unavailable = \"100%\"\n", &WAVES))?;
        let updates: Vec<String> = chosen.patches.iter().map(patchwave_tests::RealPatch::to_newer).collect();
        let updates: Vec<&str> = updates.iter().map(String::as_str).collect();
        let rollout = patched.start_rollout(&updates)?;
        let detail = patched.wait_for_state(&rollout, "completed")?;
        assert_eq!(detail["rollout"]["updated"], 8, "{detail:#}");
        assert_eq!(detail["waves"].as_array().map(Vec::len), Some(4));
        for host in &patched.hosts {
            for patch in &chosen.patches {
                assert!(patch.is_applied_on(host)?, "{} on {}", patch.package, host.name());
            }
            patched.agrees_with_dpkg(host)?;
            assert_eq!(host.failed_units()?, Vec::<String>::new());
        }
        Ok(())
    })
}
