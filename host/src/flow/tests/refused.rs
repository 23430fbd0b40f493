//! What is said about flow files that are wrong, or odd.

use proptest::prelude::*;

use super::*;

#[test]
fn bad_variants_are_named() {
    check(
        "
nodes:
- {name: n, use_variants: true, activate: {when: 1, is: 1}}
- {name: m, use_variants: true}
node_variants:
  n: {default_variant_id: v9, variants: {v0: {node: {type: prompt}}}}
  m: {variants: {v0: {}}}
",
        &[
            "6:27: node_variants: \"n\": no variant \"v9\"; variants are: v0",
            "7:3: node_variants: \"m\": `default_variant_id` is missing",
        ],
    );
}

#[test]
fn aggregation_nodes_keep_to_their_side() {
    check(
        "
nodes:
- {name: n, type: wasm, source: {path: echo.wasm}, inputs: {x: '${sum.output}'}}
- {name: sum, type: python, aggregation: true, activate: {when: '${n.output}', is: 1}, inputs: {y: '${gone}'}}
",
        &[
            "3:64: non-aggregation node \"n\" cannot reference the aggregation node \"sum\"; an aggregation node runs once \
             per batch, after all others, and never in serving",
            "4:65: non-aggregation node \"n\" cannot be referenced in the activate config of the aggregation node \"sum\"",
            "4:100: node \"sum\" references a non-existent node \"gone\" in your flow; nodes are: n, sum",
            "warning 4:10: node \"sum\" has no source; add `source: {type: code, path: FILE}`",
        ],
    );
}

#[test]
fn references_to_what_is_not_there_list_what_is() {
    check(
        "
inputs: {question: {type: string}}
outputs:
  a: {type: string, reference: '${anwser.output}'}
  b: {type: string, reference: '${inputs.q}'}
  c: {type: string, reference: ''}
  d: {type: string}
nodes:
- name: answer
  type: wasm
  source: {path: echo.wasm}
  inputs:
    a: ${inputs.quesion}
    b: ${inputs.question.text}
    c: ${missing}
    d: ${answr.output.x}
    e: ${inputs}
    f: ${ answer.output }
    g: ${answer.result}
  activate: {when: '${nobody.output}', is: true}
",
        &[
            "4:32: output \"a\" references a non-existent node \"anwser\" in your flow; did you mean \"answer\"? nodes are: answer",
            "5:32: output \"b\" references flow input \"q\", which is not defined in your flow; inputs are: question",
            "6:3: output \"c\": the reference is not specified; add `reference: ${NODE.output}`",
            "7:3: output \"d\": the reference is not specified; add `reference: ${NODE.output}`",
            "13:8: node \"answer\" references flow input \"quesion\", which is not defined in your flow; did you mean \
             \"question\"? inputs are: question",
            "14:8: node \"answer\" references flow input \"question.text\", which is not defined in your flow; a reference \
             to a flow input takes no path; write `${inputs.question}`",
            "15:8: node \"answer\" references a non-existent node \"missing\" in your flow; nodes are: answer",
            "16:8: node \"answer\" references a non-existent node \"answr\" in your flow; did you mean \"answer\"? nodes are: answer",
            "17:8: node \"answer\" references a non-existent node \"inputs\" in your flow; a flow input is written `${inputs.NAME}`",
            "18:8: node \"answer\": `${ answer.output }`: blanks belong to the name; write `${answer.output}`",
            "19:8: node \"answer\": `${answer.result…}`: a node has no \"result\", only `output`; write `${answer.output.result}`",
            "20:20: node \"answer\" references a non-existent node \"nobody\" in your flow; nodes are: answer",
        ],
    );
}

#[test]
fn cycles_are_named_with_what_waits_for_them() {
    check(
        "
nodes:
- {name: free, type: wasm, source: {path: echo.wasm}}
- {name: b, type: wasm, source: {path: echo.wasm}, inputs: {x: '${c.output}'}}
- {name: c, type: wasm, source: {path: echo.wasm}, activate: {when: '${b.output}', is: 1}}
- {name: after, type: wasm, source: {path: echo.wasm}, inputs: {x: '${c.output}'}}
",
        &[
            "4:10: node circular dependency has been detected among the nodes in your flow; review the references of: b, c, after",
        ],
    );
    check(
        "nodes: [{name: self, type: wasm, source: {path: echo.wasm}, inputs: {x: '${self}'}}]",
        &[
            "1:16: node circular dependency has been detected among the nodes in your flow; review the references of: self",
        ],
    );
}

