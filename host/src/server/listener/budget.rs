//! How many connections there may be, of all clients and of each.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Counts the connections of one listener.
#[derive(Debug)]
pub struct Budget {
    all: usize,
    /// None: each client may have all.
    each: Option<usize>,
    taken: Mutex<Taken>,
    refused: AtomicU64,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    /// Counted only if there is a limit; clients without connections are not kept.
    by_client: HashMap<IpAddr, usize>,
}

/// The place of one connection, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    budget: Arc<Budget>,
    client: IpAddr,
}

impl Budget {
    pub(super) fn new(all: usize, each: Option<usize>) -> Arc<Self> {
        Arc::new(Self { all, each, taken: Mutex::default(), refused: AtomicU64::new(0) })
    }

    /// How many connections are open.
    pub fn open(&self) -> usize {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).all
    }

    /// How many may be.
    pub fn limit(&self) -> usize {
        self.all
    }

    /// How many found no place so far.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// A place for another connection of this client, if there is one.
    pub(super) fn take(self: &Arc<Self>, client: IpAddr) -> Option<Place> {
        let place = self.try_take(client);
        if place.is_none() {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        place
    }

    fn try_take(self: &Arc<Self>, client: IpAddr) -> Option<Place> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.all >= self.all {
            return None;
        }
        if let Some(each) = self.each {
            let of_client = taken.by_client.entry(client).or_default();
            if *of_client >= each {
                return None;
            }
            *of_client += 1;
        }
        taken.all += 1;
        Some(Place { budget: self.clone(), client })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.budget.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all -= 1;
        if let Some(of_client) = taken.by_client.get_mut(&self.client) {
            *of_client -= 1;
            if *of_client == 0 {
                taken.by_client.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn client(last: u8) -> IpAddr {
        Ipv4Addr::new(10, 0, 0, last).into()
    }

    #[test]
    fn places_are_shared_by_all_and_given_back() {
        let budget = Budget::new(2, None);
        let (first, _second) = (budget.take(client(1)), budget.take(client(1)));
        assert!(first.is_some() && budget.take(client(2)).is_none());
        assert_eq!((budget.open(), budget.limit(), budget.refused()), (2, 2, 1));
        drop(first);
        assert_eq!(budget.open(), 1);
        assert!(budget.take(client(2)).is_some());
    }

    #[test]
    fn a_client_has_its_share_and_leaves_nothing_behind() {
        let budget = Budget::new(9, Some(1));
        let first = budget.take(client(1));
        assert!(first.is_some() && budget.take(client(1)).is_none());
        assert!(budget.take(client(2)).is_some());
        drop(first);
        assert!(budget.taken.lock().expect("no panic").by_client.is_empty());
    }
}
