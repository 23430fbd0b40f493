//! From the tokens under `#[node]` to what the expansion needs, or to an error at the author's line. Not types: those
//! are checked by the compiler, in the expanded code.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Attribute, Error, Expr, ExprLit, FnArg, Ident, ItemFn, Lit, LitStr, Meta, Pat, Result, Safety, Token, Type};

/// The interfaces that `uses` may name.
const INTERFACES: [&str; 6] = ["llm", "nodes", "http", "config", "context", "logging"];

/// What stands in the parentheses of `#[node(…)]`.
#[derive(Default)]
pub(crate) struct Settings {
    pub(crate) name: Option<LitStr>,
    pub(crate) uses: Option<Vec<LitStr>>,
}

/// An attribute that takes no arguments.
pub(crate) struct Nothing;

/// A function that can be a node.
pub(crate) struct Function {
    /// The function as written, but for the attributes of its inputs.
    pub(crate) item: ItemFn,
    pub(crate) inputs: Inputs,
    pub(crate) init: Option<Init>,
    /// The first paragraph of its doc comment, on one line.
    pub(crate) summary: String,
}

/// How the function takes its inputs.
pub(crate) enum Inputs {
    /// One argument with all of them.
    Whole(Box<Type>),
    /// One argument for each.
    Each(Vec<Input>),
}

/// An argument that is not an input: what the node was initialised with.
pub(crate) struct Init {
    /// Which argument it is.
    pub(crate) position: usize,
    pub(crate) r#type: Type,
}

/// An argument that is one input.
pub(crate) struct Input {
    /// Doc comments, `serde` and `schemars`: what belongs to the field.
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) name: Ident,
    pub(crate) r#type: Type,
}

impl Parse for Settings {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut settings = Self::default();
        for meta in Punctuated::<Meta, Token![,]>::parse_terminated(input)? {
            let known = meta.path().get_ident().map(Ident::to_string);
            match (known.as_deref(), &meta) {
                (Some("name"), Meta::NameValue(pair)) => settings.name = Some(text(&pair.value)?),
                (Some("uses"), Meta::NameValue(pair)) => settings.uses = Some(interfaces(&pair.value)?),
                _ => {
                    return Err(Error::new_spanned(
                        meta,
                        "unknown key of `#[node]`; known are `name = \"…\"` and `uses = [\"…\"]`",
                    ));
                }
            }
        }
        Ok(settings)
    }
}

impl Parse for Nothing {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        if input.is_empty() { Ok(Self) } else { Err(input.error("`#[data]` takes no arguments")) }
    }
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut item = ItemFn::parse(input)?;
        refuse_unfit(&item)?;
        let init = take_init(&mut item)?;
        let inputs = take_inputs(&mut item, init.as_ref())?;
        let summary = summary(&item.attrs);
        Ok(Self { item, inputs, init, summary })
    }
}

