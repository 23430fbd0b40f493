use proptest::prelude::*;

use super::super::tests::flow;
use super::*;

/// The beginning of a PNG, and its base64.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n123";
const PNG64: &str = "iVBORw0KGgoxMjM=";
/// Three bytes that are no image.
const OTHER64: &str = "MTIz";

const BASIC: &str = "inputs: {p: {type: image}, l: {type: list, default: []}, o: {type: object, default: {}}}\n";
const OPENAI: &str = "
message_format: openai-vision
inputs: {p: {type: image, default: 'https://a.example/p'}, l: {type: list, default: []}, o: {type: object, default: {}}}
";

/// Reads a body, loads every image that is wanted as [`PNG`], and expects these inputs; with what was wanted, if
/// anything was, after ` <- `.
#[track_caller]
fn check(manifest: &str, body: &str, expected: &str) {
    assert_eq!(loaded(manifest, body), expected.replace("PNG64", PNG64));
}

fn loaded(manifest: &str, body: &str) -> String {
    let flow = flow(manifest);
    let body = body.replace("PNG64", PNG64).replace("OTHER64", OTHER64);
    let inputs = Inputs::decode(&flow, body.as_bytes()).expect("inputs that fit");
    match inputs.find_images(&flow) {
        Ok(outstanding) => {
            let wanted: Vec<_> = outstanding.wanted().iter().map(told).collect();
            let image = Image::read(PNG).expect("an image");
            let inputs = outstanding.fill(vec![image; wanted.len()]).to_json();
            if wanted.is_empty() { inputs.to_string() } else { format!("{inputs} <- {}", wanted.join(", ")) }
        }
        Err(error) => format!("{}: {error}", error.code()),
    }
}

fn told(wanted: &Wanted) -> String {
    match &wanted.source {
        Source::Url(url) => format!("{} url {url}", wanted.input),
        Source::File(path) => format!("{} file {path}", wanted.input),
    }
}

