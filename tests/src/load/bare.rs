//! The thing that ratios are taken to: a tonic server without anything of ours but the TLS settings. Each stream answers each message.

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
use tonic::transport::server::Connected;
use tonic::{Request, Response, Status, Streaming};
use wire::agent_service_server::{AgentService, AgentServiceServer};

use super::arguments::BareArguments;
use super::exchange::now;

/// The name in the server's certificate, as `patchwave init` is told it.
pub const SERVER_NAME: &str = "127.0.0.1";
/// Handshakes that were made and wait for the server.
const READY: usize = 64;

struct Echo;

#[tonic::async_trait]
impl AgentService for Echo {
    type SessionStream = Pin<Box<dyn Stream<Item = Result<wire::ControllerMessage, Status>> + Send>>;

    async fn session(&self, request: Request<Streaming<wire::AgentMessage>>) -> Result<Response<Self::SessionStream>, Status> {
        let echo = |message: Result<wire::AgentMessage, Status>| {
            let ping = wire::controller_message::Message::Ping(wire::Ping { nonce: 0 });
            message.map(|_| wire::ControllerMessage { message: Some(ping) })
        };
        Ok(Response::new(Box::pin(request.into_inner().map(echo))))
    }

    async fn renew(&self, _: Request<wire::RenewRequest>) -> Result<Response<wire::RenewResponse>, Status> {
        Err(Status::unimplemented("this server only echoes"))
    }
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
    let server = tonic::transport::Server::builder().add_service(AgentServiceServer::new(Echo));
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
