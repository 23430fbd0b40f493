struct Inputs {
    text: String,
}

#[weir_sdk::node]
fn answer(inputs: Inputs) -> String {
    inputs.text
}

fn main() {}
