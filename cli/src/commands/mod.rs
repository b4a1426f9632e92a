//! One file per command: its arguments, and what it does.

pub(crate) mod bench;
pub(crate) mod breakers;
pub(crate) mod completions;
pub(crate) mod cost;
pub(crate) mod doctor;
pub(crate) mod down;
pub(crate) mod emit;
pub(crate) mod env;
pub(crate) mod events;
pub(crate) mod failures;
pub(crate) mod fault;
pub(crate) mod invoke;
pub(crate) mod list;
pub(crate) mod operate;
pub(crate) mod request;
pub(crate) mod show;
pub(crate) mod stats;
pub(crate) mod up;
pub(crate) mod watch;
