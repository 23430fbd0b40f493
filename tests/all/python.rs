//! Flows in Python as prompt flow has them: built into a component, and served. What Python means by a program is held by
//! sdk/python/tests, which run here as well.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use harness::{Collector, Frame, Span, Status, TestHost, Trace, eventually, run};
use serde_json::{Value, json};

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// Lays a flow folder.
fn lay(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, text) in files {
        fs::write(folder.path().join(name), text).expect("the test's own folder");
    }
    folder
}

/// Builds a flow, and compiles it: on a busy machine that takes longer than a host may take to listen.
async fn build(folder: &Path) {
    let path = folder.to_str().expect("a path of text");
    for verb in ["build", "check"] {
        let exit = run(&[verb, path]).await;
        assert!(exit.status.success(), "{}{}", exit.stdout, exit.stderr);
    }
}

#[tokio::test]
async fn a_flow_of_prompt_flow_is_built_and_served_as_it_is() {
    let folder = repository("examples/python-triage");
    build(&folder).await;
    let again = run(&["build", folder.to_str().expect("a path of text")]).await;
    assert!(again.stdout.contains("unchanged since it was built"), "{}", again.stdout);
    let collector = Collector::start();
    let host = TestHost::folder(&folder).collector(&collector).start().await;
    let reply = host.score(json!({"ticket": "My parcel has not arrived"})).await;
    reply.assert_ok(json!({
        "team": "delivery",
        "urgent": false,
        "reply": "offline model: you said \"My parcel has not arrived\", and this is our first turn",
    }));
    let trace = collector.only_trace().await;
    assert_eq!(trace.children(trace.span("reply"))[0].name, "openai_chat");
    assert!(trace.children(trace.span("classify")).is_empty());
    host.stop().await;
}

const LATER: &str = "
inputs: {}
outputs: {told: {type: object, reference: '${later.output}'}}
environment_variables: {WHERE: here}
nodes:
- {name: later, type: python, source: {type: code, path: later.py}, inputs: {file: facts.txt}}
";

const TELLS_LATER: &str = "
import os
import random
import time
import uuid
from promptflow.core import tool

RUNS = []

@tool
def later(file: str) -> dict:
    RUNS.append(1)
    chance = [random.random(), str(uuid.uuid4())]
    # Of its own clock, in seconds.
    runs_for = time.monotonic()
    return {'chance': chance, 'runs': len(RUNS), 'where': os.environ['WHERE'], 'read': open(file).read(), 'time': time.time(), 'for': runs_for}
";

#[tokio::test]
async fn an_instance_that_was_made_ahead_is_as_one_that_was_not() {
    let folder = lay(&[("flow.dag.yaml", LATER), ("later.py", TELLS_LATER), ("facts.txt", "facts")]);
    build(folder.path()).await;
    let collector = Collector::start();
    let host = TestHost::folder(folder.path()).collector(&collector).start().await;
    let (mut chances, mut last) = (BTreeSet::new(), 0.0);
    for _ in 0..3 {
        let told = host.score(json!({})).await.json()["told"].clone();
        assert_eq!((&told["runs"], &told["where"], &told["read"]), (&json!(1), &json!("here"), &json!("facts")));
        let [time, runs_for] = ["time", "for"].map(|key| told[key].as_f64().expect("a number"));
        assert!(time > last && runs_for < 5.0, "{told}");
        last = time;
        chances.extend(told["chance"].as_array().expect("a list").iter().map(ToString::to_string));
        let ready = async || host.get_admin("/metrics").await.text().lines().any(|it| it == "weir_instance_waiting 1");
        eventually("an instance to be made", ready).await;
    }
    assert_eq!(chances.len(), 6, "{chances:?}");
    let is_of_node = |span: &&Span| span.name == "later";
    let spans = collector.spans_when("all nodes", |spans| spans.iter().filter(is_of_node).count() == 3).await;
    let ahead =
        spans.iter().filter(is_of_node).filter(|span| span.attributes.get("weir.instance") == Some(&json!("ahead")));
    assert_eq!(ahead.count(), 2);
    host.stop().await;
}

const FLEX: &str = "
entry: teller:Teller
environment_variables: {WHERE: here}
grants: {llm: [offline]}
init: {greeting: {type: string}}
inputs: {name: {type: string}, times: {type: int, default: 2}}
";

const TELLER: &str = "
import os
from openai import OpenAI
from promptflow.core import tool

