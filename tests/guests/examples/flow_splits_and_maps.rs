//! Has a text worked on piece by piece, by another node, and joins what became of the pieces.

use weir_sdk::serde_json::json;
use weir_sdk::{NodeError, data, node, nodes};

#[data]
struct Report {
    pieces: usize,
    titles: Vec<String>,
    longest: String,
}

/// Gives each sentence to the node `title`.
#[node(uses = ["nodes"])]
fn flow_splits_and_maps(text: String) -> Result<Report, NodeError> {
    let sentences: Vec<_> = text.split('.').map(str::trim).filter(|sentence| !sentence.is_empty()).collect();
    if sentences.is_empty() {
        return Err(NodeError::user("Empty", "there is no sentence in the text"));
    }
    let titles = sentences
        .iter()
        .map(|sentence| nodes::call("title", &json!({ "sentence": sentence })))
        .collect::<Result<Vec<String>, _>>()?;
    let longest = sentences.iter().max_by_key(|sentence| sentence.len()).map(ToString::to_string).unwrap_or_default();
    Ok(Report { pieces: sentences.len(), titles, longest })
}
