use std::num::ParseIntError;

#[weir_sdk::node]
fn answer(text: String) -> Result<u32, ParseIntError> {
    text.parse()
}

fn main() {}
