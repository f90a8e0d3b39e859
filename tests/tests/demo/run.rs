//! Runs a demo in a temporary directory of its own, so that whatever it leaves is found.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use patchwave_tests::{Binaries, wait_for};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Half a minute as a rule; other tests run beside it, and the machine may be slow.
const LIMIT: Duration = Duration::from_secs(400);

/// A demo that was started.
pub struct Demo {
    running: Running,
    folders: Folders,
}

/// Ends with its test, whatever becomes of that.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            // Asked politely, it clears away what it started.
            let _ = kill_process(Pid::from_child(&self.0), Signal::TERM);
            let _ = self.0.wait();
        }
    }
}

/// A demo that came to its end.
pub struct Ended {
    /// `None` if a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    folders: Folders,
}

struct Folders {
    /// Where it runs, with its output and the summary.
    own: TempDir,
    /// What it takes for the place of temporary files. Empty before and after.
    temporary: TempDir,
}

impl Demo {
    /// Starts it; `SUMMARY` stands for a file's path.
    pub fn start(arguments: &[&str]) -> Self {
        let folders = Folders { own: tempfile::tempdir().unwrap(), temporary: tempfile::tempdir().unwrap() };
        // As root it goes on as another user, who has to get there.
        fs::set_permissions(folders.temporary.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let program = Binaries::find().unwrap().patchwave_demo.expect("the demo is built with the workspace");
        let summary = folders.summary();
        let arguments = arguments.iter().map(|argument| argument.replace("SUMMARY", summary.to_str().unwrap()));
        let mut command = Command::new(&program);
        command.args(arguments).current_dir(folders.own.path()).env("TMPDIR", folders.temporary.path()).stdin(Stdio::null());
        command.stdout(File::create(folders.output("stdout")).unwrap()).stderr(File::create(folders.output("stderr")).unwrap());
        Self { running: Running(command.spawn().unwrap()), folders }
    }

    pub fn summary_path(&self) -> PathBuf {
        self.folders.summary()
    }

    /// Waits for these words in what it says; gives all that it said on standard output.
    pub fn wait_until_told(&self, words: &str) -> String {
        let told = wait_for(words, LIMIT, || {
            let (out, err) = (self.folders.read("stdout"), self.folders.read("stderr"));
            anyhow::ensure!(!err.contains("error: "), "{out}{err}");
            Ok((out.contains(words) || err.contains(words)).then_some(out))
        });
        told.unwrap()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.running.0), signal).unwrap();
    }

    /// Runs a script as a person would in another terminal.
    pub fn shell(script: &str) -> Output {
        Command::new("bash").arg("-c").arg(script).stdin(Stdio::null()).output().unwrap()
    }

    pub fn wait(mut self) -> Ended {
        let status = wait_for("the demo's end", LIMIT, || Ok(self.running.0.try_wait()?));
        let (stdout, stderr) = (self.folders.read("stdout"), self.folders.read("stderr"));
        let status = status.unwrap_or_else(|error| panic!("{error}\n{stdout}{stderr}"));
        Ended { code: status.code(), stdout, stderr, folders: self.folders }
    }
}

impl Ended {
    pub fn summary_path(&self) -> PathBuf {
        self.folders.summary()
    }

    pub fn summary(&self) -> String {
        fs::read_to_string(self.summary_path()).unwrap()
    }

    /// No file and no process.
    pub fn assert_nothing_left(&self) {
        let left: Vec<_> = fs::read_dir(self.folders.temporary.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(left, Vec::<PathBuf>::new(), "files are left");
        assert_eq!(processes_that_name(self.folders.temporary.path()), [""; 0], "processes are left");
    }
}

impl Folders {
    fn summary(&self) -> PathBuf {
        self.own.path().join("summary.json")
    }

    fn output(&self, name: &str) -> PathBuf {
        self.own.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.output(name)).unwrap()).into_owned()
    }
}

/// Command lines with this path in them: every part of the demo is told where it lives.
fn processes_that_name(path: &Path) -> Vec<String> {
    let path = path.to_str().unwrap();
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| fs::read(entry.ok()?.path().join("cmdline")).ok());
    processes.map(|words| String::from_utf8_lossy(&words).replace('\0', " ")).filter(|words| words.contains(path)).collect()
}
