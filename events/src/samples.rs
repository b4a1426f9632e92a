//! Golden samples: a whole envelope of each contract, and inputs of each Lambda function, as text.
//!
//! The envelopes tell of host `h-01`, request `web-1` and provisioning `web-1.1`. They are written by hand and
//! never changed once released; the functions' inputs are made from them.

use crate::files::{CONTRACTS, LAMBDA, ON_THE_BUS};

/// The sample of a contract by its wire name, such as `host.reserved`: its whole envelope. `None` when there is
/// no such type or version.
#[must_use]
pub fn sample_text(type_name: &str, version: u32) -> Option<&'static str> {
    all().find(|(name, of_version, _)| (*name, *of_version) == (type_name, version)).map(|(.., text)| text)
}

/// All contracts' samples: wire name, version and text.
pub fn all() -> impl Iterator<Item = (&'static str, u32, &'static str)> {
    CONTRACTS.iter().map(|files| (files.name, files.version, files.sample))
}

/// Inputs of Lambda functions: the function's name, the sample's name and its text. The last part of a name is
/// the kind of the input: `sqs`, `stream` (DynamoDB) or `http` (HTTP API, payload format 2.0).
#[must_use]
pub fn lambda_samples() -> &'static [(&'static str, &'static str, &'static str)] {
    LAMBDA
}

/// One input of a Lambda function.
#[must_use]
pub fn lambda_sample(function: &str, name: &str) -> Option<&'static str> {
    LAMBDA.iter().find(|(of, called, _)| (*of, *called) == (function, name)).map(|(.., text)| *text)
}

/// An event as EventBridge hands it to its targets: the envelope is its `detail`.
#[must_use]
pub fn event_bridge_sample() -> &'static str {
    ON_THE_BUS
}
