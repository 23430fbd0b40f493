//! What the host can do for a node: the list, and what is generated from it.
//!
//! One module per interface of wit/, each with the same parts in the same order: Config, Grant, its calls as values,
//! the WIT adapter, the backends. A capability is wired by its one line in the list below, and only there.

/// Makes the capability of an interface that every node has: no settings, no grant, no calls but notes.
///
/// `always_granted!(Log, "log", "wasi:logging/logging", wit);` becomes the type `Log` with its [`Capability`], linked
/// from the generated modules that are named last.
macro_rules! always_granted {
    ($type:ident, $name:literal, $interface:literal, $($wit:ident),+) => {
        #[doc = concat!("Serves `", $interface, "`.")]
        #[derive(Debug)]
        pub struct $type;

        impl $crate::boundary::Capability for $type {
            const NAME: &'static str = $name;
            const INTERFACE: &'static str = $interface;
            type Config = ();
            type Grant = ();

            fn build((): ()) -> Self {
                Self
            }

            fn grant(
                &self,
                ask: $crate::boundary::grants::Ask<'_>,
            ) -> Result<Option<()>, $crate::boundary::grants::AskError> {
                match ask.grant {
                    None => Ok(Some(())),
                    Some(_) => Err($crate::boundary::grants::AskError::NeedsNone { capability: $name }),
                }
            }

            fn link<T: $crate::boundary::Lend>(
                linker: &mut ::wasmtime::component::Linker<T>,
            ) -> ::wasmtime::Result<()> {
                $($wit::add_to_linker::<T, $crate::boundary::Lent>(linker, T::lend)?;)+
                Ok(())
            }
        }
    };
}

pub mod config;
pub mod connection;
pub mod context;
pub mod http;
pub mod llm;
pub mod log;
pub mod nodes;
pub mod output;
pub mod upstream;

use std::sync::Arc;

use wasmtime::component::Linker;

use crate::boundary::grants::{Ask, AskError, Grants};
use crate::boundary::{Capability, Lend};

/// Makes [`Config`], [`Capabilities`] and their functions of a list of modules and types.
///
/// One entry `llm: llm::Llm` becomes a field `llm` of both structs, one call of `Llm::build`, one grant under
/// `grants.llm` for each node, and one `Llm::link`.
macro_rules! capabilities {
    ($($name:ident: $capability:ty,)+) => {
        /// What an operator sets up, by capability.
        #[derive(Debug, Default)]
        pub struct Config {
            $(pub $name: <$capability as Capability>::Config,)+
        }

        /// All that the host can do for a node.
        #[derive(Debug)]
        pub struct Capabilities {
            $($name: $capability,)+
        }

        impl Capabilities {
            pub fn build(config: Config) -> Arc<Self> {
                Arc::new(Self { $($name: <$capability>::build(config.$name),)+ })
            }

            /// The interfaces of wit/ that are served, in the order of the list.
            pub const INTERFACES: &'static [&'static str] = &[$(<$capability as Capability>::INTERFACE,)+];

            /// Narrows everything to what one node may ask: the connections it names, and its `grants` as JSON texts.
            ///
            /// # Errors
            /// All that the node asks for and cannot have, each with the key under `grants`.
            pub fn grant(
                &self,
                connections: &[&str],
                asks: &[(&str, &str)],
            ) -> Result<Grants, Vec<(String, AskError)>> {
                let mut grants = Grants::default();
                let mut errors = Vec::new();
                $({
                    let name = <$capability as Capability>::NAME;
                    let grant = asks.iter().find(|(asked, _)| *asked == name).map(|(_, grant)| *grant);
                    match self.$name.grant(Ask { connections, grant }) {
                        Ok(Some(grant)) => grants.insert::<$capability>(grant),
                        Ok(None) => {}
                        Err(error) => errors.push((name.to_owned(), error)),
                    }
                })+
                let known = [$(<$capability as Capability>::NAME,)+];
                errors.extend(asks.iter().filter(|(asked, _)| !known.contains(asked)).map(|(asked, _)| {
                    let name = (*asked).to_owned();
                    (name.clone(), AskError::UnknownCapability { name, known: known.join(", ") })
                }));
                if errors.is_empty() { Ok(grants) } else { Err(errors) }
            }

            /// The connections that a node's `grants` name, each with the key under which it does.
            pub fn connections(asks: &[(&str, &str)]) -> Vec<(&'static str, String)> {
                let mut names = Vec::new();
                $({
                    let name = <$capability as Capability>::NAME;
                    let grant = asks.iter().find(|(asked, _)| *asked == name).map(|(_, grant)| *grant);
                    let connections = <$capability>::connections(Ask { connections: &[], grant });
                    names.extend(connections.into_iter().map(|connection| (name, connection)));
                })+
                names
            }

            /// Adds every interface to the linker.
            ///
            /// # Errors
            /// If one is there already.
            pub fn link<T: Lend>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
                $(<$capability>::link(linker)?;)+
                Ok(())
            }
        }
    };
}

capabilities! {
    output: output::Output,
    llm: llm::Llm,
    http: http::Http,
    nodes: nodes::Nodes,
    context: context::Notes,
    log: log::Log,
    config: config::Settings,
}
