//! The feedback token: a signed text that leads a judgement to the span of the request it is about.
//!
//! A reply of `/score` carries one, and `/feedback` takes it back from callers that know nothing of trace contexts, a page
//! in a browser for one. It says which span, and until when; nothing in it is secret, and nobody but a host with the same
//! key can make one. Where the key comes from: see token/key.rs.

mod key;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use ring::hmac;

use crate::setting::{self, Reader, Setting};

pub use key::KeyError;
use key::KeyOrigin;

pub static TOKEN_TTL: Setting =
    Setting::new("WEIR_FEEDBACK_TOKEN_TTL", "24h", "how long a feedback token is good for; at most 720h");

pub static TOKEN_KEY_FILE: Setting = Setting::optional(
    "WEIR_FEEDBACK_TOKEN_KEY_FILE",
    "a key in the data directory, or one of this process alone",
    "file of at least 32 bytes by which feedback tokens are signed; hosts behind one balancer share it",
);

/// Longest life of a token: thirty days. A token that leaked can put judgements into one trace for as long.
const MAX_TTL: Duration = Duration::from_secs(30 * 24 * 3600);

/// Settings of the token.
#[derive(Clone, Debug)]
pub struct Config {
    pub ttl: Duration,
    pub key_file: Option<PathBuf>,
}

impl Config {
    pub fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            ttl: reader.value(&TOKEN_TTL, setting::time_up_to(MAX_TTL)),
            key_file: reader.optional(&TOKEN_KEY_FILE, setting::path),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self { ttl: Duration::from_secs(24 * 3600), key_file: None }
    }
}

/// Why a token is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("the feedback token is malformed; send it as the reply of /score had it")]
    Malformed,
    #[error("the feedback token has a wrong signature; it was made by another host, or changed on its way")]
    Signature,
    #[error("the feedback token has expired")]
    Expired,
}

/// Makes feedback tokens, and reads them.
pub struct FeedbackTokens {
    key: hmac::Key,
    origin: KeyOrigin,
    ttl: Duration,
}

/// Version of what follows it in a token.
const VERSION: u8 = 1;

/// What is signed begins with this, so that whoever uses one key for two things cannot mistake one for the other.
const PURPOSE: &[u8] = b"weir feedback token\0";

/// Version, trace flags, trace id, span id, expiry in seconds since 1970; all numbers big-endian.
const CLAIMS: usize = 1 + 1 + 16 + 8 + 8;

/// HMAC-SHA256, whole.
const SIGNATURE: usize = 32;

impl FeedbackTokens {
    /// Takes the key of the settings, else the one of the data directory, which it makes if need be, else a random one.
    ///
    /// # Errors
    /// If a key that was asked for cannot be read, made or used.
    pub fn open(config: &Config, data_dir: Option<&Path>) -> Result<Self, KeyError> {
        let (key, origin) = key::find(config.key_file.as_deref(), data_dir)?;
        Ok(Self { key: hmac::Key::new(hmac::HMAC_SHA256, &key), origin, ttl: config.ttl })
    }

    /// Where the key comes from, for the message at start.
    pub fn describe(&self) -> String {
        format!("feedback tokens: {}", self.origin)
    }

    /// A token for the span of `cx`; none if there is no span, as in a host that does not trace.
    pub fn issue(&self, cx: &Context) -> Option<String> {
        self.issue_at(cx, SystemTime::now())
    }

    /// The span that the token was made for, as the parent of a feedback.
    ///
    /// # Errors
    /// If the token was not made with our key, or long ago.
    pub fn verify(&self, token: &str) -> Result<Context, TokenError> {
        self.verify_at(token, SystemTime::now())
    }

    fn issue_at(&self, cx: &Context, now: SystemTime) -> Option<String> {
        let span = cx.span();
        let span = span.span_context();
        if !span.is_valid() {
            return None;
        }
        let mut token = Vec::with_capacity(CLAIMS + SIGNATURE);
        token.extend([VERSION, span.trace_flags().to_u8()]);
        token.extend(span.trace_id().to_bytes());
        token.extend(span.span_id().to_bytes());
        token.extend(seconds(now + self.ttl).to_be_bytes());
        let signature = hmac::sign(&self.key, &signed(&token));
        token.extend(signature.as_ref());
        Some(BASE64_URL_SAFE_NO_PAD.encode(token))
    }

