//! What an application serves by its register: commands, questions, views, and the runtime's own functions.

mod commands;
mod outbox;
mod past;
mod queries;
mod register;
mod rows;
mod views;

pub use commands::{CommandEdge, body_fits, cause_of};
pub use outbox::{FireTimers, relay_outbox, watch_flow};
pub use queries::AnswerQueries;
pub use views::ProjectViews;
