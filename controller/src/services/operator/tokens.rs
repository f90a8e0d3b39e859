//! Join tokens.

use std::collections::BTreeMap;
use std::time::Duration;

use patchwave_common::domain::{HostMode, Labels, Timestamp, TokenId};
use patchwave_proto::operator::v1 as wire;
use tonic::Status;

use super::call::{Call, parsed, show_time, wrong};
use crate::pki::{NewToken, TokenRequest};
use crate::records::TokenRecord;
use crate::store::{Change, MAX_PAGE, Write};

pub(super) async fn create(call: &Call, request: wire::CreateTokenRequest) -> Result<wire::TokenCreated, Status> {
    let mode = parsed("--mode", HostMode::parse(&request.mode))?;
    let mut labels = Labels::default();
    for pair in &request.labels {
        let (key, value) = parsed("--label", Labels::parse_pair(pair))?;
        labels.0.insert(key, value);
    }
    let wanted = TokenRequest { mode, labels, lifetime: Duration::from_millis(request.ttl_ms), uses: request.uses };
    let NewToken { secret, record } = NewToken::make(wanted, call.actor(), call.at).map_err(|error| wrong("token", error))?;
    call.write(Write::new(vec![Change::PutToken(record.clone())])).await?;
    Ok(wire::TokenCreated {
        token: Some(view(&record, call.at)),
        secret: secret.expose().to_owned(),
        authority_fingerprint: call.app.authority.fingerprint().to_string(),
    })
}

pub(super) async fn list(call: &Call, _: wire::ListTokensRequest) -> Result<wire::TokenList, Status> {
    let records = call
        .read(|store| {
            let (mut all, mut after) = (Vec::new(), None);
            loop {
                let page = store.tokens(after.as_ref(), MAX_PAGE)?;
                let last = page.len() < MAX_PAGE;
                after = page.last().map(|record: &TokenRecord| record.id.clone());
                all.extend(page);
                if last {
                    return Ok(all);
                }
            }
        })
        .await?;
    Ok(wire::TokenList { tokens: records.iter().map(|record| view(record, call.at)).collect() })
}

pub(super) async fn revoke(call: &Call, request: wire::RevokeTokenRequest) -> Result<wire::Token, Status> {
    let id = parsed("token", TokenId::parse(&request.id))?;
    let wanted = id.clone();
    let record = call.read(move |store| store.token(&wanted)).await?;
    let mut record = record.ok_or_else(|| Status::not_found(format!("there is no token {id} (hint: `patchwave token list`)")))?;
    if record.revoked_at.is_none() {
        record.revoked_at = Some(call.at);
        let write = Write::new(vec![Change::PutToken(record.clone())]);
        call.write(write.when(crate::store::Guard::TokenUses { token: id, expected: record.uses })).await?;
    }
    Ok(view(&record, call.at))
}

fn view(record: &TokenRecord, now: Timestamp) -> wire::Token {
    let state = if record.revoked_at.is_some() {
        "revoked"
    } else if record.uses_left() == 0 {
        "used-up"
    } else if now >= record.expires_at {
        "expired"
    } else {
        "usable"
    };
    wire::Token {
        id: record.id.to_string(),
        mode: record.mode.as_str().to_owned(),
        labels: label_map(&record.labels),
        uses_left: record.uses_left(),
        uses: record.uses_limit,
        expires_at: show_time(Some(record.expires_at)),
        created_by: record.created_by.name(),
        state: state.to_owned(),
    }
}

pub(super) fn label_map(labels: &Labels) -> BTreeMap<String, String> {
    labels.0.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}
