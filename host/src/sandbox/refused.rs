//! Imports that the host does not serve: the component still loads, and a call ends the run with a clear error.
//!
//! Toolchains import more than a node uses (Python and JavaScript import sockets, HTTP and more), so an import alone is
//! no reason to refuse a component.

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker, LinkerInstance, ResourceType};
use wasmtime::{Engine, format_err};
use wasmtime_wasi::p2::bindings::io::error::Error as IoError;
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable};

use crate::boundary::error::{NodeError, NodeFailure};
use crate::capability::Capabilities;

/// Packages of WASI 0.2 that wasmtime-wasi serves.
const WASI: [&str; 6] = ["wasi:cli/", "wasi:clocks/", "wasi:filesystem/", "wasi:io/", "wasi:random/", "wasi:sockets/"];

/// Interfaces that come with others of the same package: the streams of answers, and what requests are made of.
const TYPES: [&str; 2] = ["weir:flow/types", "wasi:http/types"];

/// The type behind resources of interfaces that nobody serves. There is never one.
enum Never {}

/// Defines every function of interfaces that are not `served`, so that calling it ends the run.
pub(super) fn define<T: 'static>(
    linker: &mut Linker<T>,
    code: &Component,
    engine: &Engine,
    served: fn(&str) -> bool,
) -> wasmtime::Result<()> {
    let mut shared = Vec::new();
    for (name, item) in code.component_type().imports(engine) {
        match item.ty {
            ComponentItem::ComponentInstance(instance) if served(name) => {
                shared.extend(instance.exports(engine).filter_map(|(export, item)| io_resource(export, &item.ty)));
            }
            ComponentItem::ComponentInstance(instance) => {
                let mut target = linker.instance(name)?;
                for (export, item) in instance.exports(engine) {
                    define_item(&mut target, name, export, &item.ty, &shared)?;
                }
            }
            item => define_item(&mut linker.root(), "the world", name, &item, &shared)?,
        }
    }
    Ok(())
}

/// A resource of the component as it is known to the component, and as it is to the host.
type Shared = (ResourceType, ResourceType);

/// Resources of `wasi:io`, which interfaces of other packages name as theirs: there they must be the same ones.
fn io_resource(name: &str, item: &ComponentItem) -> Option<Shared> {
    let ComponentItem::Resource(guest) = item else { return None };
    let host = match name {
        "error" => ResourceType::host::<IoError>(),
        "pollable" => ResourceType::host::<DynPollable>(),
        "input-stream" => ResourceType::host::<DynInputStream>(),
        "output-stream" => ResourceType::host::<DynOutputStream>(),
        _ => return None,
    };
    Some((*guest, host))
}

/// Whether a node finds someone behind this interface.
pub(super) fn by_host(interface: &str) -> bool {
    let name = interface.split('@').next().unwrap_or_default();
    by_wasi(interface) || Capabilities::INTERFACES.contains(&name) || TYPES.contains(&name)
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
    shared: &[Shared],
) -> wasmtime::Result<()> {
    match item {
        ComponentItem::ComponentFunc(_) => {
            let message = format!("the node called {name:?} of {interface}, which this host does not serve");
            target.func_new(name, move |_, _, _, _| {
                Err(wasmtime::Error::new(NodeError::new(NodeFailure::System, message.clone())))
            })
        }
        ComponentItem::Resource(guest) => {
            let known = shared.iter().find(|(known, _)| known == guest).map(|(_, host)| *host);
            target.resource(name, known.unwrap_or(ResourceType::host::<Never>()), |_, _| Ok(()))
        }
        ComponentItem::Type(_) => Ok(()),
        _ => Err(format_err!("{interface} imports {name:?}, which is neither a function nor a type")),
    }
}
