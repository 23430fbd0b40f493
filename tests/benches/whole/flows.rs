//! The flows that are served.

use std::fmt::Write as _;

/// What each node of a chain is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guest {
    /// Written by hand: a page of memory, no imports, hands its text back.
    Tiny,
    /// Made with the SDK: reads its input as JSON, writes its output, and imports what Rust's standard library does.
    Rust,
}

impl Guest {
    pub(crate) const BOTH: [Self; 2] = [Self::Tiny, Self::Rust];

    fn file(self) -> &'static str {
        match self {
            Self::Tiny => "bench_tiny",
            Self::Rust => "text_step",
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tiny => "tiny guest",
            Self::Rust => "Rust guest of the SDK",
        }
    }
}

/// A chain of so many nodes, each of which is given the text of the one before.
pub(crate) fn chain(guest: Guest, length: usize) -> String {
    let file = guest.file();
    let mut flow = format!(
        "inputs: {{text: {{type: string}}}}\noutputs: {{text: {{type: string, reference: '${{n{length}.output}}'}}}}\nnodes:\n"
    );
    for node in 1..=length {
        let text = if node == 1 { "inputs.text".to_owned() } else { format!("n{}.output", node - 1) };
        writeln!(
            flow,
            "- {{name: n{node}, type: wasm, source: {{type: code, path: guests/{file}.wasm}}, inputs: {{text: '${{{text}}}'}}}}"
        )
        .expect("a string takes all");
    }
    flow
}

/// A request for a chain, with a text of so many bytes.
pub(crate) fn body(bytes: usize) -> String {
    serde_json::json!({"text": "lorem ipsum ".repeat(bytes.div_ceil(12))[..bytes]}).to_string()
}

/// One question to a model, whose answer streams to the caller.
pub(crate) const CHAT: &str = "
inputs:
  question: {type: string, is_chat_input: true}
outputs:
  answer: {type: string, reference: '${chat.output}', is_chat_output: true}
nodes:
- name: chat
  type: llm
  source: {type: code, path: chat.jinja2}
  inputs: {model: fake-model, max_tokens: 64, question: '${inputs.question}'}
  connection: open_ai_connection
  api: chat
";

/// The prompt of [`CHAT`].
pub(crate) const PROMPT: &str = "system:\nBe brief.\nuser:\n{{question}}\n";
