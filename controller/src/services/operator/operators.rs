//! Operators: who they are, their certificates and roles.

use patchwave_common::domain::{OperatorName, Timestamp};
use patchwave_proto::operator::v1 as wire;
use tonic::Status;

use super::call::{Call, parsed, show_time};
use crate::pki::{OPERATOR_LIFETIME, renewal_window};
use crate::records::{Actor, CertificateRecord, OperatorRecord, OperatorRole, Revocation};
use crate::store::{Change, Guard, MAX_PAGE, Write};

pub(super) async fn who_am_i(call: &Call, _: wire::WhoAmIRequest) -> Result<wire::Identity, Status> {
    let name = call.name.clone();
    let record = call.read(move |store| store.operator(&name)).await?;
    let expires = match record {
        Some(record) => expiry(call, &record).await?,
        None => None,
    };
    Ok(wire::Identity {
        name: call.name.to_string(),
        role: call.role.to_string(),
        trust_domain: call.app.authority.trust_domain().to_string(),
        controller_version: env!("CARGO_PKG_VERSION").to_owned(),
        certificate_expires_at: show_time(expires),
    })
}

pub(super) async fn create(call: &Call, request: wire::CreateOperatorRequest) -> Result<wire::OperatorCreated, Status> {
    let name = parsed("name", OperatorName::parse(&request.name))?;
    let role = parsed("--role", OperatorRole::parse(&request.role))?;
    let wanted = name.clone();
    let existing = call.read(move |store| store.operator(&wanted)).await?;
    let live = existing.as_ref().filter(|record| record.revoked_at.is_none());
    if let Some(record) = live {
        refuse_live(call, record).await?;
    } else {
        parsed("name", Actor::refuse_name(&name))?;
    }
    let issued = call
        .app
        .authority
        .issue_operator(&request.certificate_request, &name, OPERATOR_LIFETIME, call.at)
        .map_err(|error| Status::invalid_argument(error.to_string()))?;
    let record = OperatorRecord {
        name: name.clone(),
        revision: 0,
        role,
        created_at: live.map_or(call.at, |record| record.created_at),
        created_by: live.map_or_else(|| call.actor(), |record| record.created_by.clone()),
        revoked_at: None,
        // The one that is renewed may still be good for some days, and is revoked with the operator.
        certificates: live.and_then(|record| record.certificates.last()).into_iter().chain([&issued.record.serial]).cloned().collect(),
    };
    let write = Write::new(vec![Change::PutCertificate(issued.record.clone()), Change::PutOperator(record.clone())])
        .when(Guard::OperatorRevision { operator: name, expected: existing.map_or(0, |record| record.revision) });
    call.write(write).await?;
    call.app.directory.put_operator(&record);
    let operator = view(&record, Some(issued.record.not_after));
    Ok(wire::OperatorCreated { operator: Some(operator), certificate_chain: issued.chain_pem })
}

/// An operator whose certificate is good for long gets no second one: a slip in the name would change somebody's role.
async fn refuse_live(call: &Call, record: &OperatorRecord) -> Result<(), Status> {
    let Some(certificate) = newest(call, record).await? else { return Ok(()) };
    let life = certificate.not_after.since(certificate.issued_at);
    if call.at.plus(renewal_window(life)) > certificate.not_after {
        return Ok(());
    }
    let name = &record.name;
    Err(Status::already_exists(format!(
        "operator {name} has a certificate that is good until {} (hint: it can be renewed in its last {} days; where its key is lost, or the role \
         is to change, `patchwave operator revoke {name}` first)",
        certificate.not_after,
        renewal_window(life).as_secs() / 86_400
    )))
}

pub(super) async fn list(call: &Call, _: wire::ListOperatorsRequest) -> Result<wire::OperatorList, Status> {
    let records = call.read(|store| store.operators(None, MAX_PAGE)).await?;
    let mut operators = Vec::with_capacity(records.len());
    for record in &records {
        operators.push(view(record, expiry(call, record).await?));
    }
    Ok(wire::OperatorList { operators })
}

pub(super) async fn revoke(call: &Call, request: wire::RevokeOperatorRequest) -> Result<wire::Operator, Status> {
    let name = parsed("name", OperatorName::parse(&request.name))?;
    if name == call.name {
        return Err(Status::failed_precondition("you would lock yourself out (hint: another admin can revoke you)"));
    }
    let wanted = name.clone();
    let record = call.read(move |store| store.operator(&wanted)).await?;
    let mut record = record.ok_or_else(|| Status::not_found(format!("there is no operator {name} (hint: `patchwave operator list`)")))?;
    if record.revoked_at.is_none() {
        record.revoked_at = Some(call.at);
        let reason = format!("operator revoked by {}", call.name);
        let mut changes = vec![Change::PutOperator(record.clone())];
        changes.extend(record.certificates.iter().map(|serial| Change::RevokeCertificate {
            serial: serial.clone(),
            revocation: Revocation { at: call.at, reason: reason.clone() },
        }));
        call.write(Write::new(changes).when(Guard::OperatorRevision { operator: name, expected: record.revision })).await?;
        call.app.directory.put_operator(&record);
    }
    let expires = expiry(call, &record).await?;
    Ok(view(&record, expires))
}

async fn expiry(call: &Call, record: &OperatorRecord) -> Result<Option<Timestamp>, Status> {
    Ok(newest(call, record).await?.map(|certificate| certificate.not_after))
}

async fn newest(call: &Call, record: &OperatorRecord) -> Result<Option<CertificateRecord>, Status> {
    let Some(serial) = record.certificates.last().cloned() else { return Ok(None) };
    call.read(move |store| store.certificate(&serial)).await
}

fn view(record: &OperatorRecord, expires: Option<Timestamp>) -> wire::Operator {
    wire::Operator {
        name: record.name.to_string(),
        role: record.role.to_string(),
        created_at: show_time(Some(record.created_at)),
        created_by: record.created_by.name(),
        revoked: record.revoked_at.is_some(),
        certificate_expires_at: show_time(expires),
    }
}
