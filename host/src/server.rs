//! HTTP: two listeners, their routes, and an orderly end. Knows flows by the scheduler's `Runner`; knows no WebAssembly.

pub mod admission;
pub mod body;
pub mod config;
pub mod edge;
pub mod endpoint;
mod feedback;
mod page;
mod probes;
pub mod problem;
pub mod reply;
mod score;
pub mod swagger;
pub mod token;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::Context as _;
use axum::routing::{get, post};
use axum::{Extension, Router, middleware};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;

use crate::telemetry::Telemetry;

use body::Bodies;
use config::Config;
use endpoint::Endpoint;
use problem::Problem;
use token::FeedbackTokens;

/// How long a client may take to send the head of a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long requests that are running may take to end once the host is asked to stop.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(20);

/// How long to wait when the system gives no connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The other end of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// What every request handler shares.
#[derive(Debug)]
pub struct App {
    endpoint: RwLock<Arc<Endpoint>>,
    pub telemetry: Telemetry,
    pub config: Config,
    pub bodies: Bodies,
    pub feedback_tokens: FeedbackTokens,
    /// `BUILD_INFO` of the environment, told by `/version`.
    pub build_info: String,
    /// Whether new requests are welcome: false from the moment the host is asked to stop.
    pub ready: AtomicBool,
}

impl App {
    pub fn new(
        endpoint: Endpoint,
        telemetry: Telemetry,
        config: Config,
        feedback_tokens: FeedbackTokens,
        build_info: String,
    ) -> Self {
        let (endpoint, bodies) = (RwLock::new(Arc::new(endpoint)), Bodies::new(config.bodies.clone()));
        Self { endpoint, telemetry, config, bodies, feedback_tokens, build_info, ready: AtomicBool::new(true) }
    }

    /// What is served now.
    pub fn endpoint(&self) -> Arc<Endpoint> {
        self.endpoint.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Serves something else from the next request on. Requests that are running end on what they began with.
    pub fn swap(&self, endpoint: Endpoint) {
        let before =
            std::mem::replace(&mut *self.endpoint.write().unwrap_or_else(PoisonError::into_inner), Arc::new(endpoint));
        // Outside of the lock: it may be the last that holds its flows.
        drop(before);
    }
}

/// The two listeners, bound.
#[derive(Debug)]
pub struct Server {
    public: TcpListener,
    admin: TcpListener,
    app: Arc<App>,
}

impl Server {
    /// Binds both addresses; port 0 lets the system choose.
    ///
    /// # Errors
    /// If an address cannot be bound; the error names it.
    pub async fn bind(public: SocketAddr, admin: SocketAddr, app: Arc<App>) -> anyhow::Result<Self> {
        Ok(Self { public: bind(public).await?, admin: bind(admin).await?, app })
    }

    /// # Errors
    /// If the system does not tell.
    pub fn public_addr(&self) -> std::io::Result<SocketAddr> {
        self.public.local_addr()
    }

    /// # Errors
    /// If the system does not tell.
    pub fn admin_addr(&self) -> std::io::Result<SocketAddr> {
        self.admin.local_addr()
    }

    /// Serves until `stop` is ready; then takes no more connections, and ends when the running requests have, or after
    /// [`DRAIN_TIMEOUT`].
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        let Self { public, admin, app } = self;
        let connections = GracefulShutdown::new();
        {
            let public = accept(public, public_routes(app.clone()), &connections);
            let admin = accept(admin, admin_routes(app.clone()), &connections);
            tokio::select! {
                () = stop => {}
                () = public => {}
                () = admin => {}
            }
        }
        app.ready.store(false, Ordering::Relaxed);
        if tokio::time::timeout(DRAIN_TIMEOUT, connections.shutdown()).await.is_err() {
            tracing::warn!(timeout = ?DRAIN_TIMEOUT, "requests that were still running are given up");
        }
    }
}

async fn bind(addr: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(addr).await.with_context(|| format!("cannot listen on {addr}"))
}

/// Accepts connections for ever. Our own loop and not axum's, which never arms the timeout for a half-sent head.
async fn accept(listener: TcpListener, routes: Router, connections: &GracefulShutdown) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    loop {
        let (socket, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: others will be closed soon.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // Answers and stream chunks are small and must leave at once.
        let _ = socket.set_nodelay(true);
        let service = TowerToHyperService::new(routes.clone().layer(Extension(Peer(peer))));
        let connection = connections.watch(http.serve_connection(TokioIo::new(socket), service));
        #[expect(clippy::disallowed_methods, reason = "the one place where connections become tasks")]
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%peer, %error, "a connection ended early");
            }
        });
    }
}

/// The routes a client sees.
fn public_routes(app: Arc<App>) -> Router {
    let score = post(score::score)
        // Outermost: everything below is inside the request span.
        .layer(middleware::from_fn_with_state(app.clone(), edge::edge));
    Router::new()
        .route("/score", score)
        .route("/feedback", post(feedback::feedback))
        .route("/health", get(probes::health))
        .route("/version", get(probes::version))
        .route("/swagger.json", get(swagger::swagger))
        .route("/", get(page::page))
        .fallback(Problem::no_such_route)
        .method_not_allowed_fallback(Problem::no_such_method)
        .with_state(app)
}

/// The routes an operator sees.
fn admin_routes(app: Arc<App>) -> Router {
    Router::new()
        .route("/livez", get(probes::live))
        .route("/readyz", get(probes::ready))
        .route("/startupz", get(probes::live))
        .fallback(Problem::no_such_route)
        .method_not_allowed_fallback(Problem::no_such_method)
        .with_state(app)
}
