//! An HTTP/1.1 GET that answers with the wanted status. The body is not read, redirects are not followed, no proxy is used.

use futures::future::{BoxFuture, FutureExt as _};
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use patchwave_common::domain::{CheckKind, HealthCheck};
use tokio::net::TcpStream;

use super::{HealthContext, Probe};

/// Bound on the response's head; hyper refuses more.
const HEAD_MAX_BYTES: usize = 64 * 1024;

/// Asks once.
#[derive(Debug)]
pub struct Http;

impl Probe for Http {
    fn run<'a>(&'a self, check: &'a HealthCheck, _: &'a HealthContext) -> BoxFuture<'a, Result<(), String>> {
        async move {
            let CheckKind::Http { url, status } = &check.kind else { return Err("not an http check".to_owned()) };
            let seen = get(url).await.map_err(|error| format!("{url}: {error}"))?;
            if seen == *status { Ok(()) } else { Err(format!("{url} answered {seen}, wanted {status}")) }
        }
        .boxed()
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

async fn get(url: &str) -> Result<u16, Failure> {
    let uri: hyper::Uri = url.parse()?;
    let authority = uri.authority().ok_or("the URL names no host")?.clone();
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((host, authority.port_u16().unwrap_or(80))).await?;
    let mut builder = hyper::client::conn::http1::Builder::new();
    let (mut sender, connection) = builder.max_buf_size(HEAD_MAX_BYTES).handshake(TokioIo::new(stream)).await?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = hyper::Request::get(path)
        .header(hyper::header::HOST, authority.as_str())
        .header(hyper::header::USER_AGENT, concat!("patchwave-agent/", env!("CARGO_PKG_VERSION")))
        .header(hyper::header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())?;
    // The connection is driven here and not in a task, so that it ends with the check.
    let connection = async {
        let ended = connection.await;
        match ended {
            Ok(()) => futures::future::pending::<Failure>().await,
            Err(error) => error.into(),
        }
    };
    tokio::select! {
        response = sender.send_request(request) => Ok(response?.status().as_u16()),
        failure = connection => Err(failure),
    }
}
