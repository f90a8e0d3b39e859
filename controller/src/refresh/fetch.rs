//! Fetches a feed's source over HTTP: asked for with the validator of what is in use, bounded in size, time and redirects, and never taken
//! where it was cut off.
//!
//! Servers are believed no more than files are. TLS 1.3 only, with the certificates that the system trusts, so that a site's own authority
//! works; plain HTTP from loopback only, for a mirror on the same machine. There is no support for proxies.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{HeaderMap, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use patchwave_common::domain::clean_text;
use rustls_pki_types::ServerName;
use tempfile::TempPath;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Longest validator that is kept.
const VALIDATOR_MAX_BYTES: usize = 500;
/// Longest text of a server that is told.
const TOLD_MAX_CHARS: usize = 200;

/// Bounds on a fetch.
#[derive(Debug, Clone, Copy)]
pub struct FetchLimits {
    /// Bytes as they travel: OSV's archive of everything has 1 GB.
    pub bytes: u64,
    /// From the first connection to the last byte: a gigabyte over a poor line.
    pub total: Duration,
    /// Without a byte.
    pub idle: Duration,
    /// Redirects followed.
    pub redirects: u32,
}

impl Default for FetchLimits {
    fn default() -> Self {
        Self { bytes: 2 << 30, total: Duration::from_secs(3_600), idle: Duration::from_secs(60), redirects: 5 }
    }
}

/// What a server gave.
#[derive(Debug)]
pub(super) enum Fetched {
    /// What is in use is the newest.
    NotModified,
    /// A file, which goes when it is dropped.
    File {
        /// Where it lies.
        path: TempPath,
        /// What the server calls this content.
        validator: String,
    },
}

/// Why nothing was fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// It is no URL that may be fetched.
    #[error("{0}")]
    Url(String),
    /// There is no connection, or it broke.
    #[error("cannot fetch from {host}: {reason} (hint: check name, route, firewall and certificates from the controller's machine)")]
    Connection {
        /// The server.
        host: String,
        /// Why.
        reason: String,
    },
    /// The server refuses.
    #[error("{host} answers {status} (hint: check the URL)")]
    Status {
        /// The server.
        host: String,
        /// Its answer.
        status: StatusCode,
    },
    /// It took too long.
    #[error("{host} gave no end within {} s: what came is thrown away", limit.as_secs())]
    TooSlow {
        /// The server.
        host: String,
        /// The bound.
        limit: Duration,
    },
    /// It is too large.
    #[error("{host} gives more than {limit} bytes")]
    TooLarge {
        /// The server.
        host: String,
        /// The bound.
        limit: u64,
    },
    /// It goes in a circle.
    #[error("{host} sends on more than {limit} times")]
    Redirects {
        /// The last server.
        host: String,
        /// The bound.
        limit: u32,
    },
    /// It cannot be kept while it comes in.
    #[error("what is fetched cannot be kept: {0}")]
    Disk(#[from] std::io::Error),
}

/// Whether a source is a URL rather than a path.
#[must_use]
pub fn is_url(source: &str) -> bool {
    source.contains("://")
}

/// Whether a URL may be fetched.
///
/// # Errors
/// Why not.
pub fn check_url(url: &str) -> Result<(), FetchError> {
    Target::parse(url).map(drop)
}

/// Where to connect to and what to ask for.
#[derive(Debug)]
struct Target {
    uri: Uri,
    host: String,
    port: u16,
    tls: bool,
}

