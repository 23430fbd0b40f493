//! Waiting for a condition. Nothing here waits for a time: the deadline only ends a test that would hang.

use std::time::Duration;

use tokio::sync::watch;

/// How long a test waits for something that must happen. Long, because it is only ever used up by a failure, and a
/// busy machine that builds beside the tests must not make one.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Looks at a state whenever it changes, until `look` finds what it is after.
///
/// # Panics
///
/// After [`PATIENCE`]; `what` tells what was missing.
pub(crate) async fn until<T, R>(state: &watch::Sender<T>, what: &str, mut look: impl FnMut(&T) -> Option<R>) -> R {
    let mut updates = state.subscribe();
    let search = async {
        loop {
            if let Some(found) = look(&updates.borrow_and_update()) {
                return found;
            }
            updates.changed().await.expect("the sender is borrowed by the caller");
        }
    };
    within(what, search).await
}

/// The result of `future`.
///
/// # Panics
///
/// After [`PATIENCE`]; `what` tells what was missing.
pub(crate) async fn within<R>(what: &str, future: impl Future<Output = R>) -> R {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(result) => result,
        Err(_) => panic!("waited {} seconds in vain for {what}", PATIENCE.as_secs()),
    }
}

/// Asks again and again, until the answer is yes: for what nobody tells of when it changes, such as a process seen from
/// outside.
///
/// # Panics
///
/// After `PATIENCE`; `what` tells what was missing.
pub async fn eventually(what: &str, mut ask: impl AsyncFnMut() -> bool) {
    let asking = async {
        while !ask().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within(what, asking).await;
}
