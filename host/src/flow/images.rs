//! Images among the inputs of a flow: where they are, what has to be loaded, and how they stand once they are there.
//! Pure: what has to be loaded is told, not loaded; see host/src/images.rs for the loading.
//!
//! A flow's `message_format` says how it writes images. Whatever a request gave, a node is given the data:
//!
//! | | `basic` | `openai-vision` |
//! | --- | --- | --- |
//! | given | `{"data:image/png;base64": "…"}`, or `;url`, or `;path` | `{"type": "image_url", "image_url": {"url": "…"}}`, an address or a data URI; `{"type": "image_file", "image_file": {"path": "…"}}` |
//! | loaded | `{"data:image/png;base64": "…"}` | `{"type": "image_url", "image_url": {"url": "data:image/png;base64,…"}}` |
//!
//! An input of type image takes a string as well: base64, a data URI, an address, or a path in the flow folder, tried in
//! this order. In inputs of type list and object, such as a chat history, objects are images if they have the form of
//! one; everything else in them passes as it was written. The same holds for what the flow file gives to its nodes.
//!
//! Outputs are not searched: what came in as an image is data by then, as prompt flow's replies have it. A path or an
//! address that a node or a model wrote stays text, and makes the host read nothing.

mod form;
mod kind;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::value::RawValue;

use super::inputs::{InputError, Inputs};
use super::types::Type;
use super::value::{Json, View, view};
use super::{Binding, Flow, FlowKind, MessageFormat};
use crate::id::NodeId;
use form::{Members, Stands};

/// How deep images are searched in a list or an object. Each level is read once more by the one above, so a body that is
/// all brackets would cost as many times its size; a chat history has its images six levels down.
const MAX_DEPTH: usize = 16;

/// An image, as data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Such as `image/png`; `image/*` if nobody knows.
    media_type: String,
    base64: String,
}

/// Where an image is that is not in the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// An absolute address of any scheme.
    Url(String),
    /// A path in the flow folder; it may lead anywhere yet.
    File(String),
}

/// An image that has to be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The input that needs it.
    pub input: String,
    pub source: Source,
}

/// Inputs of which some images are still to be loaded.
#[derive(Clone, Debug)]
pub struct Outstanding<'f> {
    flow: &'f Flow,
    inputs: Inputs,
    wanted: Vec<Wanted>,
}

/// Why an image cannot be had: the caller's to mend. Messages hold nothing of the request, since an address may carry
/// a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    #[error("The image input should not be empty.")]
    Empty,
    #[error("Unsupported image input type. The image inputs should be a string or a dictionary.")]
    Type,
    #[error("Invalid image input format. The image input should be a dictionary like: {}.", expected(*.0))]
    Form(MessageFormat),
    #[error("Invalid base64 image.")]
    Base64,
    #[error("Invalid image url. Should be a valid url or base64 string.")]
    Url,
    #[error("A request may hold at most {0} images that have to be loaded.")]
    TooMany(usize),
    #[error("There is no such file in the flow folder.")]
    Missing,
    #[error("Only files in the flow folder can be read.")]
    Outside,
    #[error("What was found is no image.")]
    NotAnImage,
    #[error("The images are larger than {0} MiB.")]
    TooLarge(usize),
    #[error("Failed to fetch image from URL: {0}.")]
    Fetch(String),
}

/// An image that the flow file gives to a node, and that cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("node {:?}: input {input:?}: failed to load image: {error}", .node.as_str())]
pub struct LiteralError {
    pub node: NodeId,
    pub input: String,
    pub error: ImageError,
}

impl ImageError {
    /// Prompt flow's, or rather Python's, name of the error.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Missing => "FileNotFoundError",
            Self::Empty
            | Self::Type
            | Self::Form(_)
            | Self::Base64
            | Self::Url
            | Self::TooMany(_)
            | Self::Outside
            | Self::NotAnImage
            | Self::TooLarge(_)
            | Self::Fetch(_) => "InvalidImageInput",
        }
    }
}

fn expected(format: MessageFormat) -> &'static str {
    match format {
        MessageFormat::Basic => "{data:image/<image_type>;[path|base64|url]: <image_data>}",
        MessageFormat::OpenaiVision => {
            "{type: image_url, image_url: {url: <image_url>}} or {type: image_file, image_file: {path: <image_path>}}"
        }
    }
}

