#![allow(clippy::unwrap_used, clippy::panic)]
use proptest::prelude::*;

use super::*;

const WHOLE: &str = r#"{"@context":"https://openvex.dev/ns/v0.2.0","@id":"https://example.org/vex-1","author":"Anna","timestamp":"2026-01-02T03:04:05Z",
    "version":2,"tooling":"x","statements":[
    {"vulnerability":{"@id":"https://nvd.example/CVE-2026-1","name":"CVE-2026-1","aliases":["GHSA-1"]},"status":"not_affected",
     "justification":"vulnerable_code_not_in_execute_path","impact_statement":"never\u001b called",
     "products":[{"@id":"pkg:oci/web","identifiers":{"purl":"pkg:oci/web@1"},"subcomponents":[{"@id":"pkg:deb/debian/openssl"}]},"pkg:deb/debian/curl"]},
    {"vulnerability":"CVE-2026-2","status":"affected","action_statement":"wait","products":null},
    {"vulnerability":{"name":"CVE-2026-3"},"status":"not_affected"},
    {"vulnerability":{"name":"CVE-2026-4"},"status":"not_affected","justification":"trust_me"},
    {"vulnerability":{"name":"CVE-2026-5"},"status":"probably"},
    {"vulnerability":{"name":"-x"},"status":"fixed"},
    {"vulnerability":{"name":"CVE-2026-6"},"status":"fixed","products":[{"subcomponents":[]}]},
    7]}"#;

#[test]
fn statements_are_read_and_those_that_nobody_could_check_are_told() {
    let document = parse(WHOLE.as_bytes()).unwrap();
    assert_eq!((document.author.as_str(), document.version, document.issued), ("Anna", 2, Some(Timestamp(1_767_323_045_000))));
    let [first, second] = document.statements.as_slice() else { panic!("{document:?}") };
    assert_eq!(first.status, Status::NotAffected(Some(Justification::VulnerableCodeNotInExecutePath)));
    assert_eq!((first.impact.as_str(), first.aliases[0].as_str()), ("never  called", "GHSA-1"));
    assert_eq!((first.products[0].id.as_str(), first.products[0].parts[0].as_str()), ("pkg:oci/web@1", "pkg:deb/debian/openssl"));
    assert_eq!(first.products[1].id, "pkg:deb/debian/curl");
    assert_eq!((second.vulnerability.as_str(), second.status, second.action.as_str()), ("CVE-2026-2", Status::Affected, "wait"));
    let reasons: Vec<&str> = document.bad.shown.iter().map(|(_, reason)| reason.as_str()).collect();
    assert_eq!((document.bad.count, document.bad.shown[0].0.as_str()), (6, "statements[2]"));
    for (reason, told) in
        reasons.iter().zip(["needs a justification", "\"trust_me\" is none", "status: \"probably\"", "vulnerability.name", "no @id"])
    {
        assert!(reason.contains(told), "{reason}");
    }
}

#[test]
fn what_is_another_document_is_refused() {
    let refused = |text: &str| parse(text.as_bytes()).unwrap_err().to_string();
    assert!(refused("{}").contains("this is not an OpenVEX document"));
    assert!(refused(r#"{"@context":"https://example.org","statements":[]}"#).contains("@context is"));
    assert!(
        refused(&format!(r#"{{"@context":"https://openvex.dev/ns","statements":[{}"#, "[".repeat(100_000))).contains("recursion limit")
    );
}

fn statement() -> impl Strategy<Value = Statement> {
    let id = "[A-Z]{3,4}-[0-9]{4}-[0-9]{1,5}".prop_map(|id| AdvisoryId::parse(id).unwrap());
    let text = "[a-zA-Z0-9 äß\"\\\\]{0,20}";
    let product =
        ("pkg:[a-z]{2,5}/[a-z]{1,8}", proptest::collection::vec("pkg:deb/[a-z]{1,8}", 0..3)).prop_map(|(id, parts)| Product { id, parts });
    let status = prop_oneof![
        proptest::sample::select(Justification::ALL).prop_map(|it| Status::NotAffected(Some(it))),
        Just(Status::NotAffected(None)),
        Just(Status::Affected),
        Just(Status::Fixed),
        Just(Status::UnderInvestigation)
    ];
    let since = proptest::option::of(0i64..4_000_000_000_000).prop_map(|at| at.map(Timestamp));
    (id.clone(), proptest::collection::vec(id, 0..3), proptest::collection::vec(product, 0..3), status, since, text, text).prop_map(
        |(vulnerability, aliases, products, status, since, impact, action)| {
            // Without a justification the words must say why.
            let impact = if status == Status::NotAffected(None) { format!("because {impact}") } else { impact };
            Statement { vulnerability, aliases, products, status, since, impact, action }
        },
    )
}

proptest! {
    #[test]
    fn a_document_is_read_as_it_was_written(statements in proptest::collection::vec(statement(), 0..5), version in any::<u64>()) {
        let document = Document { id: "https://example.org/1".into(), author: "Anna".into(), issued: Some(Timestamp(5)), version, statements, bad: BadEntries::default() };
        prop_assert_eq!(parse(write(&document).as_bytes()), Ok(document));
    }

    #[test]
    fn a_damaged_document_is_survived(at in 0..WHOLE.len(), with in any::<u8>()) {
        let mut bytes = WHOLE.as_bytes().to_vec();
        bytes[at] = with;
        let _ = parse(&bytes);
    }
}
