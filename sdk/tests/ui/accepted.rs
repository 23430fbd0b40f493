//! Everything a node may look like that the other examples do not show, under the strictest lint.
#![forbid(unsafe_code)]

mod names_that_must_not_clash {
    use weir_sdk::{NodeError, data};

    #[data]
    pub struct Inputs {
        pub text: String,
    }

    #[data]
    pub struct Component {
        pub text: String,
    }

    pub struct Failure;

    impl From<Failure> for NodeError {
        fn from(_: Failure) -> Self {
            Self::system("Failure", "it failed")
        }
    }
}

use names_that_must_not_clash::{Component, Failure, Inputs};

/// Takes types that are called as the generated ones,
/// and has a summary of two lines.
///
/// And more.
#[weir_sdk::node(name = "other", uses = ["llm", "nodes"])]
pub fn accepted(
    /// An input with a description.
    first: Inputs,
    #[serde(default)] second: u32,
    _unused: Option<Component>,
) -> Result<impl Iterator<Item = Result<Component, Failure>>, Failure> {
    Ok((0..second).map(move |_| Ok(Component { text: first.text.clone() })))
}

fn main() {
    let inputs = Inputs { text: "a".to_owned() };
    assert_eq!(accepted(inputs, 2, None).ok().map(Iterator::count), Some(2));
}
