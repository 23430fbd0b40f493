//! `weir push`: a component into a registry, where the flows of others name it.

use std::fs;
use std::path::Path;

use crate::assembly;
use crate::builder;
use crate::cli::build::{explain, unavailable};
use crate::cli::{Done, Error, PushArgs, say, settings, workshop, wrong};
use crate::config::{self, GivenArgs};
use crate::flow::NodeKind;
use crate::folder::Folder;
use crate::registry::Interfaces;
use crate::sandbox::describe;

pub fn run(args: &PushArgs) -> Done {
    let registry = args.registry.registry(false)?;
    let workshop = workshop(settings(&GivenArgs::default())?.flows.components)?;
    let shown = args.component.display();
    let bytes = match &args.node {
        Some(node) => built(&args.component, node, workshop.max_size())?,
        None => fs::read(&args.component).map_err(|error| Error::wrong(format_args!("{shown}: {error}")))?,
    };
    // What no host would run is not given to others.
    let component = workshop.load(&shown.to_string(), &bytes).map_err(Error::wrong)?;
    let interfaces = Interfaces { exports: vec![describe::HANDLER.to_owned()], imports: component.imports.clone() };
    let digest = registry.push(&args.reference, bytes, &interfaces).map_err(unavailable)?;
    say(format_args!("pushed   {}", args.reference.pinned(&digest)));
    say(format_args!("in a flow:  source: {{type: oci, ref: {}}}", args.reference.pinned(&digest)));
    Ok(())
}

/// What `weir build` has made of a node's source.
fn built(flow: &Path, name: &str, max_size: usize) -> Result<Vec<u8>, Error> {
    let folder = Folder::open(flow).map_err(Error::wrong)?;
    let draft = assembly::read(&folder, &config::variable).map_err(Error::wrong)?;
    let (flow, _) = draft.finish().map_err(|problems| wrong(problems.into()))?;
    let Some(index) = flow.find(name) else {
        let known: Vec<_> = flow.nodes().map(|(_, node)| node.id.as_str()).collect();
        return Err(Error::wrong(format_args!("--node {name}: no node of the flow; nodes are: {}", known.join(", "))));
    };
    let found = match &flow.node(index).kind {
        NodeKind::Component { source } => builder::component_of(&folder, source, max_size),
        NodeKind::Python(python) => builder::python_component(&folder, &python.entry, max_size),
        kind @ (NodeKind::Prompt { .. } | NodeKind::Llm(_) | NodeKind::Package(_)) => {
            let kind = kind.name();
            return Err(Error::wrong(format_args!("--node {name}: nodes of type {kind} are inside of weir itself")));
        }
    };
    let (bytes, changed) = found.map_err(explain)?;
    changed.map_or(Ok(bytes), |changed| Err(Error::wrong(changed)))
}
