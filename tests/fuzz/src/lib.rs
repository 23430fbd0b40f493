//! What the fuzzers do, for their programs.

pub mod targets;
