//! What a hostile or broken node can do: end its own run, and nothing else.

mod ahead;
mod cache;
mod calls;
mod cancel;
mod clocks;
mod contract;
mod limits;
mod load;
mod logs;
mod places;
mod reuse;
mod sizes;
mod state;
mod streams;
mod text;
mod time;
mod traps;
