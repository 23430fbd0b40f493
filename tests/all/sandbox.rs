//! What a hostile or broken node can do: end its own run, and nothing else.

mod cache;
mod clocks;
mod contract;
mod limits;
mod load;
mod state;
mod text;
mod traps;