class Teller:
    def __init__(self, greeting: str = 'Hello'):
        self.greeting = greeting

    async def __call__(self, name: str, times: int = 1):
        if name == 'nobody':
            raise ValueError('nobody is there')
        if name == 'model':
            messages = [{'role': 'user', 'content': self.greeting}]
            yield os.environ['WHERE'] + ' ' + OpenAI().chat.completions.create(model='m', messages=messages).choices[0].message.content
            return
        for time in range(times):
            yield f'{self.greeting} {name} {time} '

    async def __aggregate__(self, lines: list):
        return {'lines': len(lines), 'last': lines[-1], 'greeting': self.greeting}
";

#[tokio::test]
async fn an_entry_in_python_is_made_with_init_and_streams() {
    let folder = lay(&[("flow.flex.yaml", FLEX), ("teller.py", TELLER)]);
    build(folder.path()).await;
    let host = TestHost::folder(folder.path()).arg("--init").arg("greeting=Hi").start().await;
    host.score(json!({"name": "Ann"})).await.assert_ok(json!("Hi Ann 0 Hi Ann 1 "));
    let frames = host.stream(json!({"name": "Ann", "times": 3})).await.rest().await;
    let expected: Vec<_> = (0..3).map(|time| json!({"output": format!("Hi Ann {time} ")})).collect();
    assert_eq!(frames.iter().map(Frame::json).collect::<Vec<_>>(), expected);
    // A client that names no connection asks the model that the node may ask.
    let answer = "here offline model: you said \"Hi\", and this is our first turn";
    host.score(json!({"name": "model"})).await.assert_ok(json!(answer));
    // As in prompt flow, where a stream that fails while it is joined is nobody's input.
    let failed = host.score(json!({"name": "nobody"})).await;
    assert_eq!(failed.status, 500);
    assert!(failed.text().contains("nobody is there"), "{}", failed.text());
    host.stop().await;

    // Over a data set, what its lines gave is aggregated.
    let data = folder.path().join("data.jsonl");
    fs::write(&data, "{\"name\": \"Ann\"}\n{\"name\": \"nobody\"}\n{\"name\": \"Bob\", \"times\": 1}\n")
        .expect("the test's own folder");
    let (path, data) = (folder.path().to_str().expect("a path of text"), data.to_str().expect("a path of text"));
    let exit = run(&["run", path, "--data", data, "--init", "greeting=Hi"]).await;
    assert_eq!(exit.status.code(), Some(1), "a line failed: {}", exit.stderr);
    let told = json!({"lines": 2, "last": "Hi Bob 0 ", "greeting": "Hi"});
    let last: Value = serde_json::from_str(exit.stdout.lines().last().unwrap_or_default()).expect("JSON");
    assert_eq!(last, json!({"metrics": told, "outputs": {"__aggregate__": told}}));
}

const TRACED: &str = "
inputs: {question: {type: string}}
outputs: {answer: {type: string, reference: '${answer.output}'}}
nodes:
- name: answer
  type: python
  source: {type: code, path: answer.py}
  inputs: {question: '${inputs.question}'}
  grants: {llm: [offline]}
";

const ANSWER: &str = "
import asyncio
from openai import AsyncOpenAI, OpenAI
from promptflow.core import tool
from promptflow.tracing import trace

def messages(text):
    return {'model': 'm', 'messages': [{'role': 'user', 'content': text}]}

@trace
def ask(text):
    return OpenAI().chat.completions.create(**messages(text)).choices[0].message.content

@trace
async def one(name):
    await asyncio.sleep(0)
    await AsyncOpenAI().chat.completions.create(**messages(name))
    await asyncio.sleep(0)
    return name

@trace
def pieces(count):
    for n in range(count):
        ask(f'piece {n}')
        yield n

@trace
def fails(question):
    raise ValueError(f'no answer to {question}')

async def both():
    return await asyncio.gather(one('a'), one('b'))

@tool
def answer(question: str):
    if question == 'nothing':
        return fails(question)
    asyncio.run(both())
    return ask(question) + str(list(pieces(2)))
";

/// Names below a span, each with what is below it.
fn tree(trace: &Trace, above: &Span) -> Value {
    json!(trace.children(above).into_iter().map(|span| json!({&span.name: tree(trace, span)})).collect::<Vec<_>>())
}

