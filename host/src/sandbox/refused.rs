//! Imports that the host does not serve: the component still loads, and a call ends the run with a clear error.
//!
//! Toolchains import more than a node uses (Python and JavaScript import sockets, HTTP and more), so an import alone is
//! no reason to refuse a component.

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker, LinkerInstance, ResourceType};
use wasmtime::{Engine, format_err};

use crate::boundary::error::{NodeError, NodeFailure};
use crate::capability::Capabilities;

/// Packages of WASI 0.2 that wasmtime-wasi serves.
const WASI: [&str; 6] = ["wasi:cli/", "wasi:clocks/", "wasi:filesystem/", "wasi:io/", "wasi:random/", "wasi:sockets/"];

/// The type behind resources of interfaces that nobody serves. There is never one.
enum Never {}

/// Defines every function of interfaces that are not `served`, so that calling it ends the run.
pub(super) fn define<T: 'static>(
    linker: &mut Linker<T>,
    code: &Component,
    engine: &Engine,
    served: fn(&str) -> bool,
) -> wasmtime::Result<()> {
    for (name, item) in code.component_type().imports(engine) {
        match item.ty {
            ComponentItem::ComponentInstance(_) if served(name) => {}
            ComponentItem::ComponentInstance(instance) => {
                let mut target = linker.instance(name)?;
                for (export, item) in instance.exports(engine) {
                    define_item(&mut target, name, export, &item.ty)?;
                }
            }
            item => define_item(&mut linker.root(), "the world", name, &item)?,
        }
    }
    Ok(())
}

/// Whether a node finds someone behind this interface.
pub(super) fn by_host(interface: &str) -> bool {
    let name = interface.split('@').next().unwrap_or_default();
    // `types` comes with `output`: it has the streams.
    by_wasi(interface) || Capabilities::INTERFACES.contains(&name) || name == "weir:flow/types"
}

/// Whether WASI alone has this interface.
pub(super) fn by_wasi(interface: &str) -> bool {
    WASI.iter().any(|package| interface.starts_with(package)) && interface.contains("@0.2.")
}

fn define_item<T: 'static>(
    target: &mut LinkerInstance<'_, T>,
    interface: &str,
    name: &str,
    item: &ComponentItem,
) -> wasmtime::Result<()> {
    match item {
        ComponentItem::ComponentFunc(_) => {
            let message = format!("the node called {name:?} of {interface}, which this host does not serve");
            target.func_new(name, move |_, _, _, _| {
                Err(wasmtime::Error::new(NodeError::new(NodeFailure::System, message.clone())))
            })
        }
        ComponentItem::Resource(_) => target.resource(name, ResourceType::host::<Never>(), |_, _| Ok(())),
        ComponentItem::Type(_) => Ok(()),
        _ => Err(format_err!("{interface} imports {name:?}, which is neither a function nor a type")),
    }
}
