//! What stands for an image in a request, and how an image is written: the two forms of `message_format`, and strings.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use indexmap::IndexMap;
use serde_json::value::RawValue;

use super::{Image, ImageError, Source};
use crate::flow::MessageFormat;
use crate::flow::value::{Json, View, view};

/// The members of an object.
pub(super) type Members<'a> = IndexMap<String, &'a RawValue>;

/// How an image stands in a request.
pub(super) enum Stands {
    Data {
        /// The media type it came with.
        declared: Option<String>,
        base64: String,
        /// Whether it has the flow's own form already.
        formed: bool,
    },
    Elsewhere(Source),
}

impl Image {
    /// The image as the flow writes it. `members` are those of the object that stood for it: what it says beside, such
    /// as OpenAI's `detail`, stays.
    pub(super) fn write(&self, format: MessageFormat, members: Option<&Members<'_>>) -> String {
        let Self { media_type, base64 } = self;
        match format {
            MessageFormat::Basic => format!(r#"{{"data:{media_type};base64":"{base64}"}}"#),
            MessageFormat::OpenaiVision => {
                let mut text =
                    format!(r#"{{"type":"image_url","image_url":{{"url":"data:{media_type};base64,{base64}""#);
                for (key, value) in members.and_then(|members| object(members, "image_url")).into_iter().flatten() {
                    if key != "url" {
                        text.push_str(&format!(",{}:{}", Json::string(&key), value.get()));
                    }
                }
                text + "}}"
            }
        }
    }
}

impl Stands {
    fn data(declared: Option<&str>, base64: &str, formed: bool) -> Self {
        Self::Data { declared: declared.map(str::to_owned), base64: base64.to_owned(), formed }
    }

    fn raw(base64: &str) -> Self {
        Self::data(None, base64, false)
    }
}

/// A string that is an image: base64, a data URI, an address, or a path.
pub(super) fn of_string(text: &str) -> Result<Stands, ImageError> {
    if text.is_empty() {
        return Err(ImageError::Empty);
    }
    Ok(match of_text(text)? {
        Some(stands) => stands,
        None if is_base64(text) => Stands::raw(text),
        None => Stands::Elsewhere(Source::File(text.to_owned())),
    })
}

/// The image that an object stands for, by the form that the flow gives them; none for any other object.
pub(super) fn of_object(format: MessageFormat, members: &Members<'_>) -> Result<Option<Stands>, ImageError> {
    match format {
        MessageFormat::Basic => of_basic(members),
        MessageFormat::OpenaiVision => of_openai(members),
    }
}

fn of_basic(members: &Members<'_>) -> Result<Option<Stands>, ImageError> {
    let Some((key, value)) = members.first().filter(|_| members.len() == 1) else { return Ok(None) };
    let Some((media_type, form)) = key.strip_prefix("data:").and_then(|key| key.rsplit_once(';')) else {
        return Ok(None);
    };
    if !is_media_type(media_type) || !matches!(form, "base64" | "url" | "path") {
        return Ok(None);
    }
    let text = text_of(value).ok_or(ImageError::Form(MessageFormat::Basic))?;
    Ok(Some(match form {
        "url" => Stands::Elsewhere(Source::Url(text)),
        "path" => Stands::Elsewhere(Source::File(text)),
        _ => match data_uri(&text) {
            Some((_, base64)) => Stands::data(Some(media_type), base64, false),
            None => Stands::data(Some(media_type), &text, true),
        },
    }))
}

fn of_openai(members: &Members<'_>) -> Result<Option<Stands>, ImageError> {
    let Some(kind) = members.get("type").filter(|_| members.len() == 2).and_then(|kind| text_of(kind)) else {
        return Ok(None);
    };
    let member = |name| object(members, &kind).and_then(|inner| inner.get(name).map(|value| text_of(value)));
    let invalid = ImageError::Form(MessageFormat::OpenaiVision);
    match kind.as_str() {
        "image_url" => {
            let Some(url) = member("url") else { return Ok(None) };
            let url = url.ok_or(invalid)?;
            match of_text(&url)? {
                Some(Stands::Data { declared, base64, .. }) => {
                    Ok(Some(Stands::Data { declared, base64, formed: true }))
                }
                Some(stands) => Ok(Some(stands)),
                None if is_base64(&url) => Ok(Some(Stands::raw(&url))),
                None => Err(ImageError::Url),
            }
        }
        "image_file" => {
            let Some(path) = member("path") else { return Ok(None) };
            Ok(Some(Stands::Elsewhere(Source::File(path.ok_or(invalid)?))))
        }
        _ => Ok(None),
    }
}

/// A data URI or an address; none for other text.
fn of_text(text: &str) -> Result<Option<Stands>, ImageError> {
    match data_uri(text) {
        Some((media_type, base64)) => Ok(Some(Stands::data(Some(media_type), base64, false))),
        None if text.starts_with("data:") => Err(ImageError::Base64),
        None => Ok(is_url(text).then(|| Stands::Elsewhere(Source::Url(text.to_owned())))),
    }
}

/// Media type and content of `data:image/…;base64,…`.
fn data_uri(text: &str) -> Option<(&str, &str)> {
    let (media_type, base64) = text.strip_prefix("data:")?.split_once(";base64,")?;
    is_media_type(media_type).then_some((media_type, base64))
}

/// `image/` and a name, or `*`.
fn is_media_type(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&^_.+-*".contains(&byte);
    text.strip_prefix("image/").is_some_and(|name| !name.is_empty() && name.bytes().all(allowed))
}

fn is_base64(text: &str) -> bool {
    BASE64.decode(text).is_ok()
}

/// An absolute address: a scheme and a host.
fn is_url(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    text.split_once("://").is_some_and(|(scheme, rest)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(allowed)
            && !rest.is_empty()
            && !rest.starts_with(['/', '?', '#'])
    })
}

fn text_of(value: &RawValue) -> Option<String> {
    match view(value.get()) {
        View::Text(text) => Some(text),
        _ => None,
    }
}

fn object<'a>(members: &Members<'a>, name: &str) -> Option<Members<'a>> {
    match view(members.get(name)?.get()) {
        View::Object(inner) => Some(inner),
        _ => None,
    }
}
