//! Write a node of a [weir](https://github.com/weir-flow/weir) flow as a plain Rust function.
//!
//! This is a complete node:
//!
//! ```
//! use weir_sdk::{NodeError, data, llm, node};
//!
//! #[data]
//! struct Inputs {
//!     /// What to ask.
//!     question: String,
//!     /// How long the answer may be, in words.
//!     #[serde(default = "fifty")]
//!     words: u32,
//! }
//!
//! #[data]
//! struct Answer {
//!     text: String,
//!     tokens: Option<u64>,
//! }
//!
//! fn fifty() -> u32 {
//!     50
//! }
//!
//! /// Answers a question in few words.
//! #[node]
//! fn answer(inputs: Inputs) -> Result<Answer, NodeError> {
//!     if inputs.question.len() > 2_000 {
//!         return Err(NodeError::user("QuestionTooLong", "a question has at most 2000 bytes"));
//!     }
//!     let reply = llm::chat("my_connection")
//!         .system(format!("Answer in at most {} words.", inputs.words))
//!         .user(inputs.question)
//!         .temperature(0.2)
//!         .send()?;
//!     Ok(Answer { text: reply.text().to_owned(), tokens: reply.usage.map(|usage| usage.total_tokens) })
//! }
//! # fn main() {}
//! ```
//!
//! Its `Cargo.toml` names one dependency and says that the crate is a component:
//!
//! ```toml
//! [lib]
//! crate-type = ["cdylib", "rlib"]   # the component, and the library that `cargo test` uses
//!
//! [dependencies]
//! weir-sdk = "0.1"
//! ```
//!
//! `weir build` compiles it, as does `cargo build --target wasm32-wasip2`. There is nothing to write for traces and
//! metrics: the host opens a span for every run and for every call through this crate, and counts the tokens.
//!
//! # Inputs
//!
//! One argument called `inputs` takes all inputs of the node. With any other arguments, each is one input:
//!
//! ```
//! # use weir_sdk::node;
//! /// Says it louder.
//! #[node]
//! fn shout(text: String, times: Option<usize>) -> String {
//!     text.to_uppercase().repeat(times.unwrap_or(1))
//! }
//! # fn main() { assert_eq!(shout("hi".into(), Some(2)), "HIHI") }
//! ```
//!
//! An `Option` may be absent, as may an argument with `#[serde(default)]`. Inputs that do not fit end the run with
//! the code `InvalidInputs` and a message that names the input, before the function is called.
//!
//! An argument with `#[init]` takes what the flow was initialised with, the same for every run:
//!
//! ```
//! # use weir_sdk::{data, node};
//! #[data]
//! struct Config {
//!     #[serde(default)]
//!     greeting: String,
//! }
//!
//! /// Greets in the operator's words.
//! #[node]
//! fn greet(#[init] config: Config, name: String) -> String {
//!     format!("{} {name}", config.greeting)
//! }
//! # fn main() { assert_eq!(greet(Config { greeting: "Dear".into() }, "Ada".into()), "Dear Ada") }
//! ```
//!
//! # Answers
//!
//! A function may return
//!
//! - a value: any type that is `Serialize + JsonSchema`, such as one under [`data`];
//! - `impl Iterator<Item = T>` or [`Stream<T>`]: each item is passed on towards the client as soon as it is there;
//! - a [`Relay`]: a model's answer that the host passes on by itself;
//! - an [`Answer<T>`]: one of these, decided at run time;
//! - a `Result` of any of these with [`NodeError`], or with an error that converts into it. Items of a stream may be
//!   results as well.
//!
//! # Tests
//!
//! A function stays what it is under [`node`]: call it from a unit test. What calls the host ([`llm`], [`nodes`],
//! [`config`], [`context`], [`log`]) works only inside weir and panics elsewhere, so keep the logic to be tested apart from it.
//!
//! # Features
//!
//! - `http`: the module `http`, for requests to HTTP services;
//! - `log`: the macros of the `log` crate write to [`log`].
//!
//! # serde
//!
//! [`data`] derives `Serialize`, `Deserialize` and `JsonSchema`, so that a node needs no dependency but this crate.
//! To derive them by hand, depend on `serde` and `schemars` 1, or use the copies here with
//! `#[serde(crate = "weir_sdk::serde")]` and `#[schemars(crate = "weir_sdk::schemars")]`.

pub mod config;
pub mod context;
#[cfg(feature = "http")]
pub mod http;
pub mod llm;
pub mod log;
pub mod nodes;

mod answer;
mod error;

#[doc(hidden)]
pub mod raw;

#[expect(
    unsafe_code,
    unreachable_pub,
    unused_qualifications,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::match_same_arms,
    clippy::needless_pass_by_value,
    clippy::panic,
    clippy::uninlined_format_args,
    clippy::unwrap_used,
    reason = "it is what wit-bindgen makes of the contract"
)]
mod bindings;

// The macros write `::weir_sdk::…`, in this crate's own tests as well.
extern crate self as weir_sdk;

pub use schemars;
pub use serde;
pub use serde_json;
pub use weir_sdk_macros::{data, node};

pub use answer::{Answer, IntoAnswer, IntoChunk, Relay, Stream, kind};
pub use error::{Blame, CallError, CallErrorKind, NodeError};
