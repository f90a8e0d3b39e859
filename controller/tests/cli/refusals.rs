//! What the controller refuses, in plain words with the way out.

use patchwave::cli::Exit;
use tonic::{Code, Status};

use crate::fake::{Fake, run_with};

async fn refused(code: Code, message: &str, command: &str) -> String {
    let outcome = run_with(&Fake::refusing(Status::new(code, message)), command, None).await;
    assert_eq!(outcome.data, "", "a refusal is no data");
    outcome.transcript(command)
}

#[tokio::test]
async fn every_refusal_reads_in_plain_words() {
    let cases = [
        (Code::Unauthenticated, "this operator certificate has expired (hint: an admin makes a new one: `patchwave operator create`)"),
        (Code::Unauthenticated, "this certificate was revoked"),
        (Code::PermissionDenied, "this call needs the role approver or more (hint: ask an admin; `patchwave operator list` shows roles)"),
        (Code::PermissionDenied, "this call needs the role admin or more"),
        (Code::NotFound, "there is no rollout r-1"),
        (Code::NotFound, "there is no policy web (hint: `patchwave policy list`, `patchwave policy apply -f FILE`)"),
        (Code::FailedPrecondition, "the rollout is completed and cannot be started"),
        (Code::InvalidArgument, "--ttl: must be more than nothing and at most 90d"),
        (Code::AlreadyExists, "there is an operator anna already; hint: revoke it first"),
        (Code::Aborted, "the policy changed meanwhile"),
        (Code::ResourceExhausted, "too many plans at once"),
        (Code::Unavailable, "the controller shuts down"),
        (Code::DeadlineExceeded, "60 s"),
        (Code::Unimplemented, "there is no such method"),
        (Code::Internal, "the store cannot be written\u{1b}[31m"),
        (Code::Unknown, ""),
    ];
    let mut all = String::new();
    for (code, message) in cases {
        all.push_str(&format!("## {code:?}\n{}\n", refused(code, message, "rollout start r-1").await));
    }
    assert!(!all.contains('\u{1b}'));
    // The same text for each release.
    insta::assert_snapshot!(all.replace(env!("CARGO_PKG_VERSION"), "VERSION"));
}

#[tokio::test]
async fn a_refused_argument_is_wrong_use_and_all_else_is_failure() {
    for (code, exit) in [(Code::InvalidArgument, Exit::WrongUse), (Code::NotFound, Exit::Failed), (Code::Unavailable, Exit::Failed)] {
        assert_eq!(run_with(&Fake::refusing(Status::new(code, "no")), "host list", None).await.exit, exit);
    }
}

#[tokio::test]
async fn what_does_not_exist_hints_at_the_list_of_its_kind() {
    let commands = [
        ("host show x", "patchwave host list"),
        ("token revoke x", "patchwave token list"),
        ("quarantine lift q --reason r", "patchwave quarantine list"),
    ];
    for (command, list) in commands {
        let told = refused(Code::NotFound, "no such thing", command).await;
        assert!(told.contains(list), "{told}");
    }
}
