#[weir_sdk::node]
fn first(text: String) -> String {
    text
}

mod elsewhere {
    #[weir_sdk::node]
    fn second(text: String) -> String {
        text
    }
}

fn main() {}
