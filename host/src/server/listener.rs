//! Connections: how many, how large their heads, how long they may wait. The requests on them are for the routes.
//!
//! Our own loop over hyper's connections, and not axum's `serve`, which bounds none of this: it has no timer for a
//! half-sent head. HTTP/1 alone: what HTTP/2 saves, the balancer in front has; what it can be abused for, we have not.

mod accept;
mod budget;
mod connection;
mod exchange;
pub mod framing;
pub mod gate;
pub mod head;
mod upload;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;

use crate::server::drain::{Draining, Phase};
use crate::server::pressure::{Level, Pressure};
use crate::setting::{self, Setting};

use accept::Acceptor;
pub use budget::Budget;
use connection::Shared;

/// Each costs a descriptor and some 30 KiB. Also never more than half of the descriptors that the process may have: the
/// other half is for models and files.
pub static CONNECTIONS: Setting = Setting::new(
    "WEIR_MAX_CONNECTIONS",
    "1024",
    "how many connections clients may have open; more are closed at once; at most 65536, and half of `ulimit -n`",
);
/// None, since behind a balancer all clients have one address.
pub static CONNECTIONS_EACH: Setting = Setting::optional(
    "WEIR_MAX_CONNECTIONS_PER_CLIENT",
    "all of them",
    "how many of them one address may have; for hosts without a balancer in front",
);
/// Heads come in one packet or two. Whoever takes longer holds a connection for nothing.
pub static HEADER_TIMEOUT: Setting = Setting::new(
    "WEIR_HEADER_TIMEOUT",
    "10s",
    "how long the head of a request may take to arrive, and the first one to begin; at most 60s",
);
/// Longer than the 60 s for which balancers keep a connection to us, so that they close it and not we.
pub static IDLE_TIMEOUT: Setting =
    Setting::new("WEIR_IDLE_TIMEOUT", "75s", "how long a connection may stay open between two requests; at most 1h");
/// Lets load move to hosts that were added, and bounds what a fault of a connection can do.
pub static CONNECTION_AGE: Setting = Setting::new(
    "WEIR_CONNECTION_AGE",
    "1h",
    "after which time a connection is closed when its request is done, give or take a tenth; 0: never; at most 24h",
);
/// Also bounds how long a stream that nobody reads keeps its nodes.
pub static WRITE_TIMEOUT: Setting = Setting::new(
    "WEIR_WRITE_TIMEOUT",
    "30s",
    "how long a client may take none of an answer before its connection is cut; at most 5m",
);
/// hyper's own number. Browsers behind proxies send thirty.
pub static HEADERS: Setting =
    Setting::new("WEIR_MAX_HEADERS", "100", "how many headers a request may have; at most 256");
/// Room for tokens and cookies. A person's whole question belongs into the body.
pub static HEADER_BYTES: Setting =
    Setting::new("WEIR_MAX_HEADER_BYTES", "16KiB", "how large all headers of a request may be together; at most 64KiB");
/// As what proxies in front allow.
pub static HEADER_LINE: Setting =
    Setting::new("WEIR_MAX_HEADER_LINE", "8KiB", "how large one header may be; at most 64KiB");
/// As what proxies in front allow.
pub static URI: Setting = Setting::new("WEIR_MAX_URI", "8KiB", "how long a URI may be; at most 16KiB");

/// Connections that operators and their probes may have. A few for each kind of probe, and some that hang.
const ADMIN_CONNECTIONS: usize = 64;
/// Connections that the system completes before they are accepted; it may allow less.
const BACKLOG: u32 = 1024;
/// What the system holds of an answer that a client does not read. Without a number it grows to some MiB for each client
/// that is slow, or acts so; with it a client 100 ms away still gets a MiB each second.
const SEND_BUFFER: u32 = 128 * 1024;
/// How long answers may take to leave after everything was cancelled.
const CANCELLED: Duration = Duration::from_millis(800);

/// How a listener treats its connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub connections: usize,
    /// Connections of one address; none: all.
    pub connections_each: Option<usize>,
    pub header_timeout: Duration,
    pub idle_timeout: Duration,
    /// Zero: they do not age.
    pub connection_age: Duration,
    pub write_timeout: Duration,
    pub head: head::Limits,
    /// Whether it has the last file descriptors of the process for itself.
    pub favoured: bool,
}

