//! Checks of the repository itself: directions of dependencies, the template, sources, manifests, documents.
//!
//! Each failure lists all findings: the file, what is wrong, and the rule.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

mod alarms;
mod bus;
mod dependencies;
mod deployments;
mod diagrams;
mod documents;
mod functions;
mod loops;
mod manifests;
mod mutants;
mod policies;
mod promises;
mod queues;
mod references;
mod register;
mod repository;
mod samples;
mod sites;
mod sources;
mod stack;
mod tables;
mod waiting;
