//! Texts of the size that is just accepted, each built to make one part of the host work as much as it can. Small
//! variants are in the corpora.

use std::fmt::Write as _;

use super::targets;

/// The largest flow file that is read.
const SIZE: usize = 1024 * 1024;

/// `unit` with the numbers from 0 for `#`, as often as there is room.
fn numbered(head: &str, unit: &str, most: usize) -> String {
    let mut text = head.to_owned();
    for number in 0..most {
        let unit = unit.replace('#', &number.to_string());
        if text.len() + unit.len() > SIZE {
            break;
        }
        text.push_str(&unit);
    }
    text
}

fn filled(head: &str, unit: &str, tail: &str) -> String {
    let times = (SIZE - head.len() - tail.len()) / unit.len();
    format!("{head}{}{tail}", unit.repeat(times))
}

macro_rules! large {
    ($($name:ident: $target:ident($text:expr);)+) => {
        $(#[test]
        fn $name() {
            targets::$target($text.as_bytes());
        })+
    };
}

const WASM: &str = "type: wasm, source: {type: code, path: echo.wasm}";

large! {
    brackets_without_end: flow_yaml("{".repeat(SIZE));
    lists_without_end: flow_yaml("[".repeat(SIZE));
    dashes: flow_yaml("- ".repeat(SIZE / 2));
    question_marks: flow_yaml("? ".repeat(SIZE / 2));
    text_without_end: flow_yaml(format!("a: \"{}", "x".repeat(SIZE - 4)));
    one_long_line: flow_yaml(filled("inputs: {a: {type: ", "x", "}}"));
    one_long_key: flow_yaml(filled("", "k", ": 1"));
    one_long_number: flow_yaml(filled("inputs: {a: {type: int, default: ", "9", "}}"));
    one_long_node_name: flow_yaml(filled("nodes: [{name: ", "n", ", type: wsm, inputs: {a: '${b.output}'}}]"));
    a_long_name_of_a_node_with_many_faults: flow_yaml({
        let head = format!("nodes:\n- name: {}\n  type: wasm\n  inputs:\n", "n".repeat(SIZE / 2));
        numbered(&head, "    i#: ${x.output}\n", 20_000)
    });
    unknown_keys: flow_yaml(numbered("", "k#: 1\n", 24_000));
    unknown_keys_on_one_line: flow_yaml(numbered("{", "k#: 1, ", 24_000) + "}");
    keys_that_appear_twice: flow_yaml("a: 1\n".repeat(24_000));
    lines_without_meaning: flow_yaml("\n".repeat(SIZE));
    comments: flow_yaml("#\n".repeat(SIZE / 2));
    documents: flow_yaml("---\n".repeat(SIZE / 4));
    anchors: flow_yaml(numbered("a:\n", "- &a# 1\n", 90_000));
    merges: flow_yaml(numbered("a: &a {x: 1}\n", "k#: {<<: *a}\n", 90_000));
    inputs_of_unknown_types: flow_yaml(numbered("inputs:\n", " i#: {type: x}\n", 12_000));
    outputs_of_unknown_nodes: flow_yaml(
        numbered("outputs:\n", " o#: {type: string, reference: '${n#.output}'}\n", 9_000)
    );
    unknown_references_among_many_names: flow_yaml({
        let inputs = numbered("inputs:\n", " some_input_#: {type: string}\n", 6_000);
        numbered(&(inputs + "outputs:\n"), " o#: {type: string, reference: '${inputs.sone_input_#}'}\n", 6_000)
    });
    references_to_many_inputs: flow_yaml({
        let inputs = numbered("inputs:\n", " i#: {type: string}\n", 8_000);
        numbered(&(inputs + "outputs:\n"), " o#: {type: string, reference: '${inputs.i#}'}\n", 6_000)
    });
    a_node_with_many_inputs: flow_yaml(
        numbered(&format!("nodes:\n- {{name: a, {WASM}, inputs: {{"), "i#: 1, ", 24_000) + "}}"
    );
    an_llm_node_with_many_inputs: flow_yaml(
        numbered(
            "nodes:\n- {name: a, type: llm, connection: offline, source: {type: code, path: a.jinja2}, inputs: {",
            "name#: 1, ",
            24_000,
        ) + "}}"
    );
    references_of_one_node: flow_yaml({
        let head = format!("nodes:\n- {{name: a, {WASM}}}\n- {{name: b, {WASM}, inputs: {{");
        numbered(&head, "i#: '${a.output.x}', ", 24_000) + "}}"
    });
    many_nodes: flow_yaml(numbered("nodes:\n", &format!("- {{name: n#, {WASM}, inputs: {{text: a}}}}\n"), 20_000));
    many_nodes_in_a_cycle: flow_yaml({
        let mut text = "nodes:\n".to_owned();
        for number in 0..4_000 {
            let next = (number + 1) % 4_000;
            let _ = writeln!(text, "- {{name: n{number}, {WASM}, inputs: {{text: '${{n{next}.output}}'}}}}");
        }
        text
    });
    a_chain_of_prompts: flow_yaml({
        let mut text = "nodes:\n- {name: n0, type: prompt, source: {type: code, path: hello.jinja2}}\n".to_owned();
        for number in 1..499 {
            let before = number - 1;
            let inputs = format!("inputs: {{name: '${{n{before}.output}}'}}");
            let _ = writeln!(text, "- {{name: n{number}, type: prompt, source: {{path: hello.jinja2}}, {inputs}}}");
        }
        text + "- {name: c, type: llm, connection: offline, source: {path: a.jinja2}, inputs: {name: '${n498.output}'}}\n"
    });
    many_unnamed_nodes: flow_yaml(format!("nodes:\n{}", "- {}\n".repeat(40_000)));
    nodes_of_one_name: flow_yaml(format!("nodes:\n{}", "- {name: a}\n".repeat(24_000)));
    variants: flow_yaml({
        let nodes = numbered("nodes:\n", "- {name: n#, use_variants: true}\n", 400);
        numbered(&(nodes + "node_variants:\n"), " v#: {default_variant_id: a}\n", 10_000)
    });
    variants_without_the_default: flow_yaml({
        let head = numbered("nodes:\n", "- {name: n, use_variants: true}\n", 400);
        numbered(&(head + "node_variants:\n n:\n  default_variant_id: x\n  variants:\n"), "   v#: {}\n", 20_000)
    });
    variables_of_the_environment: flow_yaml(numbered("environment_variables:\n", " V#: ${c.api_key}\n", 24_000));
    includes: flow_yaml(numbered("additional_includes:\n", "- ../i#\n", 40_000));
    init_values: flow_yaml(numbered("entry: echo.wasm\ninit:\n", " i#: {type: x}\n", 12_000));
    grants: flow_yaml(numbered(&format!("nodes:\n- {{name: a, {WASM}, grants: {{"), "g#: [1], ", 10_000) + "}}");
    long_references: flow_yaml({
        let reference = format!("${{a.output{}}}", "['".repeat(2_000));
        numbered("outputs:\n", &format!(" o#: {{type: string, reference: \"{reference}\"}}\n"), 250)
    });
    long_references_with_lines: flow_yaml({
        let reference = format!("${{a.output{}']}}", "['\\n".repeat(1_000));
        numbered("outputs:\n", &format!(" o#: {{type: string, reference: \"{reference}\"}}\n"), 250)
    });
    one_long_text_many_times: flow_yaml({
        let text = format!("inputs: {{a: {{type: &a {}}}}}\noutputs:\n", "x".repeat(SIZE - 10_000));
        numbered(&text, " o#: {type: *a}\n", 99)
    });
    a_laugh: flow_yaml({
        let lists = (1..40).fold("a0: &a0 [x, x]\n".to_owned(), |text, number| {
            let before = number - 1;
            text + &format!("a{number}: &a{number} [*a{before}, *a{before}]\n")
        });
        lists + "inputs: {a: {type: list, default: *a39}}\n"
    });
    images: flow_yaml(
        numbered(
            &format!("nodes:\n- {{name: a, {WASM}, inputs: {{text: ["),
            "{'data:image/png;path': a#.png}, ",
            12_000,
        ) + "]}}"
    );

    a_long_reference: reference(format!("${{{}}}", "a".repeat(SIZE - 3)));
    a_reference_of_quotes: reference(format!("${{a.output{}}}", "['".repeat(2_000)));

    variables: template(numbered("", "{{a#}}", 200_000));
    variables_on_lines: template(numbered("", "{{a#}}\n", 200_000));
    tags_without_end: template("{{".repeat(SIZE / 2));
    comments_without_end: template("{#".repeat(SIZE / 2));
    attributes: template(filled("{{ a", ".b", " }}"));
    subscripts: template(filled("{{ a", "[0]", " }}"));
    calls: template(filled("{{ a", "()", " }}"));
    filters: template(filled("{{ a", "|e", " }}"));
    tests: template(filled("{{ a", " is b", " }}"));
    sums: template(filled("{{ 1", "+1", " }}"));
    powers: template(filled("{{ 1", "**1", " }}"));
    comparisons: template(filled("{{ 1", "<1", " }}"));
    joins: template(filled("{{ a", "~a", " }}"));
    ors: template(filled("{{ a", " or a", " }}"));
    nots: template(filled("{{ ", "not ", "a }}"));
    minuses: template(filled("{{ ", "- ", "a }}"));
    choices: template(filled("{{ ", "a if a else ", "a }}"));
    conditions: template(filled("{% if a %}", "{% elif a %}", "{% endif %}"));
    nested_conditions: template("{% if a %}".repeat(SIZE / 10));
    nested_loops: template("{% for a in b %}".repeat(SIZE / 16));
    nested_brackets: template(format!("{{{{ {}", "(".repeat(SIZE - 4)));
    nested_lists: template(format!("{{{{ {}", "[".repeat(SIZE - 4)));
    macros: template(numbered("", "{% macro m#(a) %}{{ a }}{{ m#(a) }}{% endmacro %}", 100_000));
    blocks: template(numbered("", "{% block b# %}{{ a }}{% endblock %}", 100_000));
    assignments: template(numbered("", "{% set a# = a# %}", 100_000));
    with_blocks: template("{% with a = a %}".repeat(SIZE / 16));
    call_blocks: template("{% call a() %}".repeat(SIZE / 14));
    filter_blocks: template("{% filter e %}".repeat(SIZE / 14));
    a_long_list: template(filled("{% set a = [", "1,", "] %}"));
    a_long_mapping: template(filled("{% set a = {", "\"k\": \"v\", ", "} %}"));
    arguments: template(numbered("{{ a(", "k#=1, ", 100_000) + ") }}");
    a_long_line_with_a_fault: template(filled("", "x", "{% if %}"));
    many_raw_blocks: template("{% raw %}{{{% endraw %}".repeat(SIZE / 23));
    long_names: template(numbered("", &format!("{{{{ a#{} }}}}", "b".repeat(60)), 20_000));

    prompty_files: prompty(
        numbered("---\nmodel: {api: chat}\nsample:\n", " s#: ${file:wide.yaml}\n", 20_000) + "---\n{{a}}"
    );
    prompty_large_files: prompty(
        numbered("---\nmodel: {api: chat}\nsample:\n", " s#: ${file:fuzzed.yaml}\n", 20_000) + "---\n{{a}}"
    );
    prompty_deep_files: prompty(
        format!("---\nsample: {{a: {}'${{file:deep.yaml}}'{}}}\n---\n{{{{a}}}}", "[".repeat(20), "]".repeat(20))
    );
    prompty_inputs: prompty(numbered("---\ninputs:\n", " i#: {type: x}\n", 12_000) + "---\n{{a}}");
    prompty_variables: prompty(
        numbered("---\nmodel: {api: chat, configuration: {connection: offline}}\n---\n", "{{a#}}", 200_000)
    );
    prompty_parameters: prompty(numbered("---\nmodel:\n parameters:\n", "  temperature#: x\n", 20_000) + "---\n{{a}}");
    prompty_dashes: prompty("---\n".repeat(SIZE / 4));
    prompty_blank_lines: prompty("\u{feff}\n".repeat(SIZE / 4) + "---\n---\n");

    connection_brackets: connection("{".repeat(SIZE));
    connection_keys: connection(numbered("name: c\ntype: custom\nconfigs:\n", " k#: v\n", 100_000));
    connection_unknown_keys: connection(numbered("name: c\ntype: open_ai\n", "k#: v\n", 100_000));
    connection_many_encoded: connection(
        numbered("{", "\"c#\": {\"type\": \"OpenAIConnection\", \"value\": {}},", 20_000) + "\"c\": 1}"
    );

    body_brackets: score_body("[".repeat(SIZE));
    body_deep: score_body({
        let (open, close) = ("[".repeat(62), "]".repeat(62));
        format!("{{\"list\": {open}{close}, \"object\": {open}1{close}}}")
    });
    body_deep_and_long: score_body({
        let (open, close) = ("[".repeat(62), "]".repeat(62));
        filled(&format!("{{\"string\": {open}\""), "x", &format!("\"{close}}}"))
    });
    body_deep_list_in_text: score_body(format!("{{\"list\": \"{}{}\"}}", "[".repeat(127), "]".repeat(127)));
    body_long_integer_in_text: score_body(filled("{\"int\": \"", "9", "\"}"));
    body_long_integer: score_body(filled("{\"int\": ", "9", "}"));
    body_members: score_body(numbered("{", "\"k#\": 1, ", 200_000) + "\"int\": 1}");
    body_images: score_body(
        numbered("{\"list\": [", "{\"data:image/png;url\": \"https://example.com/#\"}, ", 20_000) + "1]}"
    );
    body_escapes: score_body(filled("{\"string\": [\"", "\\u00e9", "\"]}"));

    description_properties: description(
        numbered("{\"inputs\": {\"properties\": {", "\"p#\": {},", 200_000) + "\"p\": {}}}}"
    );
    description_required: description({
        let properties = numbered("{\"inputs\": {\"properties\": {", "\"p#\": {},", 30_000);
        numbered(&(properties + "\"p\": {}}, \"required\": ["), "\"p#\", ", 30_000) + "\"p\"]}}"
    });
    description_types: description(
        filled("{\"inputs\": {\"properties\": {\"text\": {\"type\": [", "\"integer\",", "\"null\"]}}}}")
    );

    results_lines: batch_results(numbered("", "{\"line_number\":#,\"inputs\":{},\"outputs\":{}}\n", 30_000));
    results_blank_lines: batch_results("\n".repeat(SIZE));

    stream_lines: sse(filled("\n", "data: a\n", "\n"));
    stream_events: sse(filled("\n", "data: {}\n\n", ""));
    stream_blank_lines: sse("\n".repeat(SIZE));
    stream_of_one_line: sse(filled("\ndata: ", "x", "\n\n"));
    stream_cut_everywhere: sse(filled(&format!("{}\n", "\u{1}".repeat(4_000)), "data: a\r\n\r\n", ""));

    reply_choices: model_reply(numbered("{\"choices\": [", "{\"index\": #, \"message\": {}}, ", 40_000) + "{\"message\": {}}]}");
    reply_brackets: model_reply(filled("{\"choices\": [{\"message\": {\"a\": ", "[", ""));
    reply_vectors: model_reply(filled("{\"data\": [{\"embedding\": [", "0.5, ", "1]}]}"));
    reply_base64: model_reply(filled("{\"data\": [{\"embedding\": \"", "AACAPwAA", "\"}]}"));
}
