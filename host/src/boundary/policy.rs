//! What the operator lets nodes have of one capability: the policy's entries for it, each with its line.

use std::sync::Arc;

use crate::boundary::grants::AskError;

/// The rules of one capability; none: there is no policy.
#[derive(Clone, Debug)]
pub struct Rules<B>(Option<Arc<Ruled<B>>>);

#[derive(Debug)]
struct Ruled<B> {
    /// The policy's file, as messages name it, and the line of the capability; none: the policy does not name it.
    file: String,
    line: Option<usize>,
    entries: Vec<Rule<B>>,
}

/// An entry of a policy.
#[derive(Debug)]
pub struct Rule<B> {
    pub what: B,
    /// As it is written.
    pub said: String,
    pub line: usize,
}

impl<B> Default for Rules<B> {
    fn default() -> Self {
        Self(None)
    }
}

impl<B> Rules<B> {
    /// What a policy of this file says, from this line on.
    pub fn of(file: &str, line: Option<usize>, entries: Vec<Rule<B>>) -> Self {
        Self(Some(Arc::new(Ruled { file: file.to_owned(), line, entries })))
    }

    /// The policy's entries; none: there is no policy, and all may be asked for.
    pub fn entries(&self) -> Option<impl Iterator<Item = &B>> {
        self.0.as_deref().map(|ruled| ruled.entries.iter().map(|rule| &rule.what))
    }

    /// Whether some entry holds what is asked for, or there is no policy.
    pub fn hold(&self, holds: impl Fn(&B) -> bool) -> bool {
        self.entries().is_none_or(|mut entries| entries.any(holds))
    }

    /// [`Rules::hold`] as a result: what is asked for, in words, is more than the policy lets flows have.
    ///
    /// # Errors
    /// If it is.
    pub fn check(&self, capability: &'static str, asked: &str, holds: impl Fn(&B) -> bool) -> Result<(), AskError> {
        if self.hold(holds) { Ok(()) } else { Err(self.exceeded(capability, asked)) }
    }

    /// What is asked for is more than the policy lets flows have.
    pub fn exceeded(&self, capability: &'static str, asked: &str) -> AskError {
        let policy = match self.0.as_deref() {
            None => String::new(),
            Some(Ruled { file, line: None, .. }) => format!("{file}, which does not name `{capability}`"),
            Some(Ruled { file, line: Some(line), entries }) if entries.is_empty() => {
                format!("{file}:{line}, which allows nothing of it")
            }
            Some(Ruled { file, entries, .. }) => {
                let line = entries.first().map(|entry| entry.line).unwrap_or_default();
                let allowed: Vec<_> = entries.iter().map(|entry| entry.said.as_str()).collect();
                format!("{file}:{line}, which allows {}", allowed.join(", "))
            }
        };
        AskError::BeyondPolicy { capability, asked: asked.to_owned(), policy }
    }
}
