struct Word(String);

#[weir_sdk::node]
fn answer(text: String) -> impl Iterator<Item = Word> {
    std::iter::once(Word(text))
}

fn main() {}
