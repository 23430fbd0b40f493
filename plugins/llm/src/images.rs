//! Images in a chat: values that are images become lines that only this file can read back, so that the markup can
//! make parts of them.
//!
//! An image is an object of one of prompt flow's forms, wherever it is printed; or a text with a `data:image/…` or
//! `http(s)` address, where the template says `![image]({{name}})`. A file of the flow (`;path`) has become data when
//! it arrives here.

use std::hash::RandomState;

use serde_json::{Map, Value, json};

use crate::guard::random_id;
use crate::markup::roles::trim;

/// The images of a chat.
pub(crate) struct Images {
    /// The line that stands for an image, and its address.
    found: Vec<(String, String)>,
    /// Begins a line that `![image](…)` made.
    mark: String,
    random: RandomState,
}

impl Images {
    /// Replaces the image objects among the variables by the lines that stand for them.
    pub(crate) fn take(variables: &mut Map<String, Value>) -> Self {
        let random = RandomState::new();
        let mut images = Self { found: Vec::new(), mark: random_id(&random, usize::MAX), random };
        variables.values_mut().for_each(|value| images.replace(value));
        images
    }

    /// The template with each `![image]({{name}})` on a line of its own.
    pub(crate) fn mark(&self, template: &str) -> String {
        let mut marked = String::with_capacity(template.len());
        let mut rest = template;
        while let Some(start) = rest.find("![") {
            marked.push_str(&rest[..start]);
            rest = &rest[start..];
            match reference(rest) {
                Some((name, length)) => {
                    marked.push_str(&format!("\n{}{{{{{name}}}}}\n", self.mark));
                    rest = &rest[length..];
                }
                None => {
                    marked.push_str("![");
                    rest = &rest[2..];
                }
            }
        }
        marked + rest
    }

    /// The content of a message: its text, or a list of parts if one of its lines is an image.
    pub(crate) fn content(&self, text: &str) -> Value {
        let text = trim(text);
        let parts: Vec<Part<'_>> = text.split('\n').map(|line| self.part(line)).collect();
        if !parts.iter().any(|part| matches!(part, Part::Image(_))) {
            return Value::String(trim(&text.replace(&self.mark, "")).to_owned());
        }
        let parts = parts.into_iter().filter_map(|part| match part {
            Part::Image(url) => Some(json!({"type": "image_url", "image_url": {"url": url, "detail": "auto"}})),
            Part::Text(line) if trim(line).is_empty() => None,
            Part::Text(line) => Some(json!({"type": "text", "text": line})),
        });
        Value::Array(parts.collect())
    }

    fn part<'a>(&'a self, line: &'a str) -> Part<'a> {
        let (marked, text) = match trim(line).strip_prefix(&*self.mark) {
            Some(text) => (true, trim(text)),
            None => (false, trim(line)),
        };
        match self.found.iter().find(|(stand_in, _)| stand_in == text) {
            Some((_, url)) => Part::Image(url),
            None if marked && is_address(text) => Part::Image(text),
            None if marked => Part::Text(text),
            None => Part::Text(line),
        }
    }

    fn replace(&mut self, value: &mut Value) {
        if let Some(url) = address(value) {
            let stand_in = random_id(&self.random, self.found.len());
            *value = Value::String(stand_in.clone());
            self.found.push((stand_in, url));
            return;
        }
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.replace(item)),
            Value::Object(entries) => entries.values_mut().for_each(|item| self.replace(item)),
            _ => {}
        }
    }
}

enum Part<'a> {
    Image(&'a str),
    Text(&'a str),
}

/// `![image]({{name}})` at the start of `text`: the name, and how long it all is.
fn reference(text: &str) -> Option<(&str, usize)> {
    let (label, rest) = text.strip_prefix("![")?.split_once(']')?;
    let (name, rest) = rest.strip_prefix("({{")?.split_once("}})")?;
    let plain = !name.trim().is_empty() && !name.trim().contains([' ', '\t', '\n', '{', '}']);
    (label.trim() == "image" && plain).then_some((name, text.len() - rest.len()))
}

fn is_address(text: &str) -> bool {
    ["data:image/", "http://", "https://"].iter().any(|start| text.starts_with(start))
}

/// The address of an image object: `{"data:image/png;base64": "…"}`, `{"data:image/png;url": "…"}` or
/// `{"type": "image_url", "image_url": {"url": "…"}}`.
fn address(value: &Value) -> Option<String> {
    let entries = value.as_object()?;
    if entries.get("type").is_some_and(|kind| kind == "image_url") {
        return Some(entries.get("image_url")?.get("url")?.as_str()?.to_owned());
    }
    let mut entries = entries.iter();
    let ((kind, content), None) = (entries.next()?, entries.next()) else {
        return None;
    };
    let (kind, form) = kind.strip_prefix("data:image/")?.split_once(';')?;
    let content = content.as_str()?;
    match form {
        "base64" => Some(format!("data:image/{kind};base64,{content}")),
        "url" => Some(content.to_owned()),
        _ => None,
    }
}
