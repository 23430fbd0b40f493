//! The story of a process: read the command line, do what it says, tell how it went by the exit status.

use std::process::ExitCode;

use tikv_jemallocator::Jemalloc;
use weir::cli::{self, Cli, Command};

/// What is allocated on a thread of sockets is freed on one of nodes, and the other way round. It is better at that than the
/// allocators of glibc and, by far, of musl: figures in tests/benches/NOTES.md.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    let Cli { command } = Cli::read();
    let done = match command {
        Command::Serve(args) => cli::serve::run(args),
        Command::Config(args) => cli::config::run(&args),
        Command::Run(args) => cli::run::run(&args),
        Command::New(args) => cli::new::run(&args),
        Command::Build(args) => cli::build::run(&args),
        Command::Import(args) => cli::import::run(&args),
        Command::Check(args) => cli::check::run(&args),
        Command::Inspect(args) => cli::inspect::run(&args),
        Command::Doctor(args) => cli::doctor::run(&args),
        Command::Push(args) => cli::push::run(&args),
        Command::Pull(args) => cli::pull::run(&args),
        Command::Compile(args) => cli::compile::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            cli::complain(&error);
            error.exit_code()
        }
    }
}
