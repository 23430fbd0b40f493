//! Keys that change while the host runs: their file is read again and again, and what it says now holds from then on.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::keys::{self, Keys};

/// How often the file is read. Its content and not its time stamp, which two changes may have in common, and which says
/// nothing of what a link leads to: Kubernetes changes a mounted secret by leading a link elsewhere. The file is small.
const EVERY: Duration = Duration::from_secs(1);

/// Reads the file for ever, and puts what it says into `current`.
pub(super) async fn follow(file: &Path, current: &RwLock<Arc<Keys>>) {
    let first = current.read().unwrap_or_else(PoisonError::into_inner).clone();
    let mut readings = Readings::new(Ok(Keys::clone(&first)));
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let path = file.to_owned();
        // On a thread that may block: the file may be on a disk of somebody else's.
        let Ok(read) = tokio::task::spawn_blocking(move || keys::read(&path)).await else { continue };
        match readings.news(read) {
            Some(Ok(keys)) => {
                tracing::info!(file = %file.display(), keys = keys.names(), "keys were read again");
                *current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
            }
            Some(Err(problem)) => tracing::warn!(problem, "keys cannot be read again; those from before stay valid"),
            None => {}
        }
    }
}

/// What was read of the file lately.
struct Readings {
    /// What was last believed.
    believed: Result<Keys, String>,
    last: Result<Keys, String>,
}

impl Readings {
    fn new(believed: Result<Keys, String>) -> Self {
        Self { last: believed.clone(), believed }
    }

    /// What has changed, when it has been read twice in a row: what was read once may be half of what someone is writing.
    fn news(&mut self, read: Result<Keys, String>) -> Option<Result<Keys, String>> {
        let settled = read == self.last;
        self.last = read;
        if !settled || self.last == self.believed {
            return None;
        }
        self.believed = self.last.clone();
        Some(self.believed.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::super::keys::Digest;
    use super::*;

    #[test]
    fn a_change_is_believed_when_it_has_been_read_twice_and_told_once() {
        let keys = |key: &str| Ok(Keys::new(Digest::of_key(key).ok(), None).expect("a key"));
        let (old, new) = (keys("old-0123456789abcdef"), keys("new-0123456789abcdef"));
        let broken = || Err("there is no key".to_owned());
        let mut readings = Readings::new(old.clone());
        for (read, expected) in [
            (old.clone(), None),
            (broken(), None),
            // Half of a change, that was not there a second later.
            (new.clone(), None),
            (new.clone(), Some(new.clone())),
            (new.clone(), None),
            (broken(), None),
            (broken(), Some(broken())),
            (broken(), None),
            (new.clone(), None),
            (new.clone(), Some(new)),
            (old.clone(), None),
            (old.clone(), Some(old)),
        ] {
            assert_eq!(readings.news(read), expected);
        }
    }
}
