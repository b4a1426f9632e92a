//! The contracts' files: schemas as the types say, samples that fit them, inputs that functions can read.
//!
//! `HOSTLER_BLESS=1 cargo test -p hostler-events --test contracts` writes what is made from other things: the
//! schemas, and the functions' inputs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

mod folder;
mod inputs;
mod lambda;
mod properties;
mod refusals;
mod samples;
mod schemas;