/// Expects that the input `p` becomes the image of this media type, and that this was wanted.
#[track_caller]
fn check_basic(given: &str, media_type: &str, wanted: &str) {
    let found = loaded(BASIC, &format!(r#"{{"p":{given}}}"#));
    let data = if media_type == "image/png" { PNG64 } else { OTHER64 };
    assert_eq!(found, format!(r#"{{"p":{{"data:{media_type};base64":"{data}"}},"l":[],"o":{{}}}}{wanted}"#));
}

#[track_caller]
fn check_openai(given: &str, expected: &str, wanted: &str) {
    let found = loaded(OPENAI, &format!(r#"{{"p":{given}}}"#));
    let expected = expected.replace("PNG64", PNG64);
    assert_eq!(found, format!(r#"{{"p":{{"type":"image_url","image_url":{expected}}},"l":[],"o":{{}}}}{wanted}"#));
}

#[track_caller]
fn check_refused(manifest: &str, given: &str, expected: &str) {
    check(
        manifest,
        &format!(r#"{{"p":{given}}}"#),
        &format!("LoadMultimediaDataError: Failed to load image for input 'p': (InvalidImageInput) {expected}"),
    );
}

#[test]
fn a_string_is_base64_then_an_address_then_a_path() {
    check_basic(r#""PNG64""#, "image/png", "");
    check_basic(r#""OTHER64""#, "image/*", "");
    check_basic(r#""data:image/jpeg;base64,PNG64""#, "image/png", "");
    check_basic(r#""data:image/svg+xml;base64,OTHER64""#, "image/svg+xml", "");
    check_basic(r#""https://a.example/x?y""#, "image/png", " <- p url https://a.example/x?y");
    check_basic(r#""file://a/x""#, "image/png", " <- p url file://a/x");
    check_basic(r#""cat.png""#, "image/png", " <- p file cat.png");
    check_basic(r#""file:///x""#, "image/png", " <- p file file:///x");
    // No padding, so no base64.
    check_basic(r#""iVBORw0KGgoxMjM""#, "image/png", " <- p file iVBORw0KGgoxMjM");
}

#[test]
fn an_object_of_a_basic_flow_says_where_its_image_is() {
    check_basic(r#"{"data:image/png;base64":"PNG64"}"#, "image/png", "");
    check_basic(r#"{"data:image/*;base64":"PNG64"}"#, "image/png", "");
    check_basic(r#"{"data:image/*;base64":"OTHER64"}"#, "image/*", "");
    check_basic(r#"{"data:image/webp;base64":"OTHER64"}"#, "image/webp", "");
    check_basic(r#"{"data:image/gif;base64":"data:image/gif;base64,PNG64"}"#, "image/png", "");
    check_basic(r#"{"data:image/png;url":"https://a.example/p"}"#, "image/png", " <- p url https://a.example/p");
    check_basic(r#"{"data:image/*;path":"a/cat.png"}"#, "image/png", " <- p file a/cat.png");
}

#[test]
fn an_object_of_an_openai_flow_says_where_its_image_is() {
    let data = r#"{"url":"data:image/png;base64,PNG64"}"#;
    check_openai(r#"{"type":"image_url","image_url":{"url":"data:image/png;base64,PNG64"}}"#, data, "");
    check_openai(r#"{"image_url":{"url":"PNG64"},"type":"image_url"}"#, data, "");
    check_openai(r#"{"type":"image_file","image_file":{"path":"cat.png"}}"#, data, " <- p file cat.png");
    check_openai(
        r#"{"type":"image_url","image_url":{"detail":"low","url":"http://a.example/p"}}"#,
        r#"{"url":"data:image/png;base64,PNG64","detail":"low"}"#,
        " <- p url http://a.example/p",
    );
    check_openai(r#""cat.png""#, data, " <- p file cat.png");
    // What is complete stays as it was written.
    check_openai(
        r#"{"type":"image_url","image_url":{"detail":"low", "url":"data:image/png;base64,PNG64"}}"#,
        r#"{"detail":"low", "url":"data:image/png;base64,PNG64"}"#,
        "",
    );
}

#[test]
fn a_list_for_an_image_is_a_list_of_images() {
    check(
        BASIC,
        r#"{"p":["cat.png", {"data:image/png;base64":"PNG64"}]}"#,
        r#"{"p":[{"data:image/png;base64":"PNG64"},{"data:image/png;base64":"PNG64"}],"l":[],"o":{}} <- p file cat.png"#,
    );
}

#[test]
fn defaults_are_images_as_well() {
    check(
        OPENAI,
        "{}",
        r#"{"p":{"type":"image_url","image_url":{"url":"data:image/png;base64,PNG64"}},"l":[],"o":{}} <- p url https://a.example/p"#,
    );
}

#[test]
fn images_are_found_within_values_and_all_else_stays() {
    check(
        BASIC,
        r#"{"p":"PNG64","l":[{"inputs":{"q":["what is", {"data:image/*;path":"x"}, 1.50]},"big":123456789012345678901234567890},
           { "data:image/png;url" : "http://b.example" }], "o":{"text":"data:image/png;base64,AAAA", "n": [ 1 ]}}"#,
        r#"{"p":{"data:image/png;base64":"PNG64"},"l":[{"inputs":{"q":["what is",{"data:image/png;base64":"PNG64"},1.50]},"big":123456789012345678901234567890},{"data:image/png;base64":"PNG64"}],"o":{"text":"data:image/png;base64,AAAA", "n": [ 1 ]}} <- l file x, l url http://b.example"#,
    );
    check(
        OPENAI,
        r#"{"p":"PNG64","o":{"content":[{"type":"text","text":"hi"},{"type":"image_file","image_file":{"path":"x"}}]}}"#,
        r#"{"p":{"type":"image_url","image_url":{"url":"data:image/png;base64,PNG64"}},"l":[],"o":{"content":[{"type":"text","text":"hi"},{"type":"image_url","image_url":{"url":"data:image/png;base64,PNG64"}}]}} <- o file x"#,
    );
}

#[test]
fn the_search_goes_to_its_depth_and_no_further() {
    let nested = |levels: usize, image: &str| format!("{}{image}{}", "[".repeat(levels), "]".repeat(levels));
    let body = |levels| format!(r#"{{"p":"PNG64","l":{}}}"#, nested(levels, r#"{"data:image/png;path":"x"}"#));
    let found = loaded(BASIC, &body(MAX_DEPTH - 1));
    assert!(found.ends_with(" <- l file x"), "{found}");
    let found = loaded(BASIC, &body(MAX_DEPTH));
    assert!(found.ends_with(r#"]],"o":{}}"#), "{found}");
}

#[test]
fn an_escaped_key_is_an_image_too() {
    let written = r#"{"p":{"data:image\/png;base64" : "iVBORw0KGgoxMjM\u003d"},"l":[],"o":{}}"#;
    check(BASIC, written, written);
    check(
        BASIC,
        r#"{"p":"PNG64","l":[{"\u0064ata:image/png;path":"x"},"\u00e9"]}"#,
        r#"{"p":{"data:image/png;base64":"PNG64"},"l":[{"data:image/png;base64":"PNG64"},"\u00e9"],"o":{}} <- l file x"#,
    );
}

#[test]
fn objects_of_other_forms_are_values() {
    let others = [
        r#"{"data:image/png;base64":"x!","b":1}"#,
        r#"{"data:image/png;gzip":"x"}"#,
        r#"{"data:image/;path":"x"}"#,
        r#"{"data:audio/wav;path":"x"}"#,
        r#"{"type":"image_url","image_url":{"url":"http://a.example"}}"#,
    ];
    for other in others {
        check(
            BASIC,
            &format!(r#"{{"p":"PNG64","o":{other}}}"#),
            &format!(r#"{{"p":{{"data:image/png;base64":"PNG64"}},"l":[],"o":{other}}}"#),
        );
    }
    let others = [
        r#"{"data:image/png;path":"x"}"#,
        r#"{"type":"image_url","image_url":"http://a.example"}"#,
        r#"{"type":"image_url","image_url":{"path":"x"}}"#,
        r#"{"type":"image_file","image_file":{"url":"x"}}"#,
        r#"{"type":"image_url","image_url":{"url":"http://a.example"},"more":1}"#,
        r#"{"type":["image_url"],"image_url":{"url":"http://a.example"}}"#,
    ];
    for other in others {
        let body = format!(r#"{{"p":"PNG64","o":{other}}}"#);
        let expected =
            r#"{"p":{"type":"image_url","image_url":{"url":"data:image/png;base64,PNG64"}},"l":[],"o":OTHER}"#;
        check(OPENAI, &body, &expected.replace("OTHER", other));
    }
}

#[test]
fn what_cannot_be_an_image_is_refused_without_being_repeated() {
    check_refused(BASIC, r#""""#, "The image input should not be empty.");
    check_refused(BASIC, r#""data:image/png;base64,s3cret!""#, "Invalid base64 image.");
    check_refused(BASIC, r#""data:text/plain,s3cret""#, "Invalid base64 image.");
    check_refused(BASIC, r#"{"data:image/png;base64":"iVBORw0KGgoxMjM"}"#, "Invalid base64 image.");
    check_refused(BASIC, r#"{"data:image/png;base64":""}"#, "Invalid base64 image.");
    for given in ["5", "null", "true"] {
        let expected = "Unsupported image input type. The image inputs should be a string or a dictionary.";
        check_refused(BASIC, given, expected);
    }
    let expected = "Invalid image input format. The image input should be a dictionary like: \
                    {data:image/<image_type>;[path|base64|url]: <image_data>}.";
    for given in
        [r#"{"s3cret":1}"#, "{}", r#"{"data:image/png;path":5}"#, r#"{"type":"image_file","image_file":{"path":"x"}}"#]
    {
        check_refused(BASIC, given, expected);
    }
    let expected = "Invalid image input format. The image input should be a dictionary like: {type: image_url, image_url: \
                    {url: <image_url>}} or {type: image_file, image_file: {path: <image_path>}}.";
    check_refused(OPENAI, r#"{"data:image/png;path":"x"}"#, expected);
    check_refused(OPENAI, r#"{"type":"image_url","image_url":{"url":5}}"#, expected);
    let expected = "Invalid image url. Should be a valid url or base64 string.";
    check_refused(OPENAI, r#"{"type":"image_url","image_url":{"url":"cat.png"}}"#, expected);
}

#[test]
fn a_refusal_within_a_list_names_the_input() {
    check(
        BASIC,
        r#"{"p":"PNG64","l":[[{"data:image/png;base64":"s3cret!"}]]}"#,
        "LoadMultimediaDataError: Failed to load image for input 'l': (InvalidImageInput) Invalid base64 image.",
    );
}

#[test]
fn images_that_the_flow_file_gives_to_a_node_are_files_and_data() {
    let manifest = "
nodes:
- name: look
  type: wasm
  source: {path: echo.wasm}
  inputs:
    file: {'data:image/*;path': cat.png}
    among: [1.5, {'data:image/*;base64': DATA}]
    web: {'data:image/png;url': 'http://a.example'}
    text: 'data:image/png;base64,!'
";
    let mut flow = flow(&manifest.replace("DATA", PNG64));
    flow.load_images(&|path| {
        assert_eq!(path, "cat.png");
        Ok(Image::read(PNG).expect("an image"))
    })
    .expect("images");
    let (_, node) = flow.nodes().next().expect("a node");
    let given: Vec<_> = node.inputs.values().map(|binding| format!("{binding:?}")).collect();
    let data = format!(r#"{{"data:image/png;base64":"{PNG64}"}}"#);
    let expected = [
        &data,
        &format!("[1.5,{data}]"),
        r#"{"data:image/png;url":"http://a.example"}"#,
        r#""data:image/png;base64,!""#,
    ];
    assert_eq!(given, expected.map(|literal| format!("Literal({literal})")));

    let errors = flow_of("{'data:image/*;path': dog.png}").load_images(&|_| Err(ImageError::Missing)).unwrap_err();
    let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(errors, ["node \"look\": input \"p\": failed to load image: There is no such file in the flow folder."]);
}

/// A flow whose one node is given this literal.
fn flow_of(literal: &str) -> Flow {
    flow(&format!("nodes:\n- {{name: look, type: wasm, source: {{path: echo.wasm}}, inputs: {{p: {literal}}}}}\n"))
}

/// JSON with parts of images in it.
fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("1".to_owned()),
        Just(r#""data:image/png;base64""#.to_owned()),
        Just(format!(r#"{{"data:image/png;base64":"{PNG64}"}}"#)),
        Just(r#"{"data:image/*;path":"x"}"#.to_owned()),
        Just(r#"{"type":"image_url","image_url":{"url":"http://a.example"}}"#.to_owned()),
    ];
    let key = prop_oneof![Just("a"), Just("type"), Just("image_url"), Just("data:image/png;url")];
    leaf.prop_recursive(4, 32, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(" , "))),
            prop::collection::vec((key.clone(), inner), 0..3).prop_map(|members| {
                let members: Vec<_> = members.iter().map(|(key, value)| format!(r#""{key}": {value}"#)).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

proptest! {
    /// Whatever stands where: no panic, JSON stays JSON, and once all is loaded nothing is left to be.
    #[test]
    fn what_has_been_loaded_needs_no_more_loading(manifest in prop_oneof![Just(BASIC), Just(OPENAI)], object in json()) {
        let flow = flow(manifest);
        let inputs = Inputs::decode(&flow, format!(r#"{{"p":"x.png","o":{object}}}"#).as_bytes()).expect("an object");
        if let Ok(outstanding) = inputs.find_images(&flow) {
            let loaded = vec![Image::read(PNG).expect("an image"); outstanding.wanted().len()];
            let inputs = outstanding.fill(loaded);
            prop_assert!(Json::parse(inputs.to_json().as_str()).is_ok());
            let again = inputs.clone().find_images(&flow).expect("images that were read once");
            prop_assert_eq!(again.wanted(), &[]);
            prop_assert_eq!(again.fill(Vec::new()), inputs);
        }
    }
}
