//! The tests of the whole system. One binary, so that the host is linked once.
//!
//! Of the repository: `architecture` holds the code against its map, `floors` the dependencies against known faults,
//! `contract` the WIT against its guests, `catalogue` the list of what is tried against the tests. Of the running thing: the rest, over HTTP against the true binary, `scenarios`
//! as folders of files.

#![expect(clippy::panic, reason = "a panic is how a test fails")]

mod architecture;
mod catalogue;
mod contract;
mod floors;
mod readme;
mod scaling;
mod scenarios;

mod access;
mod activate;
mod app_insights;
mod check;
mod cli;
mod conformance;
mod connections;
mod contract_telemetry;
mod deployments;
mod examples;
mod feedback;
mod flex;
mod fuzz;
mod grants;
mod hostile_clients;
mod hostile_files;
mod http;
mod images;
mod javascript;
mod kubernetes;
mod logs;
mod metrics;
mod models;
mod models_fail;
mod openapi;
mod operations;
mod otlp;
mod outage;
mod overload;
mod page;
mod prometheus;
mod prompties;
mod python;
mod redaction;
mod registry;
mod run;
mod sampling;
mod sandbox;
mod scheduler;
mod score;
mod settings;
mod shutdown;
mod soak;
mod spans;
mod standard_variables;
mod streaming;
mod telemetry;
mod tools;
mod trace_context;
mod traces;
