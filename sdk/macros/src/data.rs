//! `#[data]`: the derives of a type that crosses the boundary, with the paths of the SDK's own copies.

use proc_macro2::TokenStream;
use quote::quote;
use syn::DeriveInput;

pub(crate) fn expand(item: &DeriveInput) -> TokenStream {
    let derives = derives(&[quote!(Serialize), quote!(Deserialize)]);
    quote! {
        #derives
        #item
    }
}

/// The derives of `JsonSchema` and of the given traits of serde.
pub(crate) fn derives(serde: &[TokenStream]) -> TokenStream {
    quote! {
        #[derive(#(::weir_sdk::serde::#serde,)* ::weir_sdk::schemars::JsonSchema)]
        #[serde(crate = "::weir_sdk::serde")]
        #[schemars(crate = "::weir_sdk::schemars")]
    }
}
