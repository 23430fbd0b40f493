//! Calls itself until there is no stack. The host must end it.

use std::hint::black_box;

use weir_sdk::node;

/// Adds numbers in the worst way, or says in the same way whether a number is even.
#[node]
fn limits_recurses(mutual: Option<bool>) -> u64 {
    match mutual {
        Some(true) => is_even(black_box(u64::MAX)).into(),
        _ => sum(black_box(u64::MAX)),
    }
}

fn is_even(n: u64) -> bool {
    n == 0 || !black_box(is_odd(black_box(n - 1)))
}

fn is_odd(n: u64) -> bool {
    n != 0 && !black_box(is_even(black_box(n - 1)))
}

fn sum(n: u64) -> u64 {
    if n == 0 { 0 } else { n.wrapping_add(black_box(sum(black_box(n - 1)))) }
}
