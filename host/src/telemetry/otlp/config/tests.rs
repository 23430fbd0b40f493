use super::*;

fn read(env: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    setting::read_from(env, Config::read)
}

/// Where traces, metrics and logs go.
#[track_caller]
fn check(env: &[(&str, &str)], expected: [Option<(&str, Protocol)>; 3]) {
    let config = read(env).unwrap();
    let told = Signal::ALL.map(|signal| config.given(signal).map(|it| (it.url.as_str(), it.protocol)));
    assert_eq!(told, expected, "{env:?}");
}

#[test]
fn nothing_is_sent_unless_an_endpoint_is_given() {
    check(&[], [None; 3]);
    check(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")], [None; 3]);
    assert_eq!(read(&[]), Ok(Config::default()));
}

#[test]
fn without_an_endpoint_the_one_of_the_standard_is_there_to_be_asked_for() {
    for (protocol, urls) in [
        ("", ["http://localhost:4318/v1/traces", "http://localhost:4318/v1/metrics", "http://localhost:4318/v1/logs"]),
        ("grpc", ["http://localhost:4317"; 3]),
    ] {
        let config = read(&[("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)]).unwrap();
        assert_eq!(Signal::ALL.map(|signal| config.endpoint(signal).url.clone()), urls);
        assert_eq!(config.endpoint(Signal::Logs).decided_by(), "OTEL_EXPORTER_OTLP_ENDPOINT");
    }
}

#[test]
fn a_general_endpoint_gets_the_path_of_each_signal() {
    use Protocol::HttpProtobuf as Http;
    for base in ["http://c:4318", "http://c:4318/"] {
        let expected = ["http://c:4318/v1/traces", "http://c:4318/v1/metrics", "http://c:4318/v1/logs"];
        check(&[("OTEL_EXPORTER_OTLP_ENDPOINT", base)], expected.map(|url| Some((url, Http))));
    }
    let expected = ["https://c/otlp/v1/traces", "https://c/otlp/v1/metrics", "https://c/otlp/v1/logs"];
    check(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c/otlp")], expected.map(|url| Some((url, Http))));
}

#[test]
fn an_endpoint_of_a_signal_is_taken_as_it_is() {
    use Protocol::HttpProtobuf as Http;
    check(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c/x")], [Some(("http://c/x", Http)), None, None]);
    check(
        &[("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://m/x/"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c")],
        [Some(("http://c/v1/traces", Http)), Some(("http://m/x/", Http)), Some(("http://c/v1/logs", Http))],
    );
}

#[test]
fn grpc_has_no_paths_and_may_be_chosen_for_one_signal() {
    use Protocol::{Grpc, HttpProtobuf as Http};
    check(
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4317"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "GRPC")],
        [Some(("http://c:4317", Grpc)); 3],
    );
    check(
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/protobuf"),
        ],
        [Some(("http://c", Grpc)), Some(("http://c/v1/metrics", Http)), Some(("http://c", Grpc))],
    );
    check(
        &[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "c:4317"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")],
        [Some(("c:4317", Grpc)), None, None],
    );
}

#[test]
fn what_is_set_for_a_signal_comes_before_what_is_set_for_all() {
    let config = read(&[
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "2000"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "50"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", "none"),
        ("OTEL_EXPORTER_OTLP_INSECURE", "True"),
        ("OTEL_EXPORTER_OTLP_METRICS_INSECURE", "yes"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=1,b=2"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "c=3"),
    ])
    .unwrap();
    let told = Signal::ALL.map(|signal| {
        let Endpoint { headers, timeout, compression, insecure, .. } = config.endpoint(signal);
        let names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        (names.join(" "), timeout.as_millis(), *compression, *insecure)
    });
    assert_eq!(
        told,
        [
            ("c".to_owned(), 50, Compression::Gzip, true),
            ("a b".to_owned(), 2000, Compression::Gzip, false),
            ("a b".to_owned(), 2000, Compression::None, true),
        ]
    );
}

#[test]
fn headers_are_percent_decoded_and_never_printed() {
    let text = " Authorization = Bearer%20s%3Decret , api-key=YWJj==,,empty=";
    let config = read(&[("OTEL_EXPORTER_OTLP_HEADERS", text)]).unwrap();
    let endpoint = config.endpoint(Signal::Traces);
    let told: Vec<_> = endpoint.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    assert_eq!(told, [("authorization", "Bearer s=ecret"), ("api-key", "YWJj=="), ("empty", "")]);
    assert!(endpoint.headers.values().all(http::HeaderValue::is_sensitive));
    let printed = format!("{config:?}");
    assert!(printed.contains("api-key") && !printed.contains("ecret"), "{printed}");
}

#[test]
fn a_problem_with_headers_names_no_value() {
    for (text, expected) in [
        ("a=1,secret", "the header at place 2 has no `=`; write NAME=VALUE, separated by commas"),
        ("a b=secret", "\"a b\" is no name of a header"),
        ("a=secret%0A", "the header \"a\" has a value with a control character in it"),
        ("Content-Type=secret", "the header \"content-type\" is set by the protocol itself; leave it out"),
        ("grpc-timeout=1", "the header \"grpc-timeout\" is set by the protocol itself; leave it out"),
    ] {
        let problems = read(&[("OTEL_EXPORTER_OTLP_HEADERS", text)]).unwrap_err();
        assert_eq!(problems, [format!("OTEL_EXPORTER_OTLP_HEADERS: {expected}")]);
    }
}

#[test]
fn a_token_is_sent_if_it_is_asked_for() {
    let scope = |env: &[(&str, &str)]| read(env).unwrap().endpoint(Signal::Metrics).scope.clone();
    let on = ("OTEL_EXPORTER_OTLP_AAD_AUTH_ENABLE", "true");
    let of = ("OTEL_EXPORTER_OTLP_AAD_AUTH_SCOPE", "api://collector/.default");
    assert_eq!(scope(&[of]), None);
    assert_eq!(scope(&[on]).as_deref(), Some("https://management.azure.com/.default"));
    assert_eq!(scope(&[on, of]).as_deref(), Some("api://collector/.default"));
}

#[test]
fn all_problems_are_told_at_once_and_each_once() {
    let problems = read(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://user:secret@/"),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "ftp://collector"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
        ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "600001"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "key.pem"),
        ("OTEL_EXPORTER_OTLP_LOGS_CLIENT_CERTIFICATE", "logs.pem"),
    ])
    .unwrap_err();
    assert_eq!(
        problems,
        [
            r#"OTEL_EXPORTER_OTLP_PROTOCOL: "http/json" is unknown; write one of: http/protobuf, grpc"#,
            r#"OTEL_EXPORTER_OTLP_TIMEOUT: "10s" is no time; write whole milliseconds, from 1 to 600000"#,
            r#"OTEL_EXPORTER_OTLP_COMPRESSION: "zstd" is unknown; write one of: gzip, none"#,
            r#"OTEL_EXPORTER_OTLP_ENDPOINT: "https:///" is no address; write http://HOST:PORT or https://HOST:PORT"#,
            "OTEL_EXPORTER_OTLP_CLIENT_KEY: a key is of no use without its certificate; set \
             OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
            r#"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: "ftp://collector" is no address; write http://HOST:PORT or https://HOST:PORT"#,
            r#"OTEL_EXPORTER_OTLP_LOGS_TIMEOUT: "600001" is no time; write whole milliseconds, from 1 to 600000"#,
            r#"OTEL_EXPORTER_OTLP_LOGS_CLIENT_CERTIFICATE: "logs.pem": it cannot be read: No such file or directory (os error 2)"#,
            r#"OTEL_EXPORTER_OTLP_CLIENT_KEY: "key.pem": it cannot be read: No such file or directory (os error 2)"#,
        ]
    );
}

#[test]
fn an_address_is_shown_without_its_secrets() {
    for (url, expected) in [
        ("http://collector:4318/v1/traces", "http://collector:4318/v1/traces"),
        ("https://user:pass@collector/v1?key=secret#x", "https://collector/v1"),
        ("https://collector?key=secret", "https://collector"),
        ("user@collector:4317", "collector:4317"),
    ] {
        assert_eq!(shown(url), expected);
    }
}
