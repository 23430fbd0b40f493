//! Images in requests: from the request itself, from the web, from the flow folder, and from nowhere else.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use harness::{Collector, FakeModel, FakeWeb, HostBuilder, Page, Reply, TestHost, run};
use http::StatusCode;
use serde_json::{Value, json};

/// What a PNG begins with, and three more bytes. Their SHA-1 begins with c2e9164a.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n123";
const NAME: &str = "Image(c2e9164a)";

/// One image, one list, and both given back.
const ECHO: &str = "
inputs: {picture: {type: image}, chat_history: {type: list, default: []}}
outputs:
  picture: {type: image, reference: '${inputs.picture}'}
  chat_history: {type: list, reference: '${inputs.chat_history}'}
";

fn echo() -> HostBuilder {
    TestHost::written("echo", ECHO)
}

fn echo_openai() -> HostBuilder {
    TestHost::written("echo", &format!("message_format: openai-vision\n{ECHO}"))
}

fn basic() -> Value {
    json!({"data:image/png;base64": BASE64.encode(PNG)})
}

fn openai() -> Value {
    json!({"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{}", BASE64.encode(PNG))}})
}

async fn score(host: &TestHost, picture: Value) -> Reply {
    host.score(json!({"picture": picture})).await
}

#[track_caller]
fn assert_picture(reply: &Reply, expected: &Value) {
    reply.assert_ok(json!({"picture": expected, "chat_history": []}));
}

/// `message` is what stands after the error's type.
#[track_caller]
fn assert_refused(reply: &Reply, message: &str) {
    let message = format!("Failed to load image for input 'picture': {message}");
    let error = json!({"code": "UserError", "message": message, "innerError": {"code": "ImageNotLoaded"}});
    reply.assert_error(400, json!({"error": error}));
}

#[tokio::test]
async fn an_image_in_a_request_reaches_the_flow_in_the_flows_own_form() {
    let data = BASE64.encode(PNG);
    let host = echo().start().await;
    for given in
        [json!(data), json!(format!("data:image/jpeg;base64,{data}")), basic(), json!({"data:image/*;base64": data})]
    {
        assert_picture(&score(&host, given).await, &basic());
    }
    let host = echo_openai().start().await;
    for given in [json!(data), json!(format!("data:image/*;base64,{data}")), openai()] {
        assert_picture(&score(&host, given).await, &openai());
    }
}

#[tokio::test]
async fn an_image_on_the_web_is_fetched_where_the_operator_allows_it() {
    let web = FakeWeb::start([
        ("/cat", Page::Bytes(PNG.into())),
        ("/moved", Page::Redirect("/moved/again".to_owned())),
        ("/moved/again", Page::Redirect("/cat".to_owned())),
    ]);
    let allowed = web.address().to_string();
    let host = echo().env("WEIR_IMAGE_HOSTS", &allowed).start().await;
    assert_picture(&score(&host, json!(web.url("/cat"))).await, &basic());
    assert_picture(&score(&host, json!({"data:image/*;url": web.url("/moved")})).await, &basic());
    assert_eq!(web.asked(), ["/cat", "/moved", "/moved/again", "/cat"]);

    let host = echo_openai().env("WEIR_IMAGE_HOSTS", &allowed).start().await;
    let given = json!({"type": "image_url", "image_url": {"url": web.url("/cat"), "detail": "low"}});
    let mut expected = openai();
    expected["image_url"]["detail"] = json!("low");
    assert_picture(&score(&host, given).await, &expected);
}

#[tokio::test]
async fn an_address_that_is_not_public_is_not_asked() {
    let web = FakeWeb::start([("/cat", Page::Bytes(PNG.into()))]);
    let host = echo().start().await;
    let port = web.address().port();
    for name in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0x7f.1"] {
        let reply = score(&host, json!(format!("http://{name}:{port}/cat"))).await;
        let message = reply.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
        assert_eq!(reply.status, 400, "{name}");
        assert!(message.ends_with("may not be reached: it leads to this machine itself."), "{name}: {message}");
    }
    assert_refused(
        &score(&host, json!("http://169.254.169.254/latest/meta-data?key=s3cret")).await,
        "(InvalidImageInput) Failed to fetch image from URL: host \"169.254.169.254\" may not be reached: it leads to a \
         cloud's metadata service.",
    );
    assert_refused(
        &score(&host, json!("file://localhost/etc/passwd")).await,
        "(InvalidImageInput) Failed to fetch image from URL: expected a URL that begins with http:// or https://, found \
         \"file\".",
    );
    assert_eq!(web.asked(), [] as [&str; 0]);
}

