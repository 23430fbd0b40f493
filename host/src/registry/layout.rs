//! How a component lies in a registry: the layout that the tools of WebAssembly share (TAG Runtime's "Wasm OCI Artifact"): a
//! configuration of one type, and one layer that is the component. Pure.
//!
//! Older tools have other names for the same; what they have pushed is taken, too.

use oci_client::client::Config;
use oci_client::manifest::{ImageIndexEntry, OCI_IMAGE_MEDIA_TYPE, OciDescriptor, OciImageManifest};
use serde::Serialize;

/// The type of the manifest.
pub(super) const MANIFEST: &str = OCI_IMAGE_MEDIA_TYPE;

/// The type of the configuration.
const CONFIG: &str = "application/vnd.wasm.config.v0+json";

/// The type of the layer.
pub(super) const COMPONENT: &str = "application/wasm";

/// The types of layers that are components: ours, and those of older tools.
const COMPONENTS: [&str; 2] = [COMPONENT, "application/vnd.wasm.content.layer.v1+wasm"];

/// The world that a node is of.
const TARGET: &str = "weir:flow/node@0.1.0";

/// What the configuration tells of a component.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Interfaces {
    /// Such as `weir:flow/handler@0.1.0`.
    pub exports: Vec<String>,
    pub imports: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Configuration<'a> {
    architecture: &'static str,
    os: &'static str,
    layer_digests: [&'a str; 1],
    component: Component<'a>,
}

#[derive(Serialize)]
struct Component<'a> {
    #[serde(flatten)]
    interfaces: &'a Interfaces,
    target: &'static str,
}

/// The configuration of a component. It says nothing of when or by whom, so that the same component always has the same
/// digest.
pub(super) fn config(layer: &str, interfaces: &Interfaces) -> Config {
    let component = Component { interfaces, target: TARGET };
    let configuration = Configuration { architecture: "wasm", os: "wasip2", layer_digests: [layer], component };
    let data = serde_json::to_vec(&configuration).expect("texts are JSON");
    Config::new(data, CONFIG.to_owned(), None)
}

/// The layer that is the component; else what is there instead.
pub(super) fn component(manifest: &OciImageManifest) -> Result<&OciDescriptor, String> {
    match &manifest.layers[..] {
        [layer] if COMPONENTS.contains(&layer.media_type.as_str()) => Ok(layer),
        [] => Err(format!("it has no layers, and a configuration of type {}", manifest.config.media_type)),
        layers => {
            let types: Vec<_> = layers.iter().map(|layer| layer.media_type.as_str()).collect();
            Err(format!("it has layers of type {}", types.join(", ")))
        }
    }
}

/// Which of several artifacts is meant by one name: that for WebAssembly, or the only one.
pub(super) fn of_index(entries: &[ImageIndexEntry]) -> Option<String> {
    let is_wasm = |entry: &&ImageIndexEntry| {
        entry.platform.as_ref().is_some_and(|platform| platform.architecture.to_string() == "wasm")
    };
    let only = if let [only] = entries { Some(only) } else { None };
    entries.iter().find(is_wasm).or(only).map(|entry| entry.digest.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(layers: &[&str]) -> OciImageManifest {
        let layer =
            |media_type: &&str| OciDescriptor { media_type: (*media_type).to_owned(), ..OciDescriptor::default() };
        OciImageManifest { layers: layers.iter().map(layer).collect(), ..OciImageManifest::default() }
    }

    #[test]
    fn the_configuration_is_that_of_the_common_layout() {
        let interfaces = Interfaces {
            exports: vec!["weir:flow/handler@0.1.0".to_owned()],
            imports: vec!["weir:flow/llm@0.1.0".to_owned()],
        };
        let config = config("sha256:12", &interfaces);
        assert_eq!(config.media_type, "application/vnd.wasm.config.v0+json");
        assert_eq!(
            serde_json::from_slice::<serde_json::Value>(&config.data).unwrap(),
            serde_json::json!({
                "architecture": "wasm",
                "os": "wasip2",
                "layerDigests": ["sha256:12"],
                "component": {
                    "exports": ["weir:flow/handler@0.1.0"],
                    "imports": ["weir:flow/llm@0.1.0"],
                    "target": "weir:flow/node@0.1.0",
                },
            })
        );
    }

    #[test]
    fn a_component_is_the_one_layer_of_its_type() {
        for types in COMPONENTS {
            assert_eq!(component(&manifest(&[types])).unwrap().media_type, types);
        }
        for (types, found) in [
            (&[][..], "it has no layers, and a configuration of type application/vnd.oci.image.config.v1+json"),
            (
                &["application/vnd.oci.image.layer.v1.tar+gzip"],
                "it has layers of type application/vnd.oci.image.layer.v1.tar+gzip",
            ),
            (&[COMPONENT, COMPONENT], "it has layers of type application/wasm, application/wasm"),
        ] {
            let mut manifest = manifest(types);
            manifest.config.media_type = "application/vnd.oci.image.config.v1+json".to_owned();
            assert_eq!(component(&manifest).unwrap_err(), found);
        }
    }
}
