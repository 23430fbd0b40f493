//! What a node says of itself: a JSON object made from the types of its function. See wit/handler.wit for the keys.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde::Serialize;

/// What `#[node]` knows of a function without its types.
#[derive(Debug, Serialize)]
pub struct About {
    pub name: &'static str,
    pub version: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub summary: &'static str,
    /// None if the author did not say: the host sees what a component imports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uses: Option<&'static [&'static str]>,
}

#[derive(Serialize)]
struct Description<'a> {
    #[serde(flatten)]
    about: &'a About,
    inputs: Schema,
    #[serde(skip_serializing_if = "Option::is_none")]
    init: Option<Schema>,
    output: Schema,
    streams: bool,
}

/// The description as JSON text. `T` is the type of the value or of one chunk.
pub(super) fn describe<T: JsonSchema>(about: &About, inputs: Schema, init: Option<Schema>, streams: bool) -> String {
    let output = schema::<T>(SchemaSettings::draft2020_12().for_serialize());
    let description = Description { about, inputs, init, output, streams };
    serde_json::to_string(&description).expect("texts, booleans and schemas are JSON")
}

pub(super) fn schema<T: JsonSchema>(settings: SchemaSettings) -> Schema {
    settings.into_generator().into_root_schema_for::<T>()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::raw::{About, Handler, handler, inputs};
    use crate::{Answer, CallError, NodeError, data};

    const ABOUT: About = About { name: "n", version: "1.0.0", summary: "Does it.", uses: Some(&["llm"]) };

    /// What is asked.
    #[data]
    struct Inputs {
        /// The question.
        question: String,
        #[serde(default)]
        words: u32,
    }

    fn described(handler: &dyn Handler, about: &About) -> Value {
        serde_json::from_str(&handler.describe(about)).expect("a description is JSON")
    }

    #[test]
    fn a_description_has_the_schemas_of_the_functions_types() {
        let node = handler(inputs(), |inputs: Inputs| inputs.question.len() as u32 + inputs.words);
        let expected = json!({
            "name": "n",
            "version": "1.0.0",
            "summary": "Does it.",
            "uses": ["llm"],
            "inputs": {
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "title": "Inputs",
                "description": "What is asked.",
                "type": "object",
                "properties": {
                    "question": {"type": "string", "description": "The question."},
                    "words": {"type": "integer", "format": "uint32", "minimum": 0, "default": 0},
                },
                "required": ["question"],
            },
            "output": {
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "title": "uint32",
                "type": "integer",
                "format": "uint32",
                "minimum": 0,
            },
            "streams": false,
        });
        assert_eq!(described(&*node, &ABOUT), expected);
    }

    #[track_caller]
    fn check_output(handler: &dyn Handler, streams: bool, r#type: &str) {
        let description = described(handler, &ABOUT);
        assert_eq!((&description["streams"], &description["output"]["type"]), (&json!(streams), &json!(r#type)));
    }

    #[test]
    fn a_stream_is_described_by_its_chunks() {
        let fallible = || std::iter::once(Err::<bool, _>(NodeError::user("A", "b")));
        check_output(&*handler(inputs(), |_: Inputs| std::iter::once(1_u8)), true, "integer");
        check_output(&*handler(inputs(), move |_: Inputs| fallible()), true, "boolean");
        check_output(&*handler(inputs(), |_: Inputs| Answer::Value(String::new())), true, "string");
        check_output(&*handler(inputs(), |_: Inputs| Ok::<_, CallError>(String::new())), false, "string");
    }

    #[test]
    fn what_a_node_is_initialised_with_is_described_beside_its_inputs() {
        let node = handler(inputs().with_init(), |(config, inputs): (Inputs, Inputs)| config.words + inputs.words);
        let description = described(&*node, &ABOUT);
        assert_eq!(description["init"]["required"], json!(["question"]));
        assert_eq!(description["init"], description["inputs"]);
    }

    #[test]
    fn what_is_not_said_is_left_out() {
        let about = About { summary: "", uses: None, ..ABOUT };
        let description = described(&*handler(inputs(), |(): ()| ()), &about);
        let left_out = ["summary", "uses", "init"];
        assert_eq!(left_out.map(|key| description.get(key)), [None; 3]);
    }
}
