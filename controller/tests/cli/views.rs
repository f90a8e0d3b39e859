//! What every verb prints: as a table on a terminal, without one, and as JSON; and what it asks the controller for.

use patchwave::cli::Exit;

use crate::fake::{Fake, run, run_with};

/// Every view of a terminal of 100 columns, in one snapshot for each noun.
async fn transcripts(commands: &[&str], width: Option<u16>) -> String {
    let mut all = String::new();
    for command in commands {
        all.push_str(&run(command, width).await.transcript(command));
        all.push('\n');
    }
    all
}

macro_rules! snapshot_of {
    ($($test:ident: $($command:literal),+;)+) => {
        $(#[tokio::test]
        async fn $test() {
            insta::assert_snapshot!(stringify!($test), transcripts(&[$($command),+], Some(100)).await);
        })+
    };
}

snapshot_of! {
    operators_are_shown: "operator list", "operator list -o json", "operator revoke ben@example";
    tokens_are_shown: "token list", "token list -o json", "token create --mode managed --label ring=test --ttl 1h --uses 50",
        "token create --mode report-only -o json", "token revoke t9m2kqxa";
    hosts_are_shown: "host list", "host show db", "host show db --packages", "host label web-1 ring=test site-", "host refresh",
        "host retire laptop-7 --reason gone", "host replace h-1 h-2", "host list -o json", "host show db -o json";
    packages_and_updates_are_shown: "package list", "package hosts libssl3 --version <3.0.17", "update list", "package list -o json";
    policies_are_shown: "policy list", "policy show web", "policy lint web", "policy show web -o json";
    plans_are_shown: "rollout plan --policy web", "rollout rollback r-7k2m9qxa", "rollout replan r-7k2m9qxa", "rollout plan --policy web -o json";
    rollouts_are_shown: "rollout list", "rollout show r-4h6j8k0l", "rollout show r-4h6j8k0l --hosts", "rollout explain r-7k2m9qxa web-5",
        "rollout explain r-7k2m9qxa web-5 -o json";
    acts_on_rollouts_say_what_they_did: "rollout approve r-7k2m9qxa", "rollout start r-7k2m9qxa", "rollout pause r-7k2m9qxa",
        "rollout resume r-7k2m9qxa", "rollout abort r-7k2m9qxa", "rollout report-harm r-7k2m9qxa web-3 --reason slow",
        "rollout pause r-7k2m9qxa -o json";
    safety_is_shown: "quarantine list --all", "quarantine lift q-0b1c --reason mended", "halt", "halt --status", "halt --lift", "halt --status -o json";
    feeds_are_shown: "feed list", "feed list -o json", "feed add epss --kind epss /srv/epss.csv.gz", "feed refresh debian", "feed remove debian";
    findings_are_shown: "finding list", "finding list --by host", "finding list --by finding", "finding show CVE-2026-1001 web-1",
        "finding explain CVE-2026-1001 web-1", "advisory show CVE-2026-1001", "finding list -o json", "finding show CVE-2026-1001 web-1 -o json";
    history_is_shown: "events", "events -o json", "audit list", "audit list -o json";
}

#[tokio::test]
async fn without_a_terminal_every_column_is_whole() {
    insta::assert_snapshot!(
        transcripts(&["host list", "rollout list", "rollout show r-4h6j8k0l", "update list", "quarantine list"], None).await
    );
}

#[tokio::test]
async fn narrow_terminals_lose_columns_and_say_so() {
    for width in [60, 80, 120] {
        let shown = transcripts(&["host list", "rollout show r-4h6j8k0l", "rollout plan --policy web", "token list"], Some(width)).await;
        let too_wide: Vec<&str> = shown
            .lines()
            .filter(|line| !line.starts_with("Left out") && !line.starts_with("Next"))
            .filter(|line| line.chars().count() > usize::from(width))
            .collect();
        assert!(too_wide.is_empty(), "at {width}: {too_wide:#?}");
        insta::assert_snapshot!(format!("at_{width}_columns"), shown);
    }
}

#[tokio::test]
async fn every_json_list_is_one_array_and_every_show_one_object() {
    let lists = [
        "operator list",
        "token list",
        "host list",
        "package list",
        "package hosts openssl",
        "update list",
        "policy list",
        "policy lint web",
        "rollout list",
        "quarantine list",
        "events",
        "audit list",
        "host label web-1 a=b",
    ];
    for command in lists {
        let shown = run(&format!("{command} -o json"), Some(40)).await;
        let value: serde_json::Value =
            serde_json::from_str(&shown.data).unwrap_or_else(|error| panic!("{command}: {error}\n{}", shown.data));
        assert!(value.as_array().is_some_and(|items| items.iter().all(serde_json::Value::is_object)), "{command}");
    }
    let objects = [
        "host show x",
        "policy show web",
        "rollout show r-1",
        "rollout plan --policy web",
        "rollout explain r-1 x",
        "halt --status",
        "halt",
        "token create --mode managed",
        "token revoke t1",
        "rollout start r-1",
        "quarantine lift q-1 --reason x",
        "host retire x",
        "host refresh",
    ];
    for command in objects {
        let shown = run(&format!("{command} -o json"), Some(40)).await;
        let value: serde_json::Value =
            serde_json::from_str(&shown.data).unwrap_or_else(|error| panic!("{command}: {error}\n{}", shown.data));
        assert!(value.is_object(), "{command}");
    }
}

