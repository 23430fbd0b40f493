//! The SDK of Rust that this binary carries with it: for crates that name `weir-sdk` by its version, as `weir new` writes
//! them. They get the SDK that speaks this host's contract, from no registry. A crate that says where its SDK is has its own.

use std::fs;
use std::path::Path;

use serde::Deserialize;
use uuid::Uuid;

use crate::builder::BuildError;
use crate::builder::tool::{self, Files};
use crate::guest::Toolchain;

const FILES: &Files = include!(concat!(env!("OUT_DIR"), "/rust_files.rs"));

const SDK: &str = "weir-sdk";

/// The manifest of the workspace that the SDK is in, which tells versions; of its members only these are here.
const WORKSPACE: &str = "Cargo.toml";
const MEMBERS: &str = r#"members = ["sdk", "sdk/macros"]"#;

/// What cargo says of a crate, as far as it matters here.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// None for a folder.
    source: Option<String>,
}

/// Whether the crate takes its SDK from a registry. One that cargo does not understand is left to cargo.
pub(super) fn names_sdk_by_version(toolchain: &Toolchain, crate_dir: &Path) -> bool {
    let mut cargo = toolchain.cargo();
    cargo.current_dir(crate_dir).args(["metadata", "--no-deps", "--offline", "--format-version", "1"]);
    let output = cargo.output().ok();
    let read = output.and_then(|output| serde_json::from_slice::<Metadata>(&output.stdout).ok());
    let mut dependencies = read.into_iter().flat_map(|read| read.packages).flat_map(|package| package.dependencies);
    dependencies
        .any(|Dependency { name, source }| name == SDK && source.is_some_and(|source| source.starts_with("registry+")))
}

/// What cargo is told so that it takes the SDK from a folder below `home`, where it is laid.
///
/// # Errors
/// If it cannot be written.
pub(super) fn patch(home: &Path) -> Result<String, BuildError> {
    let folder = home.join(&tool::digest_of(FILES, "").as_str()[..16]);
    if !folder.is_dir() {
        lay(home, &folder).map_err(|source| BuildError::Io { path: folder.display().to_string(), source })?;
    }
    // A string of TOML is one of JSON, for what paths are made of.
    let path = serde_json::Value::from(folder.join("sdk").display().to_string());
    Ok(format!("patch.crates-io.{SDK}.path={path}"))
}

/// Lays it elsewhere first: another build may do the same, and whoever is first is right.
fn lay(home: &Path, folder: &Path) -> std::io::Result<()> {
    let unfinished = home.join(format!("unfinished-{}", Uuid::new_v4()));
    for (path, bytes) in FILES {
        let workspace = (*path == WORKSPACE).then(|| workspace(&String::from_utf8_lossy(bytes)));
        tool::write(&unfinished.join(path), workspace.as_ref().map_or(bytes, |text| text.as_bytes()))?;
    }
    if fs::rename(&unfinished, folder).is_err() && !folder.is_dir() {
        return fs::rename(&unfinished, folder);
    }
    let _ = fs::remove_dir_all(&unfinished);
    Ok(())
}

fn workspace(text: &str) -> String {
    let line = |line: &str| match line.split(" = ").next() {
        Some("members") => MEMBERS.to_owned(),
        Some("default-members" | "exclude") => String::new(),
        _ => line.to_owned(),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_that_is_carried_has_the_sdk_alone() {
        let text = FILES.iter().find(|(path, _)| *path == WORKSPACE).map(|(_, bytes)| String::from_utf8_lossy(bytes));
        let laid = workspace(&text.expect("the manifest is carried"));
        assert!(laid.contains(&format!("[workspace]\nresolver = \"3\"\n{MEMBERS}\n")), "{laid}");
        assert!(!laid.contains("\ndefault-members"), "{laid}");
        assert!(laid.contains("\nweir-sdk-macros = "), "{laid}");
    }
}
