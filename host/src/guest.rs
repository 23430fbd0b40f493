//! Where is a Rust toolchain that can build components? Looks and says; installs nothing.
//!
//! Uses the standard library alone, because three programs share this file: the host (`weir build`, `weir doctor`),
//! its build script (the plugins) and that of the tests (the guests). The last two include it by path.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a node of a flow is compiled for.
pub const TARGET: &str = "wasm32-wasip2";

/// The rustup toolchain that `.ci/guest-target.sh` links on a machine where rustup can fetch nothing.
pub const LINKED: &str = "guest";

/// A toolchain that has the standard library of [`TARGET`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toolchain {
    channel: Channel,
    sysroot: PathBuf,
}

/// How a toolchain is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Channel {
    /// `rustc` and `cargo` as they are on `PATH`.
    Default,
    /// `rustup run guest …`.
    Linked,
}

/// No toolchain here can build for [`TARGET`]; the text says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// There is no `rustc` on `PATH`.
    Rust,
    /// There is Rust, but without the target.
    Target {
        /// Where the default toolchain was searched.
        sysroot: PathBuf,
    },
}

impl Toolchain {
    /// Finds a toolchain: the default one first, so that nobody who has the target ever meets the other.
    ///
    /// Runs `rustc` once or twice, which takes some ten milliseconds.
    ///
    /// # Errors
    ///
    /// [`Missing`], if no toolchain has the target.
    pub fn find() -> Result<Self, Missing> {
        let default = Channel::Default.sysroot().ok_or(Missing::Rust)?;
        if has_target(&default) {
            return Ok(Self { channel: Channel::Default, sysroot: default });
        }
        match Channel::Linked.sysroot().filter(|sysroot| has_target(sysroot)) {
            Some(sysroot) => Ok(Self { channel: Channel::Linked, sysroot }),
            None => Err(Missing::Target { sysroot: default }),
        }
    }

    /// A `cargo` of this toolchain, to be given its arguments.
    ///
    /// It behaves as if typed at a prompt: what an outer cargo or rustup has put into the environment (it is set for
    /// build scripts and tests) is taken out, since it would send the guest to the host's compiler, flags or folder.
    #[must_use]
    pub fn cargo(&self) -> Command {
        let mut cargo = self.channel.command("cargo");
        for (name, _) in std::env::vars_os() {
            if is_inherited(&name) {
                cargo.env_remove(name);
            }
        }
        cargo
    }

    /// Where the toolchain is.
    #[must_use]
    pub fn sysroot(&self) -> &Path {
        &self.sysroot
    }
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.channel {
            Channel::Default => "the default toolchain".to_owned(),
            Channel::Linked => format!("rustup's toolchain `{LINKED}`"),
        };
        write!(f, "{name} builds {TARGET} ({})", self.sysroot.display())
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rust => write!(f, "no rustc on PATH; install Rust from https://rustup.rs, then run this again"),
            Self::Target { sysroot } => write!(
                f,
                "no Rust toolchain can build {TARGET} (the default one is {}); run `rustup target add {TARGET}`, or, \
                 where rustup can fetch nothing, `.ci/guest-target.sh` of weir's repository",
                sysroot.display()
            ),
        }
    }
}

impl std::error::Error for Missing {}

impl Channel {
    /// A program of this toolchain. Free of the outer toolchain's choice, which rustup hands down by this variable.
    fn command(self, program: &str) -> Command {
        let mut command = match self {
            Self::Default => Command::new(program),
            Self::Linked => {
                let mut rustup = Command::new("rustup");
                rustup.args(["run", LINKED, program]);
                rustup
            }
        };
        command.env_remove("RUSTUP_TOOLCHAIN");
        command
    }

    fn sysroot(self) -> Option<PathBuf> {
        let output = self.command("rustc").args(["--print", "sysroot"]).output().ok()?;
        let path = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| PathBuf::from(path.trim_end()))
    }
}

/// Whether the toolchain at this sysroot holds the target's standard library.
fn has_target(sysroot: &Path) -> bool {
    let libraries = sysroot.join("lib/rustlib").join(TARGET).join("lib");
    let Ok(entries) = libraries.read_dir() else { return false };
    entries.flatten().any(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.starts_with("libstd-") && name.ends_with(".rlib")
    })
}

/// Whether a variable tells how the outer build is done.
///
/// `CARGO_HOME` and `CARGO_NET_*` and the like stay: they tell where crates come from, which is the same for a guest.
fn is_inherited(name: &OsStr) -> bool {
    const EXACT: [&str; 16] = [
        "CARGO",
        "CARGO_BUILD_TARGET",
        "CARGO_CRATE_NAME",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_INCREMENTAL",
        "CARGO_MAKEFLAGS",
        "CARGO_PRIMARY_PACKAGE",
        "CARGO_TARGET_DIR",
        "MAKEFLAGS",
        "RUSTC",
        "RUSTC_LINKER",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTC_WRAPPER",
        "RUSTDOC",
        "RUSTFLAGS",
        "RUSTUP_TOOLCHAIN",
    ];
    const PREFIXES: [&str; 7] = [
        "CARGO_BIN_",
        "CARGO_BUILD_",
        "CARGO_CFG_",
        "CARGO_FEATURE_",
        "CARGO_MANIFEST_",
        "CARGO_PKG_",
        "CARGO_PROFILE_",
    ];
    let Some(name) = name.to_str() else { return false };
    EXACT.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, inherited: bool) {
        assert_eq!(is_inherited(OsStr::new(name)), inherited, "{name}");
    }

    #[test]
    fn what_describes_the_outer_build_is_taken_out() {
        for name in ["RUSTC", "CARGO", "CARGO_PKG_NAME", "CARGO_CFG_TARGET_OS", "CARGO_TARGET_DIR", "RUSTFLAGS"] {
            check(name, true);
        }
    }

    #[test]
    fn what_describes_the_machine_stays() {
        for name in ["PATH", "HOME", "CARGO_HOME", "RUSTUP_HOME", "CARGO_NET_OFFLINE", "CARGO_REGISTRIES_X_INDEX"] {
            check(name, false);
        }
    }

    #[test]
    fn a_missing_target_says_what_to_run() {
        let text = Missing::Target { sysroot: PathBuf::from("/opt/rust") }.to_string();
        assert_eq!(
            text,
            "no Rust toolchain can build wasm32-wasip2 (the default one is /opt/rust); run `rustup target add \
             wasm32-wasip2`, or, where rustup can fetch nothing, `.ci/guest-target.sh` of weir's repository"
        );
    }

    #[test]
    fn a_folder_without_the_standard_library_has_no_target() {
        assert!(!has_target(Path::new(env!("CARGO_MANIFEST_DIR"))));
    }
}
