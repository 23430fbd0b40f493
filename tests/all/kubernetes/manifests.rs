//! What Kustomize makes of the manifests, held against schemas and against the host.

use std::collections::BTreeSet;
use std::fs;

use harness::kubernetes::{manifests, named, render, validate};
use serde_json::{Value, json};

use super::{folder, names, overlay};

/// Variables of which the README tells in its text.
const OF_THE_TEXT: [&str; 2] = ["WEIR_CONFIG", "PRT_CONFIG_OVERRIDE"];

/// What a folder with this kustomization.yaml renders to: the components are options of whoever deploys.
fn with(resource: &str, components: &[&str]) -> String {
    let components: Vec<_> = components.iter().map(|name| format!("../../components/{name}")).collect();
    let text = json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [resource],
        "components": components,
    });
    // Kustomize takes resources by paths from its own folder.
    let home = tempfile::tempdir().expect("the machine has a temporary folder");
    let root = home.path().join("kubernetes");
    copy(&folder(), &root);
    copy(&folder().join("../basic-chat"), &home.path().join("basic-chat"));
    let own = root.join("overlays/own");
    fs::create_dir(&own).expect("the test's own folder");
    fs::write(own.join("kustomization.yaml"), text.to_string()).expect("the test's own folder");
    render(&own)
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir_all(to).expect("the test's own folder");
    for name in names(from) {
        let (from, to) = (from.join(&name), to.join(&name));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(&from, &to).expect("the test's own folder");
        }
    }
}

fn pod<'a>(manifests: &'a [Value], name: &str) -> &'a Value {
    &named(manifests, "Deployment", name)["spec"]["template"]["spec"]
}

fn container<'a>(manifests: &'a [Value], name: &str) -> &'a Value {
    &pod(manifests, name)["containers"][0]
}

/// Variables of the container that are set to a value.
fn variables(container: &Value) -> Vec<&str> {
    container["env"].as_array().into_iter().flatten().filter_map(|variable| variable["name"].as_str()).collect()
}

/// Everything that is here, alone and together: what is rendered, by what it is.
fn all() -> Vec<(String, String)> {
    let overlays = names(&overlay(""));
    assert_eq!(overlays, ["application-insights", "canary", "local", "otel-collector"]);
    let components = names(&folder().join("components"));
    assert_eq!(components, ["flow-from-archive", "flow-in-image", "hpa", "keda", "prometheus"]);
    let mut all: Vec<_> = overlays.into_iter().map(|name| (name.clone(), render(&overlay(&name)))).collect();
    all.push(("batch".to_owned(), render(&folder().join("batch"))));
    all.extend(components.into_iter().map(|name| (name.clone(), with("../local", &[&name]))));
    for chosen in [["prometheus", "keda", "flow-in-image"], ["prometheus", "hpa", "flow-from-archive"]] {
        all.push((format!("canary with {chosen:?}"), with("../canary", &chosen)));
    }
    all
}

#[test]
fn every_overlay_and_component_is_what_three_versions_of_kubernetes_take() {
    let all: Vec<String> = all().into_iter().map(|(_, text)| text).collect();
    let (faults, seen) = validate(&all.join("\n---\n"));
    assert_eq!(faults, Vec::<String>::new());
    for kind in [
        "apps/v1 Deployment weir",
        "apps/v1 Deployment weir-next",
        "apps/v1 Deployment otel-collector",
        "batch/v1 Job weir-batch",
        "autoscaling/v2 HorizontalPodAutoscaler weir",
        "gateway.networking.k8s.io/v1 HTTPRoute weir",
        "keda.sh/v1alpha1 ScaledObject weir",
        "monitoring.coreos.com/v1 PrometheusRule weir",
        "monitoring.coreos.com/v1 ServiceMonitor weir",
        "networking.k8s.io/v1 NetworkPolicy weir",
        "policy/v1 PodDisruptionBudget weir",
        "v1 ServiceAccount weir",
    ] {
        assert!(seen.iter().any(|seen| seen == kind), "no {kind} among {seen:?}");
    }
}

