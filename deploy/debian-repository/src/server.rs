//! Serves files over HTTP/1.1 on a thread of its own, so that synchronous and asynchronous tests use it alike.
//!
//! Where the files come from is a [`Source`]: as a rule a directory, of which only regular files are served, without
//! listings. A path that leaves the directory, by `..` or by a symbolic link, is refused with 403.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::sync::oneshot;

use crate::faults::{Fault, Faults};
use crate::source::{Asked, Directory, Source};

/// Requests remembered for [`RepositoryServer::requests`]; a test asks about hundreds, a long demo must not grow for ever.
const REMEMBERED_REQUESTS: usize = 10_000;

/// Largest file served. It is read whole; Debian's largest packages stay below it, a stray disk image does not.
const FILE_LIMIT_BYTES: u64 = 512 * 1024 * 1024;

type Body = BoxBody<Bytes, io::Error>;

/// A running server; it stops when dropped.
#[derive(Debug)]
pub struct RepositoryServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    source: Box<dyn Source>,
    faults: Faults,
    requests: Mutex<Vec<String>>,
}

impl RepositoryServer {
    /// Serves `directory` on `address`; port 0 takes a free one. It answers when this returns.
    ///
    /// # Errors
    /// If the address cannot be bound, the directory does not exist, or no thread can be started.
    pub fn start(address: SocketAddr, directory: &Path) -> io::Result<Self> {
        Self::start_with(address, Box::new(Directory::new(directory)?))
    }

    /// Serves what `source` finds; otherwise as [`Self::start`].
    ///
    /// # Errors
    /// If the address cannot be bound or no thread can be started.
    pub fn start_with(address: SocketAddr, source: Box<dyn Source>) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { source, faults: Faults::none(), requests: Mutex::default() });
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("debian-repository".to_owned()).spawn(move || {
            runtime.block_on(async move {
                tokio::select! {
                    () = accept(listener, for_thread) => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { address, shared, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The base for sources lines, such as `http://127.0.0.1:4321`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on every request whose path contains `fragment` fails this way (`""` is every request). The rule added last wins.
    pub fn fail(&self, fragment: &str, fault: Fault) {
        self.shared.faults.add(fragment, fault);
    }

    /// Lifts all faults; stalled requests go on.
    pub fn heal(&self) {
        self.shared.faults.clear();
    }

    /// The paths asked for so far, oldest first, failed ones included; the last 10,000. A proxied request begins with its site.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.shared.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for RepositoryServer {
    fn drop(&mut self) {
        // Either may be gone already if the thread ended by itself; there is nothing left to stop then.
        let _ = self.stop.take().map(|stop| stop.send(()));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
        return;
    };
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: let others finish.
            tokio::task::yield_now().await;
            continue;
        };
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = service_fn(|request| answer(request, Arc::clone(&shared)));
            // An error ends this one connection: the peer went away, or a fault was asked for.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// An error makes hyper close the connection without an answer.
async fn answer(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Response<Body>, io::Error> {
    let asked = Asked { site: request.uri().authority().map(ToString::to_string), path: percent_decoded(request.uri().path()) };
    let path = asked.full();
    remember(&shared, &path);
    let fault = shared.faults.settled_on(&path).await;
    match fault {
        Some(Fault::DropConnection) => {
            return Err(io::Error::from(io::ErrorKind::ConnectionAborted));
        }
        Some(Fault::Status(status)) => {
            return Ok(refusal(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)));
        }
        _ => {}
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return Ok(refusal(StatusCode::METHOD_NOT_ALLOWED));
    }
    let read = tokio::task::spawn_blocking(move || contents(shared.source.as_ref(), &asked));
    match read.await.map_err(io::Error::other)? {
        Ok(contents) => Ok(with_contents(contents, fault)),
        Err(status) => Ok(refusal(status)),
    }
}

fn remember(shared: &Shared, path: &str) {
    let mut requests = shared.requests.lock().unwrap_or_else(PoisonError::into_inner);
    if requests.len() == REMEMBERED_REQUESTS {
        requests.remove(0);
    }
    requests.push(path.to_owned());
}

/// Reads what `source` finds, or says which status answers the request.
fn contents(source: &dyn Source, asked: &Asked) -> Result<Vec<u8>, StatusCode> {
    let not_found = |_| StatusCode::NOT_FOUND;
    let file = source.find(asked).map_err(|status| StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))?;
    if file.metadata().map_err(not_found)?.len() > FILE_LIMIT_BYTES {
        return Err(StatusCode::PAYLOAD_TOO_LARGE);
    }
    std::fs::read(&file).map_err(not_found)
}

fn with_contents(mut contents: Vec<u8>, fault: Option<Fault>) -> Response<Body> {
    let length = contents.len();
    let middle = length / 2;
    let body = match fault {
        Some(Fault::Truncate) => {
            contents.truncate(middle);
            let aborted = io::Error::from(io::ErrorKind::ConnectionAborted);
            let frames = [Ok(Frame::data(Bytes::from(contents))), Err(aborted)];
            StreamBody::new(futures::stream::iter(frames)).boxed()
        }
        Some(Fault::Corrupt) => {
            if let Some(byte) = contents.get_mut(middle) {
                *byte ^= 1;
            }
            whole(contents)
        }
        _ => whole(contents),
    };
    let mut response = Response::new(body);
    response.headers_mut().insert(hyper::header::CONTENT_LENGTH, length.into());
    response
}

fn whole(contents: Vec<u8>) -> Body {
    Full::new(Bytes::from(contents)).map_err(|never| match never {}).boxed()
}

fn refusal(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(whole(format!("{status}\n").into_bytes()));
    *response.status_mut() = status;
    response
}

/// Undoes `%2b` and the like, which apt writes for `+`, `~` and `:`. What is not an escape stays as it is.
fn percent_decoded(path: &str) -> String {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escape = (first == b'%').then(|| after.get(..2)).flatten().and_then(|digits| std::str::from_utf8(digits).ok());
        if let Some(byte) = escape.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            decoded.push(byte);
            rest = after.get(2..).unwrap_or_default();
        } else {
            decoded.push(first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone_once_and_broken_ones_left_alone() {
        assert_eq!(percent_decoded("/a%2bb%7e1_c%3a2"), "/a+b~1_c:2");
        assert_eq!(percent_decoded("/%2e%2e/x"), "/../x");
        assert_eq!(percent_decoded("/%252e"), "/%2e");
        assert_eq!(percent_decoded("/100%"), "/100%");
        assert_eq!(percent_decoded("/%zz"), "/%zz");
    }
}
