//! What the fuzzers have been given, as ordinary tests: every file of tests/fuzz/corpus goes through its target once, and
//! so do texts that are too large for a corpus, see fuzz/large.rs. Not a search for more: CONTRIBUTING.md says how to fuzz.
//!
//! A target fails by a panic, or by telling more than anyone would read. One that does not end is ended by nextest, see
//! .config/nextest.toml.

mod large;
#[expect(unreachable_pub, reason = "the fuzzers' file, which offers its targets to their programs")]
#[path = "../fuzz/src/targets.rs"]
mod targets;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Most bytes of all corpora: they are read by people and kept for ever.
const MAX_CORPORA: u64 = 1024 * 1024;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry of the folder").path()).collect();
    files.sort();
    files
}

#[track_caller]
fn replay(target: &str) {
    let (_, run) = targets::TARGETS.into_iter().find(|(name, _)| *name == target).expect("a target of that name");
    let files = files(&folder().join("corpus").join(target));
    assert!(!files.is_empty(), "the corpus of {target} is empty");
    for file in files {
        let data = fs::read(&file).expect("a file of the corpus");
        // A panic names no file; the last one that is named here did it.
        log(&file);
        run(&data);
    }
}

#[expect(clippy::print_stderr, reason = "shown only if the test fails")]
fn log(file: &Path) {
    eprintln!("{}", file.display());
}

macro_rules! replayed {
    ($($target:ident),+) => {
        $(#[test]
        fn $target() {
            replay(stringify!($target));
        })+

        const REPLAYED: &[&str] = &[$(stringify!($target)),+];
    };
}

replayed!(
    flow_yaml,
    deployment_yaml,
    reference,
    template,
    prompty,
    connection,
    score_body,
    description,
    batch_results,
    http_requests,
    trace_context,
    accept,
    sse,
    model_reply,
    component,
    prompt_markup,
    config,
    egress_url,
    journal,
    answer,
    connection_string,
    feedback
);

#[test]
fn every_target_has_a_program_a_corpus_and_a_test() {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    let stems = |folder: PathBuf| {
        let stem = |file: &PathBuf| file.file_stem().expect("a name").to_string_lossy().into_owned();
        files(&folder).iter().map(stem).collect::<BTreeSet<_>>()
    };
    let targets = names(&targets::TARGETS.map(|(name, _)| name));
    assert_eq!(names(REPLAYED), targets);
    assert_eq!(stems(folder().join("fuzz_targets")), targets);
    assert_eq!(stems(folder().join("corpus")), targets);
}

#[test]
fn the_corpora_stay_small() {
    let size = |file: PathBuf| fs::metadata(file).expect("a file of the corpus").len();
    let all: u64 = files(&folder().join("corpus")).iter().flat_map(|corpus| files(corpus)).map(size).sum();
    assert!(all <= MAX_CORPORA, "the corpora have {all} bytes; minimise them with `cargo fuzz cmin`");
}
