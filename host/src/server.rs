//! HTTP: two listeners, their routes, and an orderly end. Knows flows by the scheduler's `Runner`; knows no WebAssembly.

pub mod access;
pub mod admission;
pub mod auth;
pub mod body;
mod caught;
pub mod config;
mod correlation;
pub mod cors;
pub mod drain;
pub mod edge;
pub mod endpoint;
pub mod feedback;
pub mod listener;
mod page;
pub mod pressure;
mod probes;
pub mod problem;
pub mod rate;
pub mod reply;
pub mod request_id;
mod score;
mod scrape;
pub mod swagger;
pub mod token;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::Context as _;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Router, middleware};
use tokio::net::TcpListener;

use crate::telemetry::Telemetry;

use access::Access;
use body::Bodies;
use config::Config;
use drain::{Drain, Draining, Ended};
use endpoint::Endpoint;
use listener::{Budget, Watched};
use pressure::{Level, Pressure};
use problem::Problem;
use token::FeedbackTokens;

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
    /// Who may call, and how often.
    pub access: Access,
    /// `BUILD_INFO` of the environment, told by `/version`.
    pub build_info: String,
    /// Whether new requests are welcome: not from the moment the host is asked to stop.
    pub draining: Draining,
    /// How short memory is.
    pub pressure: Arc<Pressure>,
    /// Whether the files that say what to serve were wrong when they were last read.
    reload_failed: AtomicBool,
    /// The connections of the two listeners: how many there are, and may be.
    pub public: Arc<Budget>,
    pub admin: Arc<Budget>,
}

impl App {
    pub fn new(
        endpoint: Endpoint,
        telemetry: Telemetry,
        config: Config,
        feedback_tokens: FeedbackTokens,
        access: Access,
        build_info: String,
        draining: Draining,
    ) -> Self {
        let (endpoint, bodies) = (RwLock::new(Arc::new(endpoint)), Bodies::new(config.bodies.clone()));
        let (public, admin) = (config.listener.budget(), config.listener.for_admin().budget());
        let pressure = Arc::new(Pressure::new(&config.pressure));
        Self {
            endpoint,
            telemetry,
            config,
            bodies,
            feedback_tokens,
            access,
            build_info,
            draining,
            pressure,
            reload_failed: AtomicBool::new(false),
            public,
            admin,
        }
    }

