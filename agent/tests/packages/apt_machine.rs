//! The machine's own root and archives, as far as that changes nothing: staging, simulation, receipt.

use patchwave_agent::packages::apt::Apt;
use patchwave_agent::packages::{ChangeKind, PackageManager, PackageSettings};
use patchwave_common::domain::{Manager, PackageTarget, RefusalReason, TargetSet};

use crate::world::rules;

#[test]
#[ignore = "downloads from the machine's own archives; needs root, and something to upgrade"]
fn real_candidates_are_staged_simulated_and_recorded() {
    let state = tempfile::tempdir().unwrap();
    let settings = PackageSettings { root: None, state_dir: state.path().to_owned(), stage_limit_bytes: 1 << 30, keep_free_bytes: 1 << 20 };
    let apt = Apt::open(&settings).unwrap();
    let mut tried = 0;
    for candidate in
        apt.candidates().unwrap().candidates.into_iter().filter(|it| it.blocked.is_none() && it.size_bytes < 2_000_000).take(12)
    {
        let target = PackageTarget {
            id: candidate.id.clone(),
            from: candidate.from.clone(),
            to: candidate.to.clone(),
            source: candidate.source.clone(),
            origin: candidate.origin.short(),
            sha256: candidate.sha256,
            size_bytes: candidate.size_bytes,
        };
        let set = TargetSet::new(Manager::Dpkg, vec![target]).unwrap();
        let staged = apt.stage(&set, &state.path().join("stage")).unwrap();
        assert!(staged.file(&candidate.id).is_some());
        let missing: Vec<_> = staged.missing_originals.iter().map(|it| format!("{} {}", it.id, it.version)).collect();
        match apt.simulate(&staged, &rules()) {
            Ok(simulation) => {
                let receipt = apt.snapshot(&staged, &simulation, &state.path().join("receipt")).unwrap();
                assert_eq!(apt.verify_receipt(&receipt).unwrap(), []);
                assert!(!apt.verify_targets(&receipt).unwrap().is_empty());
                let (files, paths) = (receipt.packages.iter().map(|it| it.files.len()).sum::<usize>(), receipt.paths.len());
                let changes = simulation.changes.len();
                eprintln!(
                    "{} {} -> {}: {changes} changes, {files} files, {paths} saved paths, missing {missing:?}",
                    candidate.id, candidate.from, candidate.to
                );
                assert!(simulation.changes.iter().all(|change| change.kind != ChangeKind::Remove));
            }
            Err(refused) => {
                assert!(matches!(refused.reason, RefusalReason::WouldChangeOthers), "{refused}");
                eprintln!("{}: {refused}", candidate.id);
            }
        }
        tried += 1;
    }
    assert!(tried > 0, "this machine has nothing to upgrade");
}
