//! Finds what a question is about among the files of the flow folder, by embeddings.

use std::fs;

use weir_sdk::{NodeError, data, llm, node};

#[data]
struct Found {
    document: String,
    text: String,
    score: f32,
}

/// The documents that are nearest to the question, best first.
#[node(uses = ["llm"])]
fn flow_retrieves(
    question: String,
    connection: String,
    #[serde(default = "two")] top: usize,
) -> Result<Vec<Found>, NodeError> {
    let failed = |error: std::io::Error| NodeError::system("IndexUnreadable", format!("documents: {error}"));
    let mut documents = Vec::new();
    for entry in fs::read_dir("documents").map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        documents.push((name, fs::read_to_string(&path).map_err(failed)?));
    }
    documents.sort();
    let texts = documents.iter().map(|(_, text)| text.clone()).chain([question]);
    let mut vectors = llm::embed(connection, texts).send()?.vectors;
    let asked = vectors.pop().unwrap_or_default();
    let mut found: Vec<_> = documents
        .into_iter()
        .zip(vectors)
        .map(|((document, text), vector)| Found {
            document,
            text: text.trim().to_owned(),
            score: cosine(&vector, &asked),
        })
        .collect();
    found.sort_by(|one, other| other.score.total_cmp(&one.score));
    found.truncate(top);
    Ok(found)
}

fn two() -> usize {
    2
}

/// To three digits, so that no processor makes another answer.
fn cosine(one: &[f32], other: &[f32]) -> f32 {
    let dot = |one: &[f32], other: &[f32]| one.iter().zip(other).map(|(a, b)| a * b).sum::<f32>();
    let cosine = dot(one, other) / (dot(one, one) * dot(other, other)).sqrt();
    (cosine * 1000.0).round() / 1000.0
}
