//! A control group per process tree of the harness, so that the whole tree can be found and killed by name.
//!
//! systemd-nspawn, told to keep the unit that it runs in, makes its own groups inside; they stay behind and are removed here.
//! Works with control groups of version 2, of version 1 (`name=systemd`), and with both at once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

/// Joins the groups named before `--`, then becomes the command after it. Constant text; names arrive as arguments. A shell
/// does it because a process must be in its group before it forks, and only code between fork and exec could do so otherwise.
const JOIN_AND_BECOME: &str = r#"while [ "$1" != -- ]; do echo $$ >"$1/cgroup.procs" || exit 125; shift; done; shift; exec "$@""#;

/// Makes the group `name` and returns a command to which the caller appends the program to run inside it.
pub(crate) fn command_in(name: &str) -> Result<Command> {
    let mut command = Command::new("sh");
    command.args(["-c", JOIN_AND_BECOME, "sh"]);
    for hierarchy in hierarchies() {
        let group = hierarchy.join(name);
        fs::create_dir_all(&group).with_context(|| format!("cannot make the control group {}", group.display()))?;
        command.arg(group);
    }
    command.arg("--");
    Ok(command)
}

/// Every process in groups whose name begins with `prefix`.
pub(crate) fn processes(prefix: &str) -> Vec<i32> {
    let mut found: Vec<i32> = Vec::new();
    for directory in groups(prefix).iter().flat_map(|group| tree(group)) {
        let listed = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
        found.extend(listed.lines().filter_map(|line| line.parse::<i32>().ok()).filter(|process| *process > 0));
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Removes the empty groups whose name begins with `prefix`, deepest first.
pub(crate) fn remove(prefix: &str) -> Result<()> {
    for group in groups(prefix) {
        for directory in tree(&group) {
            fs::remove_dir(&directory).with_context(|| format!("cannot remove the control group {}", directory.display()))?;
        }
    }
    Ok(())
}

fn groups(prefix: &str) -> Vec<PathBuf> {
    let mut groups = Vec::new();
    for hierarchy in hierarchies() {
        for entry in fs::read_dir(hierarchy).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(prefix) {
                groups.push(entry.path());
            }
        }
    }
    groups
}

/// The group and all groups inside it, deepest first.
fn tree(group: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(tree(&entry.path()));
        }
    }
    found.push(group.to_owned());
    found
}

/// Where systemd's hierarchies are mounted: version 2, and version 1's `name=systemd`.
fn hierarchies() -> Vec<PathBuf> {
    mounted_hierarchies(&fs::read_to_string("/proc/self/mountinfo").unwrap_or_default())
}

fn mounted_hierarchies(mountinfo: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for line in mountinfo.lines() {
        let Some((mount, system)) = line.split_once(" - ") else { continue };
        let mut system = system.split(' ');
        let (kind, options) = (system.next().unwrap_or_default(), system.nth(1).unwrap_or_default());
        let wanted = kind == "cgroup2" || (kind == "cgroup" && options.split(',').any(|option| option == "name=systemd"));
        if let (true, Some(point)) = (wanted, mount.split(' ').nth(4)) {
            found.push(PathBuf::from(point));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_hierarchies_are_found_and_controllers_are_not() {
        let text = "30 25 0:26 / /sys/fs/cgroup/cpu rw,relatime shared:9 - cgroup cgroup rw,cpu\n\
                    31 25 0:27 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n\
                    32 25 0:28 / /sys/fs/cgroup/unified rw shared:1 master:2 - cgroup2 cgroup2 rw,nsdelegate\n\
                    33 25 0:29 / /tmp rw - tmpfs tmpfs rw\n";
        assert_eq!(mounted_hierarchies(text), [Path::new("/sys/fs/cgroup/systemd"), Path::new("/sys/fs/cgroup/unified")]);
    }
}
