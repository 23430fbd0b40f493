//! Makes larger HTTP headers than it may.

use weir_sdk::node;

/// Appends headers of 1000 bytes each; says how many were taken.
#[node]
fn limits_makes_headers(count: usize) -> usize {
    let fields = wasip2::http::types::Fields::new();
    let taken = |n: &usize| fields.append(&format!("x-{n}"), &[b'x'; 1000]).is_ok();
    (0..count).take_while(taken).count()
}
