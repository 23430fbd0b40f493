//! The host's log and what nodes log, as log records that know their trace.
