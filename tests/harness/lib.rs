//! What the tests of the whole system are written with: the true binary, and the world around it in the test's own
//! process.
//!
//! ```no_run
//! use harness::{Collector, FakeModel, TestHost};
//! use serde_json::json;
//!
//! # async fn example() {
//! let model = FakeModel::replies("hello").start();
//! let collector = Collector::start();
//! let host = TestHost::flow("llm_chats").model(&model).collector(&collector).start().await;
//!
//! host.score(json!({"question": "hi"})).await.assert_ok(json!({"answer": "hello"}));
//!
//! host.stop().await; // Ends by SIGTERM, which delivers all telemetry.
//! assert_eq!(collector.metric("rpc_request").label("api_call", "openai_chat").count(), 1);
//! # }
//! ```
//!
//! Three rules hold for everything here: ports are those the system gives, nothing waits for a time, and a test that
//! fails shows what the host has written.

#![expect(
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a panic is how a test fails, its output is how it says why, and its tasks need no scheduler"
)]

mod certificates;
mod collector;
mod command;
mod debian;
mod guests;
mod host;
pub mod hostile;
mod http;
mod identity;
mod ingestion;
pub mod kubernetes;
mod model;
mod node;
mod origin;
pub mod plot;
pub mod prometheus;
mod raw;
pub mod readme;
mod registry;
pub mod scenario;
mod server;
mod service;
mod trace;
mod wait;
pub mod wat;
mod web;
mod wire;

use std::path::PathBuf;
use std::str::FromStr;

pub use certificates::{Authority, Clients};
pub use collector::{Answer, Collector, Event, Form, Heard, Labels, Log, Metric, Point, Protocol, Span, Status, Trace};
pub use command::{Running, run};
pub use guests::guest;
pub use host::{CONNECTION, Exit, HostBuilder, TestHost, compile_cache};
pub use hostile::{Aftermath, Hostile};
pub use http::{Frame, Reply, Stream, attempt};
pub use identity::{FakeIdentity, IDENTITY_HEADER, TOKEN};
pub use ingestion::{Ingest, Ingestion, title};
pub use model::{FakeModel, KEY, Recorded, Script};
pub use node::node;
pub use origin::origin;
pub use raw::RawClient;
pub use registry::Registry;
pub use service::FakeService;
pub use trace::stable;
pub use wait::eventually;
pub use web::{FakeWeb, Page};
pub use wire::{Act, FakeWire};

/// What random cases follow from: `WEIR_TEST_SEED`, else the usual.
pub fn seed(usual: u64) -> u64 {
    asked("WEIR_TEST_SEED").unwrap_or(usual)
}

/// How often a test's clients are to go away: as `WEIR_TEST_CANCELS` says, else as usual.
pub fn cancels(usual: usize) -> usize {
    asked("WEIR_TEST_CANCELS").unwrap_or(usual)
}

/// How often a test is to kill the host: as `WEIR_TEST_KILLS` says, else as usual.
pub fn kills(usual: usize) -> usize {
    asked("WEIR_TEST_KILLS").unwrap_or(usual)
}

/// How many requests good and hostile nodes get: as `WEIR_TEST_SOAK` says, else as usual.
pub fn soak(usual: usize) -> usize {
    asked("WEIR_TEST_SOAK").unwrap_or(usual)
}

/// Where what a test has seen is to be drawn: `WEIR_TEST_PLOT`, a file.
pub fn picture() -> Option<PathBuf> {
    asked("WEIR_TEST_PLOT")
}

fn asked<T: FromStr>(variable: &str) -> Option<T> {
    std::env::var_os(variable)?.to_str()?.parse().ok()
}
