//! What must be told to nobody: taken out before anything is cut, kept, sent or printed.
//!
//! Three kinds of things are masked: the secrets that the host itself holds, wherever they turn up; members of JSON that are
//! named like keys (redaction/members.rs); and what the patterns of the operator match. A text is masked before it is cut,
//! since half of a secret is still a secret. What a text is told for, and how much of it: see content.rs.

mod members;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

use opentelemetry::logs::{AnyValue, LogRecord as _};
use opentelemetry::trace::Status;
use opentelemetry::{Array, KeyValue, StringValue, Value};
use opentelemetry_sdk::logs::SdkLogRecord;
use opentelemetry_sdk::trace::SpanData;
use regex::Regex;

use crate::secret::MASK;
use crate::setting::{Reader, Setting};
use members::Members;

/// Shortest secret that is looked for, in bytes. Whoever needs no key writes `none` or `ollama` for it, and such words are
/// wanted in what is told; no real key is this short.
pub(super) const MIN_SECRET: usize = 8;

pub(super) static PATTERNS: Setting = Setting::optional(
    "WEIR_REDACT_PATTERNS",
    "none",
    "what is masked in all that is told: regular expressions, one a line, or a JSON list of them",
);
pub(super) static KEYS: Setting = Setting::new(
    "WEIR_REDACT_KEYS",
    "api_key,x_api_key,authorization,password,passwd,secret,client_secret,private_key,access_token,refresh_token,id_token,connection_string",
    "members of JSON whose values are masked, by name; `_`, `-` and case do not matter; `none`: no member",
);

/// Takes out of texts what must be told to nobody. Clones are the same, and learn together.
#[derive(Clone, Debug, Default)]
pub struct Redactor(Arc<RwLock<Arc<Rules>>>);

#[derive(Clone, Default)]
struct Rules {
    /// As they are looked for.
    secrets: BTreeSet<String>,
    /// All of `secrets`, if there are any.
    known: Option<Regex>,
    patterns: Vec<Regex>,
    members: Option<Members>,
}

impl Redactor {
    /// Reads what the operator wants masked.
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let patterns = reader.optional(&PATTERNS, patterns).unwrap_or_default();
        let members = reader.value(&KEYS, Members::named);
        Self::with(Rules { patterns, members, ..Rules::default() })
    }

    /// One that masks what the default settings say.
    pub fn by_default() -> Self {
        Self::with(Rules { members: Members::named(KEYS.default).ok().flatten(), ..Rules::default() })
    }

    fn with(rules: Rules) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(rules))))
    }

    /// Masks these from now on, wherever they turn up: secrets that the host holds. Those shorter than 8 bytes are not
    /// looked for. What was learned is never forgotten: a key that is not in use any more may still be valid.
    pub fn learn<'a>(&self, secrets: impl IntoIterator<Item = &'a str>) {
        let mut new: Vec<String> =
            secrets.into_iter().filter(|it| it.trim().len() >= MIN_SECRET).flat_map(written).collect();
        let known = self.rules();
        if new.iter().all(|it| known.secrets.contains(it)) {
            return;
        }
        let mut slot = self.0.write().unwrap_or_else(PoisonError::into_inner);
        new.retain(|it| !slot.secrets.contains(it));
        let mut rules = Rules::clone(&slot);
        rules.secrets.extend(new);
        // Longer ones first: of two that begin alike the regular expression takes the one that stands first.
        let mut known: Vec<String> = rules.secrets.iter().map(|it| regex::escape(it)).collect();
        known.sort_by_key(|it| std::cmp::Reverse(it.len()));
        let built = regex::RegexBuilder::new(&known.join("|")).size_limit(usize::MAX).build();
        rules.known = Some(built.expect("texts that were escaped are a regular expression"));
        *slot = Arc::new(rules);
    }

    /// The text without what must not be told.
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.rules().text(text)
    }

    /// The same of an attribute; one that is named like a key is masked whole.
    pub fn attribute(&self, attribute: &mut KeyValue) {
        self.rules().attribute(attribute);
    }

    /// The same of all texts of a span: its name, attributes, events, links and status.
    pub fn span(&self, span: &mut SpanData) {
        let rules = self.rules();
        if let Cow::Owned(name) = rules.text(&span.name) {
            span.name = name.into();
        }
        span.attributes.iter_mut().for_each(|it| rules.attribute(it));
        for event in &mut span.events.events {
            if let Cow::Owned(name) = rules.text(&event.name) {
                event.name = name.into();
            }
            // Content is told twice, by one text: as an attribute of the span and of an event.
            event.attributes.iter_mut().for_each(|it| rules.attribute_beside(it, &span.attributes));
        }
        for link in &mut span.links.links {
            link.attributes.iter_mut().for_each(|it| rules.attribute(it));
        }
        if let Status::Error { description } = &span.status
            && let Cow::Owned(told) = rules.text(description)
        {
            span.status = Status::error(told);
        }
    }

    /// The same of the body of a log record. The SDK gives attributes of a record to nobody to change, so whoever adds them
    /// masks them before: see [`Redactor::value`].
    pub fn log(&self, record: &mut SdkLogRecord) {
        let Some(body) = record.body() else { return };
        let mut told = body.clone();
        self.value(&mut told);
        if Some(&told) != record.body() {
            record.set_body(told);
        }
    }

    /// The same of a value of a log record.
    pub fn value(&self, value: &mut AnyValue) {
        self.rules().any(value);
    }

    fn rules(&self) -> Arc<Rules> {
        // Rules are replaced as a whole, so they are whole even if somebody panicked meanwhile.
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Rules {
    fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut told = Cow::Borrowed(text);
        if let Some(members) = &self.members {
            replace(&mut told, |text| members.masked(text));
        }
        for pattern in self.known.iter().chain(&self.patterns) {
            // The mask stands for itself, whatever a `$` in it would mean.
            replace(&mut told, |text| pattern.replace_all(text, regex::NoExpand(MASK)));
        }
        told
    }

    fn attribute(&self, attribute: &mut KeyValue) {
        self.attribute_beside(attribute, &[]);
    }

    /// The same. What has been `searched` already is not searched again.
    fn attribute_beside(&self, attribute: &mut KeyValue, searched: &[KeyValue]) {
        match &mut attribute.value {
            Value::String(text) if self.is_key(attribute.key.as_str()) => *text = MASK.into(),
            Value::String(text) if searched.iter().any(|it| self.has_cleared(it, text)) => {}
            Value::String(text) => self.string(text),
            Value::Array(Array::String(texts)) => texts.iter_mut().for_each(|text| self.string(text)),
            _ => {}
        }
    }

    /// Whether an attribute that was searched has this very text, and kept it. Had it been changed, nobody else would have what
    /// stands there now; what is named like a key was not searched.
    fn has_cleared(&self, searched: &KeyValue, text: &StringValue) -> bool {
        matches!(&searched.value, Value::String(it) if std::ptr::eq(it.as_str(), text.as_str()))
            && !self.is_key(searched.key.as_str())
    }

    fn string(&self, text: &mut StringValue) {
        if let Cow::Owned(told) = self.text(text.as_str()) {
            *text = told.into();
        }
    }

    fn any(&self, value: &mut AnyValue) {
        match value {
            AnyValue::String(text) => self.string(text),
            AnyValue::ListAny(list) => list.iter_mut().for_each(|it| self.any(it)),
            AnyValue::Map(map) => {
                for (key, value) in map.iter_mut() {
                    match value {
                        AnyValue::String(text) if self.is_key(key.as_str()) => *text = MASK.into(),
                        value => self.any(value),
                    }
                }
            }
            _ => {}
        }
    }

    /// Whether this is the name of a key, whatever family it stands in.
    fn is_key(&self, name: &str) -> bool {
        // Byte by byte: each attribute has a name, and most are short.
        let last = name.as_bytes().rsplit(|byte| *byte == b'.').next().unwrap_or_default();
        self.members.as_ref().is_some_and(|members| members.has(last))
    }
}

