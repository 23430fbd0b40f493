//! What a reply looks like: whole as JSON, or streamed as server-sent events.

pub mod accept;
mod stream;

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::header;

use crate::flow::value::Json;
use crate::setting::{self, Reader, Setting};

pub(super) use accept::{Accept, Form};
pub(super) use stream::streamed;

/// Longest time between two comments in a silent stream. Nobody keeps a connection for so long on which nothing comes.
const MAX_KEEP_ALIVE: Duration = Duration::from_secs(600);

/// The shortest of the usual idle timeouts of proxies is 30 seconds; half of it is safe.
pub static KEEP_ALIVE: Setting = Setting::new(
    "WEIR_STREAM_KEEP_ALIVE",
    "15s",
    "how long a stream may be silent until a comment shows that it lives; 0 for none",
);

/// How replies are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Zero: a stream may be silent for as long as its nodes may run.
    pub keep_alive: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { keep_alive: Duration::from_secs(15) }
    }
}

impl Config {
    pub fn read(reader: &mut Reader<'_>) -> Self {
        Self { keep_alive: reader.value(&KEEP_ALIVE, setting::time_or_none_up_to(MAX_KEEP_ALIVE)) }
    }
}

/// The flow's answer as it is.
pub(super) fn whole(reply: &Json) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], reply.as_str().to_owned()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nothing;

    impl setting::Source for Nothing {
        fn given(&self, _: &Setting) -> Option<setting::Given> {
            None
        }
    }

    #[test]
    fn documented_defaults_are_the_real_ones() {
        assert_eq!(Config::read(&mut Reader::new(&Nothing)), Config::default());
    }
}
