//! The node behind prompt flow's package tool `promptflow.tools.embedding.embedding`: the vector of a text.

use weir_sdk::{NodeError, data, llm, node};
use weir_service::{Named, as_prompt_flow};

/// Prompt flow's default for services other than Azure OpenAI.
const MODEL: &str = "text-embedding-ada-002";

#[data]
struct Inputs {
    /// Name of the connection.
    connection: String,
    /// The text.
    input: String,
    /// The deployment, with Azure OpenAI.
    #[serde(default)]
    deployment_name: Option<String>,
    /// The model, with other services: `text-embedding-ada-002` if it is not given.
    #[serde(default)]
    model: Option<String>,
    /// Type of the connection, such as `azure_open_ai`. Without it, Azure's is the one for which a deployment is named.
    #[serde(default, rename = "_service")]
    service: Option<String>,
}

/// Embeds a text. The numbers are those of the service, each with the digits that tell it from its neighbours.
#[node(name = "embedding", uses = ["llm"])]
fn embed(inputs: Inputs) -> Result<Vec<f32>, NodeError> {
    let model = inputs.model().to_owned();
    let reply = llm::embed(inputs.connection, [inputs.input]).model(model).send().map_err(as_prompt_flow)?;
    Ok(reply.vectors.into_iter().next().expect("the host gives one vector for each text"))
}

impl Inputs {
    fn model(&self) -> &str {
        let named = Named {
            service: self.service.as_deref(),
            deployment: self.deployment_name.as_deref().unwrap_or_default(),
            model: self.model.as_deref().unwrap_or_default(),
        };
        match named.name() {
            "" if !named.is_azure() => MODEL,
            name => name,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(mut inputs: Value, model: &str) {
        inputs["connection"] = "c".into();
        inputs["input"] = "".into();
        let inputs: Inputs = serde_json::from_value(inputs).expect("these inputs fit");
        assert_eq!(inputs.model(), model);
    }

    #[test]
    fn a_model_need_not_be_named_but_a_deployment() {
        check(json!({}), "text-embedding-ada-002");
        check(json!({"model": "text-search-ada-doc-001", "deployment_name": null}), "text-search-ada-doc-001");
        check(json!({"model": "m", "deployment_name": "d"}), "d");
        check(json!({"model": "m", "deployment_name": "d", "_service": "open_ai"}), "m");
        check(json!({"model": "m", "_service": "azure_open_ai"}), "");
    }
}