impl std::fmt::Debug for Rules {
    /// Shows no secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Rules");
        shown.field("secrets", &self.secrets.len()).field("patterns", &self.patterns).finish_non_exhaustive()
    }
}

fn replace<'t>(told: &mut Cow<'t, str>, with: impl FnOnce(&str) -> Cow<'_, str>) {
    if let Cow::Owned(replaced) = with(told) {
        *told = Cow::Owned(replaced);
    }
}

/// A secret as it is, and as it stands within JSON if that is something else.
fn written(secret: &str) -> impl Iterator<Item = String> {
    let secret = secret.trim();
    let json = serde_json::Value::from(secret).to_string();
    let json = json[1..json.len() - 1].to_owned();
    [Some(secret.to_owned()), Some(json).filter(|it| it != secret)].into_iter().flatten()
}

/// All patterns that can be read, or what is wrong with each of the others.
fn patterns(text: &str) -> Result<Vec<Regex>, String> {
    let texts = match serde_json::from_str::<Vec<String>>(text) {
        Ok(texts) => texts,
        Err(_) => text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect(),
    };
    let (mut patterns, mut problems) = (Vec::new(), Vec::new());
    for text in texts {
        match Regex::new(&text) {
            Ok(pattern) if pattern.is_match("") => {
                problems.push(format!("{text:?} matches even where there is nothing; let it ask for a sign at least"));
            }
            Ok(pattern) => patterns.push(pattern),
            Err(error) => {
                // Of several lines the last one says it; those before point at the place.
                let error = error.to_string();
                let why = error.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                problems.push(format!("{text:?} is no regular expression: {why}"));
            }
        }
    }
    if problems.is_empty() { Ok(patterns) } else { Err(problems.join("; ")) }
}

impl Members {
    /// Members of these names, separated by commas; none for `none`.
    fn named(text: &str) -> Result<Option<Self>, String> {
        if text.eq_ignore_ascii_case("none") {
            return Ok(None);
        }
        let names: Vec<&str> = text.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
        match names.iter().find(|name| !members::is_name(name)) {
            Some(name) => {
                Err(format!("{name:?} is no name; write up to 64 letters, digits, `_` and `-`, such as api_key"))
            }
            None => Ok(Self::new(&names)),
        }
    }
}

#[cfg(test)]
mod tests;
