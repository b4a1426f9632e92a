//! Answers questions: views, timelines, states in the past.

use std::sync::Arc;

use hostler_app::Hostler;
use hostler_runtime::serve::AnswerQueries;
use hostler_runtime::{EventStore, Views};

/// What answers all questions about the data centre.
#[must_use]
pub fn answer_queries(store: Arc<dyn EventStore>, views: Arc<dyn Views>) -> AnswerQueries {
    AnswerQueries::of::<Hostler>(store, views)
}
