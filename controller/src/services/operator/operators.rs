//! Operators: who they are, their certificates and roles.

use patchwave_common::domain::{OperatorName, Timestamp};
use patchwave_proto::operator::v1 as wire;
use tonic::Status;

use super::call::{Call, parsed, show_time};
use crate::pki::OPERATOR_LIFETIME;
use crate::records::{OperatorRecord, OperatorRole, Revocation};
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
    if existing.as_ref().is_some_and(|record| record.revoked_at.is_none()) {
        return Err(Status::already_exists(format!("there is an operator {name} already (hint: revoke it first, or choose another name)")));
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
        created_at: call.at,
        created_by: call.actor(),
        revoked_at: None,
        certificates: vec![issued.record.serial.clone()],
    };
    let write = Write::new(vec![Change::PutCertificate(issued.record.clone()), Change::PutOperator(record.clone())])
        .when(Guard::OperatorRevision { operator: name, expected: existing.map_or(0, |record| record.revision) });
    call.write(write).await?;
    call.app.directory.put_operator(&record);
    let operator = view(&record, Some(issued.record.not_after));
    Ok(wire::OperatorCreated { operator: Some(operator), certificate_chain: issued.chain_pem })
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
    let Some(serial) = record.certificates.last().cloned() else { return Ok(None) };
    let certificate = call.read(move |store| store.certificate(&serial)).await?;
    Ok(certificate.map(|certificate| certificate.not_after))
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