#[test]
fn the_schemas_find_what_is_misspelt() {
    let mut rendered = with("../canary", &["prometheus", "keda"]);
    let wrongs = [
        ("livenessProbe:", "livenesProbe:"),
        ("minReplicaCount:", "minReplicas:"),
        ("scrapeTimeout:", "scrapeTimeOut:"),
        ("backendRefs:", "backendRef:"),
        ("unhealthyPodEvictionPolicy: AlwaysAllow", "unhealthyPodEvictionPolicys: AlwaysAllow"),
        ("summary:", "summary: {a: b}\n        summaries:"),
    ];
    for (right, wrong) in wrongs {
        assert!(rendered.contains(right), "{right}");
        rendered = rendered.replacen(right, wrong, 1);
    }
    let (faults, _) = validate(&rendered);
    for expected in [
        "livenesProbe",
        "minReplicas",
        "scrapeTimeOut",
        "backendRef'",
        "unhealthyPodEvictionPolicys",
        "annotations.summary",
    ] {
        assert!(faults.iter().any(|fault| fault.contains(expected)), "{expected} was taken: {faults:#?}");
    }
}

#[test]
fn every_variable_and_setting_that_they_name_is_one_of_the_host() {
    let readme = fs::read_to_string(folder().join("../../README.md")).expect("the README can be read");
    // Two of them stand in its text, all others in its tables of settings, which a test holds against the host.
    let known = |name: &str| readme.contains(&format!("| `{name}` |")) || OF_THE_TEXT.contains(&name);
    assert!(OF_THE_TEXT.iter().all(|name| readme.contains(&format!("`{name}`"))));
    for name in names(&overlay("")) {
        let manifests = manifests(&render(&overlay(&name)));
        for deployment in manifests.iter().filter(|it| it["kind"] == "Deployment") {
            let name = deployment["metadata"]["name"].as_str().expect("a name");
            if name.starts_with("weir") {
                let unknown: Vec<_> =
                    variables(container(&manifests, name)).into_iter().filter(|it| !known(it)).collect();
                assert_eq!(unknown, Vec::<&str>::new(), "{name}");
            }
        }
    }
}

#[test]
fn no_pod_can_do_more_than_it_must() {
    for folder in names(&overlay("")).iter().map(|name| overlay(name)).chain([folder().join("batch")]) {
        let manifests = manifests(&render(&folder));
        for deployment in manifests.iter().filter(|it| it["kind"] == "Deployment" || it["kind"] == "Job") {
            let pod = &deployment["spec"]["template"]["spec"];
            assert_eq!(pod["automountServiceAccountToken"], false);
            assert_eq!(pod["enableServiceLinks"], false);
            assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
            assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
            for container in pod["containers"].as_array().expect("containers") {
                let expected = json!({
                    "allowPrivilegeEscalation": false,
                    "readOnlyRootFilesystem": true,
                    "capabilities": {"drop": ["ALL"]},
                });
                assert_eq!(container["securityContext"], expected);
                assert!(container["resources"]["limits"]["memory"].is_string(), "{container}");
            }
        }
    }
    // No key stands in a file but those of the overlay that everybody may know.
    for name in ["application-insights", "canary", "otel-collector"] {
        let manifests = manifests(&render(&overlay(name)));
        assert!(manifests.iter().all(|it| it["kind"] != "Secret"), "{name}");
    }
}

#[test]
fn both_deployments_of_a_canary_are_met_by_their_own_service_and_name_themselves() {
    let manifests = manifests(&render(&overlay("canary")));
    let mut selectors = BTreeSet::new();
    for (name, deployment) in [("weir", "stable"), ("weir-next", "next")] {
        let labels = &named(&manifests, "Deployment", name)["spec"]["template"]["metadata"]["labels"];
        let selector = &named(&manifests, "Service", name)["spec"]["selector"];
        assert_eq!(selector, &json!({"app.kubernetes.io/name": name}));
        assert_eq!(labels["app.kubernetes.io/name"], name);
        assert_eq!(labels["app.kubernetes.io/part-of"], "weir");
        assert_eq!(named(&manifests, "PodDisruptionBudget", name)["spec"]["selector"]["matchLabels"], *selector);
        assert_eq!(named(&manifests, "NetworkPolicy", name)["spec"]["podSelector"]["matchLabels"], *selector);
        selectors.insert(selector.to_string());
        let last = container(&manifests, name)["env"].as_array().and_then(|env| env.last()).expect("variables");
        let value = format!("deployment.endpoint_name=basic-chat,deployment.deployment_name={deployment}");
        assert_eq!(last, &json!({"name": "PRT_CONFIG_OVERRIDE", "value": value}));
        // One key for feedback tokens: a judgement may reach either.
        let secrets: Vec<_> = pod(&manifests, name)["volumes"].as_array().expect("volumes").iter().collect();
        assert!(secrets.iter().any(|volume| volume["secret"]["secretName"] == "weir-feedback-token"), "{secrets:?}");
    }
    assert_eq!(selectors.len(), 2);
    let backends = &named(&manifests, "HTTPRoute", "weir")["spec"]["rules"][0]["backendRefs"];
    let weights: Vec<_> =
        backends.as_array().expect("backends").iter().map(|it| (&it["name"], &it["weight"])).collect();
    assert_eq!(weights, [(&json!("weir"), &json!(90)), (&json!("weir-next"), &json!(10))]);
}

