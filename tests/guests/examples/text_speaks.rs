//! Streams a text word by word; breaks off at a certain word.

use std::thread;
use std::time::Duration;

use weir_sdk::{NodeError, node};

/// The words of the text, each with the blank before it, `delay` seconds apart. `BOOM` is an error.
#[node]
fn text_speaks(text: String, #[serde(default)] delay: f64) -> impl Iterator<Item = Result<String, NodeError>> {
    let words: Vec<_> = text.split_whitespace().map(str::to_owned).collect();
    words.into_iter().enumerate().map(move |(number, word)| {
        if word == "BOOM" {
            return Err(NodeError::system("ValueError", "stream broke"));
        }
        thread::sleep(Duration::from_secs_f64(delay));
        Ok(if number == 0 { word } else { format!(" {word}") })
    })
}
