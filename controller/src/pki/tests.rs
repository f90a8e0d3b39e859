//! The authority as its callers use it, and its certificates as the transport judges them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use patchwave_common::domain::{HostId, OperatorName, Timestamp};
use patchwave_common::runtime::tls::{KeyRequest, PeerCertificate, PeerIdentity, TrustDomain, certificates_from_pem, certified_key};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType};

use super::*;
use crate::records::{Serial, Subject};

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const DAY: Duration = Duration::from_secs(86_400);

fn fleet() -> TrustDomain {
    TrustDomain::parse("fleet.example").unwrap()
}

fn names() -> ServerNames {
    ServerNames::parse(["controller.example", "192.0.2.7", "::1"]).unwrap()
}

fn host() -> HostId {
    HostId::parse("h-1").unwrap()
}

fn leaf(chain_pem: &str) -> PeerCertificate {
    PeerCertificate::parse(&certificates_from_pem(chain_pem.as_bytes()).unwrap()[0]).unwrap()
}

fn init(directory: &Path) -> Authority {
    PkiFiles::new(directory).init(&fleet(), &names(), NOW).unwrap().0
}

#[test]
fn a_host_certificate_says_what_the_authority_decides_and_fits_the_hosts_key() {
    let (authority, _) = Authority::create(&fleet(), NOW).unwrap();
    let request = KeyRequest::new().unwrap();
    let issued = authority.issue_host(&request.request_der, &host(), HOST_LIFETIME, NOW).unwrap();
    certified_key(issued.chain_pem.as_bytes(), request.key_pem.as_bytes()).expect("key and certificate fit");
    let certificate = leaf(&issued.chain_pem);
    assert_eq!((certificate.identity.clone(), &certificate.trust_domain), (PeerIdentity::Host(host()), &fleet()));
    assert_eq!(certificate.not_after, NOW.plus(30 * DAY));
    assert_eq!(Serial::from_bytes(&certificate.serial).unwrap(), issued.record.serial);
    assert_eq!((issued.record.subject, issued.record.not_after), (Subject::Host(host()), certificate.not_after));
    let chain = certificates_from_pem(issued.chain_pem.as_bytes()).unwrap();
    assert_eq!(&chain[1], authority.certificate());
}

#[test]
fn names_usages_and_authority_rights_in_a_request_are_ignored() {
    let (authority, _) = Authority::create(&fleet(), NOW).unwrap();
    let mut wishes = CertificateParams::new(["controller.example".to_owned()]).unwrap();
    wishes.subject_alt_names.push(SanType::URI("spiffe://fleet.example/operator/root".try_into().unwrap()));
    wishes.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    wishes.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let request = wishes.serialize_request(&KeyPair::generate().unwrap()).unwrap();
    let issued = authority.issue_host(request.der(), &host(), HOST_LIFETIME, NOW).unwrap();
    assert_eq!(leaf(&issued.chain_pem).identity, PeerIdentity::Host(host()));
    let chain = certificates_from_pem(issued.chain_pem.as_bytes()).unwrap();
    assert!(patchwave_common::runtime::tls::server_names(&chain[0]).unwrap().is_empty());
    assert!(patchwave_common::runtime::tls::AuthorityCertificate::parse(&chain[0]).is_err());
}

#[test]
fn a_request_that_was_tampered_with_or_has_another_kind_of_key_or_is_huge_is_refused() {
    let (authority, _) = Authority::create(&fleet(), NOW).unwrap();
    let issue = |der: &[u8]| authority.issue_host(der, &host(), HOST_LIFETIME, NOW);
    let good = KeyRequest::new().unwrap();
    let mut refused = 0;
    for position in 0..good.request_der.len() {
        let mut bad = good.request_der.clone();
        bad[position] ^= 1;
        match issue(&bad) {
            Err(PkiError::Request { .. }) => refused += 1,
            // Bits that the signature does not cover (its own encoding's count of unused bits, say): then the key is the signer's.
            Ok(issued) => drop(certified_key(issued.chain_pem.as_bytes(), good.key_pem.as_bytes()).expect("the key that signed")),
            Err(other) => panic!("{other}"),
        }
    }
    assert!(refused >= good.request_der.len() - 2, "{refused} of {}", good.request_der.len());
    for algorithm in [&rcgen::PKCS_ED25519, &rcgen::PKCS_ECDSA_P384_SHA384] {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let request = CertificateParams::default().serialize_request(&key).unwrap();
        let error = issue(request.der()).unwrap_err().to_string();
        assert!(error.contains("ECDSA P-256"), "{error}");
    }
    assert!(issue(&vec![0x30; 100_000]).unwrap_err().to_string().contains("more than"));
    assert!(issue(&[]).is_err());
}