#[test]
fn the_local_overlay_asks_for_nothing_that_is_not_on_the_machine() {
    let manifests = manifests(&render(&overlay("local")));
    assert_eq!(container(&manifests, "weir")["image"], "weir:local");
    assert_eq!(named(&manifests, "Deployment", "weir")["spec"]["replicas"], 1);
    for volume in pod(&manifests, "weir")["volumes"].as_array().expect("volumes") {
        if let Some(secret) = volume["secret"]["secretName"].as_str() {
            named(&manifests, "Secret", secret);
        }
    }
}

#[test]
fn an_autoscaler_has_the_count_of_pods_to_itself() {
    for component in ["hpa", "keda"] {
        let manifests = manifests(&with("../local", &[component]));
        assert_eq!(named(&manifests, "Deployment", "weir")["spec"].get("replicas"), None, "{component}");
    }
}

#[test]
fn a_flow_in_the_image_needs_no_volume_and_its_cache_is_there() {
    let manifests = manifests(&with("../local", &["flow-in-image"]));
    let pod = pod(&manifests, "weir");
    let mounts: Vec<_> = pod["containers"][0]["volumeMounts"].as_array().expect("mounts").iter().collect();
    assert!(mounts.iter().all(|mount| mount["mountPath"] != "/flows/basic_chat"), "{mounts:?}");
    assert!(pod["volumes"].as_array().expect("volumes").iter().all(|volume| volume["name"] != "flow"));
    let cache =
        pod["containers"][0]["env"].as_array().expect("variables").iter().find(|it| it["name"] == "WEIR_CACHE_DIR");
    let dockerfile = fs::read_to_string(folder().join("../../Dockerfile")).expect("it is there");
    let value = cache.and_then(|it| it["value"].as_str()).expect("a cache");
    assert!(dockerfile.contains(&format!("WEIR_CACHE_DIR={value}")), "{value}");
}

#[test]
fn the_collector_has_every_part_that_its_pipelines_name_and_the_pods_reach_it() {
    let manifests = manifests(&render(&overlay("otel-collector")));
    let config = named(&manifests, "ConfigMap", "otel-collector")["data"]["collector-config.yaml"].as_str();
    let config: Value = serde_saphyr::from_str(config.expect("a file")).expect("YAML");
    let pipelines = config["service"]["pipelines"].as_object().expect("pipelines");
    let signals: BTreeSet<&str> = pipelines.keys().map(String::as_str).collect();
    assert_eq!(signals, ["logs", "metrics", "traces"].into());
    for pipeline in pipelines.values() {
        for part in ["receivers", "processors", "exporters"] {
            let named = pipeline[part].as_array().expect("a list");
            assert!(!named.is_empty());
            assert!(named.iter().all(|name| config[part].get(name.as_str().expect("a name")).is_some()), "{pipeline}");
        }
    }
    let endpoint = container(&manifests, "weir")["env"].as_array().expect("variables").iter();
    let endpoint: Vec<_> = endpoint.filter(|it| it["name"] == "OTEL_EXPORTER_OTLP_ENDPOINT").collect();
    let port = &named(&manifests, "Service", "otel-collector")["spec"]["ports"][0]["port"];
    assert_eq!(
        endpoint,
        [&json!({"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": format!("http://otel-collector:{port}")})]
    );
    let receiver = config["receivers"]["otlp"]["protocols"]["http"]["endpoint"].as_str().expect("an address");
    assert!(receiver.ends_with(&format!(":{port}")), "{receiver}");
    let egress = named(&manifests, "NetworkPolicy", "weir")["spec"]["egress"].as_array().expect("rules");
    assert!(egress.iter().any(|rule| rule["ports"][0]["port"] == *port), "{egress:?}");
}
