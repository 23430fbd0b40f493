//! A small HTTP server inside the test: HTTP/1.1 and HTTP/2 on one port. What it answers is its owner's business.
//!
//! Each server has a runtime of its own. So a test may block, and a server that is dropped is gone at once with all
//! its connections, as after a crash.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

pub(crate) type Body = UnsyncBoxBody<Bytes, HangUp>;

/// Instead of an answer, or in the middle of one: the connection is closed.
#[derive(Debug, thiserror::Error)]
#[error("the server hangs up")]
pub(crate) struct HangUp;

pub(crate) struct Server {
    address: SocketAddr,
    /// Taken when the server is stopped.
    runtime: Option<Runtime>,
}

impl Server {
    /// Starts a server on a free port of the loopback address. It accepts connections when this returns.
    pub(crate) fn start<Handler, Answer>(handler: Handler) -> Self
    where
        Handler: Fn(Request<Bytes>) -> Answer + Clone + Send + Sync + 'static,
        Answer: Future<Output = Result<Response<Body>, HangUp>> + Send + 'static,
    {
        Self::start_on((Ipv4Addr::LOCALHOST, 0).into(), handler)
    }

    /// Starts a server on an address that was one's own before.
    pub(crate) fn start_on<Handler, Answer>(address: SocketAddr, handler: Handler) -> Self
    where
        Handler: Fn(Request<Bytes>) -> Answer + Clone + Send + Sync + 'static,
        Answer: Future<Output = Result<Response<Body>, HangUp>> + Send + 'static,
    {
        Self::start_with(address, None, handler)
    }

    /// Starts a server that is spoken to over TLS, if there is any.
    pub(crate) fn start_with<Handler, Answer>(
        address: SocketAddr,
        tls: Option<Arc<ServerConfig>>,
        handler: Handler,
    ) -> Self
    where
        Handler: Fn(Request<Bytes>) -> Answer + Clone + Send + Sync + 'static,
        Answer: Future<Output = Result<Response<Body>, HangUp>> + Send + 'static,
    {
        let runtime =
            Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a thread can be started");
        let listener = TcpListener::bind(address).expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        listener.set_nonblocking(true).expect("a listener can be made non-blocking");
        runtime.spawn(async move {
            accept(listener, tls, handler).await.expect("a listener on loopback accepts");
        });
        Self { address, runtime: Some(runtime) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections over HTTP/1 it has.
    pub(crate) fn connections(&self) -> usize {
        // Each is a task, as is who accepts them.
        self.runtime.as_ref().map_or(0, |runtime| runtime.metrics().num_alive_tasks().saturating_sub(1))
    }

    /// Stops listening and breaks all connections.
    pub(crate) fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn accept<Handler, Answer>(
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    handler: Handler,
) -> io::Result<()>
where
    Handler: Fn(Request<Bytes>) -> Answer + Clone + Send + Sync + 'static,
    Answer: Future<Output = Result<Response<Body>, HangUp>> + Send + 'static,
{
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        let (handler, tls) = (handler.clone(), tls.clone().map(TlsAcceptor::from));
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(handler.clone(), request));
            let server = auto::Builder::new(TokioExecutor::new());
            // Broken connections are part of the tests; who cares for one looks from the other side.
            match tls {
                None => drop(server.serve_connection(TokioIo::new(stream), service).await),
                Some(tls) => {
                    let Ok(stream) = tls.accept(stream).await else { return };
                    drop(server.serve_connection(TokioIo::new(stream), service).await);
                }
            }
        });
    }
}

async fn answer<Handler, Answer>(handler: Handler, request: Request<Incoming>) -> Result<Response<Body>, HangUp>
where
    Handler: Fn(Request<Bytes>) -> Answer,
    Answer: Future<Output = Result<Response<Body>, HangUp>>,
{
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| HangUp)?.to_bytes();
    handler(Request::from_parts(parts, body)).await
}

/// A body that is all there.
pub(crate) fn whole(body: impl Into<Bytes>) -> Body {
    Full::new(body.into()).map_err(|never| match never {}).boxed_unsync()
}
