//! Revocation on open streams: a stream whose host may no longer call is ended. Acts end streams at once where they happen; this looks
//! again every two seconds, so that whatever was forgotten still bites within five.

use std::sync::Arc;
use std::time::Duration;

use patchwave_common::domain::StopCause;

use crate::app::App;
use crate::records::HostState;

/// How often streams are looked at. Costs one look-up in memory per stream.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Looks for ever.
pub(crate) fn guard(app: Arc<App>) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        loop {
            ticks.tick().await;
            for host in app.sessions.hosts() {
                let stop = match app.fleet.get(&host) {
                    None => Some((StopCause::Revoked, "the host is not known here".to_owned())),
                    Some(known) => match &known.record.state {
                        HostState::Active if app.directory.is_revoked(&known.record.certificate) => {
                            Some((StopCause::Revoked, "the host's certificate was revoked".to_owned()))
                        }
                        HostState::Active => None,
                        HostState::Cloned { detail, .. } => Some((StopCause::Cloned, detail.clone())),
                        HostState::Retired { .. } | HostState::Replaced { .. } => {
                            Some((StopCause::Retired, "the host was retired".to_owned()))
                        }
                    },
                };
                if let Some((cause, detail)) = stop {
                    tracing::info!(%host, cause = cause.as_str(), "an open stream is ended");
                    app.sessions.stop(&host, cause, &detail);
                }
            }
        }
    })
}