    fn verify_at(&self, token: &str, now: SystemTime) -> Result<Context, TokenError> {
        let token = BASE64_URL_SAFE_NO_PAD.decode(token).map_err(|_| TokenError::Malformed)?;
        let (claims, signature) = token.split_at_checked(CLAIMS).ok_or(TokenError::Malformed)?;
        if signature.len() != SIGNATURE || claims[0] != VERSION {
            return Err(TokenError::Malformed);
        }
        // In constant time.
        hmac::verify(&self.key, &signed(claims), signature).map_err(|_| TokenError::Signature)?;
        let claims = Claims::read(claims).ok_or(TokenError::Malformed)?;
        if claims.expiry <= seconds(now) {
            return Err(TokenError::Expired);
        }
        let span = SpanContext::new(claims.trace, claims.span, claims.flags, true, TraceState::NONE);
        Ok(Context::new().with_remote_span_context(span))
    }
}

impl fmt::Debug for FeedbackTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FeedbackTokens").field("origin", &self.origin).field("ttl", &self.ttl).finish_non_exhaustive()
    }
}

struct Claims {
    flags: TraceFlags,
    trace: TraceId,
    span: SpanId,
    /// Seconds since 1970.
    expiry: u64,
}

impl Claims {
    fn read(bytes: &[u8]) -> Option<Self> {
        let (head, rest) = bytes.split_first_chunk::<2>()?;
        let (trace, rest) = rest.split_first_chunk()?;
        let (span, rest) = rest.split_first_chunk()?;
        let expiry = rest.first_chunk()?;
        Some(Self {
            flags: TraceFlags::new(head[1]),
            trace: TraceId::from_bytes(*trace),
            span: SpanId::from_bytes(*span),
            expiry: u64::from_be_bytes(*expiry),
        })
    }
}

fn signed(claims: &[u8]) -> Vec<u8> {
    [PURPOSE, claims].concat()
}

/// A clock before 1970 is one that was never set; tokens then are as if made in 1970.
fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(3600);

    fn tokens() -> FeedbackTokens {
        FeedbackTokens::open(&Config { ttl: TTL, key_file: None }, None).unwrap()
    }

    fn span() -> SpanContext {
        let (trace, span) = (TraceId::from(0x4bf9_2f35_77b3_4da6), SpanId::from(0x00f0_67aa_0ba9_02b7));
        SpanContext::new(trace, span, TraceFlags::SAMPLED, false, TraceState::NONE)
    }

    fn of(span: SpanContext) -> Context {
        Context::new().with_remote_span_context(span)
    }

    #[test]
    fn a_token_leads_back_to_its_span() {
        for flags in [TraceFlags::SAMPLED, TraceFlags::NOT_SAMPLED] {
            let span = SpanContext::new(span().trace_id(), span().span_id(), flags, false, TraceState::NONE);
            let tokens = tokens();
            let token = tokens.issue(&of(span.clone())).unwrap();
            assert!(token.bytes().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'_')), "{token}");
            let cx = tokens.verify(&token).unwrap();
            let found = cx.span().span_context().clone();
            assert_eq!(
                (found.trace_id(), found.span_id(), found.trace_flags()),
                (span.trace_id(), span.span_id(), flags)
            );
            assert!(found.is_remote());
        }
    }

    #[test]
    fn without_a_span_there_is_no_token() {
        assert_eq!(tokens().issue(&Context::new()), None);
    }

    #[test]
    fn a_token_expires() {
        let (tokens, now) = (tokens(), SystemTime::now());
        let token = tokens.issue_at(&of(span()), now).unwrap();
        assert!(tokens.verify_at(&token, now + TTL - Duration::from_secs(1)).is_ok());
        assert_eq!(tokens.verify_at(&token, now + TTL).err(), Some(TokenError::Expired));
    }

    #[test]
    fn a_token_of_another_key_is_refused() {
        let token = tokens().issue(&of(span())).unwrap();
        assert_eq!(tokens().verify(&token).err(), Some(TokenError::Signature));
    }

    #[test]
    fn a_token_that_was_changed_anywhere_is_refused() {
        let tokens = tokens();
        let token = BASE64_URL_SAFE_NO_PAD.decode(tokens.issue(&of(span())).unwrap()).unwrap();
        for at in 0..token.len() {
            let mut changed = token.clone();
            changed[at] ^= 1;
            let expected = if at == 0 { TokenError::Malformed } else { TokenError::Signature };
            assert_eq!(tokens.verify(&BASE64_URL_SAFE_NO_PAD.encode(changed)).err(), Some(expected), "byte {at}");
        }
        for length in 0..token.len() {
            let cut = BASE64_URL_SAFE_NO_PAD.encode(&token[..length]);
            assert_eq!(tokens.verify(&cut).err(), Some(TokenError::Malformed), "{length} bytes");
        }
        for text in ["not base64!", "", "é"] {
            assert_eq!(tokens.verify(text).err(), Some(TokenError::Malformed), "{text:?}");
        }
    }
}
