//! Components from WebAssembly text: for guests that do what no compiler lets a program do.
//!
//! A file holds a module, whose exports are what the world `node` asks for; the rest of the component is made here, by
//! the encoder that toolchains use. A file that holds a component is taken as it is. Also part of ../build.rs.

use std::path::Path;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The first line of a file whose strings are not UTF-8: `;; strings: utf16` or `;; strings: compact-utf16`.
const STRINGS: &str = ";; strings: ";

/// The world of a text: that of nodes, and an interface that nobody serves. What a module does not import is left out.
const WORLD: &str = "
package acme:things@1.0.0;
interface secret { open: func() -> u32; }
world guest { include weir:flow/node@0.1.0; import secret; }
";

/// What the second half of a module's version field is in a component.
const COMPONENT: [u8; 2] = [1, 0];

/// The component that a text makes.
///
/// Nothing is checked that the host has to check.
///
/// # Errors
/// If it is not WebAssembly text, or its exports are not those of a node.
pub fn component(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = wat::parse_str(text).map_err(|error| error.to_string())?;
    if bytes.get(6..8) == Some(&COMPONENT) {
        return Ok(bytes);
    }
    let explain = |error| format!("{error:#}");
    let mut resolve = Resolve::default();
    resolve.push_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit")).map_err(explain)?;
    let package = resolve.push_str("guest.wit", WORLD).map_err(explain)?;
    let world = resolve.select_world(&[package], Some("guest")).map_err(explain)?;
    let strings = text.lines().next().and_then(|line| line.strip_prefix(STRINGS)).unwrap_or("utf8");
    let strings: StringEncoding = strings.trim().parse().map_err(explain)?;
    embed_component_metadata(&mut bytes, &resolve, world, strings).map_err(explain)?;
    ComponentEncoder::default().module(&bytes).and_then(|mut encoder| encoder.encode()).map_err(explain)
}
