//! The way out of the host, for each exporter that pushes: nothing waits for it, and nothing is lost on it silently.
//!
//! What has ended is made into parcels, requests as they will be sent (parcel.rs). An outbox sends them in their order,
//! and tries again for as long as its destination is away.

pub(super) mod parcel;
