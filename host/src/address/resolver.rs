//! Names become addresses: within a bounded time, once for all who ask at the same moment, and by what was known before
//! while nobody answers.
//!
//! How long an answer is good is not told by the machine's resolver, so each one is asked for anew; what is remembered
//! only bridges the time without any. Whether an address may be reached is not decided here, but each time anew.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

/// Longest time for an answer, and longest to wait until somebody may be asked. Resolvers answer within some milliseconds,
/// or by their second attempt after a second.
const TIMEOUT: Duration = Duration::from_secs(2);
/// For how long a name that could not be resolved is not asked for again: names that are missing mostly come soon, as when
/// a service starts.
const NEGATIVE: Duration = Duration::from_secs(5);
/// For how long addresses are good while nobody answers: services seldom move, and least while the resolver is away.
const STALE: Duration = Duration::from_secs(300);
/// A lookup that hangs for so long is given up, and made anew: the machine's own gives up earlier.
const HANGS: Duration = Duration::from_secs(30);
/// Addresses of one name. More are never tried: a call's time is over before.
const MAX_ADDRESSES: usize = 16;
/// Names that are remembered. A node may ask for any name below one that it is granted.
const MAX_NAMES: usize = 256;
/// Lookups at the same time, over the whole process and for each [`Origin`]: each holds a thread, and one that hangs holds
/// it for half a minute.
const AT_ONCE: usize = 32;
/// The places of the whole process.
static PLACES: LazyLock<Places> = LazyLock::new(Places::default);

/// Whose choice a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The operator or the flow has written it in full: there are few of them.
    Written,
    /// A caller's or a node's, who may have as many names as they like, and a name server that answers none of them.
    Chosen,
}

/// Where lookups may be made. Names that somebody chooses have places of their own, so that they cannot take those of the
/// operator's services.
#[derive(Clone, Debug)]
struct Places {
    written: Arc<Semaphore>,
    chosen: Arc<Semaphore>,
}

/// That one lookup may be made, for as long as it is held.
pub(super) type Place = OwnedSemaphorePermit;

/// Whoever knows the addresses of names.
pub(super) trait Lookup: Send + Sync + fmt::Debug {
    /// Begins at once, and comes to its end whether or not anybody waits for it. Then the place is free.
    fn addresses(&self, name: &str, place: Place) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>>;
}

/// The resolver of the machine.
#[derive(Debug)]
struct System;

impl Lookup for System {
    fn addresses(&self, name: &str, place: Place) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        let name = name.to_owned();
        // The place goes with the thread, which goes on when nobody waits any more.
        let lookup = tokio::task::spawn_blocking(move || {
            let _place = place;
            (name.as_str(), 0).to_socket_addrs().map(Iterator::collect)
        });
        async move { lookup.await.map_err(io::Error::other)? }.boxed()
    }
}

/// A resolver that remembers. Clones share what they know.
#[derive(Clone, Debug)]
pub struct Resolver {
    lookup: Arc<dyn Lookup>,
    known: Arc<Mutex<HashMap<String, Known>>>,
    places: Places,
}

/// What is known of a name.
#[derive(Debug, Default)]
struct Known {
    /// The last addresses there were, and when.
    found: Option<(Instant, Vec<SocketAddr>)>,
    /// When nobody could tell the last time, if that is so, and why.
    failed: Option<(Instant, Failed)>,
    /// The lookup that is under way, and since when.
    pending: Option<(Instant, Pending)>,
}

/// Asked for by one, and heard by all who ask meanwhile.
type Pending = Shared<BoxFuture<'static, Result<Vec<SocketAddr>, Failed>>>;

/// Why there are no addresses. An error of I/O cannot be told to several.
#[derive(Clone, Debug)]
struct Failed(io::ErrorKind, Arc<str>);

impl Default for Places {
    fn default() -> Self {
        let places = || Arc::new(Semaphore::new(AT_ONCE));
        Self { written: places(), chosen: places() }
    }
}

impl Places {
    /// Waits for one. Whoever asks has to wait by themselves: a place would be kept by a wait that nobody looks at.
    async fn one(&self, origin: Origin) -> Result<Place, Failed> {
        let places = match origin {
            Origin::Written => &self.written,
            Origin::Chosen => &self.chosen,
        };
        let one = timeout(TIMEOUT, places.clone().acquire_owned()).await;
        let taken = || Failed(io::ErrorKind::WouldBlock, "too many names are looked up at the moment".into());
        one.ok().and_then(Result::ok).ok_or_else(taken)
    }
}

impl Default for Resolver {
    fn default() -> Self {
        Self { lookup: Arc::new(System), known: Arc::default(), places: PLACES.clone() }
    }
}

