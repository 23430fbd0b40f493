//! The whole host under load: what a request costs, and how that grows. `make bench` runs it, in a release build, and writes
//! RESULTS.md and its pictures.
//!
//! Every figure is a ratio within one run, or the cost of one more of something: machines differ, and this one has neighbours. What
//! is compared takes turns, so that both have the same neighbours. `--quick` measures for moments, to see that all of it works;
//! names of chapters (`requests`, `instances`, `streams`, `growth`, `start`) run those alone.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a program whose answer is what it prints; its tasks are those who load a host, which end with it"
)]

#[path = "whole/chapters.rs"]
mod chapters;
#[path = "whole/echo.rs"]
mod echo;
#[path = "whole/flows.rs"]
mod flows;
#[path = "whole/instances.rs"]
mod instances;
#[path = "whole/large.rs"]
mod large;
#[path = "whole/load.rs"]
mod load;
#[path = "whole/missed.rs"]
mod missed;
#[path = "whole/model.rs"]
mod model;
#[path = "whole/report.rs"]
mod report;
#[path = "whole/sink.rs"]
mod sink;
#[path = "whole/streams.rs"]
mod streams;
#[path = "whole/wire.rs"]
mod wire;

use std::time::Duration;

use chapters::Bench;

/// How long each measurement is, and how often it is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    pub(crate) time: Duration,
    pub(crate) rounds: usize,
    /// Whether the large ones are made as large as the targets say.
    pub(crate) full: bool,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|it| it != "--bench").collect();
    if arguments.first().is_some_and(|it| it == echo::VERB) {
        echo::serve();
        return;
    }
    let quick = arguments.iter().any(|it| it == "--quick");
    let effort = match quick {
        true => Effort { time: Duration::from_millis(300), rounds: 1, full: false },
        false => Effort { time: Duration::from_secs(1), rounds: 3, full: true },
    };
    let named: Vec<&str> = arguments.iter().map(String::as_str).filter(|it| !it.starts_with('-')).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let report = runtime.block_on(Bench::new(effort).run(&named));
    print!("{}", report.text());
    if !quick && named.is_empty() {
        report.write();
    }
}