#[test]
fn types_of_nodes_that_are_not_served_say_what_to_do() {
    check(
        "
nodes:
- {name: a, type: python, source: {path: a.py}}
- {name: b, type: custom_llm, source: {type: code, path: x}}
- {name: c, type: lmm, source: {path: chat.jinja2}}
- {name: d, source: {path: chat.jinja2}}
- {name: e, type: llm, connection: offline, source: {type: package, tool: promptflow.tools.llm.llm}}
- {name: a, type: prompt, source: {path: hello.jinja2}}
- {type: prompt}
",
        &[
            "3:42: load tool failed for node \"a\": file \"a.py\" cannot be found",
            "4:19: node \"b\": custom_llm nodes of source type code are not served by this version; use `type: llm` with a connection, or a \
             component (`type: wasm`) that asks the model",
            "5:19: node \"c\": unknown type \"lmm\"; types are: llm, prompt, python, custom_llm, wasm; did you mean `llm`?",
            "6:10: node \"d\" has no type; types are: llm, prompt, python, custom_llm, wasm",
            "7:53: node \"e\": source has no path; add `path: FILE`",
            "8:10: node with name \"a\" appears more than once; make sure your node names are unique",
            "9:3: a node has no name; add `name: …`",
        ],
    );
}

#[test]
fn sources_have_to_be_in_the_flow_folder() {
    let wrong = |path: &str, reason: &str| {
        let column = "- {name: a, type: prompt, source: {path: ".len() + 1;
        check(
            &format!("nodes:\n- {{name: a, type: prompt, source: {{path: '{path}'}}}}\n"),
            &[&format!("2:{column}: {reason}")],
        );
    };
    for (path, reason) in [
        ("../secret.jinja2", "it leaves the flow folder"),
        ("a/../../b", "it leaves the flow folder"),
        ("/etc/passwd", "it is absolute"),
        ("C:/x", "it is absolute"),
        ("file:///etc/passwd", "it is absolute"),
        ("a\\..\\b", "parts are separated by `/`"),
        ("", "it is empty"),
    ] {
        let message = format!(
            "node source path {path:?} is invalid on node \"a\": {reason}; write a path inside of the flow folder, relative to it"
        );
        wrong(path, &message);
    }
    wrong("gone.jinja2", "load tool failed for node \"a\": file \"gone.jinja2\" cannot be found");
    check(
        "nodes: [{name: a, type: wasm}, {name: b, type: wasm, source: {type: code}}]",
        &[
            "1:16: node \"a\" has no source; add `source: {type: code, path: FILE}`",
            "1:62: node \"b\": source has no path; add `path: FILE`",
        ],
    );
}

#[test]
fn names_that_mean_something_else_are_refused() {
    check(
        "
nodes:
- {name: a, type: prompt, source: {path: hello.jinja2}, inputs: {template: x, name: y}}
- {name: b, type: llm, connection: offline, source: {path: hot.jinja2}, inputs: {prompt: x}}
",
        &[
            "3:66: invalid input \"template\" in prompt template of node \"a\", duplicated with the reserved parameters of \
             prompt tool; rename the input",
            "4:60: invalid input \"temperature\" in prompt template of node \"b\", duplicated with the parameters of llm \
             (chat): template \"hot.jinja2\" uses it; rename the variable",
            "4:82: invalid input \"prompt\" in prompt template of node \"b\", duplicated with the parameters of llm (chat); \
             rename the input",
        ],
    );
}

#[test]
fn every_fault_is_found_at_once_and_pointed_at() {
    let manifest = "\
languag: python
message_format: html
inputs:
  n: {type: integer}
  p: {type: image}
outputs: 5
nodes:
- name: a
  type: llm
  api: talk
  source: {path: chat.jinja2, pth: x}
  limits: {memory: 64, timeout: [10s]}
  activate: {when: 1}
  inputs: {x: .nan, y: 1, y: 2}
trace_content: some
";
    check(
        manifest,
        &[
            "2:17: invalid message format \"html\"; supported are: basic, openai-vision",
            "4:13: input \"n\": unknown type \"integer\"; types are: int, double, bool, string, list, object, image, \
             secret, prompt_template, file_path, assistant_definition",
            "6:10: `outputs` of the flow must be a mapping, not a number",
            "8:9: llm node \"a\" names no connection; add `connection: NAME`; the connection named offline needs no key \
             and no network",
            "10:8: node \"a\": unknown api \"talk\"; apis are: chat, completion",
            "12:33: node \"a\": limits: `timeout` must be text, not a list",
            "13:13: node \"a\": activate needs both `when` and `is`",
            "14:15: node \"a\": `x`: JSON has no such number, so no node could be given it",
            "14:27: key `y` appears more than once",
            "15:16: trace_content: unknown word \"some\"; write one of: none, truncated, full",
            "warning 1:1: the flow: unknown key `languag`; it has no effect; did you mean `language`?",
            "warning 11:31: node \"a\": source: unknown key `pth`; it has no effect; did you mean `path`?",
        ],
    );
}

#[test]
fn oddities_are_warnings() {
    check(
        "
inputs: {n: {type: int, default: many}}
nodes:
- name: a
  type: wasm
  connection: my_conn
  source: {path: echo.wasm}
  inputs: {x: '${b.output.a-b}'}
- {name: b, type: wasm, source: {path: echo.wasm}, flavour: sweet}
",
        &[
            "warning 2:34: input \"n\": the default is no int, so a request without this input will be refused",
            "warning 6:15: node \"a\": `connection` has no effect on a wasm node; to let the node use it, write `grants: {llm: [my_conn]}`",
            "warning 8:15: node \"a\": `-` has no meaning in `${b.output.a-b}`, which is read as a path; a key that is no plain word is written ['key']",
            "warning 9:52: node \"b\": unknown key `flavour`; it has no effect; known keys: name, use_variants, type, source, \
             inputs, connection, api, activate, aggregation, reduce, grants, limits, instances",
        ],
    );
}

