#[weir_sdk::node]
fn answer((text, times): (String, usize)) -> String {
    text.repeat(times)
}

fn main() {}
