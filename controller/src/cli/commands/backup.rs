//! `patchwave backup`: saves everything that is needed to stand up the controller elsewhere, while it runs.

use std::path::{Path, PathBuf};

use clap::Args;
use futures::{Stream, StreamExt as _};
use patchwave_proto::operator::v1::{BackupChunk, BackupRequest};
use tokio::io::AsyncWriteExt as _;

use crate::cli::status::About;
use crate::cli::text::bytes;
use crate::cli::{CliError, Session};

const EXAMPLES: &str = "\
The file holds the authority's private key: who has it can order the fleet. It is made readable for you alone; keep it like a key. \
A backup that breaks off leaves no file.

Examples:
  patchwave backup fleet.backup
  patchwave backup \"/backup/patchwave-$(date +%F)\" --force";

/// Arguments of `backup`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct BackupArguments {
    /// The file to write
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Replace a file that is there
    #[arg(long)]
    pub force: bool,
}

pub(super) async fn run(arguments: BackupArguments, session: &mut Session<'_>) -> Result<(), CliError> {
    let BackupArguments { file, force } = arguments;
    if !force && file.exists() {
        return Err(exists(&file));
    }
    let chunks = session.stream(About::Fleet, async |client| client.backup(BackupRequest {}).await).await?;
    let written = save(&file, force, chunks).await?;
    session.printer.talk(&format!(
        "{} in {}. It holds the authority's private key: keep it where nobody else can read it.\nNext: try it: `patchwave restore {} --state-dir \
         A-NEW-DIRECTORY --name NAME`",
        bytes(written),
        file.display(),
        file.display()
    ));
    Ok(())
}

/// Writes the chunks to a temporary file beside `file`, syncs it, and only then gives it its name.
async fn save(file: &Path, force: bool, mut chunks: impl Stream<Item = Result<BackupChunk, CliError>> + Unpin) -> Result<u64, CliError> {
    let failed = |error: std::io::Error| {
        CliError::failed(
            format!("cannot write {}: {error}", file.display()),
            "check that the directory exists, may be written, and has space",
        )
    };
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // tempfile makes its files with mode 0600.
    let temporary = tempfile::Builder::new().prefix(".patchwave-backup-").tempfile_in(directory).map_err(failed)?;
    let (handle, path) = temporary.into_parts();
    let mut handle = tokio::fs::File::from_std(handle);
    let mut written = 0_u64;
    while let Some(chunk) = chunks.next().await {
        let data = chunk?.data;
        handle.write_all(&data).await.map_err(failed)?;
        written += data.len() as u64;
    }
    if written == 0 {
        return Err(CliError::failed("the controller sent an empty backup", "its log says more (`journalctl -u patchwave`)"));
    }
    handle.flush().await.map_err(failed)?;
    handle.sync_all().await.map_err(failed)?;
    let kept = if force { path.persist(file) } else { path.persist_noclobber(file) };
    match kept {
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => return Err(exists(file)),
        kept => kept.map_err(|error| failed(error.error))?,
    }
    // So that the name survives a power cut too.
    tokio::fs::File::open(directory).await.map_err(failed)?.sync_all().await.map_err(failed)?;
    Ok(written)
}

fn exists(file: &Path) -> CliError {
    CliError::failed(format!("{} exists", file.display()), "choose another name, or give --force to replace it")
}
