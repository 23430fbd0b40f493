//! The components of a flow's nodes: found, loaded, and asked what they take. May compile for seconds.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;

use tokio::runtime::Builder;

use crate::builder;
use crate::flow::describe::Description;
use crate::flow::tools::Plugin;
use crate::flow::{Draft, NodeIndex, NodeKind, Place};
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
    let mut loaded = Vec::new();
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
        if let (Some(component), NodeKind::Component { .. }) = (&component, &draft.flow().node(index).kind) {
            match runtime.block_on(component.describe()) {
                Ok(text) => draft.described(index, &Description::parse(&text)),
                Err(error) => draft.warning(Place::Source(index), "NotDescribed", error.to_string()),
            }
        }
        loaded.push(Loaded { index, component });
    }
    Ok(loaded)
}

/// Which of the sources the node is made of, of which each is there once; none if it cannot be had, which is then found.
fn source(
    folder: &Folder,
    draft: &mut Draft,
    workshop: &Workshop,
    index: NodeIndex,
    sources: &mut Vec<Source>,
) -> Option<usize> {
    let (name, built_in) = match &draft.flow().node(index).kind {
        NodeKind::Prompt { .. } => ("the built-in plugin `prompt`".to_owned(), Some(plugins::PROMPT)),
        NodeKind::Llm(_) => ("the built-in plugin `llm`".to_owned(), Some(plugins::LLM)),
        NodeKind::Package(package) => (package.tool.to_owned(), Some(plugin_bytes(package.plugin))),
        NodeKind::Component { path } => (path.clone(), None),
    };
    if let Some(known) = sources.iter().position(|(known, _)| *known == name) {
        return Some(known);
    }
    let bytes = match built_in {
        Some(bytes) => Cow::Borrowed(bytes),
        None => match builder::component(folder, &name, workshop.max_size()) {
            Ok((bytes, warning)) => {
                if let Some(warning) = warning {
                    draft.warning(Place::Source(index), "ChangedSinceBuilt", warning);
                }
                Cow::Owned(bytes)
            }
            Err(error) => {
                let message = format!("node {:?}: {error}", draft.flow().node(index).id.as_str());
                draft.problem(Place::Source(index), "ComponentNotFound", message);
                return None;
            }
        },
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
