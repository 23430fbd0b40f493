//! Whether what a flow marks for chats makes a chat of it, as chat windows see it. A flow runs either way, so all that is
//! found is a warning.

use super::super::fields::At;
use super::super::manifest::{Input, Manifest};
use super::super::types::Type;
use super::Checker;

/// An input of this name is a chat history unless it says otherwise.
const HISTORY: &str = "chat_history";

impl Checker<'_> {
    /// A chat has one chat input, one chat output and a history; a flow that is no chat marks none of them. A flow without
    /// any outputs is not finished yet.
    pub(super) fn chat(&mut self, manifest: &Manifest) {
        let inputs: Vec<_> = manifest.inputs.iter().filter(|input| input.is_chat_input).collect();
        let outputs: Vec<_> = manifest.outputs.iter().filter(|output| output.is_chat_output).collect();
        let histories: Vec<_> = manifest.inputs.iter().filter(|input| input.is_chat_history == Some(true)).collect();
        self.only_one("input", "is_chat_input", inputs.iter().map(|input| &input.name));
        self.only_one("output", "is_chat_output", outputs.iter().map(|output| &output.name));
        self.only_one("input", "is_chat_history", histories.iter().map(|input| &input.name));
        if let Some(input) = inputs.first() {
            if outputs.is_empty() && !manifest.outputs.is_empty() {
                self.no_chat(
                    "chat input",
                    &input.name,
                    "no output is marked `is_chat_output: true`",
                    "mark the answer",
                );
            }
            self.history(&input.name, manifest);
        } else if let Some(output) = outputs.first() {
            self.no_chat("chat output", &output.name, "no input is marked `is_chat_input: true`", "mark the question");
        } else if let Some(input) = histories.first() {
            self.no_chat("chat history", &input.name, "no input is marked `is_chat_input: true`", "mark the question");
        }
    }

    /// What a chat needs to know what was said before: the server keeps nothing.
    fn history(&mut self, chat_input: &At<String>, manifest: &Manifest) {
        let mut histories = manifest.inputs.iter().filter(|input| is_history(input)).peekable();
        if histories.peek().is_none() {
            let help = "add the input `chat_history: {type: list, default: [], is_chat_history: true}`";
            self.no_chat("chat input", chat_input, "no input is the history", help);
        }
        for Input { name, kind, .. } in histories {
            if let Some(kind) = kind.as_ref().filter(|kind| kind.value != Type::List.name()) {
                let message = format!("chat history {:?} is a list of turns, not of type {:?}", name.value, kind.value);
                self.findings.warning("ChatFlow", &kind.span, message).help("write `type: list`");
            }
        }
    }

    fn only_one<'a>(&mut self, what: &str, key: &str, mut marked: impl Iterator<Item = &'a At<String>>) {
        let Some(first) = marked.next() else { return };
        for other in marked {
            let message = format!("{what} {:?}: a chat has one `{key}`, which is {:?}", other.value, first.value);
            self.findings.warning("ChatFlow", &other.span, message);
        }
    }

    fn no_chat(&mut self, what: &str, name: &At<String>, missing: &str, help: &str) {
        let message = format!("{what} {:?}: {missing}, so chat windows do not take the flow for a chat", name.value);
        self.findings.warning("ChatFlow", &name.span, message).help(help);
    }
}

fn is_history(input: &Input) -> bool {
    input.is_chat_history.unwrap_or(input.name.value == HISTORY)
}
