struct Node;

impl Node {
    #[weir_sdk::node]
    fn answer(&self, text: String) -> String {
        text
    }
}

fn main() {}
