//! `weir compile`, which the host starts by itself: a component comes in by standard input, machine code goes out. See
//! sandbox/compile.rs.

use std::io::{stdin, stdout};
use std::time::Duration;

use crate::cli::{CompileArgs, Done, Error};
use crate::sandbox::accept::Caps;
use crate::sandbox::compile::{Limits, serve, told};
use crate::units::Bytes;

pub fn run(args: &CompileArgs) -> Done {
    let CompileArgs { size, functions, memory, seconds } = *args;
    let caps = Caps { size, functions };
    let limits = Limits { caps, memory: Bytes(memory), timeout: Duration::from_secs(seconds) };
    serve(&limits, stdin().lock(), stdout().lock()).map_err(|error| {
        // As it is: the host says of which component it speaks.
        eprintln!("{}", told(&error));
        Error::Told
    })
}
