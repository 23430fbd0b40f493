//! The guests of `tests/guests` as components. They are built by ../build.rs, before any test runs.

use std::path::{Path, PathBuf};

/// Where ../build.rs has put the components, one `<name>.wasm` for each program.
const OF_PROGRAMS: &str = env!("WEIR_TEST_GUESTS");

/// Likewise, of each text.
const OF_TEXTS: &str = env!("WEIR_TEST_GUESTS_OF_TEXT");

/// The component of a guest of `tests/guests`, such as `run_returns`: a program, or a text.
///
/// # Panics
///
/// If there is no such guest, or two.
#[track_caller]
pub fn guest(name: &str) -> PathBuf {
    let paths = [OF_PROGRAMS, OF_TEXTS].map(|folder| Path::new(folder).join(format!("{name}.wasm")));
    match paths.each_ref().map(|path| path.is_file()) {
        [true, false] => paths[0].clone(),
        [false, true] => paths[1].clone(),
        [true, true] => panic!("two guests are {name:?}: a program and a text of tests/guests; rename one"),
        [false, false] => panic!(
            "no guest {name:?}: add tests/guests/wat/{name}.wat, or tests/guests/examples/{name}.rs and its entry in \
             Cargo.toml"
        ),
    }
}
