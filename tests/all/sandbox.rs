//! What a hostile or broken node can do: end its own run, and nothing else.

mod cache;
mod contract;
mod limits;
mod traps;
