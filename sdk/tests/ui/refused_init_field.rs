#[weir_sdk::node]
fn answer(
    #[init]
    #[serde(default)]
    times: usize,
    text: String,
) -> String {
    text.repeat(times)
}

fn main() {}
