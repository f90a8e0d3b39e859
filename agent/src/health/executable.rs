//! An executable of the host's own, named by the policy: its owner decides what runs, the wire only which. Exit status 0 is healthy.
//!
//! The file must be regular, belong to root or to the agent's user, and neither it nor its directory may be writable by anybody else:
//! otherwise the right to write there would be the right to run anything as the agent. It gets no argument and a cleared environment.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use futures::future::{BoxFuture, FutureExt as _};
use patchwave_common::domain::HealthCheck;
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};

use super::{HealthContext, Probe};

/// So much of the output is read; more is dropped with the pipe.
const OUTPUT_MAX_BYTES: u64 = 4096;
const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What an ended check still has in its pipes is read within this time.
const LAST_WORDS: std::time::Duration = std::time::Duration::from_millis(200);

/// Runs the file of the check's name in the checks directory.
#[derive(Debug)]
pub struct Executable;

impl Probe for Executable {
    fn run<'a>(&'a self, check: &'a HealthCheck, context: &'a HealthContext) -> BoxFuture<'a, Result<(), String>> {
        async move {
            // A check's name holds no slash and does not start with a dot, so it names a file in the directory and nothing else.
            let path = context.checks_dir.join(check.name.as_str());
            trust(&context.checks_dir, &path)?;
            run(path, context).await
        }
        .boxed()
    }
}

fn trust(directory: &Path, file: &Path) -> Result<(), String> {
    let hint = "(hint: chown root and chmod go-w)";
    for (path, is_file) in [(directory, false), (file, true)] {
        let metadata = std::fs::symlink_metadata(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let own = rustix::process::geteuid().as_raw();
        if is_file != metadata.is_file() || is_file == metadata.is_dir() {
            return Err(format!("{} is no {}", path.display(), if is_file { "regular file" } else { "directory" }));
        }
        if metadata.uid() != 0 && metadata.uid() != own {
            return Err(format!("{} belongs to user {} and is not run {hint}", path.display(), metadata.uid()));
        }
        if metadata.mode() & 0o022 != 0 {
            return Err(format!("{} is writable by others and is not run {hint}", path.display()));
        }
    }
    Ok(())
}

/// Ends the whole process group when it is dropped, so that a check that took too long leaves nothing behind.
struct Group(Option<rustix::process::Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // A group that is gone already is as wanted.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

async fn run(path: PathBuf, context: &HealthContext) -> Result<(), String> {
    let mut command = Command::new(&path);
    command.env_clear().env("PATH", SEARCH_PATH).current_dir("/").process_group(0).kill_on_drop(true);
    if let Some(root) = &context.root {
        command.env("PATCHWAVE_ROOT", root);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("cannot run {}: {error}", path.display()))?;
    let _group = Group(child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw));
    let mut output = std::pin::pin!(output(&mut child));
    let mut said = None;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status,
            text = &mut output, if said.is_none() => said = Some(text),
        }
    };
    // Something that the check left running may hold its output open; the check itself is over.
    let said = match said {
        Some(text) => text,
        None => tokio::time::timeout(LAST_WORDS, output).await.unwrap_or_default(),
    };
    let status = status.map_err(|error| format!("cannot wait for {}: {error}", path.display()))?;
    if status.success() { Ok(()) } else { Err(format!("{} {status}: {said}", path.display())) }
}

/// The start of what it says, on standard error if anything is said there.
fn output(child: &mut Child) -> impl Future<Output = String> + use<> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    async move {
        let read = |pipe: Option<_>| async move {
            let mut bytes = Vec::new();
            if let Some(pipe) = pipe {
                let mut pipe: std::pin::Pin<Box<dyn tokio::io::AsyncRead + Send>> = pipe;
                let _ = (&mut pipe).take(OUTPUT_MAX_BYTES).read_to_end(&mut bytes).await;
                // What is beyond the bound is read and dropped: a check must not die of a full pipe.
                let _ = tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await;
            }
            String::from_utf8_lossy(&bytes).trim().replace('\n', "; ")
        };
        let stdout: Option<std::pin::Pin<Box<dyn tokio::io::AsyncRead + Send>>> = stdout.map(|pipe| Box::pin(pipe) as _);
        let stderr: Option<std::pin::Pin<Box<dyn tokio::io::AsyncRead + Send>>> = stderr.map(|pipe| Box::pin(pipe) as _);
        let (stdout, stderr) = tokio::join!(read(stdout), read(stderr));
        if stderr.is_empty() { stdout } else { stderr }
    }
}