#[tokio::test]
async fn traced_functions_are_spans_and_models_are_asked_below_them() {
    let folder = lay(&[("flow.dag.yaml", TRACED), ("answer.py", ANSWER)]);
    build(folder.path()).await;
    let collector = Collector::start();
    let host = TestHost::folder(folder.path()).collector(&collector).start().await;
    let reply = host.score(json!({"question": "why"})).await;
    reply.assert_ok(json!({"answer": "offline model: you said \"why\", and this is our first turn[0, 1]"}));
    let trace = collector.only_trace().await;
    let asked = json!([{"openai_chat": []}]);
    assert_eq!(
        tree(&trace, trace.span("answer")),
        json!([
            {"one": asked},
            {"one": asked},
            {"ask": asked},
            {"pieces": [{"ask": asked}, {"ask": asked}]},
        ])
    );
    let pieces = &trace.span("pieces").attributes;
    let told = ["span_type", "function", "node_name", "inputs", "output", "output_type", "weir.span.origin"]
        .map(|key| pieces[key].as_str().unwrap_or_default());
    assert_eq!(told, ["Function", "pieces", "answer", r#"{"count": 2}"#, "[0, 1]", "iterated", "guest"]);
    let outputs: Vec<_> = trace.spans.iter().filter(|it| it.name == "one").map(|it| &it.attributes["output"]).collect();
    assert_eq!(outputs.len(), 2);
    assert!(outputs.contains(&&json!("\"a\"")) && outputs.contains(&&json!("\"b\"")), "{outputs:?}");

    let failed = host.score(json!({"question": "nothing"})).await;
    assert_eq!(failed.status, 400);
    host.stop().await;
    let span = collector.span("fails").await;
    assert_eq!(span.status, Status::Error("ValueError: no answer to nothing".to_owned()));
    assert_eq!(span.attributes["inputs"], r#"{"question": "nothing"}"#);
}

const BROKEN: &str = "
inputs: {text: {type: string}}
outputs: {c: {type: string, reference: '${c.output}'}}
nodes:
- {name: a, type: python, source: {type: code, path: a.py}, inputs: {text: '${inputs.text}'}}
- {name: b, type: python, source: {type: code, path: b.py}, inputs: {text: '${inputs.text}'}}
- {name: c, type: python, source: {type: code, path: c.py}, inputs: {text: '${inputs.text}'}}
";

#[tokio::test]
async fn all_that_is_wrong_with_a_flows_python_is_told_at_once_and_by_its_place() {
    let folder = lay(&[
        ("flow.dag.yaml", BROKEN),
        ("a.py", "from promptflow.core import tool\n\n@tool\ndef a(text) -> str\n    return text\n"),
        (
            "b.py",
            "from promptflow.core import tool\nimport nowhere_to_be_found\n\n@tool\ndef b(text):\n    return text\n",
        ),
        ("c.py", "def c(text):\n    return text\n"),
    ]);
    let path = folder.path().to_str().expect("a path of text");
    let unbuilt = run(&["check", path]).await;
    assert_eq!(unbuilt.status.code(), Some(2));
    assert_eq!(
        unbuilt.stderr.matches("not built yet; run `weir build` on the flow folder").count(),
        3,
        "{}",
        unbuilt.stderr
    );

    let exit = run(&["build", path]).await;
    assert_eq!(exit.status.code(), Some(2), "{}{}", exit.stdout, exit.stderr);
    for told in ["a.py:4: SyntaxError", "nowhere_to_be_found", "c.py: NoToolDefined"] {
        assert!(exit.stderr.contains(told), "{told} is not in {}", exit.stderr);
    }
}

#[tokio::test]
async fn without_python_the_build_says_what_is_needed() {
    let folder = lay(&[("flow.dag.yaml", BROKEN), ("a.py", ""), ("b.py", ""), ("c.py", "")]);
    let path = folder.path().to_str().expect("a path of text");
    let exit = run(&["build", path, "--python", "/nowhere/python3"]).await;
    assert_eq!(exit.status.code(), Some(1));
    let wanted = "there is no Python here: /nowhere/python3 is no program; install Python 3.11 or later, or name it with --python";
    assert!(exit.stderr.contains(wanted), "{}", exit.stderr);
}

#[test]
fn the_runtime_of_python_keeps_its_own_tests() {
    let mut python = Command::new("python3");
    python.current_dir(repository("")).args([
        "-m",
        "unittest",
        "discover",
        "-s",
        "sdk/python/tests",
        "-t",
        "sdk/python",
    ]);
    // What is compiled beside the sources would make cargo build the host anew.
    let output = python.env("PYTHONDONTWRITEBYTECODE", "1").output().expect("python3 runs");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    assert!(told.contains("Ran ") && !told.contains("Ran 0 tests"), "{told}");
}

const WANTING: &str = "
environment_variables: {INDEX: books, TOKEN: '${my_search.token}', MODEL_KEY: '${my_ai.api_key}'}
inputs: {text: {type: string}}
outputs: {c: {type: string, reference: '${c.output}'}}
nodes:
- {name: a, type: python, source: {type: code, path: a.py}, inputs: {text: '${inputs.text}', search: my_search}}
- {name: b, type: python, source: {type: code, path: b.py}, inputs: {text: '${a.output}'}, grants: {http: ['https://*.example.org/x']}}
- {name: c, type: python, source: {type: code, path: c.py}, inputs: {text: '${b.output}'}}
";

const TOOL: &str = "from promptflow.core import tool\n";

#[tokio::test]
async fn an_import_tells_what_runs_what_needs_a_grant_and_what_cannot_run() {
    let a = format!(
        "{TOOL}from promptflow.connections import CustomConnection\nfrom lib import net\n\n@tool\n\
         def a(text: str, search: CustomConnection):\n    return net.fetch(text)\n"
    );
    let net = "import os\nimport requests\n\ndef fetch(text):\n    os.environ.get('MANNER', 'quiet')\n    \
               index = os.environ['INDEX'] + os.environ['TOKEN']\n    \
               return requests.get(f'https://api.example.net/{index}').text\n";
    let b = format!(
        "{TOOL}import urllib.request\n\n@tool\ndef b(text):\n    \
                     return urllib.request.urlopen('https://api.example.org/x').read().decode()\n"
    );
    let c = format!(
        "{TOOL}\nimport os\nfrom openai import OpenAI\n@tool\n\
         def c(text):\n    return OpenAI(api_key=os.environ['MODEL_KEY']).api_key\n"
    );
    let folder = lay(&[("flow.dag.yaml", WANTING), ("a.py", &a), ("b.py", &b), ("c.py", &c)]);
    fs::create_dir(folder.path().join("lib")).expect("the test's own folder");
    fs::write(folder.path().join("lib/net.py"), net).expect("the test's own folder");
    fs::write(folder.path().join("requirements.txt"), "requests\n").expect("the test's own folder");
    let path = folder.path().to_str().expect("a path of text");

    let exit = run(&["import", path]).await;
    assert_eq!(exit.status.code(), Some(1), "{}{}", exit.stdout, exit.stderr);
    for told in [
        "a                    python     needs a grant",
        "b                    python     runs as it is",
        "lib/net.py:7 has an address of https://api.example.net",
        r#"grants: {config: ["TOKEN"], http: ["https://api.example.net"]}"#,
        r#"a.py:6 is given the connection "my_search": grant each secret that it reads, as `config: [my_search.KEY]`"#,
        "c.py:7 reads the variable MODEL_KEY, the key of \"my_ai\"",
        r#"grants: {llm: ["my_ai"]}"#,
        "packages: ",
        "It runs once the grants above are in the flow file.",
    ] {
        assert!(exit.stdout.contains(told), "{told} is not in {}", exit.stdout);
    }
    assert!(!exit.stdout.contains("MANNER"), "what is read with a default runs without: {}", exit.stdout);
    assert!(!folder.path().join(".weir").exists(), "an import leaves nothing behind");

    let b = format!("{b}\nimport subprocess\nsubprocess.run(['ls'])\n");
    fs::write(folder.path().join("b.py"), b).expect("the test's own folder");
    fs::write(folder.path().join("requirements.txt"), "requests\nnumpy==2.3.2\n").expect("the test's own folder");
    fs::write(folder.path().join("c.py"), format!("import numpy\n{c}")).expect("the test's own folder");
    let exit = run(&["import", path, "--json"]).await;
    assert_eq!(exit.status.code(), Some(2), "{}{}", exit.stdout, exit.stderr);
    let report: Value = serde_json::from_str(&exit.stdout).expect("JSON");
    assert_eq!(report["runs"], "not");
    let cannot = report["found"]["cannot"].to_string();
    for told in ["b.py:9: subprocess", "requirements.txt: numpy 2.3.2: its only wheels hold native code"] {
        assert!(cannot.contains(told), "{told} is not in {cannot}");
    }
}

#[tokio::test]
async fn an_import_of_a_flow_that_runs_as_it_is_says_so() {
    let folder = repository("examples/python-triage");
    let exit = run(&["import", folder.to_str().expect("a path of text")]).await;
    assert!(exit.status.success(), "{}{}", exit.stdout, exit.stderr);
    assert!(exit.stdout.ends_with("It runs as it is: `weir build`, then `weir serve`.\n"), "{}", exit.stdout);
}