impl Resolver {
    /// One that asks somebody else than the machine, and has places of its own.
    #[cfg(test)]
    pub(super) fn new(lookup: Arc<dyn Lookup>) -> Self {
        Self { lookup, known: Arc::default(), places: Places::default() }
    }

    /// The addresses of a name.
    ///
    /// # Errors
    /// Nobody can tell, and nobody could within the last minutes.
    pub async fn addresses(&self, name: &str, origin: Origin) -> io::Result<Vec<SocketAddr>> {
        let pending = match self.ask(name, origin).await {
            Ok(pending) => pending,
            Err(failed) => return self.known(name, failed),
        };
        let result = timeout(TIMEOUT, pending).await;
        let failed = match result {
            Ok(Ok(addresses)) => {
                self.found(name, &addresses);
                return Ok(addresses);
            }
            Ok(Err(failed)) => {
                self.entry(name, |known| known.pending = None);
                failed
            }
            // It goes on: whoever asks next hears it.
            Err(_) => Failed(io::ErrorKind::TimedOut, "no answer in time".into()),
        };
        self.entry(name, |known| known.failed = Some((Instant::now(), failed.clone())));
        self.known(name, failed)
    }

    /// The lookup to wait for; or that there is none to wait for, since one has just failed, or since nobody can be asked
    /// at the moment. The latter says nothing about the name, and so is not remembered.
    async fn ask(&self, name: &str, origin: Origin) -> Result<Pending, Failed> {
        if let Some(pending) = self.entry(name, |known| known.under_way())? {
            return Ok(pending);
        }
        let place = self.places.one(origin).await?;
        self.entry(name, |known| {
            // Somebody else may have asked meanwhile.
            if let Some(pending) = known.under_way()? {
                return Ok(pending);
            }
            let lookup = self.lookup.addresses(name, place);
            let lookup = async move {
                let failed = |error: io::Error| Failed(error.kind(), error.to_string().into());
                let mut addresses = lookup.await.map_err(failed)?;
                addresses.truncate(MAX_ADDRESSES);
                if addresses.is_empty() {
                    return Err(Failed(io::ErrorKind::NotFound, "the name has no address".into()));
                }
                Ok(addresses)
            };
            let pending = lookup.boxed().shared();
            known.pending = Some((Instant::now(), pending.clone()));
            Ok(pending)
        })
    }

    fn found(&self, name: &str, addresses: &[SocketAddr]) {
        let found = Some((Instant::now(), addresses.to_vec()));
        self.entry(name, |known| *known = Known { found, ..Known::default() });
    }

    /// What was known before, if that is not too long ago.
    fn known(&self, name: &str, Failed(kind, why): Failed) -> io::Result<Vec<SocketAddr>> {
        let found = self.entry(name, |known| known.found.clone());
        match found.filter(|(when, _)| when.elapsed() < STALE) {
            Some((when, addresses)) => {
                let age = when.elapsed();
                tracing::debug!(%name, %why, ?age, "a name cannot be resolved; its last addresses are used");
                Ok(addresses)
            }
            None => Err(io::Error::new(kind, &*why)),
        }
    }

    fn entry<R>(&self, name: &str, change: impl FnOnce(&mut Known) -> R) -> R {
        let mut known = self.all();
        if known.len() >= MAX_NAMES && !known.contains_key(name) {
            forget_one(&mut known);
        }
        change(known.entry(name.to_owned()).or_default())
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        // Nothing that holds the lock can panic half-way.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// The lookup that can be waited for, if there is one.
    ///
    /// # Errors
    /// One has just failed, and none shall be made.
    fn under_way(&self) -> Result<Option<Pending>, Failed> {
        if let Some((_, failed)) = self.failed.as_ref().filter(|(when, _)| when.elapsed() < NEGATIVE) {
            return Err(failed.clone());
        }
        let pending = self.pending.as_ref().filter(|(since, _)| since.elapsed() < HANGS);
        Ok(pending.map(|(_, pending)| pending.clone()))
    }
}

/// Makes room: the name that has been of use the longest ago goes; one that never was goes first.
fn forget_one(known: &mut HashMap<String, Known>) {
    let oldest = known.iter().min_by_key(|(_, known)| known.found.as_ref().map(|(when, _)| *when));
    if let Some(name) = oldest.map(|(name, _)| name.clone()) {
        known.remove(&name);
    }
}

/// For a client whose services are all written down.
impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.clone();
        async move {
            let found = resolver.addresses(name.as_str(), Origin::Written).await?;
            Ok(Box::new(found.into_iter()) as Addrs)
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests;
