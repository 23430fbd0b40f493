//! What a node is initialised with may stand anywhere among the arguments, under any name.
#![forbid(unsafe_code)]

#[weir_sdk::data]
struct Config {
    times: Option<usize>,
}

#[weir_sdk::node]
fn repeat(
    text: String,
    /// Told by the schema of its type.
    #[init]
    _inputs: Config,
    more: Option<String>,
) -> String {
    text.repeat(_inputs.times.unwrap_or(1)) + &more.unwrap_or_default()
}

fn main() {
    assert_eq!(repeat("a".to_owned(), Config { times: Some(2) }, None), "aa");
}
