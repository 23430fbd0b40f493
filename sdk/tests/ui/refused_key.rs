#[weir_sdk::node(stream = true)]
fn answer(text: String) -> String {
    text
}

fn main() {}
