//! A token of this host's identity, for collectors that know it by that: the original's own way to Azure.

use http::HeaderValue;

use super::answer;
use crate::identity::Identity;

/// Where the token comes from, and what it is asked for.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) identity: Identity,
    pub(super) scope: String,
}

impl Token {
    /// The value of the header `authorization`.
    ///
    /// # Errors
    /// There is no token now.
    pub(super) async fn header(&self) -> Result<HeaderValue, String> {
        let token = self.identity.token(&self.scope).await.map_err(|error| answer::brief(&error.to_string()))?;
        let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
            .map_err(|_| "the token of this host's identity cannot be sent in a header".to_owned())?;
        value.set_sensitive(true);
        Ok(value)
    }
}
