//! The commands: the data centre's nouns, the runtime's nouns, and tools for working on an application.
//!
//! A noun is a folder: `args.rs` has its verbs and their arguments, and each verb's behaviour is a file of its own.

pub(crate) mod datacentre;
pub(crate) mod runtime;
pub(crate) mod tools;
