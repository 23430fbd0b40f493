//! Serves what the files say now, while requests go on: asked for by SIGHUP, or when a deployment or endpoint file has
//! changed.
//!
//! What belongs to the process stays as it was at start: listeners, telemetry, keys. If the files are wrong, what was
//! served is served on, and the log says all that is wrong.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Loader;
use crate::cli::{Error, complaint};
use crate::server::App;

/// Watches what is served, and swaps it.
pub(super) struct Reload {
    loader: Arc<Loader>,
    app: Arc<App>,
    asked: Signal,
    /// How often files are looked at; zero: never.
    interval: Duration,
    seen: Seen,
}

/// Files as they were when they were last read. None: one that is not there.
pub(super) struct Seen(BTreeMap<PathBuf, Option<Stamp>>);

/// What changes when a file does. Kubernetes swaps a link to a new file, which may have the length of the old one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    modified: SystemTime,
    length: u64,
}

impl Reload {
    /// # Errors
    /// If the system lets nobody listen to SIGHUP.
    pub(super) fn new(loader: Loader, app: Arc<App>, interval: Duration, seen: Seen) -> anyhow::Result<Self> {
        let asked = signal(SignalKind::hangup()).context("SIGHUP cannot be heard")?;
        Ok(Self { loader: Arc::new(loader), app, asked, interval, seen })
    }

    /// For ever.
    pub(super) async fn run(mut self) -> Infallible {
        loop {
            self.wanted().await;
            // Before they are read: what changes while they are is another change.
            self.seen = self.seen.again();
            let loader = self.loader.clone();
            // Reading compiles, for seconds perhaps, and must not keep sockets waiting.
            match tokio::task::spawn_blocking(move || loader.endpoint()).await {
                Ok(Ok((endpoint, files))) => {
                    self.app.swap(endpoint);
                    self.seen = self.seen.of(files);
                    tracing::info!("serving what the files say now");
                }
                Ok(Err(error)) => self.keep(&error),
                Err(error) => {
                    tracing::error!(%error, "reading the files anew ended in a panic; serving on as before");
                    self.app.reload_failed();
                }
            }
        }
    }

    fn keep(&self, error: &Error) {
        tracing::error!("the files are wrong; serving on as before:\n{}", complaint(error));
        self.app.reload_failed();
    }

    /// Until somebody asks, or a file has changed.
    async fn wanted(&mut self) {
        loop {
            let pause = async {
                match self.interval {
                    Duration::ZERO => std::future::pending().await,
                    interval => tokio::time::sleep(interval).await,
                }
            };
            tokio::select! {
                _ = self.asked.recv() => return,
                () = pause => {}
            }
            if self.seen.has_changed() {
                return;
            }
        }
    }
}

impl Seen {
    /// These files as they are now.
    pub(super) fn now(files: Vec<PathBuf>) -> Self {
        Self(BTreeMap::new()).of(files)
    }

    /// The same files as they are now.
    fn again(&self) -> Self {
        Self::now(self.0.keys().cloned().collect())
    }

    /// These files: those that were seen as they were, others as they are now.
    fn of(&self, files: Vec<PathBuf>) -> Self {
        let seen = |file: PathBuf| {
            let stamp = self.0.get(&file).copied().unwrap_or_else(|| stamp(&file));
            (file, stamp)
        };
        Self(files.into_iter().map(seen).collect())
    }

    fn has_changed(&self) -> bool {
        self.0.iter().any(|(file, seen)| stamp(file) != *seen)
    }
}

fn stamp(file: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(file).ok()?;
    Some(Stamp { modified: metadata.modified().ok()?, length: metadata.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_while_files_are_read_is_not_missed() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (folder.path().join("endpoint.yaml"), folder.path().join("blue.yaml"));
        fs::write(&first, "a").unwrap();
        let seen = Seen::now(vec![first.clone()]);
        assert!(!seen.has_changed());
        // Both come while the first is being read, and the second is then found to belong to it.
        fs::write(&first, "ab").unwrap();
        fs::write(&second, "b").unwrap();
        let seen = seen.of(vec![first, second.clone()]);
        assert!(seen.has_changed());
        let seen = seen.again();
        assert!(!seen.has_changed());
        fs::remove_file(second).unwrap();
        assert!(seen.has_changed());
    }
}
