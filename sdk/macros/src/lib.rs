//! The attributes of `weir-sdk`: `#[node]` and `#[data]`. Use them through that crate.
//!
//! Parsing says what is wrong in the author's words and at the author's line; expanding cannot fail.

mod parse;

mod expand;

mod data;

use proc_macro::TokenStream;
use syn::parse_macro_input;

/// Makes a function the node of this crate.
///
/// The function stays as it is, so that a test can call it. A crate has one node.
///
/// One argument called `inputs` takes all inputs. With any other arguments, each is one input by its name; a leading
/// underscore, Rust's mark of what is unused, does not count. Doc comments and `#[serde(…)]` or `#[schemars(…)]` on
/// such an argument work as on a field.
///
/// An argument with `#[init]` is no input: it takes what the flow was initialised with, as `context::init` does, and
/// `describe` tells its schema. It may stand beside `inputs`.
///
/// The first paragraph of the function's doc comment is the node's summary. All keys of the attribute are optional:
///
/// | key | meaning | default |
/// | --- | --- | --- |
/// | `name = "…"` | the node's name in descriptions | the function's |
/// | `uses = ["…"]` | which of `llm`, `nodes`, `http`, `config`, `context`, `logging` it calls, for readers | not said |
#[proc_macro_attribute]
pub fn node(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let settings = parse_macro_input!(arguments as parse::Settings);
    let function = parse_macro_input!(item as parse::Function);
    expand::node(&settings, &function).into()
}

/// Makes a type one that nodes take and return: derives `Serialize`, `Deserialize` and `JsonSchema`.
///
/// Attributes such as `#[serde(default)]` work on it, and its doc comments become the schema's descriptions.
#[proc_macro_attribute]
pub fn data(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let _ = parse_macro_input!(arguments as parse::Nothing);
    let item = parse_macro_input!(item as syn::DeriveInput);
    data::expand(&item).into()
}
