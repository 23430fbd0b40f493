//! What a flow grants its nodes, in parts: methods of HTTP, models of a connection; and what is told of a node that asks
//! for more.

mod addresses;
pub(crate) mod answers;
mod files;
mod headers;
mod hostile;
mod notes;
mod policy;

use harness::{Collector, FakeModel, FakeService, HostBuilder, TestHost};
use serde_json::{Value, json};

/// A flow of one guest with these lines for its node; its output is the reply.
pub(crate) fn flow(guest: &str, node: &str) -> String {
    let inputs = match guest {
        "http_raw" => "requests: '${inputs.requests}', at_once: '${inputs.at_once}'",
        "llm_chats" => "connection: '${inputs.connection}', question: hi, model: '${inputs.model}'",
        "files_does" => "steps: '${inputs.requests}'",
        "config_reads" => "keys: '${inputs.keys}'",
        _ => "",
    };
    format!(
        "inputs:
  requests: {{type: list, default: []}}
  at_once: {{type: bool, default: false}}
  keys: {{type: list, default: []}}
  connection: {{type: string, default: ''}}
  model: {{type: string, default: ''}}
outputs: {{answer: {{type: object, reference: '${{asks.output}}'}}}}
nodes:
- name: asks
  type: wasm
  source: {{type: code, path: guests/{guest}.wasm}}
  inputs: {{{inputs}}}
{}
",
        node.trim_matches('\n').lines().map(|line| format!("  {line}\n")).collect::<String>()
    )
}

/// A host of [`flow`].
pub(crate) fn host(guest: &str, node: &str) -> HostBuilder {
    TestHost::written("grants", &flow(guest, node))
}

/// A service that says which method it was asked by.
pub(crate) fn echo() -> FakeService {
    FakeService::start(|request| {
        let text = format!("{} {}", request.method(), request.uri().path());
        http::Response::builder().status(200).body(text.into()).expect("a response")
    })
}

/// A request to a service as a guest makes it by hand.
pub(crate) fn raw(method: &str, origin: &str, path: &str) -> Value {
    let (scheme, authority) = origin.split_once("://").expect("an origin");
    json!({"method": method, "scheme": scheme, "authority": authority, "path": path})
}

/// What came of each request of a flow with these grants.
pub(crate) async fn outcomes(host: &TestHost, requests: Value) -> Vec<String> {
    let reply = host.score(json!({"requests": requests})).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    serde_json::from_value(reply.json()["answer"].clone()).expect("a list of texts")
}

/// What a guest of `wasi:http` sees of a request that is not granted.
pub(crate) const DENIED: &str = "ErrorCode::HttpRequestDenied";

#[tokio::test]
async fn a_request_by_a_method_that_is_not_granted_does_not_leave_the_host() {
    let service = echo();
    let origin = service.origin();
    let grants = format!(
        "grants: {{http: [{{url: '{origin}/read', methods: [GET, HEAD]}}, {{url: '{origin}/write', methods: [POST]}}, \
         '{origin}/all']}}"
    );
    let collector = Collector::start();
    let host = host("http_raw", &grants).collector(&collector).start().await;
    let asked = [
        ("GET", "/read", "200 GET /read"),
        ("POST", "/read", DENIED),
        ("get", "/read", DENIED),
        ("PROPFIND", "/read", DENIED),
        ("POST", "/write/x", "200 POST /write/x"),
        ("GET", "/write", DENIED),
        ("PROPFIND", "/all", "200 PROPFIND /all"),
        ("GET", "/elsewhere", DENIED),
    ];
    let requests: Vec<_> = asked.iter().map(|(method, path, _)| raw(method, &origin, path)).collect();
    let expected: Vec<_> = asked.iter().map(|(.., outcome)| (*outcome).to_owned()).collect();
    assert_eq!(outcomes(&host, json!(requests)).await, expected);
    host.stop().await;

    let sent: Vec<_> = service.requests().iter().map(|request| request.uri().path().to_owned()).collect();
    assert_eq!(sent, ["/read", "/write/x", "/all"]);
    let reason = format!(
        "node \"asks\" may not send POST to {origin}, of which its grant has GET, HEAD; add it to the `methods` there"
    );
    let trace = collector.only_trace().await;
    let denied: Vec<_> = trace.span("asks").events.iter().filter(|it| it.name == "weir.capability.denied").collect();
    assert_eq!(denied.len(), 5, "{denied:?}");
    assert_eq!(
        denied[0].attributes,
        [("weir.capability".into(), json!("http")), ("weir.reason".into(), json!(reason))].into()
    );
}

