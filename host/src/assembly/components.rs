//! The components of a flow's nodes: found, loaded, and asked what they take. May compile for seconds.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;

use tokio::runtime::Builder;

use crate::builder;
use crate::flow::describe::Description;
use crate::flow::tools::Plugin;
use crate::flow::{ComponentSource, Draft, NodeIndex, NodeKind, Place, Python};
use crate::folder::Folder;
use crate::plugins;
use crate::sandbox::component::{Component, Workshop};

/// A node with its component; none if that cannot be had, which is then found.
pub(super) struct Loaded {
    pub(super) index: NodeIndex,
    pub(super) component: Option<Arc<Component>>,
}

/// What a component is made of: where it was found, and its bytes.
type Source = (String, Cow<'static, [u8]>);

/// The components of all nodes that are sound. Each is asked what it takes, which the flow is held against.
///
/// # Errors
/// If the system gives no runtime to ask with.
pub(super) fn load(folder: &Folder, draft: &mut Draft, workshop: &Workshop) -> io::Result<Vec<Loaded>> {
    let mut sources = Vec::new();
    let nodes: Vec<(NodeIndex, Option<usize>)> = draft
        .sound_nodes()
        .into_iter()
        .map(|index| (index, source(folder, draft, workshop, index, &mut sources)))
        .collect();
    let components = workshop.load_all(&sources);
    let runtime = Builder::new_current_thread().enable_time().build()?;
    let (mut loaded, mut aggregation) = (Vec::new(), None);
    for (index, source) in nodes {
        let component = match source.map(|source| &components[source]) {
            Some(Ok(component)) => Some(component.clone()),
            Some(Err(error)) => {
                let message = format!("node {:?}: {error}", draft.flow().node(index).id.as_str());
                draft.problem(Place::Source(index), "ComponentNotLoadable", message);
                None
            }
            None => None,
        };
        let entry = match &draft.flow().node(index).kind {
            NodeKind::Component { .. } => Some(None),
            NodeKind::Python(python) => Some(Some(python.clone())),
            NodeKind::Prompt { .. } | NodeKind::Llm(_) | NodeKind::Package(_) => None,
        };
        if let (Some(component), Some(entry)) = (&component, entry) {
            match runtime.block_on(component.describe()) {
                Ok(text) => {
                    let one = || Description::parse(&text);
                    let several = |python: &Python| Description::parse_entry(&text, &python.entry);
                    draft.described(index, &entry.as_ref().map_or_else(one, several));
                    let entry = entry.filter(|_| draft.flow().entry() == Some(index));
                    let found = entry.and_then(|entry| Description::find_entry(&text, &entry.aggregation()));
                    aggregation = found.map(|found| (found, component.clone())).or(aggregation);
                }
                Err(error) => draft.warning(Place::Source(index), "NotDescribed", error.to_string()),
            }
        }
        loaded.push(Loaded { index, component });
    }
    // The last of the nodes.
    if let Some((description, component)) = aggregation
        && let Some(index) = draft.aggregated(&description)
    {
        loaded.push(Loaded { index, component: Some(component) });
    }
    Ok(loaded)
}

/// Where the bytes of a component are.
enum Found {
    /// In this binary.
    Inside(&'static [u8]),
    /// In the flow folder, or pulled from a registry.
    Component(ComponentSource),
    /// Built of the flow's Python, with this entry among others.
    Python(String),
}

fn owned((bytes, warning): (Vec<u8>, Option<String>)) -> (Cow<'static, [u8]>, Option<String>) {
    (Cow::Owned(bytes), warning)
}

/// Which of the sources the node is made of, of which each is there once; none if it cannot be had, which is then found.
fn source(
    folder: &Folder,
    draft: &mut Draft,
    workshop: &Workshop,
    index: NodeIndex,
    sources: &mut Vec<Source>,
) -> Option<usize> {
    let (name, found) = match &draft.flow().node(index).kind {
        NodeKind::Prompt { .. } => ("the built-in plugin `prompt`", Found::Inside(plugins::PROMPT)),
        NodeKind::Llm(_) => ("the built-in plugin `llm`", Found::Inside(plugins::LLM)),
        NodeKind::Package(package) => (package.tool, Found::Inside(plugin_bytes(package.plugin))),
        NodeKind::Component { source } => (source.as_str(), Found::Component(source.clone())),
        NodeKind::Python(python) => ("the flow's Python", Found::Python(python.entry.clone())),
    };
    let name = name.to_owned();
    if let Found::Python(entry) = &found
        && let Err(error) = builder::is_built(folder, entry)
    {
        let message = format!("node {:?}: {error}", draft.flow().node(index).id.as_str());
        draft.problem(Place::Source(index), "ComponentNotFound", message);
        return None;
    }
    if let Some(known) = sources.iter().position(|(known, _)| *known == name) {
        return Some(known);
    }
    let built = match found {
        Found::Inside(bytes) => Ok((Cow::Borrowed(bytes), None)),
        Found::Component(source) => builder::component_of(folder, &source, workshop.max_size()).map(owned),
        Found::Python(entry) => builder::python_component(folder, &entry, workshop.max_size()).map(owned),
    };
    let bytes = match built {
        Ok((bytes, warning)) => {
            if let Some(warning) = warning {
                draft.warning(Place::Source(index), "ChangedSinceBuilt", warning);
            }
            bytes
        }
        Err(error) => {
            let message = format!("node {:?}: {error}", draft.flow().node(index).id.as_str());
            draft.problem(Place::Source(index), "ComponentNotFound", message);
            return None;
        }
    };
    sources.push((name, bytes));
    Some(sources.len() - 1)
}

fn plugin_bytes(plugin: Plugin) -> &'static [u8] {
    match plugin {
        Plugin::Embedding => plugins::EMBEDDING,
        Plugin::ContentSafety => plugins::CONTENT_SAFETY,
        Plugin::Serp => plugins::SERP,
    }
}
