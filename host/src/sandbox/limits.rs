//! What one run of a node may use: THE table, each number with its reason. Time, streams, texts and requests by HTTP are
//! kept by the boundary, everything else by the sandbox.
//!
//! A node's flow may ask for less or more than the default under `limits`, the operator says how much it may ask for at
//! most, and nobody for more than the host can honour. What no flow can sensibly ask for has one number, in [`fixed`].

pub mod fixed;
mod quantity;

use std::time::Duration;

use indexmap::IndexMap;

use crate::boundary::bounds::{Bounds, HttpBounds, LogBounds, Resolution, StreamBounds};
use crate::setting::{Reader, Setting};
use crate::units::Bytes;

pub use quantity::Count;
use quantity::Quantity;

/// Makes [`Limits`], [`Caps`], their settings and [`TABLE`] of a list of limits.
///
/// One entry becomes a field of both structs, a key under `limits` of a node, a setting of the operator, and a row of the
/// README. `default` is what a node has that asks for nothing, `cap` the operator's default, `most` what the host can honour.
macro_rules! limits {
    ($($(#[doc = $reason:literal])+ $name:ident: $kind:ty = $is:literal {
        default: $default:literal, cap: $cap:literal, most: $most:literal, $setting:ident: $variable:literal $(,)?
    })+) => {
        /// What one run may use.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct Limits {
            $($(#[doc = $reason])+ pub $name: $kind,)+
        }

        /// The most that a flow may ask for, by the operator's word.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct Caps {
            $($(#[doc = $reason])+ pub $name: $kind,)+
        }

        $(
            #[doc = concat!("How much of `limits.", stringify!($name), "` a flow may ask for.")]
            pub static $setting: Setting = Setting::new(
                $variable,
                $cap,
                concat!("the most that a flow may ask for as `limits.", stringify!($name), "`; at most ", $most),
            );
        )+

        /// Every limit, in the order in which it is documented.
        pub const TABLE: &[Row] = &[$(Row {
            key: stringify!($name), is: $is, default: $default, cap: $cap, most: $most, setting: &$setting,
        },)+];

        impl Caps {
            /// As the operator says.
            pub fn read(reader: &mut Reader<'_>) -> Self {
                Self { $($name: reader.value(&$setting, |text| <$kind>::up_to(text, $most)),)+ }
            }
        }

        impl Default for Caps {
            fn default() -> Self {
                Self { $($name: <$kind>::written($cap),)+ }
            }
        }

        impl Limits {
            /// What a node has that asks for nothing.
            pub fn defaults(caps: &Caps) -> Self {
                Self { $($name: <$kind>::written($default).min(caps.$name),)+ }.settled()
            }

            /// What a flow asks for, by key, over these limits.
            ///
            /// # Errors
            /// All that it cannot have, each with its key and why.
            pub fn asked(mut self, asked: &IndexMap<String, String>, caps: &Caps) -> Result<Self, Vec<(String, Refused)>> {
                let mut refused = Vec::new();
                for (key, text) in asked {
                    let found = match key.as_str() {
                        $(stringify!($name) => within(text, caps.$name).map(|value| self.$name = value),)+
                        _ => Err(Refused::Unknown),
                    };
                    refused.extend(found.err().map(|error| (key.clone(), error)));
                }
                if refused.is_empty() { Ok(self.settled()) } else { Err(refused) }
            }
        }
    };
}

limits! {
    /// Holds any prompt and the JSON around it; a Python or JavaScript guest needs most of it for its interpreter. Also the
    /// longest that one instruction, filling it, keeps a thread: 70 ms. The most is the size of a slot of the pool.
    memory: Bytes = "linear memory, all of its instances together" {
        default: "64MiB", cap: "1GiB", most: "1GiB", MEMORY: "WEIR_MAX_NODE_MEMORY",
    }
    /// Longer than any computation a person waits for. A node that does nothing but wait for a model has as much as a flow
    /// may ask for: models that think take minutes, and the original allowed a whole request 300 s.
    timeout: Duration = "wall time of a run, host calls and streaming included" {
        default: "60s", cap: "300s", most: "1h", TIMEOUT: "WEIR_MAX_NODE_TIMEOUT",
    }
    /// Time on a thread, its own and that of host functions that do not wait. Ten seconds start any interpreter and parse
    /// any input that fits; what computes longer would keep a core from all other requests.
    cpu: Duration = "time on a processor" {
        default: "10s", cap: "60s", most: "1h", CPU: "WEIR_MAX_NODE_CPU",
    }
    /// The longest body that is taken by default, and 8 MiB of images as base64, which the host puts in place of their
    /// addresses.
    input: Bytes = "its inputs, as JSON text" {
        default: "16MiB", cap: "64MiB", most: "256MiB", INPUT: "WEIR_MAX_NODE_INPUT",
    }
    /// Held once for every node that uses it, and the reply is made of it; larger things belong in object storage.
    output: Bytes = "its output, as JSON text" {
        default: "4MiB", cap: "16MiB", most: "256MiB", OUTPUT: "WEIR_MAX_NODE_OUTPUT",
    }
    /// The host may have to keep all of a stream to join it: as much as of an output that does not stream.
    stream: Bytes = "all chunks of a streamed output" {
        default: "4MiB", cap: "16MiB", most: "256MiB", STREAM: "WEIR_MAX_NODE_STREAM",
    }
    /// Each costs the host more than its text, and every reader a frame. The longest answers of models have 128 Ki tokens,
    /// which is one chunk each.
    chunks: Count = "how many chunks it streams" {
        default: "200000", cap: "1000000", most: "10000000", CHUNKS: "WEIR_MAX_NODE_CHUNKS",
    }
    /// The fastest services write about so many tokens. A node that streams faster waits, it does not fail.
    chunk_rate: Count = "how many chunks leave in a second" {
        default: "2000", cap: "10000", most: "1000000", CHUNK_RATE: "WEIR_MAX_NODE_CHUNK_RATE",
    }
    /// Once a stream has begun, its reader looks at it. Twice what a service of models may be silent, so that the failure
    /// that is told is the service's.
    stream_idle: Duration = "the longest pause between two chunks, but for a slow reader's" {
        default: "60s", cap: "300s", most: "1h", STREAM_IDLE: "WEIR_MAX_NODE_STREAM_IDLE",
    }
    /// A screen of text for each of a dozen steps. What is beyond is left out and counted, and the node runs on.
    log: Bytes = "text of its log lines that is told" {
        default: "64KiB", cap: "1MiB", most: "64MiB", LOG: "WEIR_MAX_NODE_LOG",
    }
    /// As many as a person reads. What is beyond is left out and counted, and the node runs on.
    log_lines: Count = "how many of its log lines are told" {
        default: "1000", cap: "10000", most: "1000000", LOG_LINES: "WEIR_MAX_NODE_LOG_LINES",
    }
    /// A node that reads 8 MiB of an answer in small pieces makes some ten thousand; a loop of the cheapest call has made
    /// these in a tenth of a second. What has a limit of its own (chunks, log lines, pieces of a model's answer) is not
    /// counted.
    calls: Count = "calls to the host, those of WASI included" {
        default: "100000", cap: "1000000", most: "1000000000", CALLS: "WEIR_MAX_NODE_CALLS",
    }
    /// The host copies them before it looks at them. A node passes on what it was given, to a model or another node.
    call: Bytes = "arguments of one call to the host; never less than `output`" {
        default: "16MiB", cap: "64MiB", most: "256MiB", CALL: "WEIR_MAX_NODE_CALL",
    }
    /// Streams, requests, answers and their bodies that are open at the same time. A request by HTTP has about ten, and
    /// `requests_at_once` are on their way.
    resources: Count = "what it holds open of the host" {
        default: "256", cap: "10000", most: "1000000", RESOURCES: "WEIR_MAX_NODE_RESOURCES",
    }
    /// A crawler of a whole site makes so many; what asks on and on is a loop, and harms whom it asks.
    requests: Count = "requests by HTTP" {
        default: "1000", cap: "10000", most: "1000000", REQUESTS: "WEIR_MAX_NODE_REQUESTS",
    }
    /// As many as a browser has to one service. Further ones wait until earlier ones are answered. The most is what all runs
    /// of a node have together, each being a socket.
    requests_at_once: Count = "requests by HTTP that wait for an answer at a time" {
        default: "6", cap: "64", most: "64", REQUESTS_AT_ONCE: "WEIR_MAX_NODE_REQUESTS_AT_ONCE",
    }
    /// A guest streams both, so its memory is no bound. It holds any page and any JSON that a node can make sense of; larger
    /// things belong in object storage.
    body: Bytes = "body of one request by HTTP, and of one answer" {
        default: "16MiB", cap: "64MiB", most: "4GiB", BODY: "WEIR_MAX_NODE_BODY",
    }
}

/// A limit as it is documented.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Under `limits` of a node.
    pub key: &'static str,
    pub is: &'static str,
    /// What a node has that asks for nothing.
    pub default: &'static str,
    /// What a flow may ask for, if the operator says nothing else.
    pub cap: &'static str,
    /// What the operator may allow.
    pub most: &'static str,
    pub setting: &'static Setting,
}

/// Why a node cannot have what its flow asks for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("there is no such limit; known: {}", known().join(", "))]
    Unknown,
    #[error("{0}")]
    Unreadable(String),
    #[error("{asked} is more than {most}, the most a flow may have")]
    TooMuch { asked: String, most: String },
}