impl Config {
    pub fn read(reader: &mut setting::Reader<'_>) -> Self {
        let minutes = Duration::from_mins;
        Self {
            connections: reader.value(&CONNECTIONS, setting::count_within(1, 65536)),
            connections_each: reader.optional(&CONNECTIONS_EACH, setting::count_within(1, 65536)),
            header_timeout: reader.value(&HEADER_TIMEOUT, setting::time_up_to(minutes(1))),
            idle_timeout: reader.value(&IDLE_TIMEOUT, setting::time_up_to(minutes(60))),
            connection_age: reader.value(&CONNECTION_AGE, setting::time_or_none_up_to(minutes(24 * 60))),
            write_timeout: reader.value(&WRITE_TIMEOUT, setting::time_up_to(minutes(5))),
            head: head::Limits {
                headers: reader.value(&HEADERS, setting::count_within(1, 256)),
                all: reader.value(&HEADER_BYTES, setting::size_up_to(64 << 10)),
                each: reader.value(&HEADER_LINE, setting::size_up_to(64 << 10)),
                uri: reader.value(&URI, setting::size_up_to(16 << 10)),
            },
            favoured: false,
        }
    }

    /// The same for the operator's listener: a budget of its own, so that probes are answered while clients storm the other.
    pub fn for_admin(&self) -> Self {
        Self { connections: ADMIN_CONNECTIONS, connections_each: None, favoured: true, ..self.clone() }
    }

    /// The places that connections have.
    pub fn budget(&self) -> Arc<Budget> {
        Budget::new(self.connections.min(accept::half_of_descriptors()), self.connections_each)
    }
}

impl Default for Config {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            connections: 1024,
            connections_each: None,
            header_timeout: seconds(10),
            idle_timeout: seconds(75),
            connection_age: seconds(3600),
            write_timeout: seconds(30),
            head: head::Limits { headers: 100, all: 16 << 10, each: 8 << 10, uri: 8 << 10 },
            favoured: false,
        }
    }
}

/// Binds an address; port 0 lets the system choose.
///
/// # Errors
/// If the system does not give it.
pub fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Connections of a host that has just ended must not keep the next one from its port.
    socket.set_reuseaddr(true)?;
    // Inherited by the connections.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// What says that connections should not stay.
#[derive(Clone, Debug)]
pub struct Watched {
    pub draining: Draining,
    /// None: of an operator's listener, whose probes must not suffer.
    pub pressure: Option<Arc<Pressure>>,
}

impl Watched {
    /// Whether an answer is the last of its connection.
    fn is_to_close(&self) -> bool {
        let is_short = |pressure: &Arc<Pressure>| pressure.level() > Level::Ample;
        self.draining.has_reached(Phase::Leaving) || self.pressure.as_ref().is_some_and(is_short)
    }
}

/// Serves connections until the host closes, and then those that are left, until they end or everything is cancelled.
pub async fn serve(listener: TcpListener, routes: Router, config: Config, budget: Arc<Budget>, watched: Watched) {
    let mut acceptor = Acceptor::new(listener, budget, config.favoured);
    let mut draining = watched.draining.clone();
    let shared = Shared { routes, config: Arc::new(config), watched };
    let mut connections = JoinSet::new();
    loop {
        let (socket, peer, place) = tokio::select! {
            biased;
            () = draining.reach(Phase::Closing) => break,
            // So that what has ended is not kept.
            Some(_) = connections.join_next() => continue,
            accepted = acceptor.accept() => accepted,
        };
        spawn(&mut connections, connection::serve(socket, peer, shared.clone(), place));
    }
    // Whoever connected before the listener closes is served.
    while let Some((socket, peer, place)) = acceptor.last().await {
        spawn(&mut connections, connection::serve(socket, peer, shared.clone(), place));
    }
    drop(acceptor);
    let cancelled = async {
        draining.reach(Phase::Cancelling).await;
        tokio::time::sleep(CANCELLED).await;
    };
    tokio::select! {
        () = async { while connections.join_next().await.is_some() {} } => {}
        () = cancelled => connections.shutdown().await,
    }
}

fn spawn(connections: &mut JoinSet<()>, connection: impl Future<Output = ()> + Send + 'static) {
    #[expect(clippy::disallowed_methods, reason = "the one place where connections become tasks")]
    connections.spawn(connection);
}

#[cfg(test)]
mod tests;