#[tokio::test]
async fn a_redirect_leads_nowhere_that_an_address_does_not() {
    let inner = FakeWeb::start([("/secret", Page::Bytes(PNG.into()))]);
    let web = FakeWeb::start([
        ("/inwards", Page::Redirect(inner.url("/secret"))),
        ("/file", Page::Redirect("file:///etc/passwd".to_owned())),
        ("/round", Page::Redirect("/round".to_owned())),
    ]);
    let host = echo().env("WEIR_IMAGE_HOSTS", web.address().to_string()).start().await;
    let refused = "(InvalidImageInput) Failed to fetch image from URL:";
    assert_refused(
        &score(&host, json!(web.url("/inwards"))).await,
        &format!("{refused} host \"127.0.0.1\" may not be reached: it leads to this machine itself."),
    );
    assert_refused(
        &score(&host, json!(web.url("/file"))).await,
        &format!("{refused} expected a URL that begins with http:// or https://, found \"file\"."),
    );
    assert_refused(
        &score(&host, json!(web.url("/round"))).await,
        &format!("{refused} it redirects more than 3 times."),
    );
    assert_eq!(inner.asked(), [] as [&str; 0]);
    assert_eq!(web.asked(), ["/inwards", "/file", "/round", "/round", "/round", "/round"]);
}

#[tokio::test]
async fn what_is_fetched_is_an_image_of_a_bearable_size() {
    let large: Vec<u8> = PNG.iter().copied().chain(vec![0; 8 << 20]).collect();
    let web = FakeWeb::start([
        ("/page", Page::Bytes("<html>s3cret</html>".into())),
        ("/large", Page::Bytes(large.clone().into())),
        ("/half", Page::Bytes(large[..5 << 20].to_vec().into())),
        ("/broken", Page::Status(StatusCode::BAD_GATEWAY)),
        ("/cat", Page::Bytes(PNG.into())),
    ]);
    let host = echo().env("WEIR_IMAGE_HOSTS", web.address().to_string()).start().await;
    let too_large = "(InvalidImageInput) The images are larger than 8 MiB.";
    let no_image = "(InvalidImageInput) What was found is no image.";
    assert_refused(&score(&host, json!(web.url("/page"))).await, no_image);
    assert_refused(&score(&host, json!(web.url("/large"))).await, too_large);
    assert_refused(&score(&host, json!([web.url("/half"), web.url("/half")])).await, too_large);
    assert_refused(
        &score(&host, json!(web.url("/broken"))).await,
        "(InvalidImageInput) Failed to fetch image from URL: the answer has status 502.",
    );
    assert_picture(&score(&host, json!(vec![web.url("/cat"); 16])).await, &json!(vec![basic(); 16]));
    let asked = web.asked().len();
    assert_refused(
        &score(&host, json!(vec![web.url("/cat"); 17])).await,
        "(InvalidImageInput) A request may hold at most 16 images that have to be loaded.",
    );
    assert_eq!(web.asked().len(), asked, "images were fetched of a request that holds too many");
}

#[tokio::test]
async fn fetching_can_be_switched_off() {
    let web = FakeWeb::start([("/cat", Page::Bytes(PNG.into()))]);
    let host = echo().env("WEIR_IMAGE_HOSTS", "none").start().await;
    assert_refused(
        &score(&host, json!(web.url("/cat"))).await,
        "(InvalidImageInput) Failed to fetch image from URL: this host fetches none; send the image itself as base64.",
    );
    assert_eq!(web.asked(), [] as [&str; 0]);

    let exit = echo().env("WEIR_IMAGE_HOSTS", "10.0.0.300").refuses().await;
    assert_eq!(exit.status.code(), Some(2));
    assert!(exit.stderr.contains("WEIR_IMAGE_HOSTS: \"10.0.0.300\""), "{}", exit.stderr);
}

