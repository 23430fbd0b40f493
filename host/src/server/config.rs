//! The settings of everything that serves; each part declares its own.

use crate::server::{admission, body, reply, token};
use crate::setting::Reader;

/// What an operator says about serving.
#[derive(Clone, Debug, Default)]
pub struct Config {
    pub bodies: body::Config,
    pub admission: admission::Config,
    pub replies: reply::Config,
    pub tokens: token::Config,
}

impl Config {
    pub fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            bodies: body::Config::read(reader),
            admission: admission::Config::read(reader),
            replies: reply::Config::read(reader),
            tokens: token::Config::read(reader),
        }
    }
}
