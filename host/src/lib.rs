//! **weir** serves prompt flow deployments with every node in a sandbox and every node traced.
//!
//! The way of a request, which is also the order of the modules below:
//!
//! 1. [`server`] takes it. DOOR 1, the edge, reads the trace context and opens the request span; `/score` hands the
//!    body to the flow.
//! 2. [`flow`] knows what the flow file says, and whether the body fits its inputs. Text in, meaning or problems out.
//! 3. [`scheduler`] decides which nodes may run (`plan`, pure) and runs them (`drive`, the only place that spawns).
//! 4. [`sandbox`] runs one node: a fresh instance of its component in a fresh store, under its limits.
//! 5. [`capability`] is what the host can do for a node: ask a model, run another node, take a note.
//! 6. [`boundary`] is every crossing between the two. DOOR 2 leads into a node and opens its span; DOOR 3 leads out,
//!    holds the node's grant against the call, and opens the rpc span.
//! 7. [`telemetry`] is what is told of all this: three doors record, and nothing else does.
//!
//! `main.rs` is the story of a process, [`assembly`] puts the parts together, and ARCHITECTURE.md says what may use
//! what.

pub mod assembly;
pub mod cli;
pub mod config;

pub mod server;

pub mod batch;
pub mod images;

pub mod deployment;
pub mod flow;

pub mod scheduler;

pub mod sandbox;

pub mod capability;

pub mod boundary;

pub mod telemetry;

pub mod journal;

pub mod builder;
pub mod guest;

pub mod address;
pub mod bindings;
pub mod chance;
pub mod clock;
pub mod folder;
pub mod id;
pub mod identity;
pub mod plugins;
pub mod policy;
pub mod rate;
pub mod registry;
pub mod retry_after;
pub mod secret;
pub mod setting;
pub mod units;

#[cfg(test)]
mod simulation;
