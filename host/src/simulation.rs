//! A whole host without threads, sockets, disks and guests, in time that passes as fast as it can be computed. Of tests
//! alone.
//!
//! What decides is real: scheduler, doors, admission, breaker and budget of retries, outboxes, spools, the journal of
//! feedback and its delivery. What it stands on is not: the disk forgets what was not synced and fails (journal/tests/medium.rs),
//! collectors and the model go away and come back (link.rs), nodes hang and panic (nodes.rs), clients leave, and the process is
//! stopped or killed and started again (world.rs). All of it comes of a seed, and so does every failure: `WEIR_SEED=7` repeats
//! one run, and `WEIR_SEEDS=20000` makes so many.

pub(crate) mod dice;
mod flows;
mod host;
pub(crate) mod link;
mod model;
mod nodes;
mod world;

use world::World;

/// Runs of one test.
const SEEDS: u64 = 200;

/// A number from the environment.
#[expect(clippy::disallowed_methods, reason = "whoever repeats a run says which")]
fn asked(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text:?}: expected a whole number")))
}

#[test]
fn whatever_goes_away_and_comes_back_nothing_is_lost_and_all_of_it_ends() {
    let seeds = match asked("WEIR_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..asked("WEIR_SEEDS").unwrap_or(SEEDS),
    };
    let alone = seeds.end - seeds.start == 1;
    let mut failed = Vec::new();
    for seed in seeds {
        let run = World::run(seed);
        if alone {
            eprintln!("{}", run.story.join("\n"));
        }
        if !run.wrong.is_empty() {
            let last = run.story.iter().rev().take(20).rev().cloned().collect::<Vec<_>>().join("\n  ");
            eprintln!("seed {seed}:\n- {}\n  ...\n  {last}\n", run.wrong.join("\n- "));
            failed.push(seed);
        }
    }
    assert!(failed.is_empty(), "repeat one of them with WEIR_SEED=n: {failed:?}");
}

#[test]
fn a_seed_gives_the_same_run_each_time() {
    for seed in [3, 1000] {
        let (first, second) = (World::run(seed), World::run(seed));
        assert_eq!(first.story, second.story, "seed {seed}");
    }
}

/// Does a run have in it what it is made for?
#[test]
fn runs_are_as_eventful_as_they_should_be() {
    let stories: Vec<String> = (0..20).flat_map(|seed| World::run(seed).story).collect();
    for event in [
        "killed",
        "stopped",
        "is away",
        "is back",
        "fails once",
        "feedback is safe",
        "feedback is refused",
        "served",
        "refused",
        "left",
        "failed",
        "breaker: Open",
        "spooled",
        "the disk keeps it from starting",
        "has a bad sector",
        "a file cannot be read, and it is started anew",
    ] {
        assert!(stories.iter().any(|line| line.contains(event)), "in no run: {event}");
    }
}