#[tokio::test]
async fn a_file_is_read_from_the_flow_folder_alone() {
    let builder = echo();
    fs::create_dir(builder.path().join("art")).expect("the folder can be written");
    fs::write(builder.path().join("art/cat.png"), PNG).expect("the folder can be written");
    fs::write(builder.path().join("../outside.png"), PNG).expect("the folder above can be written");
    std::os::unix::fs::symlink("../outside.png", builder.path().join("link.png")).expect("a link can be made");
    let host = builder.start().await;

    assert_picture(&score(&host, json!("art/cat.png")).await, &basic());
    assert_picture(&score(&host, json!({"data:image/*;path": "./art/cat.png"})).await, &basic());
    let outside = "(InvalidImageInput) Only files in the flow folder can be read.";
    for path in ["/etc/passwd", "../outside.png", "art/../../outside.png", "link.png"] {
        assert_refused(&score(&host, json!(path)).await, outside);
    }
    let missing = "(FileNotFoundError) There is no such file in the flow folder.";
    for path in ["dog.png", "./art", "nul\0.png"] {
        assert_refused(&score(&host, json!(path)).await, missing);
    }
    // The flow's own files are no images.
    assert_refused(&score(&host, json!("flow.dag.yaml")).await, "(InvalidImageInput) What was found is no image.");

    let builder = echo_openai();
    fs::write(builder.path().join("cat.png"), PNG).expect("the folder can be written");
    let host = builder.start().await;
    let given = json!({"type": "image_file", "image_file": {"path": "cat.png"}});
    assert_picture(&score(&host, given).await, &openai());
}

#[tokio::test]
async fn images_in_a_chat_history_are_loaded_and_the_rest_of_it_stays() {
    let builder = echo();
    fs::write(builder.path().join("cat.png"), PNG).expect("the folder can be written");
    let host = builder.start().await;
    let turn =
        |image: Value| json!([{"inputs": {"question": ["what is", image, 1.5]}, "outputs": {"answer": "a cat"}}]);
    host.score(json!({"picture": basic(), "chat_history": turn(json!({"data:image/png;path": "cat.png"}))}))
        .await
        .assert_ok(json!({"picture": basic(), "chat_history": turn(basic())}));
}

#[tokio::test]
async fn a_trace_names_images_and_a_refused_image_leaves_no_flow() {
    let flow = "
inputs: {picture: {type: image}}
outputs: {picture: {type: object, reference: '${echo.output.picture}'}}
nodes:
- name: echo
  type: wasm
  source: {type: code, path: guests/run_returns.wasm}
  inputs: {picture: '${inputs.picture}'}
";
    let collector = Collector::start();
    let host = TestHost::written("seen", flow).collector(&collector).start().await;
    host.score(json!({"picture": basic()})).await.assert_ok(json!({"picture": basic()}));
    let trace = collector.only_trace().await;
    let told = json!({"picture": {"data:image/png;base64": NAME}}).to_string();
    for (span, key) in [("seen", "inputs"), ("seen", "output"), ("echo", "inputs"), ("echo", "output")] {
        assert_eq!(trace.span(span).attributes[key], json!(told), "{key} of {span}");
    }
    for span in &trace.spans {
        let text = format!("{span:?}");
        assert!(!text.contains(&BASE64.encode(PNG)), "the image's data is on {text}");
    }

    assert_eq!(host.score(json!({"picture": "dog.png"})).await.status, 400);
    host.stop().await;
    let flows = collector.spans().iter().filter(|span| span.name == "seen").count();
    assert_eq!(flows, 1, "the request without an image has a flow span");
    let exceptions = collector.metric("flow_request").label("exception", "LoadMultimediaDataError");
    assert_eq!(exceptions.label("response_code", "400").count(), 1);
}

#[tokio::test]
async fn an_image_that_a_node_answers_with_is_in_the_reply_as_it_is() {
    let flow = |format: &str| {
        format!(
            "
message_format: {format}
inputs: {{given: {{type: object}}}}
outputs: {{picture: {{type: object, reference: '${{echo.output.given}}'}}}}
nodes:
- name: echo
  type: wasm
  source: {{type: code, path: guests/run_returns.wasm}}
  inputs: {{given: '${{inputs.given}}'}}
"
        )
    };
    for (format, image) in [("basic", basic()), ("openai-vision", openai())] {
        let collector = Collector::start();
        let host = TestHost::written("draws", &flow(format)).collector(&collector).start().await;
        host.score(json!({"given": image})).await.assert_ok(json!({"picture": image}));
        let trace = collector.only_trace().await;
        let output = trace.span("echo").attributes["output"].to_string();
        assert!(output.contains(NAME) && !output.contains(&BASE64.encode(PNG)), "{format}: {output}");
    }
}

