#[weir_sdk::node]
async fn answer(text: String) -> String {
    text
}

fn main() {}