/// Refuses what cannot be called with nothing but the inputs.
fn refuse_unfit(item: &ItemFn) -> Result<()> {
    let signature = &item.sig;
    let unfit: [(Option<&dyn ToTokens>, &str); 4] = [
        (
            signature.asyncness.as_ref().map(|token| token as &dyn ToTokens),
            "a node is not `async`: every call waits, and the host runs other nodes meanwhile",
        ),
        (
            matches!(signature.safety, Safety::Unsafe(_)).then_some(&signature.safety as &dyn ToTokens),
            "a node is not `unsafe`: the host calls it with any inputs",
        ),
        (
            signature.generics.lt_token.as_ref().map(|_| &signature.generics as &dyn ToTokens),
            "a node is not generic: its inputs have the types that `describe` tells the flow's author",
        ),
        (
            signature.generics.where_clause.as_ref().map(|clause| clause as &dyn ToTokens),
            "a node is not generic, so it needs no `where`",
        ),
    ];
    match unfit.into_iter().find_map(|(tokens, why)| Some(Error::new_spanned(tokens?, why))) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// The argument with `#[init]`, if there is one.
fn take_init(item: &mut ItemFn) -> Result<Option<Init>> {
    let mut found = None;
    for (position, argument) in item.sig.inputs.iter_mut().enumerate() {
        let FnArg::Typed(argument) = argument else { continue };
        let is_init = |attribute: &Attribute| attribute.path().is_ident("init");
        let Some(mark) = argument.attrs.iter().find(|attribute| is_init(attribute)) else { continue };
        if !matches!(mark.meta, Meta::Path(_)) {
            return Err(Error::new_spanned(mark, "`#[init]` takes no arguments"));
        }
        if found.is_some() {
            return Err(Error::new_spanned(
                mark,
                "a second `#[init]`: all values come together, so make them fields of one type",
            ));
        }
        let field = argument.attrs.iter().find(|it| belongs_to_field(it) && !it.path().is_ident("doc"));
        if let Some(field) = field {
            return Err(Error::new_spanned(
                field,
                "an argument with `#[init]` is no field: put this on the fields of its type",
            ));
        }
        argument.attrs.retain(|attribute| !is_init(attribute) && !belongs_to_field(attribute));
        found = Some(Init { position, r#type: (*argument.ty).clone() });
    }
    Ok(found)
}

/// The function's inputs; what belongs to their fields is moved away from the arguments, where Rust refuses it.
fn take_inputs(item: &mut ItemFn, init: Option<&Init>) -> Result<Inputs> {
    let arguments = item.sig.inputs.iter_mut().enumerate();
    let arguments = arguments.filter(|(position, _)| init.is_none_or(|init| init.position != *position));
    let mut inputs: Vec<Input> = arguments.map(|(_, argument)| take_input(argument)).collect::<Result<_>>()?;
    let Some(whole) = inputs.iter().position(|input| input.name == "inputs") else {
        return Ok(Inputs::Each(inputs));
    };
    if inputs.len() > 1 {
        return Err(Error::new(
            inputs[whole].name.span(),
            "an argument called `inputs` takes all inputs, so it stands alone; rename it if it is one of several",
        ));
    }
    Ok(Inputs::Whole(Box::new(inputs.remove(whole).r#type)))
}

fn take_input(argument: &mut FnArg) -> Result<Input> {
    let argument = match argument {
        FnArg::Typed(argument) => argument,
        FnArg::Receiver(receiver) => {
            return Err(Error::new_spanned(
                receiver,
                "a node is a free function: it has no `self`, since every run is a fresh instance",
            ));
        }
    };
    let Pat::Ident(pattern) = &*argument.pat else {
        return Err(Error::new_spanned(&argument.pat, "an input needs a name: take it apart inside the function"));
    };
    let (attributes, rest) = argument.attrs.drain(..).partition(belongs_to_field);
    argument.attrs = rest;
    Ok(Input { attributes, name: input_name(&pattern.ident), r#type: (*argument.ty).clone() })
}

fn belongs_to_field(attribute: &Attribute) -> bool {
    ["doc", "serde", "schemars"].iter().any(|name| attribute.path().is_ident(name))
}

fn input_name(argument: &Ident) -> Ident {
    let name = argument.to_string();
    match name.trim_start_matches('_') {
        used if used == name => argument.clone(),
        "" => argument.clone(),
        unused => Ident::new(unused, argument.span()),
    }
}

fn summary(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => text(&pair.value).ok(),
        _ => None,
    });
    let lines: Vec<String> = lines.map(|line| line.value().trim().to_owned()).collect();
    let lines = lines.iter().skip_while(|line| line.is_empty()).take_while(|line| !line.is_empty());
    lines.cloned().collect::<Vec<_>>().join(" ")
}

fn interfaces(value: &Expr) -> Result<Vec<LitStr>> {
    let Expr::Array(list) = value else {
        return Err(expected(value, "a list of texts, such as `[\"llm\"]`"));
    };
    list.elems.iter().map(interface).collect()
}

fn interface(value: &Expr) -> Result<LitStr> {
    let name = text(value)?;
    if !INTERFACES.contains(&name.value().as_str()) {
        let message = format!("unknown interface {:?}; known are {}", name.value(), INTERFACES.join(", "));
        return Err(Error::new(name.span(), message));
    }
    Ok(name)
}

fn text(value: &Expr) -> Result<LitStr> {
    match value {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Ok(text.clone()),
        _ => Err(expected(value, "a text in quotes")),
    }
}

fn expected(value: &Expr, what: &str) -> Error {
    let found: TokenStream = value.to_token_stream();
    Error::new_spanned(value, format!("expected {what}, found `{found}`"))
}
