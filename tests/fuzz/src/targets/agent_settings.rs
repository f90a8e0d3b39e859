//! The agent's settings: a main file and up to two fragments, parted by the byte 0xff.
//!
//! Holds: directories are absolute, the controller's address is never plaintext, sizes do not overflow; a refusal names a file.

use patchwave_agent::config::{Overrides, Settings};

use super::controller_settings::Folder;

thread_local! {
    static FOLDER: Folder = Folder::new("agent");
}

/// See the module.
pub fn run(data: &[u8]) {
    FOLDER.with(|folder| match Settings::load(Some(&folder.filled_with(data)), Overrides::default()) {
        Ok(settings) => {
            assert!([&settings.state_dir, &settings.checks_dir, &settings.hooks_dir].iter().all(|path| path.is_absolute()));
            assert!(settings.packages.root.as_ref().is_none_or(|root| root.is_absolute()));
            assert!(settings.controller_url.as_ref().is_none_or(|url| url.starts_with("https://")));
        }
        Err(error) => assert!(error.to_string().contains("agent"), "{error}"),
    });
}

/// See the module.
pub fn seeds() -> Vec<Vec<u8>> {
    let example = include_str!("../../../../deploy/config/agent.toml");
    let plain: String =
        example.lines().map(|line| line.strip_prefix('#').filter(|rest| rest.contains(" = ")).unwrap_or(line).to_owned() + "\n").collect();
    let fragments = b"name = \"a\"\n[packages]\nroot = \"/srv\"\xff[packages]\nmanager = \"simulated\"\nkeep_free_mib = 3\xff[log]\nformat = \"json\"\n";
    vec![example.into(), plain.into(), fragments.to_vec(), b"[controller]\nurl = \"https://c:7443\"\nurk = 1\n".to_vec()]
}
