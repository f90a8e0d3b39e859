//! The controller's settings: a main file and up to two fragments, parted by the byte 0xff.
//!
//! Holds: spans are within their bounds, there is a name under which the controller is reached; a refusal names a file.

use std::path::PathBuf;
use std::time::Duration;

use patchwave::setup::ControllerSettings;

/// A folder that settings are read from.
pub(super) struct Folder {
    folder: tempfile::TempDir,
    name: &'static str,
}

impl Folder {
    pub(super) fn new(name: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(format!("{name}.conf.d"))).unwrap();
        Self { folder, name }
    }

    /// Writes the main file and two fragments; gives the main file's path.
    pub(super) fn filled_with(&self, data: &[u8]) -> PathBuf {
        let main = self.folder.path().join(format!("{}.toml", self.name));
        let fragments = self.folder.path().join(format!("{}.conf.d", self.name));
        let paths = [main.clone(), fragments.join("10.toml"), fragments.join("20.toml")];
        let mut parts = data.splitn(paths.len(), |&byte| byte == 0xff);
        for path in paths {
            std::fs::write(path, parts.next().unwrap_or_default()).unwrap();
        }
        main
    }
}

thread_local! {
    static FOLDER: Folder = Folder::new("controller");
}

/// See the module.
pub fn run(data: &[u8]) {
    FOLDER.with(|folder| match ControllerSettings::load(&folder.filled_with(data)) {
        Ok(settings) => {
            assert!(!settings.names.is_empty());
            assert!(settings.app.heartbeat >= Duration::from_secs(1) && settings.app.heartbeat <= Duration::from_secs(3600));
            assert!(settings.app.host_certificate_life <= Duration::from_secs(365 * 86_400));
        }
        Err(error) => assert!(error.to_string().contains("controller"), "{error}"),
    });
}

/// See the module.
pub fn seeds() -> Vec<Vec<u8>> {
    let all = "state_dir = \"/s\"\nlisten = \"[::]:7443\"\nnames = [\"c.example\", \"127.0.0.1\"]\nstore = \"redb\"\nheartbeat = \"30s\"\n\
        grace = \"90s\"\nlease = \"60s\"\nhost_certificate_life = \"30d\"\n";
    vec![all.into(), b"names = [\"c\"]\xfflisten = \"127.0.0.1:1\"\xffheartbeat = \"1h\"".to_vec(), b"naems = []".to_vec()]
}
