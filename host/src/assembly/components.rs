//! The components of a flow's nodes: found, loaded, and asked what they take. May compile for seconds.

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

/// The components of all nodes that are sound. Each is asked what it takes, which the flow is held against.
///
/// # Errors
/// If the system gives no runtime to ask with.
pub(super) fn load(folder: &Folder, draft: &mut Draft, workshop: &Workshop) -> io::Result<Vec<Loaded>> {
    let runtime = Builder::new_current_thread().enable_time().build()?;
    let mut loaded = Vec::new();
    for index in draft.sound_nodes() {
        let component = component(folder, draft, workshop, index);
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

/// The component of one node; none if it cannot be had, which is then found.
fn component(folder: &Folder, draft: &mut Draft, workshop: &Workshop, index: NodeIndex) -> Option<Arc<Component>> {
    let loaded = match &draft.flow().node(index).kind {
        NodeKind::Prompt { .. } => workshop.load("the built-in plugin `prompt`", plugins::PROMPT),
        NodeKind::Llm(_) => workshop.load("the built-in plugin `llm`", plugins::LLM),
        NodeKind::Package(package) => workshop.load(package.tool, plugin_bytes(package.plugin)),
        NodeKind::Component { path } => {
            let path = path.clone();
            match builder::component(folder, &path, workshop.max_size()) {
                Ok((bytes, warning)) => {
                    if let Some(warning) = warning {
                        draft.warning(Place::Source(index), "ChangedSinceBuilt", warning);
                    }
                    workshop.load(&path, &bytes)
                }
                Err(error) => {
                    let message = format!("node {:?}: {error}", draft.flow().node(index).id.as_str());
                    draft.problem(Place::Source(index), "ComponentNotFound", message);
                    return None;
                }
            }
        }
    };
    match loaded {
        Ok(component) => Some(component),
        Err(error) => {
            let message = format!("node {:?}: {error}", draft.flow().node(index).id.as_str());
            draft.problem(Place::Source(index), "ComponentNotLoadable", message);
            None
        }
    }
}

fn plugin_bytes(plugin: Plugin) -> &'static [u8] {
    match plugin {
        Plugin::Embedding => plugins::EMBEDDING,
        Plugin::ContentSafety => plugins::CONTENT_SAFETY,
        Plugin::Serp => plugins::SERP,
    }
}
