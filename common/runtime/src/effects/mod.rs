//! How effects happen once: step workers, leases, breakers, and the time that an invocation has left.

pub mod breakers;
pub mod deadline;
pub mod leases;
pub mod once;
pub mod steps;
pub mod under_lease;
