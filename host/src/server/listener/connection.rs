//! One connection, from its first byte to its last.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::chance::chance;
use crate::server::Peer;
use crate::server::drain::Phase;
use crate::server::listener::budget::Place;
use crate::server::listener::exchange::{Answers, Exchange};
use crate::server::listener::wire::{Timeouts, Wire};
use crate::server::listener::{Config, Watched};

/// What hyper may hold of a head or of an answer that waits for a slow client. Heads are checked before hyper sees them,
/// and must fit.
const BUFFER: usize = 128 * 1024;
/// Headers that hyper takes without being told so, which is faster.
const HYPER_HEADERS: usize = 100;
/// The part of a connection's age by which it may vary, so that those which began together do not end together.
const JITTER: u32 = 10;

/// What all connections of a listener share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) routes: Router,
    pub(super) config: Arc<Config>,
    pub(super) watched: Watched,
}

/// Serves one connection until it ends. It gives its place back then.
pub(super) async fn serve(socket: TcpStream, peer: Peer, shared: Shared, _place: Place) {
    // Answers and stream chunks are small and must leave at once.
    let _ = socket.set_nodelay(true);
    let Shared { routes, config, watched } = shared;
    let mut draining = watched.draining.clone();
    let exchange = Arc::new(Exchange::default());
    let wire = Wire::new(socket, exchange.clone(), config.head, Timeouts::of(&config));
    let routes = TowerToHyperService::new(routes);
    let answers = Answers { exchange: exchange.clone(), routes, peer, watched };
    let service = service_fn(move |request| answers.clone().answer(request));

    let mut http = http1::Builder::new();
    // The wire has timers of its own.
    http.header_read_timeout(None).max_buf_size(BUFFER);
    if config.head.headers > HYPER_HEADERS {
        http.max_headers(config.head.headers);
    }
    let mut connection = pin!(http.serve_connection(TokioIo::new(wire), service));
    let close = async {
        tokio::select! {
            () = age(config.connection_age) => {}
            () = draining.reach(Phase::Closing) => {}
        }
    };
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = close => {
            exchange.close();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(peer = %peer.0, error = &error as &dyn std::error::Error, "a connection ended early");
    }
}

/// Waits until a connection is old.
async fn age(age: Duration) {
    if age.is_zero() {
        return std::future::pending().await;
    }
    let spread = age / JITTER;
    sleep(age - spread + (spread * 2).mul_f64(chance())).await;
}
