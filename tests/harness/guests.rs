//! The programs of `tests/guests` as components. They are built by ../build.rs, before any test runs.

use std::path::{Path, PathBuf};

/// Where ../build.rs has put the components, one `<name>.wasm` for each program.
const FOLDER: &str = env!("WEIR_TEST_GUESTS");

/// The component of a program of `tests/guests`, such as `run_returns`.
///
/// # Panics
///
/// If there is no such program.
#[track_caller]
pub fn guest(name: &str) -> PathBuf {
    let path = Path::new(FOLDER).join(format!("{name}.wasm"));
    assert!(path.is_file(), "no guest {name:?}: add tests/guests/examples/{name}.rs and its entry in Cargo.toml");
    path
}
