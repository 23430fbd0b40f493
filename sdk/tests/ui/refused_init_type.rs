struct Config {
    times: usize,
}

#[weir_sdk::node]
fn answer(#[init] config: Config, text: String) -> String {
    text.repeat(config.times)
}

fn main() {}
