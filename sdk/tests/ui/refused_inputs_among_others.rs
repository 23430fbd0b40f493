#[weir_sdk::node]
fn answer(inputs: String, times: usize) -> String {
    inputs.repeat(times)
}

fn main() {}
