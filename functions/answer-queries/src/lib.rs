//! Answers questions: views, timelines, states in the past.

use std::sync::Arc;

use hostler_app::Hostler;
use hostler_runtime::ports::{EventStore, Views};
use hostler_runtime::serving::AnswerQueries;

/// What answers all questions about the data centre.
#[must_use]
pub fn answer_queries(store: Arc<dyn EventStore>, views: Arc<dyn Views>) -> AnswerQueries {
    AnswerQueries::of::<Hostler>(store, views)
}
