//! What the code that `#[node]` writes calls. Not for people, and may change with any version.

mod describe;
pub(crate) mod fit;
mod inputs;

pub use describe::About;
pub use inputs::{InputsType, NodeInit, NodeInputs, inputs};
pub use wit_bindgen;

pub use crate::bindings::exports::weir::flow::handler::{Guest, Output};
pub use crate::bindings::weir::flow::types::NodeError;
pub use crate::bindings::*;

use std::marker::PhantomData;
use std::panic::{self, PanicHookInfo};

use serde::Serialize;

use crate::answer::{Answer, IntoAnswer, Stream};
use crate::bindings::weir::flow::output::{self, Closed};
use crate::error;

/// A node's function, its types forgotten.
pub trait Handler {
    /// Runs the function once.
    fn run(&self, inputs: &str) -> Result<Output, NodeError>;

    /// Describes the function. It is not called.
    fn describe(&self, about: &About) -> String;
}

/// Makes a handler of a function. Here alone the answer must be one, and in `inputs` alone the inputs must be inputs,
/// so that a wrong type is reported once and at its place.
pub fn handler<I, A, K>(inputs: InputsType<I>, function: impl Fn(I) -> A + 'static) -> Box<dyn Handler>
where
    I: 'static,
    A: IntoAnswer<K>,
    K: 'static,
{
    Box::new(Function { inputs, function, answer: PhantomData })
}

struct Function<I, F, K> {
    inputs: InputsType<I>,
    function: F,
    answer: PhantomData<K>,
}

impl<I, F, A, K> Handler for Function<I, F, K>
where
    F: Fn(I) -> A,
    A: IntoAnswer<K>,
{
    fn run(&self, inputs: &str) -> Result<Output, NodeError> {
        // The host records what arrives on stderr in the node's trace; a trap alone would not say what happened.
        panic::set_hook(Box::new(report_panic));
        #[cfg(feature = "log")]
        crate::log::install();
        let answer = (self.inputs.parse)(inputs).and_then(|inputs| (self.function)(inputs).into_answer());
        Ok(answer.and_then(send::<A, K>)?)
    }

    fn describe(&self, about: &About) -> String {
        let (inputs, init) = ((self.inputs.schema)(), self.inputs.init.map(|schema| schema()));
        describe::describe::<A::Value>(about, inputs, init, A::STREAMS)
    }
}

fn send<A: IntoAnswer<K>, K>(answer: Answer<A::Value>) -> Result<Output, error::NodeError> {
    match answer {
        Answer::Value(value) => Ok(Output::Value(to_json(&value)?)),
        Answer::Relay(relay) => Ok(Output::Relayed(relay.0)),
        // Known when it is compiled: a component that cannot stream does not import `output`.
        Answer::Stream(stream) if A::STREAMS => emit(stream),
        Answer::Stream(_) => unreachable!("an answer that is no stream by its type became one"),
    }
}

fn emit<T: Serialize>(stream: Stream<T>) -> Result<Output, error::NodeError> {
    for chunk in stream {
        match output::emit(&to_json(&chunk?)?) {
            Ok(()) => {}
            // Nobody reads any more. That is not the node's failure: it stops and is done.
            Err(Closed::Gone) => break,
            Err(Closed::Limit) => {
                return Err(error::NodeError::system(
                    "StreamLimit",
                    "the stream is longer than the node's limits allow",
                ));
            }
        }
    }
    Ok(Output::Emitted)
}

fn to_json<T: Serialize>(value: &T) -> Result<String, error::NodeError> {
    serde_json::to_string(value)
        .map_err(|error| error::NodeError::system("InvalidOutput", format!("output is not JSON: {error}")))
}

#[expect(clippy::print_stderr, reason = "stderr is how a component that is about to trap reaches the host")]
fn report_panic(info: &PanicHookInfo<'_>) {
    eprintln!("{info}");
}
