//! The contract of `wit/` as Rust types. Made by wit-bindgen; nothing here is written by hand.

wit_bindgen::generate!({
    path: "wit",
    world: "node",
    // wasi:logging is another package than ours.
    generate_all,
    // `#[node]` expands to this macro in the node author's crate, which depends on nothing but the SDK.
    pub_export_macro: true,
    export_macro_name: "export",
    default_bindings_module: "::weir_sdk::raw",
    runtime_path: "::weir_sdk::raw::wit_bindgen::rt",
});
