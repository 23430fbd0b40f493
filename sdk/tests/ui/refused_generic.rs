#[weir_sdk::node]
fn answer<T: ToString>(text: T) -> String {
    text.to_string()
}

fn main() {}