#[tokio::test]
async fn an_llm_node_hands_its_image_to_the_model_as_a_part() {
    let flow = "
inputs: {question: {type: string}, picture: {type: image}}
outputs: {answer: {type: string, reference: '${chat.output}'}}
nodes:
- name: chat
  type: llm
  source: {type: code, path: chat.jinja2}
  inputs: {model: fake-model, question: '${inputs.question}', picture: '${inputs.picture}'}
  connection: open_ai_connection
  api: chat
";
    let model = FakeModel::replies("a cat").start();
    let collector = Collector::start();
    let builder = TestHost::written("looks", flow).model(&model).collector(&collector);
    fs::write(builder.path().join("chat.jinja2"), "user:\n{{question}}\n![image]({{picture}})\n").expect("a template");
    fs::write(builder.path().join("cat.png"), PNG).expect("the folder can be written");
    let host = builder.start().await;

    host.score(json!({"question": "what is it?", "picture": "cat.png"})).await.assert_ok(json!({"answer": "a cat"}));
    let mut image = openai();
    image["image_url"]["detail"] = json!("auto");
    let content = json!([{"type": "text", "text": "what is it?"}, image]);
    assert_eq!(model.requests()[0].body["messages"], json!([{"role": "user", "content": content}]));

    let trace = collector.only_trace().await;
    let inputs = trace.span("openai_chat").attributes["inputs"].to_string();
    assert!(inputs.contains(NAME) && !inputs.contains(&BASE64.encode(PNG)), "{inputs}");
}

#[tokio::test]
async fn an_image_of_the_flow_file_is_loaded_before_anyone_asks() {
    let flow = "
inputs: {}
outputs: {given: {type: object, reference: '${echo.output}'}}
nodes:
- name: echo
  type: wasm
  source: {type: code, path: guests/run_returns.wasm}
  inputs: {picture: {'data:image/*;path': cat.png}}
";
    let builder = TestHost::written("literal", flow);
    let path = builder.path().to_owned();
    let exit = run(&["check", path.to_str().expect("a path of text")]).await;
    assert_eq!(exit.status.code(), Some(2));
    let told = "node \"echo\": input \"picture\": failed to load image: There is no such file in the flow folder.";
    assert!(exit.told().contains(told), "{}", exit.stderr);

    fs::write(path.join("cat.png"), PNG).expect("the folder can be written");
    let host = builder.start().await;
    host.score(json!({})).await.assert_ok(json!({"given": {"picture": basic()}}));
}

#[tokio::test]
async fn what_a_node_calls_an_image_makes_the_host_read_nothing() {
    let flow = "
inputs: {question: {type: string}}
outputs: {answer: {type: object, reference: '${echo.output}'}}
nodes:
- name: echo
  type: wasm
  source: {type: code, path: guests/run_returns.wasm}
  inputs: {'data:image/png;path': '${inputs.question}'}
";
    let builder = TestHost::written("says", flow);
    fs::write(builder.path().join("cat.png"), PNG).expect("the folder can be written");
    let host = builder.start().await;
    host.score(json!({"question": "cat.png"})).await.assert_ok(json!({"answer": {"data:image/png;path": "cat.png"}}));
}

#[tokio::test]
async fn the_command_line_takes_images_as_well() {
    let builder = echo();
    fs::write(builder.path().join("cat.png"), PNG).expect("the folder can be written");
    let flow = builder.path().to_str().expect("a path of text");
    let exit = run(&["run", flow, "--input", "picture=cat.png"]).await;
    assert_eq!(exit.stdout.trim_end(), json!({"picture": basic(), "chat_history": []}).to_string(), "{}", exit.stderr);
    let exit = run(&["run", flow, "--input", "picture=dog.png"]).await;
    assert_eq!(exit.status.code(), Some(2));
    assert!(exit.stderr.contains("Failed to load image for input 'picture': (FileNotFoundError)"), "{}", exit.stderr);
}