    /// What is served now.
    pub fn endpoint(&self) -> Arc<Endpoint> {
        self.endpoint.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets instances go that wait for a run: those that did so too long, and all where memory is short.
    fn tidy(&self, level: Level) {
        for deployment in self.endpoint().deployments() {
            let Some(nodes) = deployment.runner.nodes.in_sandbox() else { continue };
            if level > Level::Ample { nodes.clear() } else { nodes.tidy() }
        }
    }

    /// What is served is not what the files say, since they are wrong.
    pub fn reload_failed(&self) {
        self.reload_failed.store(true, Ordering::Relaxed);
    }

    pub fn has_reload_failed(&self) -> bool {
        self.reload_failed.load(Ordering::Relaxed)
    }

    /// Serves something else from the next request on. Requests that are running end on what they began with.
    pub fn swap(&self, endpoint: Endpoint) {
        let before =
            std::mem::replace(&mut *self.endpoint.write().unwrap_or_else(PoisonError::into_inner), Arc::new(endpoint));
        // Outside of the lock: it may be the last that holds its flows.
        drop(before);
        self.reload_failed.store(false, Ordering::Relaxed);
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
    pub fn bind(public: SocketAddr, admin: SocketAddr, app: Arc<App>) -> anyhow::Result<Self> {
        Ok(Self { public: bind(public)?, admin: bind(admin)?, app })
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

    /// Serves until `stop` says so; then ends in order, or at once if it says so again. The app watches `drain`.
    pub async fn serve(self, config: &Config, drain: Drain, stop: impl AsyncFnMut()) -> Ended {
        let Self { public, admin, app } = self;
        let listen = &config.listener;
        let (places, routes) = (app.public.clone(), public_routes(app.clone()));
        let watched = Watched { draining: drain.watch(), pressure: Some(app.pressure.clone()) };
        let public = listener::serve(public, routes, listen.clone(), places, watched);
        // Ends last, so that probes are answered until the end: it watches nobody.
        let nobody = Drain::default();
        let (places, routes) = (app.admin.clone(), admin_routes(app.clone()));
        let watched = Watched { draining: nobody.watch(), pressure: None };
        let admin = listener::serve(admin, routes, listen.for_admin(), places, watched);
        tokio::select! {
            ended = drain.conduct(&config.drain, stop, public) => ended,
            () = admin => Ended::Hurried,
            // Never ready: keys and memory are followed as long as anything is served.
            () = app.access.auth.follow() => Ended::Hurried,
            () = app.pressure.follow(|level| app.tidy(level)) => Ended::Hurried,
        }
    }
}

fn bind(addr: SocketAddr) -> anyhow::Result<TcpListener> {
    listener::bind(addr).with_context(|| format!("cannot listen on {addr}"))
}

/// The routes a client sees.
fn public_routes(app: Arc<App>) -> Router {
    let routes = Router::new()
        .route("/score", post(score))
        .route("/feedback", post(feedback))
        .route("/health", get(probes::health))
        .route("/version", get(probes::version))
        .route("/swagger.json", get(swagger))
        .route("/", get(page::page))
        .fallback(Problem::no_such_route)
        .method_not_allowed_fallback(Problem::no_such_method)
        .with_state(app.clone());
    // As one service, so that what is around the router sees every answer, also to what has no route, and with the `Allow`
    // that the router sets on its way out.
    Router::new().fallback_service(routes).layer(middleware::from_fn_with_state(app, every))
}

/// Every request: measured, whatever becomes of it; readable for pages, whatever the answer is; and named, as the edge wants it.
///
/// Steps are called by those before them, and are no layers each, of which every one would clone and box all that follow.
async fn every(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let named = |request| request_id::assign(request, |request| next.run(request));
    let readable = |request| cors::cors(&app.access.origins, request, named);
    edge::measure(&app, request, readable).await
}

/// `POST /score`: all is inside the request span. Nothing of the body is read before the caller is known, and whom it refuses is
/// counted as well. A handler that panics was not cancelled, and the edge sees how either ended.
async fn score(State(app): State<Arc<App>>, request: Request) -> Response {
    // It waits for models. Boxed, so that those around it, which move what they are given, have no room for it as well.
    let answer = |request| Box::pin(async { score::score(&app, request).await.into_response() });
    let cancelled = |request| drain::cancel(app.draining.clone(), caught::caught(answer(request)));
    let admitted = |request| access::score(&app, request, cancelled);
    cors::private(edge::edge(&app, request, admitted).await)
}

/// `POST /feedback`: for callers, and for whoever has been given a token.
async fn feedback(State(app): State<Arc<App>>, request: Request) -> Response {
    let answer = |request| async { feedback::feedback(app.clone(), request).await.into_response() };
    cors::private(access::feedback(&app, request, answer).await)
}

/// `GET /swagger.json`: tells what a flow is for, and is no smaller a secret than what it answers. The page itself tells
/// nothing.
async fn swagger(State(app): State<Arc<App>>, request: Request) -> Response {
    let document = async |request: Request| swagger::swagger(&app, request.headers()).into_response();
    access::key(&app, request, document).await
}

/// The routes an operator sees.
fn admin_routes(app: Arc<App>) -> Router {
    Router::new()
        .route("/livez", get(probes::live))
        .route("/readyz", get(probes::ready))
        .route("/startupz", get(probes::live))
        .route("/metrics", get(scrape::metrics))
        .fallback(Problem::no_such_route)
        .method_not_allowed_fallback(Problem::no_such_method)
        .with_state(app)
}
