//! Writes `sdk/src/bindings.rs`: the contract of `wit/` as Rust, by wit-bindgen. `make types` runs it.
//!
//! The macro of wit-bindgen would do the same in the SDK itself. Then each crate of a node would compile the generator before
//! it compiles the node, with parsers of WIT, of WebAssembly and of Rust.

use std::fs;
use std::path::{Path, PathBuf};

use wit_bindgen_core::{Files, WorldGenerator as _, wit_parser::Resolve};
use wit_bindgen_rust::Opts;

/// What stands above it.
const HEAD: &str = "\
//! The contract of `wit/` as Rust types. Made by wit-bindgen (`make types`); nothing here is written by hand.

";

fn main() -> anyhow::Result<()> {
    fs::write(repository("sdk/src/bindings.rs"), bindings()?)?;
    Ok(())
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// The text of the module.
fn bindings() -> anyhow::Result<String> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(repository("wit"))?;
    let world = resolve.select_world(&[package], Some("node"))?;
    let options = Opts {
        format: true,
        // wasi:logging is another package than ours.
        generate_all: true,
        // `#[node]` expands to this macro in the node author's crate, which depends on nothing but the SDK.
        pub_export_macro: true,
        export_macro_name: Some("export".to_owned()),
        default_bindings_module: Some("::weir_sdk::raw".to_owned()),
        runtime_path: Some("::weir_sdk::raw::wit_bindgen::rt".to_owned()),
        ..Opts::default()
    };
    let mut files = Files::default();
    options.build().generate(&mut resolve, world, &mut files)?;
    let text: String = files.iter().map(|(_, text)| String::from_utf8_lossy(text)).collect();
    Ok(HEAD.to_owned() + &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sdk_has_the_bindings_of_the_contract() {
        let made = bindings().expect("wit/ has a world of nodes");
        let there = fs::read_to_string(repository("sdk/src/bindings.rs")).expect("the SDK has bindings");
        assert!(there == made, "sdk/src/bindings.rs is not what wit-bindgen makes of wit/; run `make types`");
    }
}
