//! Images in a chat: values that are images become lines that only this file can read back, so that the markup can
//! make parts of them.
//!
//! An image is an object of one of prompt flow's forms, wherever it is printed; or a text with a `data:image/…` or
//! `http(s)` address, where the template says `![image]({{name}})`; or, of a prompty, an input that is a text of the form
//! `data:image/png;base64: …`. A file of the flow (`;path`) has become data when it arrives here.

use std::hash::RandomState;

use serde_json::{Map, Value, json};

use crate::guard::random_number;
use crate::inputs::Manner;
use crate::markup::roles::{is_space, trim};
use crate::request::Style;

/// The images of a chat.
pub(crate) struct Images {
    /// The line that stands for an image, and its address.
    found: Vec<(String, String)>,
    /// Begins a line that `![image](…)` made.
    mark: String,
    /// How closely the model looks at them.
    detail: &'static str,
    random: RandomState,
}

impl Images {
    /// Replaces the images among the variables by the lines that stand for them.
    pub(crate) fn take(variables: &mut Map<String, Value>, style: Style) -> Self {
        let random = RandomState::new();
        let mark = random_number(&random, usize::MAX);
        let mut images = Self { found: Vec::new(), mark, detail: style.detail, random };
        for value in variables.values_mut() {
            match value {
                Value::String(text) if style.manner == Manner::Prompty => {
                    if let Some(url) = address_in_text(text) {
                        *value = images.stand_in(url);
                    }
                }
                value => images.replace(value),
            }
        }
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

    /// A text without marks. An image within a line cannot be shown; it prints as `Image(1)`.
    pub(crate) fn unmark(&self, text: &str) -> String {
        let names = self.found.iter().enumerate().map(|(index, (line, _))| (line, format!("Image({})", index + 1)));
        names.fold(text.replace(&self.mark, ""), |text, (line, name)| text.replace(line, &name))
    }

    /// The content of a message: its text, or a list of parts if one of its lines is an image.
    pub(crate) fn content(&self, text: &str) -> Value {
        let text = trim(text);
        let parts: Vec<Part<'_>> = text.split('\n').map(|line| self.part(line)).collect();
        if !parts.iter().any(|part| matches!(part, Part::Image(_))) {
            return Value::String(trim(&self.unmark(text)).to_owned());
        }
        let parts = parts.into_iter().filter_map(|part| match part {
            Part::Image(url) => Some(self.image(url)),
            Part::Text(line) if trim(line).is_empty() => None,
            Part::Text(line) => Some(json!({"type": "text", "text": self.unmark(line)})),
        });
        Value::Array(parts.collect())
    }

    fn image(&self, url: &str) -> Value {
        json!({"type": "image_url", "image_url": {"url": url, "detail": self.detail}})
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
            *value = self.stand_in(url);
            return;
        }
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.replace(item)),
            Value::Object(entries) => entries.values_mut().for_each(|item| self.replace(item)),
            _ => {}
        }
    }

    fn stand_in(&mut self, url: String) -> Value {
        let line = random_number(&self.random, self.found.len());
        self.found.push((line.clone(), url));
        Value::String(line)
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
    let (kind, form) = kind.strip_prefix("data:image/")?.rsplit_once(';')?;
    address_of(kind, form, content.as_str()?)
}

/// The address of an image in a prompty's text: `data:image/png;base64: …` or `data:image/png;url: …`.
fn address_in_text(text: &str) -> Option<String> {
    let text = text.strip_suffix('\n').unwrap_or(text);
    let (kind, rest) = text.strip_prefix("data:image/").filter(|rest| !rest.contains('\n'))?.rsplit_once(';')?;
    let (form, content) = rest.split_once(':')?;
    address_of(kind, form, content.trim_start_matches(is_space))
}

fn address_of(kind: &str, form: &str, content: &str) -> Option<String> {
    match form {
        // Some write a whole address.
        "base64" => Some(format!("data:image/{kind};base64,{}", content.rsplit(',').next().unwrap_or(content))),
        "url" => Some(content.to_owned()),
        _ => None,
    }
}
