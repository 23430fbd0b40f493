//! What prompt flow answers, as tables of requests and answers that were taken from it running: a client must not notice the
//! move. A row that says why differs on purpose, where the original was broken.
//!
//! Here are the tables; see [`table`] for how a row is written and asked.

mod bodies;
mod errors;
mod replies;
mod secrets;
mod streams;
mod types;

mod table;