#[test]
fn serials_differ_and_renewal_is_due_at_two_thirds_of_life_spread_by_serial() {
    let (authority, _) = Authority::create(&fleet(), NOW).unwrap();
    let request = KeyRequest::new().unwrap();
    let mut due = Vec::new();
    let mut serials = std::collections::BTreeSet::new();
    for _ in 0..40 {
        let issued = authority.issue_host(&request.request_der, &host(), HOST_LIFETIME, NOW).unwrap();
        serials.insert(issued.record.serial.clone());
        due.push(leaf(&issued.chain_pem).renew_at());
    }
    assert_eq!(serials.len(), 40);
    let (first, last) = (NOW.plus(20 * DAY - Duration::from_secs(3600)), NOW.plus(22 * DAY));
    assert!(due.iter().all(|at| (first..last).contains(at)), "{due:?}");
    due.sort();
    due.dedup();
    assert!(due.len() > 20, "spread");
}

#[test]
fn a_short_life_is_not_eaten_by_the_backdating() {
    let (authority, _) = Authority::create(&fleet(), NOW).unwrap();
    let request = KeyRequest::new().unwrap();
    let issued = authority.issue_host(&request.request_der, &host(), Duration::from_secs(60), NOW).unwrap();
    assert!(leaf(&issued.chain_pem).renew_at() > NOW.plus(Duration::from_secs(30)));
}

#[test]
fn no_certificate_outlives_the_authority_and_none_is_made_by_a_clock_that_cannot_be_right() {
    let (authority, _) = Authority::create(&fleet(), NOW).unwrap();
    let request = KeyRequest::new().unwrap();
    let name = OperatorName::parse("alice").unwrap();
    let late = NOW.plus(20 * 365 * DAY - DAY);
    let issued = authority.issue_operator(&request.request_der, &name, OPERATOR_LIFETIME, late).unwrap();
    assert!(issued.record.not_after <= NOW.plus(20 * 365 * DAY));
    let error = authority.issue_operator(&request.request_der, &name, OPERATOR_LIFETIME, Timestamp(0)).unwrap_err();
    assert!(error.to_string().contains("1970-01-01") && error.to_string().contains("hint"), "{error}");
}

#[test]
fn init_keeps_keys_from_others_and_never_replaces_an_authority() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path().join("pki");
    let authority = init(&directory);
    let mode = |name: &str| std::fs::metadata(directory.join(name)).unwrap().mode() & 0o777;
    assert_eq!((mode("authority.key"), mode("server.pem"), mode("authority.pem"), mode("")), (0o600, 0o600, 0o644, 0o700));
    let files = PkiFiles::new(&directory);
    assert!(matches!(files.init(&fleet(), &names(), NOW), Err(PkiError::Exists { .. })));
    let loaded = files.load().unwrap();
    assert_eq!((loaded.fingerprint(), loaded.trust_domain()), (authority.fingerprint(), &fleet()));
}