#[test]
fn a_reference_within_a_text_is_text_and_told_of() {
    check(
        "
inputs: {q: {type: string}}
outputs: {o: {type: string, reference: 'answer: ${a.output}'}}
nodes:
- name: a
  type: wasm
  source: {path: echo.wasm}
  inputs: {x: ' ${inputs.q}', y: 'cost: ${price}', z: '${', w: 'a $x {inputs.q}', v: 'no } ${a.output.k', u: ['${inputs.q}']}
",
        &[
            "warning 3:40: output \"o\": `${a.output}` stands in a text, which is passed on as it is; a reference is the whole \
             value; put texts together in a prompt node",
            "warning 8:15: node \"a\": `${inputs.q}` stands in a text, which is passed on as it is; a reference is the whole \
             value; put texts together in a prompt node",
        ],
    );
}

#[test]
fn what_this_version_does_not_serve_is_said_so() {
    check("entry: flow:run\n", &["1:8: entry \"flow:run\": there is no module of that name; expected \"flow.py\""]);
    check(
        "language: csharp\n",
        &[
            "1:11: flows in \"csharp\" are not served, only those in python; nodes of any language are served as components \
           (`type: wasm`); then drop `language`",
        ],
    );
}

#[test]
fn text_that_is_no_yaml_is_pointed_at() {
    check("a: [", &["1:4: not valid YAML: unclosed bracket '['"]);
    check("- a\n- b\n", &["1:3: the flow must be a mapping, not a list"]);
    check("nodes: !!python/object x\n", &["1:24: not valid YAML: unsupported tag `!!python/object`"]);
    check("a: 1\n---\nb: 2\n", &["3:1: not valid YAML: only single YAML document expected but multiple found"]);
}

#[test]
fn files_that_mean_harm_end_early() {
    let bomb = |levels: usize| {
        let base = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        (1..levels).fold(base, |text, level| {
            let list = vec![format!("*a{}", level - 1); 10].join(", ");
            format!("{text}a{level}: &a{level} [{list}]\n")
        })
    };
    for text in
        [bomb(9), "[".repeat(100_000), format!("a: {}1{}", "[".repeat(40), "]".repeat(40)), "a: x\n".repeat(300_000)]
    {
        let problems = parse(&text).unwrap_err();
        assert_eq!(problems.problems()[0].code, "InvalidYaml", "{}", problems.plain());
    }
}

#[test]
fn a_flow_has_bounds() {
    let nodes: String =
        (0..501).map(|n| format!("- {{name: n{n}, type: wasm, source: {{path: echo.wasm}}}}\n")).collect();
    check(
        &format!("nodes:\n{nodes}"),
        &["1:1: the flow has 501 nodes with 0 inputs; at most 500 nodes with 5000 are served"],
    );
    check(
        &format!("nodes:\n- {{name: {}}}\n", "n".repeat(257)),
        &["2:10: the name of a node has 257 bytes; at most 256 are served"],
    );
    check(&format!("? {}\n: 1\n", "k".repeat(1025)), &["1:3: a key has 1025 bytes; at most 1024 are read"]);
}

#[test]
fn a_problem_is_shown_with_its_line_and_a_caret() {
    let problems = parse("nodes:\n- {name: a, type: lmm, source: {path: chat.jinja2}}\n").unwrap_err();
    let mut shown = String::new();
    let theme = miette::GraphicalTheme::unicode_nocolor();
    miette::GraphicalReportHandler::new_themed(theme).with_width(100).render_report(&mut shown, &problems).unwrap();
    let lines: Vec<_> = shown.lines().map(str::trim_end).collect();
    assert_eq!(
        lines,
        [
            "  × flow.dag.yaml has 1 problem",
            "",
            "Error: UnsupportedNodeType",
            "",
            "  × node \"a\": unknown type \"lmm\"; types are: llm, prompt, python, custom_llm, wasm",
            "   ╭─[flow.dag.yaml:2:19]",
            " 1 │ nodes:",
            " 2 │ - {name: a, type: lmm, source: {path: chat.jinja2}}",
            "   ·                   ───",
            "   ╰────",
            "  help: did you mean `llm`?",
        ]
    );
}

proptest! {
    #[test]
    fn no_mutilated_file_makes_the_parser_panic(
        cut in 0..CHAT.len(),
        length in 0..60_usize,
        put in r#"[\[\]{}:&*<!|>'"%@, \n\t$a-z0-9-]{0,6}"#,
    ) {
        let end = (cut + length).min(CHAT.len());
        if let Err(problems) = parse(&format!("{}{put}{}", &CHAT[..cut], &CHAT[end..])) {
            prop_assert!(!problems.problems().is_empty());
            let mut shown = String::new();
            prop_assert!(miette::GraphicalReportHandler::new().render_report(&mut shown, &problems).is_ok());
        }
    }
}
