//! How many instructions the parts take that every request goes through: what must not creep. Unlike times, these are the
//! same on a busy machine, so a small step shows. `make bench-counts` holds them against counts.txt; what has come to cost
//! more by 5 % fails. `make bench-counts ACCEPT=1` keeps what was counted, in the commit that says why.
//!
//! Counted by valgrind, which runs this program once for each case. Only the thread and the function [`counted`] count:
//! neither what is made ready before, nor those who mask and send what has been told.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a table is what this program is for")]

mod work;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::process::{Command, ExitCode};
use std::{env, fs, io};

use weir::capability::llm::sse::Events;

use work::{Batch, Chain, Echo, Masked, Spans, TO_NOBODY, WITHOUT_SPANS};

/// The last counts that were accepted, by case.
const ACCEPTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/counts.txt");

/// How much more is still the same, in per cent: what is hashed and where memory lies differ a little from run to run.
const TOLERANCE: f64 = 5.0;

/// How often a case is done before it is counted, so that nothing is done for the first time, and while it is.
const TIMES: u64 = 50;

/// The argument by which this program is told to do one case.
const CASE: &str = "--case";

/// What is counted.
type Work = Box<dyn FnMut()>;

struct Case {
    name: &'static str,
    /// Makes it ready, which does not count.
    prepare: fn() -> Work,
}

const CASES: [Case; 8] = [
    Case {
        name: "body_and_reply_1k",
        prepare: || {
            let echo = Echo::of(1024);
            Box::new(move || _ = black_box(echo.reply(echo.decode())))
        },
    },
    Case {
        name: "references_10_nodes",
        prepare: || {
            let chain = Chain::new();
            Box::new(move || _ = black_box(chain.resolve()))
        },
    },
    Case { name: "node_metrics", prepare: || of_node(Spans::of(&WITHOUT_SPANS, 1024)) },
    Case { name: "node_span_and_metrics_1k", prepare: || of_node(Spans::of(&TO_NOBODY, 1024)) },
    Case {
        name: "batch_of_spans_masked",
        prepare: || {
            let mut batch = Batch::of(1024);
            Box::new(move || batch.mask())
        },
    },
    Case {
        name: "batch_of_spans_encoded",
        prepare: || {
            let batch = Batch::of(1024);
            Box::new(move || _ = black_box(batch.encode()))
        },
    },
    Case {
        name: "redaction_8k",
        prepare: || {
            let masked = Masked::of(8 * 1024);
            Box::new(move || _ = black_box(masked.mask()))
        },
    },
    Case {
        name: "model_event",
        prepare: || {
            let mut events = Events::new(1024 * 1024);
            Box::new(move || _ = black_box(work::event(&mut events)))
        },
    },
];

fn of_node(spans: Spans) -> Work {
    Box::new(move || spans.node())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().collect();
    if let Some(at) = arguments.iter().position(|it| it == CASE) {
        return arguments.get(at + 1).map_or(ExitCode::FAILURE, |name| run(name));
    }
    let accept = arguments.iter().any(|it| it == "--accept");
    match count_all().and_then(|counts| told(&counts, accept)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

/// Does one case: this is what runs under valgrind.
fn run(name: &str) -> ExitCode {
    let Some(case) = CASES.iter().find(|case| case.name == name) else { return ExitCode::FAILURE };
    let mut work = (case.prepare)();
    (0..TIMES).for_each(|_| work());
    counted(&mut *work);
    ExitCode::SUCCESS
}

/// Valgrind counts what happens in here, and knows it by its name.
#[inline(never)]
fn counted(work: &mut dyn FnMut()) {
    for _ in 0..TIMES {
        work();
    }
}

/// The instructions of each case, done once, by its name.
type Counts = BTreeMap<String, u64>;

fn count_all() -> Result<Counts, String> {
    CASES.iter().map(|case| Ok((case.name.to_owned(), count(case.name)?))).collect()
}

fn count(name: &str) -> Result<u64, String> {
    let program = env::current_exe().map_err(|error| format!("this program has no path: {error}"))?;
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=counts::counted*"]);
    let run = valgrind.arg(program).args([CASE, name]).output().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => "valgrind is not on PATH; install it: apt-get install valgrind".to_owned(),
        _ => format!("valgrind cannot be run: {error}"),
    })?;
    let said = String::from_utf8_lossy(&run.stderr);
    let collected = said.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse::<u64>().ok());
    match collected {
        Some(collected) if run.status.success() && collected > 0 => Ok(collected / TIMES),
        _ => Err(format!("{name}: valgrind counted nothing ({}):\n{said}", run.status)),
    }
}

/// Tells what was counted, and keeps it or holds it against what was kept.
fn told(counts: &Counts, accept: bool) -> Result<(), String> {
    let accepted = accepted()?;
    println!("| case | instructions | accepted | change |\n| --- | ---: | ---: | ---: |");
    for (name, count) in counts {
        match accepted.get(name) {
            Some(before) => println!("| {name} | {count} | {before} | {:+.1} % |", change(*before, *count)),
            None => println!("| {name} | {count} | | |"),
        }
    }
    match (cfg!(debug_assertions), accept) {
        (true, true) => Err("not kept: built without optimisation".to_owned()),
        (true, false) => {
            println!("built without optimisation, so nothing is held against what was accepted");
            Ok(())
        }
        (false, true) => keep(counts),
        (false, false) => judge(counts, &accepted),
    }
}

/// Fails with all that needs more than was accepted, or was never accepted.
fn judge(counts: &Counts, accepted: &Counts) -> Result<(), String> {
    let mut problems = Vec::new();
    for (name, count) in counts {
        match accepted.get(name).map(|before| change(*before, *count)) {
            None => problems.push(format!("{name} is not in {ACCEPTED}")),
            Some(more) if more > TOLERANCE => problems.push(format!("{name} takes {more:.1} % more than was accepted")),
            Some(less) if less < -TOLERANCE => println!("{name} takes {:.1} % less: worth keeping", -less),
            Some(_) => {}
        }
    }
    let gone = accepted.keys().filter(|name| !counts.contains_key(*name));
    problems.extend(gone.map(|name| format!("{name} is in {ACCEPTED}, and is no case any more")));
    if problems.is_empty() {
        return Ok(());
    }
    Err(format!("{}\nif that is meant, keep it: make bench-counts ACCEPT=1", problems.join("\n")))
}

/// By how many per cent it has become more.
fn change(before: u64, count: u64) -> f64 {
    (count as f64 / before as f64 - 1.0) * 100.0
}

fn accepted() -> Result<Counts, String> {
    let text = match fs::read_to_string(ACCEPTED) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(format!("{ACCEPTED}: {error}")),
    };
    let row = |line: &str| {
        let (name, count) = line.split_once(' ')?;
        Some((name.to_owned(), count.trim().parse().ok()?))
    };
    let rows = text.lines().map(|line| row(line).ok_or_else(|| format!("{ACCEPTED}: {line:?} is no name and number")));
    rows.collect()
}

fn keep(counts: &Counts) -> Result<(), String> {
    let text: String = counts.iter().map(|(name, count)| format!("{name} {count}\n")).collect();
    fs::write(ACCEPTED, text).map_err(|error| format!("{ACCEPTED}: {error}"))
}
