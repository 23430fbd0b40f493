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
            type Rule = ();

            fn build((): ()) -> Self {
                Self
            }

            fn grant(
                &self,
                ask: $crate::boundary::grants::Ask<'_>,
                _: &$crate::boundary::policy::Rules<()>,
            ) -> Result<Option<()>, Vec<$crate::boundary::grants::AskError>> {
                match ask.grant {
                    None => Ok(Some(())),
                    Some(_) => Err(vec![$crate::boundary::grants::AskError::NeedsNone { capability: $name }]),
                }
            }

            fn rule(_: &str) -> Result<(), String> {
                Err("every node has it; leave it out".to_owned())
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

mod client;
pub mod config;
pub mod connection;
pub mod context;
pub mod files;
mod glob;
pub mod http;
pub mod llm;
pub mod log;
pub mod nodes;
pub mod output;
pub mod upstream;

use std::sync::Arc;

use wasmtime::component::Linker;

pub use self::glob::Glob;
use crate::boundary::grants::{Ask, AskError, Grants};
use crate::boundary::policy::{Rule, Rules};
use crate::boundary::{Capability, Lend};
use crate::policy::{self, Policy};

/// Makes [`Config`], [`Capabilities`] and their functions of a list of modules and types.
///
/// One entry `llm: llm::Llm` becomes a field `llm` of the structs, one call of `Llm::build`, one grant under
/// `grants.llm` for each node, one section `llm` of a policy, and one `Llm::link`.
macro_rules! capabilities {
    ($($name:ident: $capability:ty,)+) => {
        /// What an operator sets up, by capability.
        #[derive(Debug, Default)]
        pub struct Config {
            $(pub $name: <$capability as Capability>::Config,)+
        }

        /// What the operator lets nodes have at most, by capability. The default is everything.
        #[derive(Debug, Default)]
        pub struct Rulebook {
            $($name: Rules<<$capability as Capability>::Rule>,)+
        }

        impl Rulebook {
            /// Reads a policy.
            ///
            /// # Errors
            /// All entries that nobody understands, each with its place.
            pub fn of(policy: &Policy) -> Result<Self, Vec<String>> {
                let Policy { file, sections } = policy;
                let mut problems = Vec::new();
                let rulebook = Self {
                    $($name: {
                        let name = <$capability as Capability>::NAME;
                        let section = sections.iter().find(|section| section.capability == name);
                        let mut entries = Vec::new();
                        for policy::Entry { said, line } in section.into_iter().flat_map(|section| &section.entries) {
                            match <$capability>::rule(said.as_str()) {
                                Ok(what) => entries.push(Rule { what, said: said.as_str().to_owned(), line: *line }),
                                Err(problem) => problems.push(format!("{file}:{line}: {name}: {problem}")),
                            }
                        }
                        Rules::of(file, section.map(|section| section.line), entries)
                    },)+
                };
                let known = [$(<$capability as Capability>::NAME,)+];
                let unknown = sections.iter().filter(|section| !known.contains(&section.capability.as_str()));
                problems.extend(unknown.map(|policy::Section { capability, line, .. }| {
                    format!("{file}:{line}: {capability:?}: unknown capability; known: {}", known.join(", "))
                }));
                if problems.is_empty() { Ok(rulebook) } else { Err(problems) }
            }
        }

        /// All that the host can do for a node.
        #[derive(Debug)]
        pub struct Capabilities {
            rulebook: Rulebook,
            $($name: $capability,)+
        }

        impl Capabilities {
            pub fn build(config: Config, rulebook: Rulebook) -> Arc<Self> {
                Arc::new(Self { rulebook, $($name: <$capability>::build(config.$name),)+ })
            }

            /// The interfaces of wit/ that are served, in the order of the list.
            pub const INTERFACES: &'static [&'static str] = &[$(<$capability as Capability>::INTERFACE,)+];

            /// Narrows everything to what one node may ask: the connections it names, with the model that it names, and its
            /// `grants` as JSON texts.
            ///
            /// # Errors
            /// All that the node asks for and cannot have, each with the key under `grants`.
            pub fn grant(
                &self,
                own: Ask<'_>,
                asks: &[(&str, &str)],
            ) -> Result<Grants, Vec<(String, AskError)>> {
                let mut grants = Grants::default();
                let mut errors = Vec::new();
                $({
                    let name = <$capability as Capability>::NAME;
                    let grant = asks.iter().find(|(asked, _)| *asked == name).map(|(_, grant)| *grant);
                    match self.$name.grant(Ask { grant, ..own }, &self.rulebook.$name) {
                        Ok(Some(grant)) => grants.insert::<$capability>(grant),
                        Ok(None) => {}
                        Err(found) => errors.extend(found.into_iter().map(|error| (name.to_owned(), error))),
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
                    let connections = <$capability>::connections(Ask { grant, ..Ask::default() });
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
    files: files::Files,
}