/// The keys of all limits.
pub fn known() -> Vec<&'static str> {
    TABLE.iter().map(|row| row.key).collect()
}

impl Limits {
    /// wasmtime has one number for what goes out by a call and for what comes back by the answer.
    fn settled(self) -> Self {
        Self { call: self.call.max(self.output), ..self }
    }

    /// What the boundary keeps of them, of a node with such a clock.
    pub fn bounds(&self, clock: Resolution) -> Bounds {
        Bounds {
            timeout: self.timeout,
            input: self.input.to_usize(),
            output: self.output.to_usize(),
            stream: StreamBounds {
                bytes: self.stream.to_usize(),
                chunks: self.chunks.0,
                per_second: self.chunk_rate.0,
                idle: self.stream_idle,
            },
            http: HttpBounds {
                requests: self.requests.0,
                at_once: self.requests_at_once.0,
                body: self.body.to_usize(),
            },
            log: LogBounds { bytes: self.log.to_usize(), lines: self.log_lines.0 },
            clock,
        }
    }
}

/// Reads what a flow asks for, which may be so much.
///
/// # Errors
/// If it cannot be read, or is more.
pub(super) fn within<Q: Quantity>(text: &str, most: Q) -> Result<Q, Refused> {
    let asked = Q::parse(text).map_err(Refused::Unreadable)?;
    if asked > most {
        return Err(Refused::TooMuch { asked: asked.shown(), most: most.shown() });
    }
    Ok(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(pairs: &[(&str, &str)], caps: &Caps) -> Result<Limits, Vec<String>> {
        let asked = pairs.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect();
        let told = |refused: Vec<(String, Refused)>| {
            refused.into_iter().map(|(key, refused)| format!("limits.{key}: {refused}")).collect()
        };
        Limits::defaults(caps).asked(&asked, caps).map_err(told)
    }

    #[test]
    fn every_number_of_the_table_can_be_read_and_none_is_above_the_next() {
        let _ = Limits::defaults(&Caps::default());
        for row in TABLE {
            // Those of one row have the same unit, whichever it is.
            let ordered = |read: &dyn Fn(&str) -> Option<u128>| {
                let numbers: Option<Vec<_>> = [row.default, row.cap, row.most].into_iter().map(read).collect();
                numbers.is_some_and(|numbers| numbers.is_sorted())
            };
            let size = |text: &str| Bytes::parse(text).ok().map(|bytes| u128::from(bytes.0));
            let time = |text: &str| Duration::parse(text).ok().map(|time| time.as_millis());
            let count = |text: &str| Count::parse(text).ok().map(|count| count.0 as u128);
            assert!(ordered(&size) || ordered(&time) || ordered(&count), "{row:?}");
        }
        assert_eq!(TABLE[0].most, fixed::SLOT.to_string().replace(' ', ""));
    }

    #[test]
    fn a_flow_has_what_it_asks_for_up_to_the_cap() {
        let caps = Caps::default();
        let usual = Limits::defaults(&caps);
        assert_eq!((usual.memory, usual.timeout), (Bytes(64 << 20), Duration::from_secs(60)));
        let limits = asked(&[("memory", "1GiB"), ("cpu", "1s"), ("calls", "5")], &caps);
        let expected = Limits { memory: Bytes(1 << 30), cpu: Duration::from_secs(1), calls: Count(5), ..usual };
        assert_eq!(limits, Ok(expected));
    }

    #[test]
    fn what_the_operator_caps_holds_also_for_who_asks_for_nothing() {
        let caps = Caps { memory: Bytes(1 << 20), calls: Count(7), ..Caps::default() };
        let limits = Limits::defaults(&caps);
        assert_eq!((limits.memory, limits.calls), (Bytes(1 << 20), Count(7)));
    }

    #[test]
    fn all_that_a_flow_cannot_have_is_told() {
        let caps = Caps::default();
        let asked = asked(
            &[("memory", "2GiB"), ("timeout", "10 parsecs"), ("calls", "many"), ("stream", "64"), ("fuel", "1")],
            &caps,
        );
        let keys = known().join(", ");
        let expected = [
            "limits.memory: 2 GiB is more than 1 GiB, the most a flow may have".to_owned(),
            "limits.timeout: \"10 parsecs\" has the unknown unit \"parsecs\"; units are: ms, s, m, h".to_owned(),
            "limits.calls: \"many\" must be a whole number above zero, such as 1000".to_owned(),
            "limits.stream: \"64\" has no unit; write 64MiB".to_owned(),
            format!("limits.fuel: there is no such limit; known: {keys}"),
        ];
        assert_eq!(asked, Err(expected.to_vec()));
    }

    #[test]
    fn an_operator_allows_no_more_than_the_host_can_honour() {
        let read = |value| crate::setting::read_from(&[("WEIR_MAX_NODE_MEMORY", value)], Caps::read);
        assert_eq!(read("32MiB").map(|caps| caps.memory), Ok(Bytes(32 << 20)));
        let told = "WEIR_MAX_NODE_MEMORY: \"2GiB\" is more than 1GiB, the most it may be";
        assert_eq!(read("2GiB"), Err(vec![told.to_owned()]));
    }
}