#[tokio::test]
async fn the_trace_goes_to_services_whose_grant_says_so_and_to_no_other() {
    let (told, other, connected) = (echo(), echo(), echo());
    let connection =
        format!("{{name: safety, type: azure_content_safety, endpoint: '{}', api_key: k}}", connected.origin());
    let grants = format!(
        "grants: {{http: [{{url: '{}', trace_context: true}}, '{}', {{connection: safety, trace_context: true}}]}}",
        told.origin(),
        other.origin()
    );
    let collector = Collector::start();
    let host = host("http_raw", &grants).connection_file("safety", &connection).collector(&collector).start().await;
    let forged = "00-11111111111111111111111111111111-2222222222222222-01";
    let requests: Vec<_> = [&told, &other, &connected]
        .map(|service| {
            let mut request = raw("GET", &service.origin(), "/");
            request["headers"] = json!([["traceparent", forged], ["tracestate", "evil=1"], ["baggage", "user=me"]]);
            request
        })
        .into();
    let body = json!({"requests": requests}).to_string();
    let caller = "4bf92f3577b34da6a3ce929d0e0e4736";
    let parent = format!("00-{caller}-00f067aa0ba902b7-01");
    let headers = [("traceparent", &*parent), ("tracestate", "vendor=7"), ("baggage", "tenant=a")];
    assert_eq!(host.score_with(&headers, body).await.status, 200);
    host.stop().await;

    let calls: Vec<_> =
        collector.trace(caller).await.spans.into_iter().filter(|it| it.name == "http.request").collect();
    assert_eq!(calls.len(), 3);
    let told_of = |service: &FakeService| {
        let request = service.only_request();
        ["traceparent", "tracestate", "baggage"].map(|name| {
            let values: Vec<_> =
                request.headers().get_all(name).iter().map(|it| it.to_str().expect("a text").to_owned()).collect();
            values.join(" and ")
        })
    };
    assert_eq!(told_of(&other), ["", "", ""]);
    for service in [&told, &connected] {
        let [parent, state, baggage] = told_of(service);
        assert!(calls.iter().any(|call| parent == format!("00-{caller}-{}-01", call.span_id)), "{parent}");
        assert_eq!((state.as_str(), baggage.as_str()), ("vendor=7", ""));
    }
}

#[tokio::test]
async fn two_nodes_of_one_component_have_each_its_own_connection() {
    let node = |name: &str, connection: &str, asked: &str| {
        format!(
            "- {{name: {name}, type: wasm, source: {{type: code, path: guests/llm_chats.wasm}}, grants: {{llm: [{connection}]}}, \
             inputs: {{connection: '{asked}', question: hi}}}}\n"
        )
    };
    let flow = [
        "inputs: {second: {type: string}}\noutputs: {first: {type: string, reference: '${first.output.text}'}, second: {type: string, \
         reference: '${second.output.text}'}}\nnodes:\n",
        &node("first", "one", "one"),
        &node("second", "two", "${inputs.second}"),
    ];
    let (one, two) = (FakeModel::replies("first").start(), FakeModel::replies("second").start());
    let host = TestHost::written("pair", &flow.concat()).connection("one", &one).connection("two", &two).start().await;
    host.score(json!({"second": "two"})).await.assert_ok(json!({"first": "first", "second": "second"}));
    let reply = host.score(json!({"second": "one"})).await;
    let message = "node \"second\" may not use connection \"one\"; add it to `grants.llm` of the node";
    assert_eq!(reply.json()["error"]["message"], message, "{}", reply.text());
    host.stop().await;
    assert_eq!(two.requests().len(), 1);
}

#[tokio::test]
async fn a_node_asks_the_models_that_its_flow_grants_and_no_other() {
    let model = FakeModel::replies("hello").start();
    let grants =
        "grants: {llm: [{connection: one, models: [gpt-4o, 'o3*']}, two, {connection: three, models: [fake-model]}]}";
    let collector = Collector::start();
    let host = host("llm_chats", grants)
        .connection("one", &model)
        .connection("two", &model)
        .connection("three", &model)
        .collector(&collector)
        .start()
        .await;
    let ask = async |connection: &str, model: &str| {
        let reply = host.score(json!({"connection": connection, "model": model})).await;
        if reply.status == 200 {
            "granted".to_owned()
        } else {
            reply.json()["error"]["message"].as_str().unwrap_or_default().to_owned()
        }
    };
    for (connection, model) in
        [("one", "gpt-4o"), ("one", "o3-mini"), ("two", "anything"), ("three", ""), ("three", "fake-model")]
    {
        assert_eq!(ask(connection, model).await, "granted", "{connection} {model:?}");
    }
    for (connection, model, shown) in
        [("one", "gpt-4o-mini", "gpt-4o-mini"), ("one", "", "fake-model"), ("one", "GPT-4o", "GPT-4o")]
    {
        let refused = format!(
            "node \"asks\" may not ask for model {shown:?} of connection \"one\", of which its grant has gpt-4o, o3*; add it \
             to `grants.llm` of the node"
        );
        assert_eq!(ask(connection, model).await, refused);
    }
    // A connection that is there and not granted looks like one that is not there.
    let unknown = ask("nobody", "gpt-4o").await;
    assert_eq!(unknown, "node \"asks\" may not use connection \"nobody\"; add it to `grants.llm` of the node");
    let long = ask(&"x".repeat(100_000), "").await;
    assert!(long.len() < 400, "{} bytes", long.len());
    host.stop().await;
    assert_eq!(model.requests().len(), 5);
    let denials = collector.metric("weir.capability.denial").label("capability", "llm").label("node", "asks");
    assert_eq!(denials.count(), 5);
}

