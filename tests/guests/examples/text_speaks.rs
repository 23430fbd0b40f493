//! Streams a text word by word; breaks off at a certain word.

use weir_sdk::{NodeError, node};

/// The words of the text, each with the blank before it. `BOOM` is an error.
#[node]
fn text_speaks(text: String) -> impl Iterator<Item = Result<String, NodeError>> {
    let words: Vec<_> = text.split_whitespace().map(str::to_owned).collect();
    words.into_iter().enumerate().map(|(number, word)| {
        if word == "BOOM" {
            return Err(NodeError::system("ValueError", "stream broke"));
        }
        Ok(if number == 0 { word } else { format!(" {word}") })
    })
}
