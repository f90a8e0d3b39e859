//! One run: the controller, the servers beside it, the report.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::arguments::{Load, SubjectKind};
use super::patchwave::{self, Controller};
use super::report::{Ratios, Report, SCHEMA};
use super::subject::{self, Ground};
use super::{table, talk};

/// Measures everything that was asked for.
pub fn run(load: &Load) -> Result<()> {
    let wanted = |kind| load.only.is_empty() || load.only.contains(&kind);
    let directory = match &load.directory {
        Some(parent) => tempfile::tempdir_in(parent),
        None => tempfile::tempdir(),
    };
    let directory = directory.context("cannot make a temporary directory")?;
    let controller = Controller::make(&program(load)?, directory.path(), load.agents, load.packages)?;
    let ground = Ground { load, directory: directory.path().to_owned(), pki: controller.pki() };
    let mut report = Report {
        schema: SCHEMA,
        agents: load.agents,
        packages: load.packages,
        inventories: load.inventories,
        cores: std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(u32::MAX)),
        workers: 0,
        patchwave: None,
        bare_tonic: None,
        nginx: None,
        ratios: Ratios::default(),
    };
    if wanted(SubjectKind::BareTonic) {
        report.bare_tonic = Some(subject::bare(&ground)?);
    }
    if wanted(SubjectKind::Nginx) {
        report.nginx = subject::nginx(&ground)?;
    }
    if wanted(SubjectKind::Patchwave) {
        let (patchwave, workers) = patchwave::run(&ground, &controller)?;
        (report.patchwave, report.workers) = (Some(patchwave), workers);
    }
    report.compare();
    table::print(&report)?;
    if let Some(path) = &load.json {
        let text = serde_json::to_string_pretty(&report)? + "\n";
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
        talk(&format!("every number is in {}", path.display()));
    }
    Ok(())
}

/// The controller's program.
fn program(load: &Load) -> Result<PathBuf> {
    let beside = || Ok(std::env::current_exe()?.with_file_name("patchwave"));
    let path = load.patchwave.clone().map_or_else(beside, Result::<PathBuf>::Ok)?;
    anyhow::ensure!(
        path.is_file(),
        "there is no {} (hint: `cargo build --release --workspace` builds it, --patchwave names another)",
        path.display()
    );
    Ok(path)
}
