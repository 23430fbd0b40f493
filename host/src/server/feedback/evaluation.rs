//! Can a feedback be read as a score? Then its span also says so in the words of the standard: see [`Evaluation`].
//!
//! Clients write what they like: `{"score": 4}`, `{"thumb": "up", "comment": "nice"}`, `true`, `"👍"`. What is plainly none of
//! that has no event; nothing is lost by it.

use serde_json::{Map, Value};

use crate::telemetry::feedback::{Evaluation, attribute_value, cut_value};
use crate::telemetry::names::value::USER_FEEDBACK;

/// Keys of a score, the first that is there counts. Compared without case, `_` and `-`.
const SCORE: [&str; 9] = ["score", "rating", "value", "stars", "thumb", "thumbs", "vote", "thumbsup", "thumbup"];
/// Keys that say the opposite of what they hold.
const OPPOSITE: [&str; 2] = ["thumbsdown", "thumbdown"];
const EXPLANATION: [&str; 5] = ["comment", "comments", "explanation", "reason", "feedback"];

/// Words that people and buttons say, as keys are compared.
const GOOD: [&str; 14] = [
    "up", "thumbsup", "thumbup", "👍", "like", "liked", "good", "positive", "yes", "true", "correct", "helpful",
    "upvote", "pass",
];
const BAD: [&str; 14] = [
    "down",
    "thumbsdown",
    "thumbdown",
    "👎",
    "dislike",
    "disliked",
    "bad",
    "negative",
    "no",
    "false",
    "incorrect",
    "unhelpful",
    "downvote",
    "fail",
];

/// Longest label and name, in bytes. A longer text is no label.
const MAX_LABEL: usize = 64;
const MAX_NAME: usize = 128;

/// `json`: what the text says, if it is JSON.
pub fn recognised(text: &str, json: Option<&Value>) -> Option<Evaluation> {
    match json {
        Some(Value::Object(members)) => of_members(members),
        Some(bare) => Some(Score::read(bare)?.of(USER_FEEDBACK)),
        None => Some(Score::word(text.trim())?.of(USER_FEEDBACK)),
    }
}

fn of_members(members: &Map<String, Value>) -> Option<Evaluation> {
    let find = |keys: &[&str]| {
        let found = |key: &&str| members.iter().find(|(it, value)| plain(it) == *key && !value.is_null());
        keys.iter().find_map(found).map(|(_, value)| value)
    };
    let text = |keys: &[&str]| find(keys).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
    let (name, label) = (text(&["name"]), text(&["label"]));
    let score = match (find(&SCORE), find(&OPPOSITE)) {
        (_, Some(Value::Bool(true))) => Score::new(0.0, "down"),
        (Some(score), _) => Score::read(score)?,
        (None, Some(Value::Bool(false))) => Score::new(1.0, "up"),
        // A label alone may be anything, but not if it says of what.
        (None, _) if name.is_some() && label.is_some() => Score::default(),
        (None, _) => return None,
    };
    let evaluation = score.of(cut_value(name.unwrap_or(USER_FEEDBACK), MAX_NAME));
    let label = label.map(|label| cut_value(label, MAX_NAME).to_owned());
    Some(Evaluation {
        label: label.or(evaluation.label),
        explanation: text(&EXPLANATION).map(|text| attribute_value(text.to_owned())),
        ..evaluation
    })
}

#[derive(Default)]
struct Score {
    value: Option<f64>,
    label: Option<String>,
}

impl Score {
    fn new(value: f64, label: &str) -> Self {
        Self { value: Some(value), label: Some(label.to_owned()) }
    }

