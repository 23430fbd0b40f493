//! Serves what the files say now, while requests go on: asked for by SIGHUP, or when a deployment or endpoint file has
//! changed.
//!
//! What belongs to the process stays as it was at start: listeners, telemetry, keys. If the files are wrong, what was
//! served is served on, and the log says all that is wrong.

use std::convert::Infallible;
use std::fs;
use std::path::PathBuf;
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
    files: Vec<PathBuf>,
    seen: Vec<Option<Stamp>>,
}

/// What changes when a file does. Kubernetes swaps a link to a new file, which may have the length of the old one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: SystemTime,
    length: u64,
}

impl Reload {
    /// # Errors
    /// If the system lets nobody listen to SIGHUP.
    pub(super) fn new(loader: Loader, app: Arc<App>, interval: Duration) -> anyhow::Result<Self> {
        let asked = signal(SignalKind::hangup()).context("SIGHUP cannot be heard")?;
        let files = loader.watched();
        let seen = stamps(&files);
        Ok(Self { loader: Arc::new(loader), app, asked, interval, files, seen })
    }

    /// For ever.
    pub(super) async fn run(mut self) -> Infallible {
        loop {
            self.wanted().await;
            self.seen = stamps(&self.files);
            let loader = self.loader.clone();
            // Reading compiles, for seconds perhaps, and must not keep sockets waiting.
            match tokio::task::spawn_blocking(move || loader.endpoint()).await {
                Ok(Ok(endpoint)) => {
                    self.app.swap(endpoint);
                    self.files = self.loader.watched();
                    self.seen = stamps(&self.files);
                    tracing::info!("serving what the files say now");
                }
                Ok(Err(error)) => self.keep(&error),
                Err(error) => tracing::error!(%error, "reading the files anew ended in a panic; serving on as before"),
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
            if stamps(&self.files) != self.seen {
                return;
            }
        }
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Option<Stamp>> {
    let stamp = |file: &PathBuf| {
        let metadata = fs::metadata(file).ok()?;
        Some(Stamp { modified: metadata.modified().ok()?, length: metadata.len() })
    };
    files.iter().map(stamp).collect()
}
