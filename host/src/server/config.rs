//! The settings of everything that serves; each part declares its own.

use crate::server::reply;
use crate::setting::Reader;

/// What an operator says about serving.
#[derive(Clone, Debug, Default)]
pub struct Config {
    pub replies: reply::Config,
}

impl Config {
    pub fn read(reader: &mut Reader<'_>) -> Self {
        Self { replies: reply::Config::read(reader) }
    }
}
