//! What a flow marks for chats.

use super::*;

/// A flow with these inputs and outputs and a node that they may show.
#[track_caller]
fn check_chat(inputs: &str, outputs: &str, expected: &[&str]) {
    let node = "nodes: [{name: a, type: wasm, source: {path: echo.wasm}}]";
    check(&format!("inputs: {{{inputs}}}\noutputs: {{{outputs}}}\n{node}\n"), expected);
}

const QUESTION: &str = "q: {type: string, is_chat_input: true}";
const HISTORY: &str = "h: {type: list, is_chat_history: true}";
const ANSWER: &str = "a: {type: string, reference: '${a.output}', is_chat_output: true}";
const RESULT: &str = "r: {type: string, reference: '${a.output}'}";

#[test]
fn a_chat_has_an_input_an_output_and_a_history() {
    check_chat(&format!("{QUESTION}, {HISTORY}"), ANSWER, &[]);
    check_chat(&format!("{QUESTION}, {HISTORY}"), &format!("{RESULT}, {ANSWER}"), &[]);
    check_chat(&format!("{QUESTION}, chat_history: {{type: list}}"), ANSWER, &[]);
    check_chat(&format!("{QUESTION}, {HISTORY}"), "", &[]);
}

#[test]
fn a_flow_that_marks_nothing_is_no_chat() {
    check_chat("q: {type: string, is_chat_input: false}, chat_history: {type: string}", RESULT, &[]);
}

#[test]
fn half_a_chat_is_told_what_is_missing() {
    check_chat(
        QUESTION,
        RESULT,
        &[
            "warning 1:10: chat input \"q\": no output is marked `is_chat_output: true`, so chat windows do not take the flow \
             for a chat; mark the answer",
            "warning 1:10: chat input \"q\": no input is the history, so chat windows do not take the flow for a chat; add the \
             input `chat_history: {type: list, default: [], is_chat_history: true}`",
        ],
    );
    check_chat(
        &format!("{QUESTION}, chat_history: {{type: list, is_chat_history: false}}"),
        ANSWER,
        &[
            "warning 1:10: chat input \"q\": no input is the history, so chat windows do not take the flow for a chat; add the \
             input `chat_history: {type: list, default: [], is_chat_history: true}`",
        ],
    );
    let no_input =
        "no input is marked `is_chat_input: true`, so chat windows do not take the flow for a chat; mark the question";
    check_chat("q: {type: string}", ANSWER, &[&format!("warning 2:11: chat output \"a\": {no_input}")]);
    check_chat(HISTORY, RESULT, &[&format!("warning 1:10: chat history \"h\": {no_input}")]);
}

#[test]
fn two_of_a_kind_are_one_too_many() {
    let twice = |text: &str| format!("{text}, {}", text.replacen([':'], "2:", 1));
    check_chat(
        &format!("{}, {}", twice(QUESTION), twice(HISTORY)),
        &twice(ANSWER),
        &[
            "warning 1:50: input \"q2\": a chat has one `is_chat_input`, which is \"q\"",
            "warning 1:131: input \"h2\": a chat has one `is_chat_history`, which is \"h\"",
            "warning 2:78: output \"a2\": a chat has one `is_chat_output`, which is \"a\"",
        ],
    );
}

#[test]
fn a_history_is_a_list() {
    check_chat(
        &format!("{QUESTION}, chat_history: {{type: string}}"),
        ANSWER,
        &["warning 1:71: chat history \"chat_history\" is a list of turns, not of type \"string\"; write `type: list`"],
    );
}
