//! Fills all of its memory with one instruction, which nothing can interrupt, again and again.

use std::hint::black_box;

use weir_sdk::node;

/// Never returns.
#[node]
fn limits_fills_memory(mib: usize) {
    let mut memory = vec![0_u8; mib << 20];
    loop {
        black_box(&mut memory).fill(black_box(7));
    }
}
