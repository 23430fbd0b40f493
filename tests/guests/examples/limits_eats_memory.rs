//! Asks for memory until there is none. The host must refuse it.

use weir_sdk::node;

/// Fills memory by the MiB, `mib` times or for ever, and says how many it got.
#[node]
fn limits_eats_memory(mib: Option<usize>) -> usize {
    let mut eaten = Vec::new();
    while mib.is_none_or(|wanted| eaten.len() < wanted) {
        // Not zero, so that the pages are touched.
        eaten.push(vec![1_u8; 1024 * 1024]);
    }
    eaten.len()
}
