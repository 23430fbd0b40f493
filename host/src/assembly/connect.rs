//! The connections that a flow names, wherever it does, and the variables that it declares.

use std::collections::HashMap;
use std::path::PathBuf;

use indexmap::IndexMap;

use crate::capability::Capabilities;
use crate::capability::connection::{Connections, Field, Problem, environment};
use crate::flow::init::Resolved;
use crate::flow::tools::Plugin;
use crate::flow::{Draft, NodeIndex, NodeKind, Place};

/// What an operator has set up for a flow.
#[derive(Default)]
pub(super) struct Connected {
    pub(super) connections: Connections,
    /// The variables that the flow declares, with their values. Some may be secrets.
    pub(super) environment: IndexMap<String, Field>,
    /// The connection of each of them that holds its key.
    pub(super) keys: IndexMap<String, String>,
}

/// Where a flow names a connection.
enum Named {
    Connection(NodeIndex),
    Grant(NodeIndex, &'static str),
    Variable(String),
    Init,
}

impl Named {
    fn place(&self) -> Place<'_> {
        match self {
            Self::Connection(node) => Place::Connection(*node),
            Self::Grant(node, capability) => Place::Grant(*node, capability),
            Self::Variable(name) => Place::Variable(name),
            Self::Init => Place::Elsewhere,
        }
    }
}

/// Finds everything that the flow names. None: something cannot be had, which is then found, at each place that names it.
pub(super) fn connect(
    draft: &mut Draft,
    init: Option<&Resolved>,
    paths: &[PathBuf],
    process: &dyn Fn(&str) -> Option<String>,
) -> Option<Connected> {
    let declared = draft.flow().environment_variables().clone();
    let named = named(draft, init, &declared, process);
    let own = draft.flow().configurations().clone();
    let wanted: Vec<_> = named.iter().map(|(name, _)| name.as_str()).filter(|name| !own.contains_key(*name)).collect();
    // The process's own environment comes before what the flow file says. What stands for a value of a connection cannot
    // complete one.
    let plain = |value: &&String| environment::reference(value).is_none();
    let env = |name: &str| process(name).or_else(|| declared.get(name).filter(plain).cloned());
    let (mut connections, warnings) = match Connections::load(paths, &wanted, &env) {
        Ok(loaded) => loaded,
        Err(problems) => {
            tell(draft, &named, problems);
            return None;
        }
    };
    for warning in warnings {
        draft.warning(Place::Elsewhere, "Connection", warning.to_string());
    }
    let mut problems = Vec::new();
    for (name, configuration) in &own {
        problems.extend(connections.insert_model_configuration(name, configuration, &env).err().into_iter().flatten());
    }
    for index in draft.sound_nodes() {
        let connection = draft.flow().node(index).kind.connection().and_then(|name| connections.get(name).ok());
        let Some(connection) = connection else { continue };
        draft.served_by(index, connection.type_name());
        if asks_a_model(&draft.flow().node(index).kind) && !connection.kind.is_model() {
            let message = format!(
                "node {:?}: connection {:?} is of type {:?}, which leads to no model; name one of type open_ai, azure_open_ai, \
                 serverless or offline",
                draft.flow().node(index).id.as_str(),
                connection.name,
                connection.type_name()
            );
            draft.problem(Place::Connection(index), "InvalidConnectionType", message);
        }
    }
    let environment = environment::environment(&declared, process, &connections);
    let sound = problems.is_empty() && environment.is_ok();
    tell(draft, &named, problems);
    let environment = environment.unwrap_or_else(|problems| {
        for problem in problems {
            let variable = problem.place.rsplit('.').next().unwrap_or_default();
            draft.problem(Place::Variable(variable), "GetConnectionError", problem.to_string());
        }
        IndexMap::new()
    });
    let keys = environment::keys(&declared, process, &connections);
    sound.then_some(Connected { connections, environment, keys })
}

fn asks_a_model(kind: &NodeKind) -> bool {
    match kind {
        NodeKind::Llm(_) => true,
        NodeKind::Package(package) => package.plugin == Plugin::Embedding,
        NodeKind::Prompt { .. } | NodeKind::Component { .. } | NodeKind::Python(_) => false,
    }
}

/// What is wrong with a connection is told where the flow names it.
fn tell(draft: &mut Draft, named: &[(String, Named)], problems: Vec<Problem>) {
    let mut places: HashMap<&str, Vec<&Named>> = HashMap::new();
    for (name, named) in named {
        places.entry(name).or_default().push(named);
    }
    for problem in problems {
        let places = problem.connection.as_deref().and_then(|name| places.get(name));
        if places.is_none() {
            draft.problem(Place::Elsewhere, "GetConnectionError", problem.to_string());
        }
        for named in places.into_iter().flatten() {
            draft.problem(named.place(), "GetConnectionError", problem.to_string());
        }
    }
}

/// The connections a flow names, and where it does.
fn named(
    draft: &Draft,
    init: Option<&Resolved>,
    declared: &IndexMap<String, String>,
    process: &dyn Fn(&str) -> Option<String>,
) -> Vec<(String, Named)> {
    let flow = draft.flow();
    let mut named = Vec::new();
    // Also of nodes that something else is wrong with, so that all is told at once.
    for (index, node) in flow.nodes() {
        let names = node.kind.connections().filter(|name| !name.is_empty());
        named.extend(names.map(|name| (name.to_owned(), Named::Connection(index))));
        let granted = Capabilities::connections(&node.asks());
        named.extend(granted.into_iter().map(|(capability, name)| (name, Named::Grant(index, capability))));
    }
    for (variable, value) in declared {
        let value = process(variable).unwrap_or_else(|| value.clone());
        if let Some((name, _)) = environment::reference(&value) {
            named.push((name.to_owned(), Named::Variable(variable.clone())));
        }
    }
    named.extend(init.into_iter().flat_map(|init| &init.connections).map(|name| (name.clone(), Named::Init)));
    named
}