impl Target {
    fn parse(url: &str) -> Result<Self, FetchError> {
        let refuse = |why: &str| FetchError::Url(why.to_owned());
        let uri: Uri = url.parse().map_err(|_| refuse("it is no URL such as https://feeds.example.org/all.zip"))?;
        let authority = uri.authority().ok_or_else(|| refuse("it names no server"))?;
        if authority.as_str().contains('@') {
            return Err(refuse("it holds a name or password, which everybody who lists feeds would see"));
        }
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") if is_loopback(&host) => false,
            Some("http") => return Err(refuse("it must begin with https: http is for a mirror on this machine only")),
            _ => return Err(refuse("it must begin with https")),
        };
        let port = authority.port_u16().unwrap_or(if tls { 443 } else { 80 });
        Ok(Self { uri, host, port, tls })
    }

    /// Where a redirect leads.
    fn follow(&self, location: &str) -> Result<Self, FetchError> {
        let next = if is_url(location) {
            location.to_owned()
        } else {
            let authority = self.uri.authority().map_or("", http::uri::Authority::as_str);
            let slash = if location.starts_with('/') { "" } else { "/" };
            format!("{}://{authority}{slash}{location}", if self.tls { "https" } else { "http" })
        };
        let next = Self::parse(&next)?;
        if self.tls && !next.tls {
            return Err(FetchError::Url(format!("{} sends on from https to http", self.host)));
        }
        Ok(next)
    }

    fn broken(&self, error: &dyn std::fmt::Display) -> FetchError {
        FetchError::Connection { host: self.host.clone(), reason: clean_text(&error.to_string(), TOLD_MAX_CHARS) }
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Fetches a URL into a private file of `directory`.
pub(super) async fn fetch(url: &str, validator: &str, directory: &Path, limits: &FetchLimits) -> Result<Fetched, FetchError> {
    let target = Target::parse(url)?;
    let host = target.host.clone();
    let fetched = tokio::time::timeout(limits.total, follow(target, validator, directory, limits)).await;
    fetched.unwrap_or(Err(FetchError::TooSlow { host, limit: limits.total }))
}

async fn follow(mut target: Target, validator: &str, directory: &Path, limits: &FetchLimits) -> Result<Fetched, FetchError> {
    for _ in 0..=limits.redirects {
        let response = within(limits.idle, &target, ask(&target, validator)).await??;
        let host = target.host.clone();
        match response.status() {
            StatusCode::OK => return keep(&target, response, directory, limits).await,
            StatusCode::NOT_MODIFIED if !validator.is_empty() => return Ok(Fetched::NotModified),
            status if status.is_redirection() => {
                let location = response.headers().get(header::LOCATION).and_then(|location| location.to_str().ok());
                target = target.follow(location.ok_or(FetchError::Status { host, status })?)?;
            }
            status => return Err(FetchError::Status { host, status }),
        }
    }
    Err(FetchError::Redirects { host: target.host, limit: limits.redirects })
}

async fn within<T>(limit: Duration, target: &Target, future: impl Future<Output = T>) -> Result<T, FetchError> {
    tokio::time::timeout(limit, future).await.map_err(|_| FetchError::TooSlow { host: target.host.clone(), limit })
}

/// Connects and asks; gives the head of the answer.
async fn ask(target: &Target, validator: &str) -> Result<Response<Incoming>, FetchError> {
    let broken = |error: &dyn std::fmt::Display| target.broken(error);
    let stream = TcpStream::connect((target.host.as_str(), target.port)).await.map_err(|error| broken(&error))?;
    if !target.tls {
        return send(stream, target, validator).await;
    }
    let name = ServerName::try_from(target.host.clone()).map_err(|error| broken(&error))?;
    let connector = TlsConnector::from(tls().map_err(|error| broken(&error))?);
    let stream = connector.connect(name, stream).await.map_err(|error| broken(&error))?;
    send(stream, target, validator).await
}

async fn send(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    target: &Target,
    validator: &str,
) -> Result<Response<Incoming>, FetchError> {
    let (mut sender, connection) =
        hyper::client::conn::http1::Builder::new().handshake(TokioIo::new(stream)).await.map_err(|error| target.broken(&error))?;
    // Ends with the answer's body; an error of it is the body's error too.
    tokio::spawn(async move { drop(connection.await) });
    let path = target.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let authority = target.uri.authority().map_or("", http::uri::Authority::as_str);
    let mut request = Request::get(path)
        .header(header::HOST, authority)
        .header(header::USER_AGENT, concat!("patchwave/", env!("CARGO_PKG_VERSION")))
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| target.broken(&error))?;
    if let Some((name, value)) = condition(validator) {
        request.headers_mut().insert(name, value);
    }
    sender.send_request(request).await.map_err(|error| target.broken(&error))
}

