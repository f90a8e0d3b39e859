//! Who the host is, and its certificate.

use patchwave_common::domain::show_duration;

use super::{Finding, Subject};
use crate::identity::HostIdentityError;
use crate::run::lock;

/// For so long after its end, a certificate may still renew itself.
const RENEWABLE_MS: i64 = 90 * 24 * 3600 * 1000;

pub(super) fn examine(subject: &Subject) -> Vec<Finding> {
    let identity = match &subject.identity {
        Ok(identity) => identity,
        Err(error @ HostIdentityError::NotEnrolled { .. }) => {
            return vec![Finding::error("enrolment", error, "run `patchwave-agent enroll`")];
        }
        Err(error) => return vec![Finding::error("enrolment", error, "restore the file, or enrol anew")],
    };
    let mut findings = Vec::new();
    if !lock::is_running(subject.state_dir()) {
        findings.push(Finding::warning("agent", "the agent does not run", "systemctl enable --now patchwave-agent"));
    }
    let certificate = &identity.certificate;
    let over = certificate.renew_at();
    if subject.now < certificate.not_before {
        let what = format!("the certificate begins at {}, which is in the future: this machine's clock is behind", certificate.not_before);
        findings.push(Finding::error("certificate", what, "set the clock, and have it kept right (systemd-timesyncd or chrony)"));
    } else if subject.now.0 > certificate.not_after.0.saturating_add(RENEWABLE_MS) {
        let what = format!("the certificate ended at {}, too long ago to be renewed", certificate.not_after);
        findings.push(Finding::error("certificate", what, "enrol anew with a new token"));
    } else if certificate.expired_at(subject.now) {
        let what = format!("the certificate ended at {}", certificate.not_after);
        findings.push(Finding::warning("certificate", what, "start the agent: it renews an expired certificate by itself"));
    } else if subject.now > over {
        let late = show_duration(subject.now.since(over));
        let what = format!("the certificate should have been renewed {late} ago; it ends at {}", certificate.not_after);
        findings.push(Finding::warning("certificate", what, "see the agent's log: journalctl -u patchwave-agent"));
    }
    findings
}
