//! Tokens of Microsoft Entra ID, for services that know this host by its identity and not by a key.
//!
//! An [`Identity`] asks for a token when one is needed and keeps it until it ends. Where tokens come from is in
//! identity/source.rs. It tells nobody what a token is for, and tries nothing twice: whoever needs the token does.

mod source;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};

use self::source::Source;
use crate::secret::Secret;

/// How long before its end a token is replaced. Clocks differ, and a call that has begun may take minutes.
const MARGIN: Duration = Duration::from_mins(5);

/// The identity of this host. Clones share their tokens.
#[derive(Clone)]
pub struct Identity(Arc<Shelf>);

struct Shelf {
    source: Arc<Source>,
    /// By scope.
    tokens: Mutex<BTreeMap<String, Slot>>,
}

#[derive(Default)]
struct Slot {
    token: Option<Token>,
    /// Shared by all that wait, so that an hour's end asks once and not once for each request. It is driven by those
    /// who wait: nobody has to look after a task.
    asking: Option<Shared<Asking>>,
}

type Asking = BoxFuture<'static, Result<Token, NoToken>>;

#[derive(Clone, Debug)]
struct Token {
    secret: Secret,
    ends: Instant,
}

/// Why there is no token. Names what was asked, and holds neither addresses nor secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no token from {asked}: {why}")]
pub struct NoToken {
    pub asked: &'static str,
    pub why: String,
    /// Whether asking again may help.
    pub may_pass: bool,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity").field(&self.0.source.name()).finish()
    }
}

impl Identity {
    /// The identity that the environment gives this process; asks nobody yet.
    ///
    /// The first that is set up, in the order of Azure's own libraries: a service principal with a secret, the workload
    /// identity of Kubernetes, the identity of App Service or Container Apps, that of Azure Machine Learning, and else
    /// that of the machine. An empty variable counts as none.
    pub fn from_env(env: &dyn Fn(&str) -> Option<String>) -> Self {
        let source = Arc::new(Source::choose(&|name| env(name).filter(|value| !value.is_empty())));
        Self(Arc::new(Shelf { source, tokens: Mutex::default() }))
    }

    /// A token for a scope, such as `https://cognitiveservices.azure.com/.default`.
    ///
    /// Ends within ten seconds. A token that still holds is given when a new one cannot be had.
    ///
    /// # Errors
    ///
    /// The source is not there, refuses, or says something else.
    pub async fn token(&self, scope: &str) -> Result<Secret, NoToken> {
        let asking = {
            let mut tokens = self.tokens();
            let slot = tokens.entry(scope.to_owned()).or_default();
            match &slot.token {
                Some(token) if token.ends > Instant::now() + MARGIN => return Ok(token.secret.clone()),
                _ => slot.asking.get_or_insert_with(|| self.ask(scope)).clone(),
            }
        };
        let result = asking.clone().await;
        let mut tokens = self.tokens();
        let slot = tokens.entry(scope.to_owned()).or_default();
        // Somebody may have begun to ask anew by now.
        if slot.asking.as_ref().is_some_and(|current| current.ptr_eq(&asking)) {
            slot.asking = None;
        }
        match result {
            Ok(token) => Ok(slot.token.insert(token).secret.clone()),
            Err(error) => match &slot.token {
                Some(token) if token.ends > Instant::now() => Ok(token.secret.clone()),
                _ => Err(error),
            },
        }
    }

    /// `text` with every token masked: some services quote the token that they refuse.
    pub fn strike(&self, text: &str) -> String {
        let tokens = self.tokens();
        let held = tokens.values().filter_map(|slot| slot.token.as_ref());
        held.fold(text.to_owned(), |text, token| token.secret.strike(&text))
    }

    fn ask(&self, scope: &str) -> Shared<Asking> {
        let (source, scope) = (Arc::clone(&self.0.source), scope.to_owned());
        let asking = async move {
            let (secret, life) = source.ask(&scope).await?;
            Ok(Token { secret, ends: Instant::now() + life })
        };
        asking.boxed().shared()
    }

    fn tokens(&self) -> MutexGuard<'_, BTreeMap<String, Slot>> {
        // Nothing is done under the lock that could leave a token half written.
        self.0.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
