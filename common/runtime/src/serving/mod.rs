//! What an application serves by its register: commands, queries, views, callbacks, sagas, and the runtime's own
//! functions.

pub mod bearer;
pub mod callback;
mod commands;
pub mod http;
mod outbox;
mod past;
mod queries;
mod register;
mod rows;
pub mod sagas;
mod views;

pub use commands::{CommandEdge, body_fits, cause_of};
pub use outbox::{FireTimers, relay_outbox, watch_flow};
pub use queries::AnswerQueries;
pub use views::ProjectViews;
