//! The settings of everything that serves; each part declares its own.

use crate::server::problem::upstream;
use crate::server::{access, admission, body, drain, listener, pressure, reply, token};
use crate::setting::Reader;

/// What an operator says about serving.
#[derive(Clone, Debug, Default)]
pub struct Config {
    pub access: access::Config,
    pub bodies: body::Config,
    pub admission: admission::Config,
    pub replies: reply::Config,
    pub upstream: upstream::Statuses,
    pub tokens: token::Config,
    pub listener: listener::Config,
    pub pressure: pressure::Config,
    pub drain: drain::Config,
}

impl Config {
    pub fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            access: access::Config::read(reader),
            bodies: body::Config::read(reader),
            admission: admission::Config::read(reader),
            replies: reply::Config::read(reader),
            upstream: upstream::Statuses::read(reader),
            tokens: token::Config::read(reader),
            listener: listener::Config::read(reader),
            pressure: pressure::Config::read(reader),
            drain: drain::Config::read(reader),
        }
    }
}
