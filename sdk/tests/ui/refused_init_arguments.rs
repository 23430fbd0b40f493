#[weir_sdk::node]
fn answer(#[init(times)] times: usize, text: String) -> String {
    text.repeat(times)
}

fn main() {}
