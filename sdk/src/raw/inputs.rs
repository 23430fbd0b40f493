//! What the function of a node takes: its inputs, and what it was initialised with. Not how text becomes either: see
//! fit.rs.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde::de::DeserializeOwned;

use crate::context;
use crate::error::NodeError;
use crate::raw::describe;
use crate::raw::fit::{Given, fit};

/// What a node may take as its inputs.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the inputs of a node",
    label = "lacks `Deserialize` or `JsonSchema`",
    note = "put `#[weir_sdk::data]` on its type"
)]
pub trait NodeInputs: DeserializeOwned + JsonSchema {}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned + JsonSchema> NodeInputs for T {}

/// What a node may be initialised with.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be what a node is initialised with",
    label = "lacks `Deserialize` or `JsonSchema`",
    note = "put `#[weir_sdk::data]` on its type"
)]
pub trait NodeInit: DeserializeOwned + JsonSchema {}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned + JsonSchema> NodeInit for T {}

/// What is known of a type because it is [`NodeInputs`].
pub struct InputsType<I> {
    pub(super) parse: Box<Parse<I>>,
    pub(super) schema: fn() -> Schema,
    /// If the node asks what it was initialised with.
    pub(super) init: Option<fn() -> Schema>,
}

type Parse<I> = dyn Fn(&str) -> Result<I, NodeError>;

/// Here alone a type must be [`NodeInputs`].
pub fn inputs<I: NodeInputs>() -> InputsType<I> {
    InputsType { parse: Box::new(|text| fit(Given::Inputs, text)), schema: schema::<I>, init: None }
}

impl<I: 'static> InputsType<I> {
    /// The inputs of a function that also takes what it was initialised with. Here alone a type must be [`NodeInit`], and
    /// what does not come by here does not import `context.init`.
    pub fn with_init<C: NodeInit>(self) -> InputsType<(C, I)> {
        let parse = self.parse;
        let parse = move |text: &str| Ok((context::init()?, parse(text)?));
        InputsType { parse: Box::new(parse), schema: self.schema, init: Some(schema::<C>) }
    }
}

fn schema<T: JsonSchema>() -> Schema {
    describe::schema::<T>(SchemaSettings::draft2020_12().for_deserialize())
}