/// The header that asks only for what is newer.
fn condition(validator: &str) -> Option<(header::HeaderName, HeaderValue)> {
    let (kind, value) = validator.split_once(' ')?;
    let name = if kind == "etag" { header::IF_NONE_MATCH } else { header::IF_MODIFIED_SINCE };
    Some((name, HeaderValue::from_str(value).ok()?))
}

/// What a server calls the content, as it is kept: `etag VALUE` or `modified DATE`.
fn validator_of(headers: &HeaderMap) -> String {
    let told = [("etag", header::ETAG), ("modified", header::LAST_MODIFIED)];
    let found = told.into_iter().find_map(|(kind, name)| Some(format!("{kind} {}", headers.get(name)?.to_str().ok()?)));
    found.filter(|validator| validator.len() <= VALIDATOR_MAX_BYTES).unwrap_or_default()
}

/// Writes the body to a private file. A body that breaks off is an error of the connection.
async fn keep(target: &Target, response: Response<Incoming>, directory: &Path, limits: &FetchLimits) -> Result<Fetched, FetchError> {
    let headers = response.headers();
    if !headers.contains_key(header::CONTENT_LENGTH) && !headers.contains_key(header::TRANSFER_ENCODING) {
        return Err(target.broken(&"it does not say how long the content is, so that nobody could tell whether it was cut off"));
    }
    let validator = validator_of(headers);
    let file = tempfile::Builder::new().prefix(".fetch-").tempfile_in(directory)?;
    let (handle, path) = file.into_parts();
    let (mut handle, mut body, mut size) = (tokio::fs::File::from_std(handle), response.into_body(), 0_u64);
    while let Some(frame) = within(limits.idle, target, body.frame()).await? {
        let frame = frame.map_err(|error| target.broken(&error))?;
        let Some(data) = frame.data_ref() else { continue };
        size += data.len() as u64;
        if size > limits.bytes {
            return Err(FetchError::TooLarge { host: target.host.clone(), limit: limits.bytes });
        }
        handle.write_all(data).await?;
    }
    handle.flush().await?;
    Ok(Fetched::File { path, validator })
}

