//! The thing that ratios are taken to: a tonic server without anything of ours but the TLS settings. Each stream answers each message.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use anyhow::Result;
use patchwave::pki::{PkiFiles, ServerCertificate, ServerNames};
use patchwave_common::runtime::clock::SystemClock;
use patchwave_common::runtime::tls::server_config;
use patchwave_proto::fleet::v1 as wire;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::body::Body;
use tonic::server::{NamedService, StreamingService};
use tonic::transport::server::Connected;
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use super::arguments::BareArguments;
use super::exchange::now;

/// The name in the server's certificate, as `patchwave init` is told it.
pub const SERVER_NAME: &str = "127.0.0.1";
/// Handshakes that were made and wait for the server.
const READY: usize = 64;

/// The stream that the simulated agents open, in tonic's own codec; ours is part of what is measured.
const PATH: &str = "/patchwave.fleet.v1.AgentService/Session";

#[derive(Clone)]
struct Echo;

type Answers = Pin<Box<dyn Stream<Item = Result<wire::ControllerMessage, Status>> + Send>>;

impl StreamingService<wire::AgentMessage> for Echo {
    type Response = wire::ControllerMessage;
    type ResponseStream = Answers;
    type Future = Ready<Result<Response<Answers>, Status>>;

    fn call(&mut self, request: Request<Streaming<wire::AgentMessage>>) -> Self::Future {
        let echo = |message: Result<wire::AgentMessage, Status>| {
            let ping = wire::controller_message::Message::Ping(wire::Ping { nonce: 0 });
            message.map(|_| wire::ControllerMessage { message: Some(ping) })
        };
        let answers: Answers = Box::pin(request.into_inner().map(echo));
        ready(Ok(Response::new(answers)))
    }
}

impl tower::Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            if request.uri().path() != PATH {
                return Ok(Status::unimplemented("this server only echoes").into_http());
            }
            Ok(tonic::server::Grpc::new(ProstCodec::default()).streaming(Echo, request).await)
        })
    }
}

impl NamedService for Echo {
    const NAME: &'static str = "patchwave.fleet.v1.AgentService";
}

/// Serves until it is killed.
pub fn run(arguments: &BareArguments) -> Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve(arguments))
}

async fn serve(arguments: &BareArguments) -> Result<()> {
    let files = PkiFiles::new(&arguments.pki);
    let authority = Arc::new(files.load()?);
    let names = ServerNames::parse([SERVER_NAME])?;
    let (certificate, _) = ServerCertificate::open(&files.server_path(), authority.clone(), names, now())?;
    let clock = Arc::new(SystemClock::new());
    let tls = TlsAcceptor::from(server_config(authority.certificate(), authority.trust_domain().clone(), certificate.slot(), clock)?);
    let listener = TcpListener::bind(arguments.listen).await?;
    let (ready, incoming) = tokio::sync::mpsc::channel(READY);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (tls, ready) = (tls.clone(), ready.clone());
            tokio::spawn(async move {
                if stream.set_nodelay(true).is_ok()
                    && let Ok(stream) = tls.accept(stream).await
                {
                    let _ = ready.send(std::io::Result::Ok(Accepted(stream))).await;
                }
            });
        }
    });
    let server = tonic::transport::Server::builder().add_service(Echo);
    Ok(server.serve_with_incoming(ReceiverStream::new(incoming)).await?)
}

/// A TLS stream that tonic takes.
struct Accepted(TlsStream<TcpStream>);

impl Connected for Accepted {
    type ConnectInfo = ();
    fn connect_info(&self) {}
}

impl AsyncRead for Accepted {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Accepted {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(context, parts)
    }
    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