#[test]
fn a_missing_an_exposed_and_a_mismatched_authority_each_say_so() {
    let directory = tempfile::tempdir().unwrap();
    let missing = PkiFiles::new(&directory.path().join("none")).load().unwrap_err().to_string();
    assert!(missing.contains("patchwave init"), "{missing}");

    let (one, two) = (directory.path().join("one"), directory.path().join("two"));
    init(&one);
    init(&two);
    std::fs::copy(two.join("authority.key"), one.join("authority.key")).unwrap();
    let mismatched = PkiFiles::new(&one).load().unwrap_err().to_string();
    assert!(mismatched.contains("does not fit") && mismatched.contains("one"), "{mismatched}");

    std::fs::set_permissions(two.join("authority.key"), std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let exposed = PkiFiles::new(&two).load().unwrap_err().to_string();
    assert!(exposed.contains("chmod 600"), "{exposed}");
}

#[test]
fn a_backup_restores_the_same_authority_elsewhere_and_nowhere_over_another() {
    let directory = tempfile::tempdir().unwrap();
    let (old, new) = (directory.path().join("old"), directory.path().join("new"));
    let authority = init(&old);
    let attachments = PkiFiles::new(&old).attachments().unwrap();
    let restored = PkiFiles::new(&new).restore(&attachments).unwrap();
    assert_eq!(restored.fingerprint(), authority.fingerprint());
    assert_eq!(std::fs::metadata(new.join("authority.key")).unwrap().mode() & 0o777, 0o600);
    assert!(matches!(PkiFiles::new(&new).restore(&attachments), Err(PkiError::Exists { .. })));

    let mut escaping = attachments;
    escaping.push(("../../etc/cron.d/x".to_owned(), b"x".to_vec()));
    let third = PkiFiles::new(&directory.path().join("third"));
    assert!(matches!(third.restore(&escaping), Err(PkiError::Attachment { .. })));
    assert!(!directory.path().join("third").exists(), "nothing was written");
}

fn open(directory: &Path, names: ServerNames, now: Timestamp) -> (ServerCertificate, Option<crate::records::CertificateRecord>) {
    let files = PkiFiles::new(directory);
    ServerCertificate::open(&files.server_path(), Arc::new(files.load().unwrap()), names, now).unwrap()
}

fn slot_fingerprint(server: &ServerCertificate) -> patchwave_common::domain::Digest {
    patchwave_common::runtime::tls::fingerprint(&server.slot().current().unwrap().cert[0])
}

#[test]
fn the_servers_certificate_is_kept_until_two_thirds_and_then_swapped_in_the_slot_and_on_disk() {
    let directory = tempfile::tempdir().unwrap();
    init(directory.path());
    let (server, record) = open(directory.path(), names(), NOW);
    assert!(record.is_none(), "the one that init made fits");
    let before = slot_fingerprint(&server);
    assert!(server.renew_if_due(NOW.plus(59 * DAY)).unwrap().is_none());
    let renewed = server.renew_if_due(NOW.plus(65 * DAY)).unwrap().expect("renewed");
    assert_eq!(renewed.not_after, NOW.plus((65 + 90) * DAY));
    let after = slot_fingerprint(&server);
    assert_ne!(before, after);
    let (again, record) = open(directory.path(), names(), NOW.plus(66 * DAY));
    assert!(record.is_none() && slot_fingerprint(&again) == after, "a restart finds the new one");
}

#[tokio::test]
async fn a_running_controller_renews_by_itself_and_has_it_recorded() {
    let directory = tempfile::tempdir().unwrap();
    init(directory.path());
    let (server, _) = open(directory.path(), names(), NOW);
    let (server, before) = (Arc::new(server), slot_fingerprint(&open(directory.path(), names(), NOW).0));
    let clock = Arc::new(patchwave_common::runtime::clock::ManualClock::new(NOW));
    let (recorded, mut records) = tokio::sync::mpsc::channel(8);
    let keeping = tokio::spawn(server.clone().keep_fresh_every(Duration::from_millis(1), clock.clone(), async move |record| {
        recorded.send(record).await.map_err(|_| "the test is over")
    }));
    let patience = Duration::from_secs(20);
    assert!(tokio::time::timeout(Duration::from_millis(30), records.recv()).await.is_err(), "not before its time");
    clock.advance(DAY * 66);
    let record = tokio::time::timeout(patience, records.recv()).await.unwrap().unwrap();
    assert_eq!(record.subject, Subject::Server);
    assert_ne!(slot_fingerprint(&server), before);
    keeping.abort();
}

#[test]
fn other_names_a_missing_a_damaged_or_an_expired_certificate_make_a_new_one_at_start() {
    let directory = tempfile::tempdir().unwrap();
    init(directory.path());
    let path = PkiFiles::new(directory.path()).server_path();
    let other = ServerNames::parse(["other.example"]).unwrap();
    assert!(open(directory.path(), other.clone(), NOW).1.is_some());
    assert!(open(directory.path(), other.clone(), NOW).1.is_none());
    std::fs::remove_file(&path).unwrap();
    assert!(open(directory.path(), other.clone(), NOW).1.is_some());
    patchwave_common::runtime::atomic_file::write(&path, b"rubbish", 0o600).unwrap();
    assert!(open(directory.path(), other.clone(), NOW).1.is_some());
    assert!(open(directory.path(), other, NOW.plus(200 * DAY)).1.is_some());
}

#[test]
fn a_name_that_no_certificate_can_hold_is_refused() {
    for name in ["", "https://host", "host:7443", "*.example", "a..b", "-a", "host name", "hóst", "a/b"] {
        assert!(ServerNames::parse([name]).is_err(), "{name}");
    }
    assert!(ServerNames::parse::<&str>([]).is_err());
    assert!(ServerNames::parse((0..33).map(|number| format!("h{number}"))).is_err());
    assert_eq!(ServerNames::parse(["B", "a", "b", "::1"]).unwrap().texts(), ["::1", "a", "b"]);
}

#[test]
fn new_host_ids_are_well_formed_and_differ() {
    let ids: std::collections::BTreeSet<HostId> = (0..1000).map(|_| new_host_id().unwrap()).collect();
    assert_eq!(ids.len(), 1000);
    assert!(ids.iter().all(|id| id.as_str().len() == 18), "{:?}", ids.first());
}