/// What connections to foreign servers are made with: the system's trust, read once.
fn tls() -> Result<Arc<ClientConfig>, String> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(config.clone());
    }
    let mut roots = RootCertStore::empty();
    // One certificate of the system's that cannot be read hinders none of the others.
    let (usable, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if usable == 0 {
        return Err("the system trusts no authority (hint: install the package ca-certificates)".to_owned());
    }
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    Ok(CONFIG.get_or_init(|| Arc::new(config.with_root_certificates(roots).with_no_client_auth())).clone())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpListener;

    use super::*;

    /// A server on loopback that gives each connection the same bytes, keeps the connection open if asked to, and tells what it was asked.
    async fn server(answer: String, stays_open: bool) -> (String, tokio::sync::mpsc::Receiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/feed", listener.local_addr().unwrap());
        let (asked, questions) = tokio::sync::mpsc::channel(16);
        tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = vec![0; 4_096];
                let length = stream.read(&mut head).await.unwrap_or(0);
                asked.try_send(String::from_utf8_lossy(&head[..length]).into_owned()).ok();
                drop(stream.write_all(answer.as_bytes()).await);
                if stays_open {
                    open.push(stream);
                }
            }
        });
        (url, questions)
    }

    fn limits() -> FetchLimits {
        FetchLimits { bytes: 1_000, total: Duration::from_secs(20), idle: Duration::from_millis(200), redirects: 2 }
    }

    async fn get(answer: &str, stays_open: bool, validator: &str) -> (Result<Fetched, FetchError>, String) {
        let folder = tempfile::tempdir().unwrap();
        let (url, mut questions) = server(answer.to_owned(), stays_open).await;
        let fetched = fetch(&url, validator, folder.path(), &limits()).await;
        if fetched.is_err() {
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left of what failed");
        }
        (fetched, questions.recv().await.unwrap())
    }

    #[tokio::test]
    async fn content_is_kept_with_its_validator_and_asked_for_with_it_the_next_time() {
        let folder = tempfile::tempdir().unwrap();
        let (url, mut questions) = server("HTTP/1.1 200 OK\r\ncontent-length: 5\r\netag: \"v1\"\r\n\r\nhello".into(), false).await;
        let Fetched::File { path, validator } = fetch(&url, "", folder.path(), &limits()).await.unwrap() else { panic!("a file") };
        assert_eq!((std::fs::read(&path).unwrap(), validator.as_str()), (b"hello".to_vec(), "etag \"v1\""));
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o077, 0, "nobody else reads it");
        assert!(!questions.recv().await.unwrap().to_lowercase().contains("if-none-match"));
        let (fetched, asked) = get("HTTP/1.1 304 Not Modified\r\n\r\n", false, &validator).await;
        assert!(matches!(fetched, Ok(Fetched::NotModified)));
        assert!(asked.to_lowercase().contains("if-none-match: \"v1\""), "{asked}");
        let (_, asked) = get("HTTP/1.1 304 Not Modified\r\n\r\n", false, "modified Tue, 24 Nov 2026 00:00:00 GMT").await;
        assert!(asked.to_lowercase().contains("if-modified-since: tue, 24 nov 2026"), "{asked}");
    }

    #[tokio::test]
    async fn what_was_cut_off_or_could_have_been_is_not_taken() {
        for answer in [
            "HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
            "HTTP/1.1 200 OK\r\n\r\nhello",
            "HTTP/1.1 200",
            "nonsense\r\n\r\n",
        ] {
            let (fetched, _) = get(answer, false, "").await;
            assert!(matches!(fetched, Err(FetchError::Connection { .. })), "{answer}: {fetched:?}");
        }
    }

    #[tokio::test]
    async fn a_server_that_never_ends_or_never_stops_is_left() {
        let (fetched, _) = get("HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhello", true, "").await;
        assert!(matches!(fetched, Err(FetchError::TooSlow { .. })), "{fetched:?}");
        let (fetched, _) = get("", true, "").await;
        assert!(matches!(fetched, Err(FetchError::TooSlow { .. })), "{fetched:?}");
        let large = format!("HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n{}", "x".repeat(5_000));
        let (fetched, _) = get(&large, true, "").await;
        assert!(matches!(fetched, Err(FetchError::TooLarge { limit: 1_000, .. })), "{fetched:?}");
    }

    #[tokio::test]
    async fn redirects_are_followed_so_far_and_never_out_of_tls() {
        let (fetched, _) = get("HTTP/1.1 302 Found\r\nlocation: /feed\r\ncontent-length: 0\r\n\r\n", false, "").await;
        assert!(matches!(fetched, Err(FetchError::Redirects { limit: 2, .. })), "{fetched:?}");
        let (fetched, _) = get("HTTP/1.1 302 Found\r\nlocation: http://feeds.example.org/\r\ncontent-length: 0\r\n\r\n", false, "").await;
        assert!(matches!(fetched, Err(FetchError::Url(_))), "{fetched:?}");
        let (fetched, _) = get("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", false, "").await;
        assert!(matches!(fetched, Err(FetchError::Status { status: StatusCode::NOT_FOUND, .. })), "{fetched:?}");
        assert!(Target::parse("https://a.example/x").unwrap().follow("http://127.0.0.1/").is_err());
        assert_eq!(Target::parse("https://a.example/x").unwrap().follow("y").unwrap().uri, "https://a.example/y");
    }

    #[test]
    fn a_url_that_is_not_fetched_says_why() {
        let why = |url: &str| check_url(url).unwrap_err().to_string();
        assert!(why("http://feeds.example.org/all.zip").contains("must begin with https"));
        assert!(why("ftp://feeds.example.org/all.zip").contains("must begin with https"));
        assert!(why("https://anna:secret@feeds.example.org/").contains("password"));
        assert!(why("https://").contains("no URL"));
        assert!(check_url("https://feeds.example.org:8443/all.zip?x=1").is_ok() && check_url("http://[::1]:80/").is_ok());
    }
}
