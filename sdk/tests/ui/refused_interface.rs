#[weir_sdk::node(uses = ["lmm"])]
fn answer(text: String) -> String {
    text
}

fn main() {}
