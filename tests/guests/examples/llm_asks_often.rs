//! Asks a chat model again and again, and tells how often it got an answer and what ended that.

use weir_sdk::{CallError, data, llm, node};

#[data]
struct Answers {
    answered: u32,
    refused: u32,
    kind: Option<String>,
    message: Option<String>,
}

/// Asks so often, whatever comes of it. Streams are left after their first piece.
#[node(uses = ["llm"])]
fn llm_asks_often(connection: String, question: String, times: u32, #[serde(default)] streams: bool) -> Answers {
    let mut answers = Answers { answered: 0, refused: 0, kind: None, message: None };
    for _ in 0..times {
        match ask(&connection, &question, streams) {
            Ok(()) => answers.answered += 1,
            Err(error) => {
                answers.refused += 1;
                answers.kind = Some(error.kind.code().to_owned());
                answers.message = Some(error.message);
            }
        }
    }
    answers
}

fn ask(connection: &str, question: &str, streams: bool) -> Result<(), CallError> {
    let chat = llm::chat(connection).user(question);
    if !streams {
        return chat.send().map(drop);
    }
    chat.stream()?.next().transpose().map(drop)
}
