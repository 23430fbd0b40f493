use super::*;
use crate::secret::Secret;

#[track_caller]
fn parse(text: &str) -> (Document, Vec<String>) {
    let (document, warnings) = Document::parse("f.yaml", text).map_err(|problems| problems.plain()).unwrap();
    (document, warnings.iter().map(ToString::to_string).collect())
}

#[track_caller]
fn refused(text: &str, expected: &[&str]) {
    let problems = Document::parse("f.yaml", text).unwrap_err().plain();
    let found: Vec<_> = problems.lines().skip(1).map(str::trim).collect();
    assert_eq!(found, expected);
}

/// As the documentation of prompt flow deploys a flow.
const BLUE: &str = "\
$schema: https://azuremlschemas.azureedge.net/latest/managedOnlineDeployment.schema.json
name: blue
endpoint_name: basic-chat-endpoint
model: azureml:basic-chat-model:1
environment:
  image: mcr.microsoft.com/azureml/promptflow/promptflow-runtime:latest
  inference_config:
    liveness_route: {path: /health, port: 8080}
    readiness_route: {path: /health, port: 8080}
    scoring_route: {path: /score, port: 8080}
instance_type: Standard_E16s_v3
instance_count: 1
environment_variables:
  PROMPTFLOW_RUN_MODE: serving
  PROMPTFLOW_RESPONSE_INCLUDED_FIELDS: [answer]
  PF_LINE_TIMEOUT_SEC: 60
app_insights_enabled: true
request_settings:
  request_timeout_ms: 90000
  max_concurrent_requests_per_instance: 10
  max_queue_wait_ms: 500
liveness_probe: {initial_delay: 10}
";

#[test]
fn a_deployment_is_its_flow_its_variables_and_its_limits() {
    let (document, notes) = parse(BLUE);
    let settings = [
        ("WEIR_REQUEST_TIMEOUT", ("90000ms", "request_settings.request_timeout_ms")),
        ("WEIR_MAX_CONCURRENCY", ("10", "request_settings.max_concurrent_requests_per_instance")),
        ("WEIR_MAX_QUEUE_WAIT", ("500ms", "request_settings.max_queue_wait_ms")),
        ("WEIR_APP_INSIGHTS_ENABLED", ("true", "app_insights_enabled")),
    ];
    let variables = [
        ("PROMPTFLOW_RUN_MODE", "serving"),
        ("PROMPTFLOW_RESPONSE_INCLUDED_FIELDS", "[\"answer\"]"),
        ("PF_LINE_TIMEOUT_SEC", "60"),
    ];
    let expected = Deployment {
        name: "blue".into(),
        endpoint: Some("basic-chat-endpoint".into()),
        model: ModelReference::Registered("basic-chat-model".into()),
        variables: variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        settings: settings.map(|(name, (text, key))| (name, (text.to_owned(), key.to_owned()))).into(),
    };
    assert_eq!(document, Document::Deployment(expected));
    assert_eq!(
        notes,
        [
            "f.yaml:12:1: `instance_count` has no effect here: a host is one instance; its replicas are the cluster's",
            "f.yaml:22:1: `liveness_probe` has no effect here: point the cluster's probe to /livez of the operator's listener",
        ]
    );
}

#[test]
fn a_file_is_known_by_its_schema_or_its_keys() {
    let model = "$schema: https://azuremlschemas.azureedge.net/latest/model.schema.json\nname: m\npath: ../flow\n";
    assert_eq!(parse(model).0, Document::Model(Model { name: "m".into(), path: "../flow".into() }));
    let (endpoint, notes) = parse("name: e\ntraffic: {blue: 90, green: 10}\nauth_mode: aml_token\n");
    let traffic = [("blue".to_owned(), 90), ("green".to_owned(), 10)].into();
    assert_eq!(endpoint, Document::Endpoint(Endpoint { name: "e".into(), traffic, linked: None }));
    assert_eq!(
        notes,
        ["f.yaml:3:12: `auth_mode: aml_token` has no effect here: requests are let in by keys; see WEIR_PRIMARY_KEY"]
    );
    assert_eq!(parse("inputs: {}\nnodes: []\n").0, Document::Other);
    assert_eq!(parse("- 1\n").0, Document::Other);
    let Document::Deployment(deployment) = parse("name: blue\nmodel: {path: .}\n").0 else { panic!("a deployment") };
    assert_eq!(deployment.model, ModelReference::Path(".".into()));
}

#[test]
fn a_deployment_may_say_whether_application_insights_is_told() {
    for (value, expected) in [("true", Some("true")), ("false", Some("false")), ("~", None)] {
        let (document, notes) = parse(&format!("name: blue\nmodel: {{path: .}}\napp_insights_enabled: {value}\n"));
        let Document::Deployment(deployment) = document else { panic!("a deployment") };
        let said = deployment.settings.get("WEIR_APP_INSIGHTS_ENABLED").map(|(text, _)| text.as_str());
        assert_eq!((said, notes), (expected, vec![]), "{value}");
    }
}

#[test]
fn an_endpoint_may_have_a_linked_resource_among_its_properties() {
    for (properties, expected) in [
        ("{app_insights_connection_string: InstrumentationKey=k, team: a}", Some("InstrumentationKey=k")),
        ("{team: a}", None),
        ("~", None),
    ] {
        let (document, notes) = parse(&format!("name: e\ntraffic: {{}}\nproperties: {properties}\n"));
        let Document::Endpoint(endpoint) = document else { panic!("an endpoint") };
        assert_eq!(endpoint.linked.as_ref().map(Secret::expose), expected, "{properties}");
        assert_eq!(notes, Vec::<String>::new());
    }
    refused(
        "name: e\ntraffic: {}\nproperties: {app_insights_connection_string: [a]}\n",
        &["f.yaml:3:46: `app_insights_connection_string` must be a text, not a list"],
    );
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    refused(
        "endpoint_name: e\nmodel: {pth: x}\nenvironment_variables: [A]\nrequest_settings: {request_timeout_ms: 0, max: 1}\n",
        &[
            "f.yaml:1:1: the deployment has no name; add `name: …`",
            "f.yaml:2:8: the model has no `path`; add `path: FOLDER`",
            "f.yaml:3:24: `environment_variables` of the deployment must be a mapping, not a list",
            "f.yaml:4:40: `request_timeout_ms` must be a whole number above zero, not 0",
        ],
    );
    refused(
        "name: e\ntraffic: {blue: 90, green: 5}\n",
        &[
            "f.yaml:2:11: traffic adds up to 95 percent; make it 100, or 0 for none but that of clients who name a deployment",
        ],
    );
    refused(
        "name: e\ntraffic: {blue: most}\n",
        &["f.yaml:2:17: traffic of \"blue\" must be a whole number from 0 to 100"],
    );
}