#[tokio::test]
async fn nothing_of_a_host_can_move_the_cursor() {
    for command in ["host list", "events", "rollout show r-4h6j8k0l"] {
        assert!(!run(command, Some(100)).await.data.contains('\u{1b}'), "{command}");
    }
}

#[tokio::test]
async fn what_was_typed_is_what_is_asked() {
    let cases = [
        ("host list ring=test,os=debian", "ListHostsRequest { selector: \"ring=test,os=debian\" }"),
        ("package hosts openssl --version 3.0.1-1", "ListPackageHostsRequest { name: \"openssl\", version: \"=3.0.1-1\", selector: \"\" }"),
        (
            "token create --mode report-only --ttl 1h30m",
            "CreateTokenRequest { mode: \"report-only\", labels: [], ttl_ms: 5400000, uses: 1 }",
        ),
        (
            "rollout plan --policy web --select site=ams --update openssl --update src:nginx=1.22",
            "PlanRolloutRequest { policy: \"web\", selector: \"site=ams\", updates: [\"openssl\", \"src:nginx=1.22\"] }",
        ),
        ("halt --lift --reason over", "SetHaltRequest { halted: false, reason: \"over\" }"),
        ("events --after 7 --all", "EventsRequest { follow: false, after: 7, limit: 4294967295 }"),
        ("rollout start r-1 --despite-lints", "StartRolloutRequest { rollout: \"r-1\", despite_lints: true }"),
    ];
    for (command, request) in cases {
        let fake = Fake::default();
        assert_eq!(run_with(&fake, command, None).await.exit, Exit::Done, "{command}");
        assert_eq!(fake.asked(), [request], "{command}");
    }
}

#[tokio::test]
async fn audit_asks_on_while_pages_are_full() {
    let fake = Fake::default();
    let shown = run_with(&fake, "audit list --all -o json", None).await;
    assert_eq!(fake.asked(), ["ListAuditRequest { after: 0, limit: 4294967295 }", "ListAuditRequest { after: 1000, limit: 4294966295 }"]);
    assert_eq!(serde_json::from_str::<Vec<serde_json::Value>>(&shown.data).unwrap().len(), 1001);
}

#[tokio::test]
async fn a_lint_that_is_an_error_fails_the_lint_and_not_the_plan() {
    assert_eq!(run("policy lint web", None).await.exit, Exit::Failed);
    assert_eq!(run("rollout rollback r-1", None).await.exit, Exit::Done);
}

#[tokio::test]
async fn a_policy_is_checked_here_and_its_error_names_the_field() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.toml");
    std::fs::write(&file, "name = \"p\"\n[[wave]]\nname = \"test\"\nsoak = \"soon\"\n").unwrap();
    let fake = Fake::default();
    let refused = run_with(&fake, &format!("policy apply -f {}", file.display()), None).await;
    assert_eq!((refused.exit, refused.data.as_str()), (Exit::Failed, ""));
    assert!(refused.talk.contains("wave[1].soak") && refused.talk.contains("hint:"), "{}", refused.talk);
    assert!(fake.asked().is_empty());

    std::fs::write(&file, "name = \"p\"\n[[wave]]\nname = \"test\"\n").unwrap();
    let applied = run_with(&fake, &format!("policy apply -f {}", file.display()), None).await;
    assert_eq!(applied.exit, Exit::Done);
    assert!(fake.asked()[0].contains("[[wave]]"));
}

#[tokio::test]
async fn a_backup_is_private_whole_and_never_written_over_by_accident() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("fleet.backup");
    let command = format!("backup {}", file.display());
    assert_eq!(run(&command, None).await.exit, Exit::Done);
    let metadata = std::fs::metadata(&file).unwrap();
    assert_eq!((metadata.len(), metadata.permissions().mode() & 0o777), (70_003, 0o600));
    let again = run(&command, None).await;
    assert_eq!(again.exit, Exit::Failed);
    assert!(again.talk.contains("--force"), "{}", again.talk);
    assert_eq!(run(&format!("{command} --force"), None).await.exit, Exit::Done);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
}
