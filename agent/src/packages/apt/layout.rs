//! Where dpkg and apt keep things, below the machine's own root or another one, and how their programs are told.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use patchwave_common::runtime::atomic_file;

use crate::packages::{CommandSpec, PackageError, PackageSettings};

/// A host's package root.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    root: PathBuf,
    /// Apt's configuration for a root of one's own; `None` for the machine's root, where apt finds its own.
    sandbox: Option<PathBuf>,
    /// The agent's caches.
    pub(crate) state_dir: PathBuf,
}

impl Layout {
    /// Prepares the agent's side of it. Nothing is written below a machine's own root.
    pub(crate) fn new(settings: &PackageSettings) -> Result<Self, PackageError> {
        let state_dir = settings.state_dir.join("packages");
        atomic_file::private_directory(&state_dir)?;
        let Some(root) = settings.root.as_deref().filter(|root| *root != Path::new("/")) else {
            return Ok(Self { root: PathBuf::from("/"), sandbox: None, state_dir });
        };
        let root = root.canonicalize().map_err(PackageError::io("resolve", root))?;
        let text = root.to_string_lossy();
        if text.contains(['"', '\\', ';', '{', '}', '\n']) {
            return Err(PackageError::Damaged {
                path: root.clone(),
                detail: "its name cannot stand in apt's configuration".to_owned(),
                hint: "choose a root without quotes, braces and semicolons in its path",
            });
        }
        let layout = Self { sandbox: Some(state_dir.join("apt.conf")), root, state_dir };
        if let Some(path) = &layout.sandbox {
            atomic_file::write(path, layout.configuration().as_bytes(), atomic_file::MODE_PUBLIC)?;
        }
        Ok(layout)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn is_machine(&self) -> bool {
        self.sandbox.is_none()
    }

    /// An absolute path inside the root.
    pub(crate) fn inside(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    pub(crate) fn dpkg(&self) -> PathBuf {
        self.inside("var/lib/dpkg")
    }

    pub(crate) fn status(&self) -> PathBuf {
        self.inside("var/lib/dpkg/status")
    }

    pub(crate) fn updates(&self) -> PathBuf {
        self.inside("var/lib/dpkg/updates")
    }

    pub(crate) fn info(&self) -> PathBuf {
        self.inside("var/lib/dpkg/info")
    }

    pub(crate) fn extended_states(&self) -> PathBuf {
        self.inside("var/lib/apt/extended_states")
    }

    pub(crate) fn lists(&self) -> PathBuf {
        self.inside("var/lib/apt/lists")
    }

    pub(crate) fn archives(&self) -> PathBuf {
        self.inside("var/cache/apt/archives")
    }

    pub(crate) fn etc(&self) -> PathBuf {
        self.inside("etc/apt")
    }

    /// One of apt's programs on this root. `arguments` come after the options that name the root.
    pub(crate) fn apt(&self, program: &str, purpose: &str, time_limit_secs: u64, arguments: Vec<String>) -> CommandSpec {
        let mut all = Vec::new();
        if self.sandbox.is_some() {
            // Apt only warns when APT_CONFIG is missing, and then works on the machine's own packages: so the root is named here too.
            let root = self.root.display();
            all.extend(option(&format!("Dir={root}")));
            all.extend(option(&format!("Dir::State::status={root}/var/lib/dpkg/status")));
        }
        all.extend(arguments);
        self.command(program, purpose, time_limit_secs, all)
    }

    /// dpkg on this root.
    pub(crate) fn dpkg_command(&self, purpose: &str, time_limit_secs: u64, arguments: &[&str]) -> CommandSpec {
        let arguments = self.dpkg_options().into_iter().chain(arguments.iter().map(|&argument| argument.to_owned())).collect();
        self.command("dpkg", purpose, time_limit_secs, arguments)
    }

    /// Any other program, with the environment that all of them get.
    pub(crate) fn command(&self, program: &str, purpose: &str, time_limit_secs: u64, arguments: Vec<String>) -> CommandSpec {
        let environment = [
            ("LC_ALL", "C"),
            ("DEBIAN_FRONTEND", "noninteractive"),
            ("DEBIAN_PRIORITY", "critical"),
            ("NEEDRESTART_SUSPEND", "1"),
            ("APT_LISTCHANGES_FRONTEND", "none"),
            ("UCF_FORCE_CONFFOLD", "1"),
            // Maintainer scripts must not wait for a pager or an editor.
            ("PAGER", "cat"),
            ("TERM", "dumb"),
        ];
        let mut environment: BTreeMap<String, String> =
            environment.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        environment.insert("PATH".to_owned(), crate::packages::process::search_path());
        if let Some(path) = &self.sandbox {
            environment.insert("APT_CONFIG".to_owned(), path.display().to_string());
        }
        CommandSpec { program: program.to_owned(), arguments, environment, time_limit_secs, purpose: purpose.to_owned(), may_fail: false }
    }

    /// Options for dpkg itself: for a root of one's own as [`Self::configuration`] tells apt.
    fn dpkg_options(&self) -> Vec<String> {
        if self.is_machine() {
            return Vec::new();
        }
        let root = self.root.display();
        let log = format!("--log={root}/var/log/dpkg.log");
        [format!("--root={root}"), "--force-not-root".to_owned(), "--force-script-chrootless".to_owned(), log].to_vec()
    }

    /// Apt reads this before anything else, so the machine's own configuration and hooks stay out.
    fn configuration(&self) -> String {
        let root = self.root.display();
        let options: String = self.dpkg_options().iter().map(|option| format!("\"{option}\"; ")).collect();
        format!(
            "Dir \"{root}\";\nDir::State::status \"{root}/var/lib/dpkg/status\";\nDir::Etc::main \"\";\nAPT::Sandbox::User \"\";\n\
             Acquire::Languages \"none\";\nDPkg::Options {{ {options}}};\n"
        )
    }
}

/// `-o name=value` as two arguments.
pub(crate) fn option(setting: &str) -> [String; 2] {
    ["-o".to_owned(), setting.to_owned()]
}
