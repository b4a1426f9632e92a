//! What runs an application's decisions: ports, and the imperative shell on them. Domain-free.
//!
//! Five floors, by the question that a reader comes with:
//!
//! - [`state`]: how state is kept. Load, decide, append; histories, snapshots, items.
//! - [`messages`]: how messages travel. Batches and their layers, relay, timers, signatures, order by key.
//! - [`effects`]: how effects happen once. Step workers, leases, breakers.
//! - [`operations`]: how it is operated. Failures and their retries, flow, replay, telemetry.
//! - [`serving`]: what is served. Commands, queries, views, callbacks, sagas.
//!
//! Beside them stand the [`ports`], which adapters implement, and the [`register`], in which an application says
//! what it consists of. Each type has one path.

pub mod effects;
pub mod messages;
pub mod operations;
pub mod ports;
pub mod register;
pub mod serving;
pub mod state;
