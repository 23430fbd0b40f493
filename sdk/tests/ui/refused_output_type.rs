struct Output {
    text: String,
}

#[weir_sdk::node]
fn answer(text: String) -> Output {
    Output { text }
}

fn main() {}
