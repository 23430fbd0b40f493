//! Names that travel through the whole host. A leaf: uses nothing, used by all.

use std::fmt;
use std::sync::Arc;

/// A name that is cheap to clone and cannot be mixed up with another kind of name.
macro_rules! names {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            pub fn new(name: impl Into<Arc<str>>) -> Self {
                Self(name.into())
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The same text, for who keeps it: nothing is copied.
            pub fn shared(&self) -> Arc<str> {
                self.0.clone()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

names! {
    /// The flow: the name of its folder. Value of the `flow` dimension of every metric.
    FlowId;
    /// A node, as its flow names it.
    NodeId;
    /// One request: the caller's `x-request-id`, else a fresh UUID. Span attributes `request_id` and `line_run_id`.
    RequestId;
}
