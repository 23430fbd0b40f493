//! examples/kubernetes: manifests that Kubernetes takes, a pod that starts, serves and ends as they say, and dashboards, alerts and
//! queries that ask for what the host really tells.

mod batch;
mod dashboards;
mod insights;
mod manifests;
mod pod;

use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/kubernetes")
}

fn overlay(name: &str) -> PathBuf {
    folder().join("overlays").join(name)
}

/// The names in a folder, in order.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("the folder is there").flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
