//! From a parsed node to the code of its component. All checks of types happen in that code, with the author's spans.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Ident, ReturnType, Type, parse_quote};

use crate::data;
use crate::parse::{Function, Init, Input, Inputs, Settings};

/// The function as written, and beside it, out of sight, the component that calls it.
pub(crate) fn node(settings: &Settings, function: &Function) -> TokenStream {
    let item = &function.item;
    let marker = only_one(&item.sig.ident);
    let component = component(settings, function);
    quote! {
        #item
        #marker
        const _: () = { #component };
    }
}

/// Exported macros live in the root of a crate, so the compiler itself refuses a second one, wherever it stands. Two
/// nodes would otherwise meet as a duplicate symbol without a place.
fn only_one(function: &Ident) -> TokenStream {
    let marker = Ident::new("a_crate_has_only_one_node", function.span());
    quote_spanned! {function.span()=>
        #[doc(hidden)]
        #[macro_export]
        macro_rules! #marker { () => {} }
    }
}

/// Names are odd, so that they hide no type of the author.
fn component(settings: &Settings, function: &Function) -> TokenStream {
    let about = about(settings, function);
    let (types, handler) = handler(function);
    quote! {
        #types

        struct __Component;

        impl ::weir_sdk::raw::Guest for __Component {
            fn run(inputs: ::std::string::String)
                -> ::std::result::Result<::weir_sdk::raw::Output, ::weir_sdk::raw::NodeError>
            {
                #handler.run(&inputs)
            }

            fn describe() -> ::std::string::String {
                #handler.describe(&#about)
            }
        }

        // Elsewhere the names of the exports are no names of symbols, and nobody would call them.
        #[cfg(target_family = "wasm")]
        ::weir_sdk::raw::export!(__Component);
        // There the function is in use all the same.
        #[cfg(not(target_family = "wasm"))]
        const _: fn() -> ::std::string::String = <__Component as ::weir_sdk::raw::Guest>::describe;
    }
}

fn about(settings: &Settings, function: &Function) -> TokenStream {
    let name = settings.name.as_ref().map_or_else(|| function.item.sig.ident.to_string(), syn::LitStr::value);
    let summary = &function.summary;
    let uses = match &settings.uses {
        Some(names) => quote!(::std::option::Option::Some(&[#(#names),*])),
        None => quote!(::std::option::Option::None),
    };
    quote! {
        ::weir_sdk::raw::About {
            name: #name,
            version: ::std::env!("CARGO_PKG_VERSION"),
            summary: #summary,
            uses: #uses,
        }
    }
}

/// The types that the handler needs, and the call that makes it. What the compiler says of the types of inputs and
/// answer, it says at those types.
fn handler(function: &Function) -> (TokenStream, TokenStream) {
    let name = &function.item.sig.ident;
    let answer = match &function.item.sig.output {
        ReturnType::Default => name.span(),
        ReturnType::Type(_, answer) => answer.span(),
    };
    let (types, inputs, mut arguments): (_, Type, Vec<_>) = match &function.inputs {
        Inputs::Whole(inputs) => (quote!(), (**inputs).clone(), vec![quote!(inputs)]),
        Inputs::Each(inputs) => {
            let fields = inputs.iter().map(|Input { name, .. }| quote!(inputs.#name)).collect();
            (inputs_type(inputs), parse_quote!(__Inputs), fields)
        }
    };
    let given = quote_spanned!(inputs.span()=> ::weir_sdk::raw::inputs::<#inputs>());
    let Some(Init { position, r#type: init }) = &function.init else {
        let call = quote!(|inputs: #inputs| #name(#(#arguments),*));
        return (types, quote_spanned!(answer=> ::weir_sdk::raw::handler(#given, #call)));
    };
    arguments.insert(*position, quote!(init));
    let call = quote!(|(init, inputs): (#init, #inputs)| #name(#(#arguments),*));
    let init = quote_spanned!(init.span()=> with_init::<#init>());
    (types, quote_spanned!(answer=> ::weir_sdk::raw::handler(#given.#init, #call)))
}

/// The struct of a function that takes its inputs one by one.
fn inputs_type(inputs: &[Input]) -> TokenStream {
    let derives = data::derives(&[quote!(Deserialize)]);
    let fields = inputs.iter().map(|Input { attributes, name, r#type }| quote!(#(#attributes)* #name: #r#type));
    quote! {
        #derives
        #[serde(rename = "Inputs")]
        struct __Inputs { #(#fields),* }
    }
}
