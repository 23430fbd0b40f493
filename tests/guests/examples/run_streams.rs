//! Streams chunks that the guest makes itself; may fail after the last one.

use weir_sdk::{NodeError, node};

/// Streams `count` chunks of text: `chunk 0 `, `chunk 1 `, …
#[node]
fn run_streams(
    count: u32,
    /// Whether an error follows the chunks.
    #[serde(default)]
    fails: bool,
) -> impl Iterator<Item = Result<String, NodeError>> {
    let chunks = (0..count).map(|number| Ok(format!("chunk {number} ")));
    chunks.chain(fails.then(|| Err(NodeError::system("StreamBroken", "the stream broke off"))))
}
