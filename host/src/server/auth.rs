//! Who a request is from: the keys that callers prove themselves by, and what holds when there are none.
//!
//! A caller sends `Authorization: Bearer KEY`, as to an endpoint of Azure ML. Which routes ask for it, and what a refused
//! caller is told: see access.rs. No key is kept, only digests; and nothing here is told of one but its name.

mod follow;
mod keys;

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use http::{HeaderMap, header};

use crate::rate::{Quota, Rate};
use crate::setting::{self, Reader, Setting};

pub use keys::KeyName;
use keys::{Digest, Keys};

pub static AUTH: Setting = Setting::new(
    "WEIR_AUTH",
    "auto",
    "`auto`: callers need a key if there are keys, else only a loopback address is served; `keys`: there must be keys; \
     `none`: whoever reaches the address is served",
);
pub static PRIMARY_KEY: Setting =
    Setting::secret("WEIR_PRIMARY_KEY", "none", "a key for callers: 16 to 512 visible ASCII characters");
pub static SECONDARY_KEY: Setting =
    Setting::secret("WEIR_SECONDARY_KEY", "none", "a second one, so that keys can be changed one after the other");
pub static KEYS_FILE: Setting = Setting::optional(
    "WEIR_KEYS_FILE",
    "none",
    "a file of lines `primary: KEY` and `secondary: KEY`, or a folder of files of these names; read again when it changes",
);

/// How many failures one source may cause: ten at once, ten a minute. Keys are long enough not to be guessed; this keeps
/// those who try from filling traces and logs. A right key from the same source is served all the same, or one caller
/// behind a proxy could lock out all others.
const FAILURES_OF_SOURCE: Rate = Rate::new(10, Duration::from_secs(60));
/// How many failures all sources together may cause, since addresses are cheap.
const FAILURES_OF_ALL: Rate = Rate::new(1000, Duration::from_secs(60));

/// What an operator says about keys.
#[derive(Clone, Debug, Default)]
pub struct Config {
    mode: Mode,
    keys: Given,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mode {
    #[default]
    Auto,
    Keys,
    None,
}

/// Where the keys are.
#[derive(Clone, Debug, Default)]
enum Given {
    #[default]
    Nowhere,
    Here(Keys),
    File(PathBuf),
}

impl Config {
    pub fn read(reader: &mut Reader<'_>) -> Self {
        let words = [("auto", Mode::Auto), ("keys", Mode::Keys), ("none", Mode::None)];
        let mode = reader.value(&AUTH, setting::one_of(&words));
        let primary = reader.optional(&PRIMARY_KEY, Digest::of_key);
        let secondary = reader.optional(&SECONDARY_KEY, Digest::of_key);
        let file = reader.optional(&KEYS_FILE, setting::path);
        let keys = match (Keys::new(primary, secondary), file) {
            (Some(keys), None) => Given::Here(keys),
            (None, Some(file)) => Given::File(file),
            (None, None) => Given::Nowhere,
            (Some(_), Some(file)) => {
                reader.complain(format!(
                    "{}: there are keys in {} or {} as well; give them in one place",
                    KEYS_FILE.variable, PRIMARY_KEY.variable, SECONDARY_KEY.variable
                ));
                Given::File(file)
            }
        };
        Self { mode, keys }
    }
}

/// Knows callers by their keys.
pub struct Auth {
    /// None: everyone is served.
    keys: Option<RwLock<Arc<Keys>>>,
    /// Where the keys are read again when it changes.
    file: Option<PathBuf>,
    failures: Quota<Source>,
}

/// Who a request is from, as far as is known. Limits are kept for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Caller {
    Key(KeyName),
    Source(Source),
}

/// Where requests come from: an IPv4 address, or a network of IPv6, since whoever has one address there has them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Source(IpAddr);

/// Why a request is not served. What is wrong with its key, if it has one, is told to nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    Unauthenticated,
    /// And its source has failed too often; after this time it may fail again.
    TooOften(Duration),
}

impl Auth {
    /// # Errors
    /// If the keys cannot be read, if there are none though they are asked for, or if without them everyone who reaches
    /// `listen` would be served and the operator has not said so.
    pub fn open(config: Config, listen: SocketAddr) -> Result<Self, String> {
        let (keys, file) = match (config.mode, config.keys) {
            (Mode::None, _) => (None, None),
            (Mode::Auto | Mode::Keys, Given::Here(keys)) => (Some(keys), None),
            (Mode::Auto | Mode::Keys, Given::File(file)) => {
                let keys = keys::read(&file).map_err(|problem| format!("{}: {problem}", KEYS_FILE.variable))?;
                (Some(keys), Some(file))
            }
            (Mode::Keys, Given::Nowhere) => {
                return Err(format!(
                    "{}: keys are asked for and there are none; set {} or {}",
                    AUTH.variable, PRIMARY_KEY.variable, KEYS_FILE.variable
                ));
            }
            (Mode::Auto, Given::Nowhere) if listen.ip().to_canonical().is_loopback() => (None, None),
            (Mode::Auto, Given::Nowhere) => {
                return Err(format!(
                    "without keys, everyone who reaches {listen} could use this flow; set {} or {}, listen on 127.0.0.1, or \
                     say {}=none if others see to who may call",
                    PRIMARY_KEY.variable, KEYS_FILE.variable, AUTH.variable
                ));
            }
        };
        let keys = keys.map(|keys| RwLock::new(Arc::new(keys)));
        Ok(Self { keys, file, failures: Quota::new(Some(FAILURES_OF_SOURCE), Some(FAILURES_OF_ALL)) })
    }

    /// Whether callers need a key.
    pub fn is_required(&self) -> bool {
        self.keys.is_some()
    }

    /// Whose request it is.
    ///
    /// # Errors
    /// If it should have a key and has none that is valid.
    pub fn check(&self, headers: &HeaderMap, source: Source, now: Instant) -> Result<Caller, Refused> {
        let Some(keys) = &self.keys else { return Ok(Caller::Source(source)) };
        let keys = keys.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(name) = bearer(headers).and_then(|key| keys.find(key)) {
            return Ok(Caller::Key(name));
        }
        self.failures.take(source, now).map_err(Refused::TooOften)?;
        Err(Refused::Unauthenticated)
    }

    /// Follows the file of the keys, for ever. To be run as long as requests are served.
    pub async fn follow(&self) {
        let (Some(keys), Some(file)) = (&self.keys, &self.file) else { return std::future::pending().await };
        follow::follow(file, keys).await;
    }
}

/// Shows no key, and no digest either.
impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth").field("required", &self.is_required()).field("file", &self.file).finish_non_exhaustive()
    }
}

impl Source {
    pub fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => address.into(),
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (!0 << 64)).into(),
        })
    }
}

/// The key that a request has, if it is a text.
pub(super) fn key(headers: &HeaderMap) -> Option<&str> {
    std::str::from_utf8(bearer(headers)?).ok()
}

/// The key that a request has, if it has one `Authorization` header and that is of the scheme `Bearer`.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    // Of two that differ one could be checked here, and the other by a proxy.
    let (Some(value), None) = (given.next(), given.next()) else { return None };
    let value = value.as_bytes();
    let space = value.iter().position(|byte| *byte == b' ')?;
    let (scheme, key) = value.split_at(space);
    scheme.eq_ignore_ascii_case(b"bearer").then(|| &key[1..])
}

#[cfg(test)]
mod tests;
