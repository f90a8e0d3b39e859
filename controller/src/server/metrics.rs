//! `/metrics` for Prometheus, on the one TLS port: a scraper is an operator with the role viewer.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use http::{StatusCode, header};

use crate::app::App;
use crate::metrics::FeedAge;
use crate::records::FeedRecord;
use crate::refresh::overdue_since;

/// The route.
pub(super) fn router(app: Arc<App>) -> Router {
    Router::new().route("/metrics", get(render)).with_state(app)
}

async fn render(State(app): State<Arc<App>>) -> Result<([(header::HeaderName, &'static str); 1], String), StatusCode> {
    let now = app.clock.now();
    let hosts = app.fleet.all();
    let hosts = hosts.iter().map(|host| match host.is_active() {
        true => app.fleet.presence(host, now).as_str().to_owned(),
        false => host.record.state.as_str().to_owned(),
    });
    let rollouts = app.conductor.ask(|conductor| conductor.states()).await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    let holes = app.assessor.ask(|assessor| assessor.holes()).await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    let feeds = app.feeds.list().await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    let age = |feed: &FeedRecord| FeedAge {
        feed: feed.name.to_string(),
        age_secs: feed.content.as_ref().map(|content| now.since(content.refreshed_at).as_secs()),
        stale: overdue_since(feed) <= now,
    };
    app.metrics.set_holes(&holes, &feeds.iter().map(age).collect::<Vec<_>>());
    let text = app.metrics.render(hosts, rollouts.into_iter()).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text))
}
