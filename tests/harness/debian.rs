//! Programs of Debian that run beside the host.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder with programs of a Debian package, which are fetched if need be.
///
/// # Panics
///
/// If they cannot be had.
pub(crate) fn programs(package: &str, programs: &[&str]) -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.ci/debian-program.sh");
    let output = Command::new(script).arg(package).args(programs).output().expect("the script can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    PathBuf::from(String::from_utf8(output.stdout).expect("a path").trim())
}