#[tokio::test]
async fn a_loop_of_denials_is_counted_whole_and_told_in_a_line() {
    let service = echo();
    let collector = Collector::start();
    let host = host("http_raw", "grants: {http: ['https://api.example.com']}").collector(&collector).start().await;
    let requests: Vec<_> = (0..50).map(|n| raw("GET", &service.origin(), &format!("/{n}"))).collect();
    for _ in 0..2 {
        assert_eq!(outcomes(&host, json!(requests)).await, [DENIED; 50]);
    }
    let exit = host.stop().await;

    let told: Vec<_> =
        exit.stderr.lines().filter(|line| line.contains("a node asked for what it may not have")).collect();
    assert_eq!(told.len(), 1, "{}", exit.stderr);
    for part in
        ["WARN", "node=asks", "flow=grants", "capability=\"http\"", "may not send this request to http://127.0.0.1"]
    {
        assert!(told[0].contains(part), "{part}: {}", told[0]);
    }
    assert_eq!(collector.metric("weir.capability.denial").label("capability", "http").count(), 100);
    let spans = collector.spans();
    let mut nodes = spans.iter().filter(|span| span.name == "asks");
    assert!(nodes.all(|span| span.events.iter().filter(|it| it.name == "weir.capability.denied").count() == 16));
    assert!(service.requests().is_empty());
}

#[tokio::test]
async fn a_secret_of_another_node_looks_like_one_that_is_not_there() {
    let connections = "{name: NAME, type: custom, configs: {place: p}, secrets: {token: canary-NAME}}";
    let two = flow("config_reads", "grants: {config: [mine.token]}").replace(
        "nodes:\n",
        "nodes:\n- {name: other, type: wasm, source: {type: code, path: guests/config_reads.wasm}, inputs: {keys: []}, \
         grants: {config: [theirs.token]}}\n",
    );
    let collector = Collector::start();
    let host = TestHost::written("grants", &two)
        .connection_file("mine", &connections.replace("NAME", "mine"))
        .connection_file("theirs", &connections.replace("NAME", "theirs"))
        .collector(&collector)
        .start()
        .await;
    let keys = ["mine.token", "theirs.token", "theirs.place", "nobody.token", "mine.place", ""];
    let reply = host.score(json!({"keys": keys})).await;
    let values = json!({"mine.token": "canary-mine", "theirs.token": null, "theirs.place": null, "nobody.token": null,
        "mine.place": null, "": null});
    reply.assert_ok(json!({"answer": {"values": values, "names": ["mine.token"]}}));
    host.stop().await;
    // Each is told to the operator alike.
    let denials = collector.metric("weir.capability.denial").label("capability", "config");
    assert_eq!(denials.label("node", "asks").count(), 5);
    let span = collector.only_trace().await.span("asks").clone();
    let reasons: Vec<_> = span.events.iter().filter_map(|event| event.attributes.get("weir.reason")).collect();
    assert_eq!(reasons[0], "node \"asks\" holds no setting \"theirs.token\"; add it to `grants.config` of the node");
    assert_eq!(reasons[2], "node \"asks\" holds no setting \"nobody.token\"; add it to `grants.config` of the node");
}

#[tokio::test]
async fn all_that_is_wrong_with_grants_is_told_at_once() {
    let wrong = "grants:
  http: ['api.example.com', {url: 'https://a.test', methods: [get]}, {connection: missing}]
  llm: [{connection: offline, model: a}]
  files: data
";
    let exit = host("http_raw", wrong).refuses().await;
    for part in [
        "grants.http: \"api.example.com\": expected a scheme and a host",
        "grants.http: methods: \"get\": expected a method such as GET or POST, in capital letters",
        "connection \"missing\": is not found; connections are: offline",
        "grants.llm: expected a list of connections such as my_connection, and of {connection: NAME, models: [MODEL]}",
        "grants.files: expected a list of folders such as data, and of {path: FOLDER, write: true}",
    ] {
        assert!(exit.told().contains(part), "{part}: {}", exit.stderr);
    }
}
