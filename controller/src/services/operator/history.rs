//! What happened: events, audit, backup.

use patchwave_proto::operator::v1 as wire;
use tonic::Status;

use super::call::{Call, show_time, store_status};
use super::stream::Rows;
use crate::records::EventRecord;
use crate::store::MAX_PAGE;

/// Events shown where no number is asked for.
const DEFAULT_EVENTS: u64 = 50;
/// Bytes of one piece of a backup: below gRPC's usual message limit.
const CHUNK_BYTES: usize = 1024 * 1024;

pub(super) async fn events(call: &Call, request: wire::EventsRequest) -> Result<Rows<wire::FleetEvent>, Status> {
    let last = call.read(|store| store.last_event()).await?;
    let limit = if request.limit == 0 { DEFAULT_EVENTS } else { u64::from(request.limit) };
    let mut after = if request.after > 0 { request.after } else { last.saturating_sub(limit) };
    let (sender, rows) = Rows::live();
    let (app, follow) = (call.app.clone(), request.follow);
    let mut changed = app.events_changed();
    let mut left = if follow { u64::MAX } else { limit };
    tokio::spawn(async move {
        loop {
            let page = match app.read(move |store| store.events(after, MAX_PAGE)).await {
                Ok(page) => page,
                Err(error) => return drop(sender.send(Err(store_status(&error))).await),
            };
            let more = page.len() == MAX_PAGE;
            for record in page {
                after = record.sequence;
                if left == 0 || sender.send(Ok(event(record))).await.is_err() {
                    return;
                }
                left -= 1;
            }
            if more {
                continue;
            }
            if !follow {
                return;
            }
            tokio::select! {
                result = changed.changed() => if result.is_err() { return },
                () = sender.closed() => return,
            }
        }
    });
    Ok(rows)
}

fn event(record: EventRecord) -> wire::FleetEvent {
    wire::FleetEvent {
        number: record.sequence,
        at: show_time(Some(record.event.at)),
        kind: record.event.kind,
        host: record.event.host.map_or_else(String::new, |host| host.to_string()),
        rollout: record.event.rollout.map_or_else(String::new, |rollout| rollout.to_string()),
        text: record.event.text,
    }
}

pub(super) async fn audit(call: &Call, request: wire::ListAuditRequest) -> Result<Rows<wire::AuditEntry>, Status> {
    let limit = if request.limit == 0 { DEFAULT_EVENTS } else { u64::from(request.limit) };
    let (end, _) = call.read(|store| store.audit_end()).await?;
    let after = if request.after > 0 { request.after } else { end.saturating_sub(limit) };
    let limit = usize::try_from(limit).unwrap_or(MAX_PAGE).min(MAX_PAGE);
    let records = call.read(move |store| store.audit(after, limit)).await?;
    let rows = records.into_iter().map(|record| wire::AuditEntry {
        number: record.sequence,
        at: show_time(Some(record.entry.at)),
        who: record.entry.actor.name(),
        method: record.entry.action,
        about: record.entry.subject,
        outcome: record.entry.outcome.as_str().to_owned(),
        hash: record.digest.to_string(),
    });
    Ok(Rows::of(rows.collect()))
}

pub(super) async fn backup(call: &Call, _: wire::BackupRequest) -> Result<Rows<wire::BackupChunk>, Status> {
    let (sender, rows) = Rows::live();
    let app = call.app.clone();
    tokio::task::spawn_blocking(move || {
        let mut writer = ChunkWriter { sender: sender.clone(), chunk: Vec::with_capacity(CHUNK_BYTES) };
        let result = app.backup(&mut writer).and_then(|()| std::io::Write::flush(&mut writer).map_err(anyhow::Error::from));
        if let Err(error) = result {
            tracing::error!(%error, "the backup failed");
            let _ = sender.blocking_send(Err(Status::internal(format!("the backup failed: {error:#}"))));
        }
    });
    Ok(rows)
}

/// Sends what is written to it in pieces; a reader that is gone ends the backup.
struct ChunkWriter {
    sender: tokio::sync::mpsc::Sender<Result<wire::BackupChunk, Status>>,
    chunk: Vec<u8>,
}

impl std::io::Write for ChunkWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let taken = bytes.len().min(CHUNK_BYTES - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..taken]);
        if self.chunk.len() == CHUNK_BYTES {
            self.flush()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let data = std::mem::replace(&mut self.chunk, Vec::with_capacity(CHUNK_BYTES));
        self.sender
            .blocking_send(Ok(wire::BackupChunk { data }))
            .map_err(|_| std::io::Error::new(std::io::ErrorKind::BrokenPipe, "the reader of the backup is gone"))
    }
}
