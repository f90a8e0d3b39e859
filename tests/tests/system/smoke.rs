//! The harness itself: hosts boot, reach the archive, are cut off, reboot, and go without a trace.

use anyhow::Result;
use patchwave_tests::{Fleet, Host, real_patches};

fn reaches_the_archive(host: &Host) -> Result<bool> {
    let update = ["-o", "Acquire::Retries=0", "-o", "Acquire::http::Timeout=3", "-o", "APT::Update::Error-Mode=any", "update"];
    Ok(host.try_run("apt-get", &update)?.status.success())
}

#[test]
fn hosts_boot_patch_lose_their_network_and_reboot() -> Result<()> {
    Fleet::test("smoke", |fleet| {
        let hosts = fleet.hosts(&["one", "two", "three"])?;
        let [one, two, three] = hosts.as_slice() else { panic!("three hosts were asked for") };
        for host in &hosts {
            assert_eq!(host.system_state()?, "running", "{:?}", host.failed_units()?);
        }
        patches_a_real_package_and_takes_it_back(fleet, one)?;

        assert!(reaches_the_archive(two)?);
        two.cut_off()?;
        assert!(!reaches_the_archive(two)?);
        assert_eq!(two.system_state()?, "running", "a host that is cut off goes on");
        two.reconnect()?;
        assert!(reaches_the_archive(two)?);

        has_a_clock_that_can_be_wrong(two)?;
        one.write("/var/lib/state/key", "secret", "0600")?;
        one.copy_to(two, &["/var/lib/state"])?;
        assert_eq!(two.run("stat", &["--format=%a", "/var/lib/state/key"])?, "600\n");
        assert_ne!(one.read("/etc/machine-id")?, two.read("/etc/machine-id")?, "hosts are no clones of each other");
        two.limit_disk("/var/lib/small", 4096)?;
        assert!(two.write("/var/lib/small/file", [0; 10_000], "0644").unwrap_err().to_string().contains("No space left"));

        reboots_and_stays_itself(three)
    })
}

fn has_a_clock_that_can_be_wrong(host: &Host) -> Result<()> {
    let unit = "[Service]\nType=oneshot\nStandardOutput=truncate:/run/clock\nExecStart=date +%%s\n";
    host.write("/etc/systemd/system/clock.service", unit, "0644")?;
    let difference = |host: &Host| -> Result<i64> {
        host.run("systemctl", &["start", "clock.service"])?;
        let shown: i64 = host.read("/run/clock")?.lines().next().unwrap().parse()?;
        Ok(shown - host.run("date", &["+%s"])?.trim().parse::<i64>()?)
    };
    host.shift_clock_of("clock.service", 7200)?;
    assert!((7190..=7200).contains(&difference(host)?), "two hours ahead");
    host.shift_clock_of("clock.service", 0)?;
    assert!((-10..=0).contains(&difference(host)?), "right again");
    Ok(())
}

fn patches_a_real_package_and_takes_it_back(fleet: &Fleet, host: &Host) -> Result<()> {
    let chosen = real_patches(fleet, host, 1)?;
    let patch = &chosen.patches[0];
    eprintln!("patching {patch:?}");
    chosen.make_outdated(host)?;
    let before = host.installed()?;
    assert!(!patch.is_applied_on(host)?);
    host.apt_get(&["install", &patch.to_newer()])?;
    assert!(patch.is_applied_on(host)?);
    host.apt_get(&["install", "--allow-downgrades", &patch.to_older()])?;
    assert!(!patch.is_applied_on(host)?);
    assert_eq!(host.installed()?, before);
    let history = host.apt_history()?;
    let done: Vec<&str> = history.iter().flat_map(|each| each.actions.iter().map(|(action, _)| action.as_str())).collect();
    assert!(done.ends_with(&["Upgrade", "Downgrade"]), "{history:?}");
    Ok(())
}

fn reboots_and_stays_itself(host: &Host) -> Result<()> {
    let (boot, machine) = (host.boot_id()?, host.read("/etc/machine-id")?);
    host.write("/var/lib/kept/by-a-reboot", "yes", "0600")?;
    host.reboot()?;
    assert_ne!(host.boot_id()?, boot);
    assert_eq!(host.read("/etc/machine-id")?, machine);
    assert_eq!(host.read("/var/lib/kept/by-a-reboot")?, "yes");
    host.pull_the_plug()?;
    assert!(host.system_state().is_err(), "nothing runs without power");
    host.start()?;
    host.power_off()?;
    host.start()?;
    assert_eq!(host.boots(), 4);
    assert_eq!(host.system_state()?, "running");
    Ok(())
}
