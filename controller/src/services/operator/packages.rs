//! Who has what, and what could be had.

use std::collections::BTreeSet;

use patchwave_common::domain::{Manager, Origin, PackageId, PackageName, PackageVersion, QuarantineKey, Selector};
use patchwave_proto::operator::v1 as wire;
use tonic::Status;

use super::call::{Call, parsed, wrong};
use super::stream::Rows;
use crate::fleet::{package_uses, updates as update_rows};

pub(super) async fn list(call: &Call, request: wire::ListPackagesRequest) -> Result<Rows<wire::PackageRow>, Status> {
    let selector = parsed("selector", Selector::parse(&request.selector))?;
    let hosts = call.app.fleet.all();
    let uses = package_uses(hosts.iter().filter(|host| host.is_active() && host.matches(&selector)));
    let rows = uses
        .into_iter()
        .filter(|((id, _), _)| request.name_pattern.is_empty() || glob_match::glob_match(&request.name_pattern, id.name.as_str()));
    let rows = rows.map(|((id, version), package)| wire::PackageRow {
        name: id.name.to_string(),
        architecture: id.architecture.to_string(),
        version: version.to_string(),
        source: package.source.to_string(),
        hosts: package.hosts,
    });
    Ok(Rows::of(rows.collect()))
}

pub(super) async fn hosts(call: &Call, request: wire::ListPackageHostsRequest) -> Result<Rows<wire::PackageHost>, Status> {
    let name = parsed("NAME", PackageName::parse(&request.name))?;
    let selector = parsed("selector", Selector::parse(&request.selector))?;
    let bound = VersionBound::parse(&request.version)?;
    let mut rows = Vec::new();
    for host in call.app.fleet.all().iter().filter(|host| host.is_active() && host.matches(&selector)) {
        let Some(inventory) = &host.inventory else { continue };
        for package in inventory.iter().filter(|package| package.is_installed() && package.id.name == name) {
            if bound.holds(&package.version, inventory.manager()) {
                rows.push(wire::PackageHost {
                    host: host.record.id.to_string(),
                    name: host.record.facts.hostname.clone(),
                    package: name.to_string(),
                    architecture: package.id.architecture.to_string(),
                    version: package.version.to_string(),
                });
            }
        }
    }
    Ok(Rows::of(rows))
}

pub(super) async fn updates(call: &Call, request: wire::ListUpdatesRequest) -> Result<Rows<wire::Update>, Status> {
    let selector = parsed("selector", Selector::parse(&request.selector))?;
    let quarantine = call.app.conductor.quarantine();
    let hosts = call.app.fleet.all();
    let rows = update_rows(hosts.iter().filter(|host| host.is_active() && host.matches(&selector)));
    let rows = rows.into_iter().map(|((id, from, to), row)| wire::Update {
        name: id.name.to_string(),
        architecture: id.architecture.to_string(),
        source: row.source.to_string(),
        from_version: from.to_string(),
        to_version: to.to_string(),
        kind: row.kind.as_str().to_owned(),
        origin: row.origin.short(),
        hosts: row.hosts,
        blocked_hosts: row.blocked_hosts,
        quarantined: is_quarantined(&quarantine, &id, &row.source, &row.origin, &to),
    });
    Ok(Rows::of(rows.collect()))
}

/// Whether a version that a host could get may not be installed.
pub(super) fn is_quarantined(
    quarantine: &BTreeSet<QuarantineKey>,
    package: &PackageId,
    source: &PackageName,
    origin: &Origin,
    to: &PackageVersion,
) -> bool {
    [Manager::Dpkg, Manager::Simulated].into_iter().any(|manager| {
        quarantine.contains(&QuarantineKey {
            manager,
            origin: origin.short(),
            source: source.clone(),
            version: to.clone(),
            architecture: package.architecture.clone(),
        })
    })
}

/// A bound on versions as people write it: `<3.0.22`, `>=1.2`, `=1.0-1`, or nothing for all.
struct VersionBound(Option<(&'static str, PackageVersion)>);

impl VersionBound {
    fn parse(text: &str) -> Result<Self, Status> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(Self(None));
        }
        let operator = ["<=", ">=", "!=", "<", ">", "="].into_iter().find(|operator| text.starts_with(operator));
        let operator = operator.ok_or_else(|| wrong("--version", "must begin with <, <=, =, !=, >= or >, e.g. '<3.0.22'"))?;
        let version = parsed("--version", PackageVersion::parse(text[operator.len()..].trim()))?;
        Ok(Self(Some((operator, version))))
    }

    fn holds(&self, version: &PackageVersion, manager: Manager) -> bool {
        let Some((operator, bound)) = &self.0 else { return true };
        let order = version.compare(bound, manager);
        match *operator {
            "<" => order.is_lt(),
            "<=" => order.is_le(),
            "=" => order.is_eq(),
            "!=" => order.is_ne(),
            ">=" => order.is_ge(),
            _ => order.is_gt(),
        }
    }
}
