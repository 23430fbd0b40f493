//! The operator's policy, and what of a node it is held against that no grant says.

use std::fs;
use std::path::Path;

use crate::capability::Rulebook;
use crate::capability::connection::Kind;
use crate::flow::{Binding, Draft, Node, NodeKind, Place};
use crate::policy::Policy;

/// Largest policy, in bytes: people write it.
const MAX_POLICY: u64 = 1024 * 1024;

/// What flows may ask for at most. What is wrong with the policy is found, and nothing then held against it: the flow
/// does not serve.
pub(super) fn rulebook(draft: &mut Draft, path: Option<&Path>) -> Rulebook {
    let Some(path) = path else { return Rulebook::default() };
    let problems = match read(path) {
        Ok(policy) => match Rulebook::of(&policy) {
            Ok(rulebook) => return rulebook,
            Err(problems) => problems,
        },
        Err(problem) => vec![problem],
    };
    for problem in problems {
        draft.problem(Place::Elsewhere, "InvalidPolicy", problem);
    }
    Rulebook::default()
}

fn read(path: &Path) -> Result<Policy, String> {
    let shown = path.display().to_string();
    let unreadable = |what: String| format!("{shown}: the policy is not readable: {what}");
    let metadata = fs::metadata(path).map_err(|error| unreadable(error.to_string()))?;
    if !metadata.is_file() || metadata.len() > MAX_POLICY {
        return Err(unreadable(format!("expected a file of at most {MAX_POLICY} bytes")));
    }
    let text = fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
    Policy::parse(&shown, &text).map_err(|problems| problems.plain())
}

/// The model that a node names for its connection; none if it names none in the file, or which one counts is not known
/// before it runs.
pub(super) fn model(node: &Node) -> Option<String> {
    node.kind.connection()?;
    let named = |key: &str| match node.inputs.get(key) {
        Some(Binding::Literal(name)) => name.as_text().filter(|name| !name.is_empty()),
        Some(Binding::Input(_) | Binding::Node { .. }) | None => None,
    };
    let (deployment, model) = (named("deployment_name"), named("model"));
    match &node.kind {
        NodeKind::Llm(llm) if llm.service == Some(Kind::AzureOpenAi.type_name()) => deployment,
        NodeKind::Llm(llm) if llm.service.is_some() => model,
        // Of two names, the one for the service counts, which nobody has looked at here.
        _ if deployment.is_some() && model.is_some() => None,
        _ => deployment.or(model),
    }
}
