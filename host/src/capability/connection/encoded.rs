//! `PROMPTFLOW_ENCODED_CONNECTIONS`: all connections of a deployment in one variable, as base64 of gzip of JSON.

use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use serde_json::{Map, Value};

use super::draft::Draft;
use super::{Env, Problem, execution, prompt_flow};

/// Most bytes that the variable may unpack to.
///
/// Linux has at most 128 KiB in a variable, of which gzip can make 100 MiB. A connection has some 300 bytes: this is
/// room for thousands of them.
const MAX_UNPACKED: u64 = 1024 * 1024;

/// The drafts in the variable; none if it is not set.
pub(super) fn drafts(env: Env<'_>) -> Result<Vec<Draft>, Vec<Problem>> {
    let Some((variable, text)) = prompt_flow("ENCODED_CONNECTIONS", env) else { return Ok(Vec::new()) };
    let connections = unpack(&text).map_err(|what| vec![Problem::new(&variable, what)])?;
    let mut drafts = Vec::new();
    let mut problems = Vec::new();
    for (name, value) in &connections {
        match execution::draft(name, &format!("{variable} ({name:?})"), value) {
            Ok(draft) => drafts.push(draft),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(drafts) } else { Err(problems) }
}

/// The object that was packed. No error quotes any of it.
fn unpack(text: &str) -> Result<Map<String, Value>, String> {
    let packed = STANDARD.decode(text.trim()).map_err(|_| "is not base64; expected base64 of gzip of JSON")?;
    let mut json = Vec::new();
    GzDecoder::new(packed.as_slice())
        .take(MAX_UNPACKED + 1)
        .read_to_end(&mut json)
        .map_err(|_| "its base64 holds no gzip; expected base64 of gzip of JSON")?;
    if json.len() as u64 > MAX_UNPACKED {
        return Err(format!("unpacks to more than {MAX_UNPACKED} bytes"));
    }
    serde_json::from_slice(&json).map_err(|_| "its gzip holds no JSON object of connections by name".to_owned())
}