    fn read(value: &Value) -> Option<Self> {
        match value {
            Value::Bool(truth) => Some(Self { value: Some(f64::from(u8::from(*truth))), label: None }),
            Value::Number(number) => Some(Self { value: Some(number.as_f64()?), label: None }),
            Value::String(text) => Self::text(text.trim()),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// A word that says yes or no, a number, or else a label if it is as short as one.
    fn text(text: &str) -> Option<Self> {
        if let Some(score) = Self::word(text) {
            return Some(score);
        }
        if let Some(value) = text.parse().ok().filter(|value: &f64| value.is_finite()) {
            return Some(Self { value: Some(value), label: None });
        }
        let is_label = (1..=MAX_LABEL).contains(&text.len()) && !text.contains(char::is_control);
        is_label.then(|| Self { value: None, label: Some(text.to_owned()) })
    }

    fn word(text: &str) -> Option<Self> {
        let is = |words: &[&str]| text.len() <= MAX_LABEL && words.contains(&&*plain(text));
        match () {
            () if is(&GOOD) => Some(Self::new(1.0, text)),
            () if is(&BAD) => Some(Self::new(0.0, text)),
            () => None,
        }
    }

    fn of(self, name: &str) -> Evaluation {
        Evaluation { name: name.to_owned(), value: self.value, label: self.label, explanation: None }
    }
}

/// A key or word as it is compared: without case, what joins words, and what colors an emoji.
fn plain(word: &str) -> String {
    let kept = word.chars().filter(|c| !matches!(c, '_' | '-' | ' ' | '\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}'));
    kept.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name, value, label and explanation.
    type Told<'a> = (&'a str, Option<f64>, Option<&'a str>, Option<&'a str>);

    #[track_caller]
    fn check(body: &str, expected: Option<Told<'_>>) {
        let found = recognised(body, serde_json::from_str(body).ok().as_ref());
        let found = found.as_ref().map(|it| {
            let Evaluation { name, value, label, explanation } = it;
            (name.as_str(), *value, label.as_deref(), explanation.as_deref())
        });
        assert_eq!(found, expected, "{body}");
    }

    #[track_caller]
    fn check_score(body: &str, value: Option<f64>, label: Option<&str>) {
        check(body, Some(("user_feedback", value, label, None)));
    }

    #[test]
    fn a_bare_value_is_a_score_or_a_label() {
        check_score("4.5", Some(4.5), None);
        check_score("-1", Some(-1.0), None);
        check_score("true", Some(1.0), None);
        check_score("false", Some(0.0), None);
        check_score("\"excellent\"", None, Some("excellent"));
        check_score("\"4\"", Some(4.0), None);
        check_score("\"Thumbs up\"", Some(1.0), Some("Thumbs up"));
        check_score("\"👎🏽\"", Some(0.0), Some("👎🏽"));
        check_score("👍", Some(1.0), Some("👍"));
        check_score("up\n", Some(1.0), Some("up"));
    }

    #[test]
    fn the_usual_objects_are_scores() {
        check_score(r#"{"score": 0.5}"#, Some(0.5), None);
        check_score(r#"{"rating": 4, "value": 9}"#, Some(4.0), None);
        check_score(r#"{"score": null, "stars": 3}"#, Some(3.0), None);
        check_score(r#"{"thumb": "up"}"#, Some(1.0), Some("up"));
        check_score(r#"{"thumbs": "DOWN"}"#, Some(0.0), Some("DOWN"));
        check_score(r#"{"thumb": true}"#, Some(1.0), None);
        check_score(r#"{"thumbsUp": false}"#, Some(0.0), None);
        check_score(r#"{"thumbs_down": true}"#, Some(0.0), Some("down"));
        check_score(r#"{"thumbs_up": false, "thumbs_down": true}"#, Some(0.0), Some("down"));
        check_score(r#"{"thumbs_down": false}"#, Some(1.0), Some("up"));
        check_score(r#"{"score": "good", "label": "grounded"}"#, Some(1.0), Some("grounded"));
        check_score(r#"{"Score": "quite nice"}"#, None, Some("quite nice"));
        check(
            r#"{"name": "relevance", "score": 3, "comment": " to the point "}"#,
            Some(("relevance", Some(3.0), None, Some("to the point"))),
        );
        check(r#"{"name": "tone", "label": "rude"}"#, Some(("tone", None, Some("rude"), None)));
        check(r#"{"thumb": "up", "explanation": "yes"}"#, Some(("user_feedback", Some(1.0), Some("up"), Some("yes"))));
    }

    #[test]
    fn what_is_no_score_has_no_event() {
        for body in [
            "",
            "null",
            "[1]",
            "{}",
            "not json",
            "this answer was good",
            "\"\"",
            r#"{"comment": "nice"}"#,
            r#"{"label": "bug"}"#,
            r#"{"name": "x"}"#,
            r#"{"score": {"a": 1}}"#,
            r#"{"score": [1]}"#,
            r#"{"scores": 1}"#,
            r#"{"score": "1e999"}"#,
            "{\"score\": 1",
        ] {
            if body.contains("1e999") {
                check_score(body, None, Some("1e999"));
            } else {
                check(body, None);
            }
        }
        check(&format!("\"{}\"", "word ".repeat(20)), None);
        check("\"two\\nlines\"", None);
    }

    #[test]
    fn names_labels_and_explanations_are_bounded() {
        let long = "é".repeat(40_000);
        let body = serde_json::json!({"name": long, "score": 1, "label": long, "comment": long}).to_string();
        let found = recognised(&body, serde_json::from_str(&body).ok().as_ref()).unwrap();
        let label = found.label.unwrap();
        assert_eq!((found.name.len(), label.len()), (128, 128));
        assert!(found.explanation.unwrap().len() <= 8000);
    }
}
