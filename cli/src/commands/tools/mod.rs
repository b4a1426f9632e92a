//! What helps to work on an application: its local cloud, measurements, the shell.

pub(crate) mod bench;
pub(crate) mod completions;
pub(crate) mod cost;
pub(crate) mod doctor;
pub(crate) mod down;
pub(crate) mod env;
pub(crate) mod new;
pub(crate) mod up;