impl Image {
    /// These bytes, if they are an image of a kind that is known.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let media_type = kind::of(bytes)?.to_owned();
        Some(Self { media_type, base64: BASE64.encode(bytes) })
    }
}

impl Inputs {
    /// Finds the images. Those that came as data are read here and brought to the flow's form; the others are wanted.
    ///
    /// # Errors
    /// If what stands for an image cannot be one.
    pub fn find_images(self, flow: &Flow) -> Result<Outstanding<'_>, InputError> {
        let mut wanted = Vec::new();
        let inputs = replace(flow, self, &mut |input, stands| match stands {
            Stands::Data { declared, base64, formed } => read_data(declared.as_deref(), base64, formed),
            Stands::Elsewhere(source) => {
                wanted.push(Wanted { input: input.to_owned(), source });
                Ok(None)
            }
        })?;
        Ok(Outstanding { flow, inputs, wanted })
    }
}

impl Flow {
    /// Puts the images in place that the flow file itself gives to nodes; `read` loads a file of the flow folder. Called
    /// once, when a flow is made ready. What has an address stays so: nothing is fetched before anyone has asked.
    ///
    /// # Errors
    /// All that cannot be had.
    pub fn load_images(&mut self, read: &dyn Fn(&str) -> Result<Image, ImageError>) -> Result<(), Vec<LiteralError>> {
        let format = self.message_format;
        let mut put = |stands| match stands {
            Stands::Data { declared, base64, formed } => read_data(declared.as_deref(), base64, formed),
            Stands::Elsewhere(Source::File(path)) => read(&path).map(Some),
            Stands::Elsewhere(Source::Url(_)) => Ok(None),
        };
        let mut errors = Vec::new();
        for node in &mut self.nodes {
            for (input, binding) in &mut node.inputs {
                let Binding::Literal(literal) = binding else { continue };
                match replace_within(format, literal.as_str(), MAX_DEPTH, &mut put) {
                    Ok(None) => {}
                    Ok(Some(text)) => *literal = Json::part(&text),
                    Err(error) => errors.push(LiteralError { node: node.id.clone(), input: input.clone(), error }),
                }
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}

impl Outstanding<'_> {
    /// What has to be loaded, in the order of the request.
    pub fn wanted(&self) -> &[Wanted] {
        &self.wanted
    }

    /// The inputs with these images, one for each that was wanted, in the same order.
    pub fn fill(self, loaded: Vec<Image>) -> Inputs {
        if self.wanted.is_empty() {
            return self.inputs;
        }
        let mut loaded = loaded.into_iter();
        let filled = replace(self.flow, self.inputs, &mut |_, stands| {
            Ok(match stands {
                Stands::Data { .. } => None,
                Stands::Elsewhere(_) => loaded.next(),
            })
        });
        filled.expect("these values were all read when the images were searched")
    }
}

/// What becomes of an image of an input; none: it stays as it is.
type Put<'a> = &'a mut dyn FnMut(&str, Stands) -> Result<Option<Image>, ImageError>;

/// The same of one input.
type PutHere<'a> = &'a mut dyn FnMut(Stands) -> Result<Option<Image>, ImageError>;

/// The inputs with every image replaced as `put` says.
fn replace(flow: &Flow, inputs: Inputs, put: Put<'_>) -> Result<Inputs, InputError> {
    let format = flow.message_format();
    inputs.map(|name, value| {
        let mut put = |stands| put(name, stands);
        let kind = flow.inputs().get(name).map(|input| input.kind);
        let may_be_text = flow.kind() == FlowKind::Prompty && matches!(kind, Some(None | Some(Type::String)));
        let value = image_of_text(&value).filter(|_| may_be_text).unwrap_or(value);
        let replaced = match kind {
            Some(Some(Type::String)) if may_be_text => replace_within(format, value.as_str(), MAX_DEPTH, &mut put),
            // One without a type, as flex flows may have it, takes any value.
            Some(None | Some(Type::List | Type::Object)) => replace_within(format, value.as_str(), MAX_DEPTH, &mut put),
            Some(Some(Type::Image)) => replace_image(format, value.as_str(), &mut put),
            _ => Ok(None),
        };
        let replaced = replaced.map_err(|error| InputError::Image { input: name.to_owned(), error })?;
        Ok(replaced.map_or(value, |text| Json::part(&text)))
    })
}

/// A text as prompties write images, `data:image/png;path: cat.png` (or `url`, `base64`), as the object it stands for:
/// `{"data:image/png;path": "cat.png"}`.
fn image_of_text(value: &Json) -> Option<Json> {
    if value.is_plain_string() && !value.as_str().starts_with("\"data:image/") {
        return None;
    }
    let text = value.as_text()?;
    let (kind, content) = text.strip_prefix("data:image/")?.split_once(':')?;
    let (_, form) = kind.split_once(';')?;
    let key = format!("data:image/{kind}");
    let is_form = matches!(form, "path" | "url" | "base64");
    is_form.then(|| Json::object([(&*key, &Json::string(content.trim()))]))
}

/// An input that is an image, or a list of images, whatever it looks like.
fn replace_image(format: MessageFormat, text: &str, put: PutHere<'_>) -> Result<Option<String>, ImageError> {
    match view(text) {
        View::Text(text) => Ok(put(form::of_string(&text)?)?.map(|image| image.write(format, None))),
        View::Object(members) => {
            let stands = form::of_object(format, &members)?.ok_or(ImageError::Form(format))?;
            Ok(put(stands)?.map(|image| image.write(format, Some(&members))))
        }
        View::List(items) => replace_items(&items, &mut |item| replace_image(format, item, put)),
        View::Null | View::Bool(_) | View::Number(_) => Err(ImageError::Type),
    }
}

/// A value that may hold images, down to this depth. Only the way to an image is written anew.
fn replace_within(
    format: MessageFormat,
    text: &str,
    depth: usize,
    put: PutHere<'_>,
) -> Result<Option<String>, ImageError> {
    if depth == 0 || !may_hold(format, text) {
        return Ok(None);
    }
    match view(text) {
        View::Object(members) => match form::of_object(format, &members)? {
            Some(stands) => Ok(put(stands)?.map(|image| image.write(format, Some(&members)))),
            None => replace_members(&members, &mut |value| replace_within(format, value, depth - 1, put)),
        },
        View::List(items) => replace_items(&items, &mut |item| replace_within(format, item, depth - 1, put)),
        View::Text(_) | View::Null | View::Bool(_) | View::Number(_) => Ok(None),
    }
}

/// Whether a search for images could find one: a single look at the text, so that a request without images costs no
/// more. The slash may be escaped, and some escape everything.
fn may_hold(format: MessageFormat, text: &str) -> bool {
    let marker = match format {
        MessageFormat::Basic => "\"data:image",
        MessageFormat::OpenaiVision => "\"image_",
    };
    text.starts_with(['{', '[']) && (text.contains(marker) || text.contains("\\u00"))
}

type Replace<'a> = &'a mut dyn FnMut(&str) -> Result<Option<String>, ImageError>;

fn replace_items(items: &[&RawValue], replace: Replace<'_>) -> Result<Option<String>, ImageError> {
    let replaced: Vec<_> = items.iter().map(|item| replace(item.get())).collect::<Result<_, _>>()?;
    let texts = items.iter().zip(&replaced).map(|(item, text)| text.as_deref().unwrap_or(item.get()));
    Ok(replaced.iter().any(Option::is_some).then(|| format!("[{}]", texts.collect::<Vec<_>>().join(","))))
}

fn replace_members(members: &Members<'_>, replace: Replace<'_>) -> Result<Option<String>, ImageError> {
    let replaced: Vec<_> = members.values().map(|value| replace(value.get())).collect::<Result<_, _>>()?;
    let texts = members
        .iter()
        .zip(&replaced)
        .map(|((key, value), text)| format!("{}:{}", Json::string(key), text.as_deref().unwrap_or(value.get())));
    Ok(replaced.iter().any(Option::is_some).then(|| format!("{{{}}}", texts.collect::<Vec<_>>().join(","))))
}

/// Checks data. None: it can stay as it is. What it says of itself stays as well, unless it says nothing.
fn read_data(declared: Option<&str>, base64: String, formed: bool) -> Result<Option<Image>, ImageError> {
    let bytes = BASE64.decode(&base64).map_err(|_| ImageError::Base64)?;
    if bytes.is_empty() {
        return Err(ImageError::Base64);
    }
    let declared = declared.filter(|media_type| *media_type != kind::ANY);
    if formed && declared.is_some() {
        return Ok(None);
    }
    let media_type = kind::of(&bytes).or(declared).unwrap_or(kind::ANY).to_owned();
    Ok(Some(Image { media_type, base64 }))
}

#[cfg(test)]
mod tests;
