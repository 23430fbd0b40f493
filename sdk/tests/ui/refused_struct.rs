#[weir_sdk::node]
struct Answer;

fn main() {}
