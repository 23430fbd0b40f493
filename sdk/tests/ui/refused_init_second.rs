#[weir_sdk::node]
fn answer(#[init] one: usize, #[init] other: usize) -> usize {
    one + other
}

fn main() {}
