//! Answers questions: views, timelines, states in the past; and Prometheus, which hosts it has to look at.

mod targets;

use std::sync::Arc;

use async_trait::async_trait;
use hostler_app::Hostler;
use hostler_runtime::ports::{EventStore, Views};
use hostler_runtime::serving::AnswerQueries;
use hostler_runtime::serving::bearer::BearerToken;
use hostler_runtime::serving::http::{HttpHandler, Request, Response};

use targets::Targets;

/// Answers all questions about the data centre.
pub struct Answers {
    queries: AnswerQueries,
    targets: Targets,
}

impl Answers {
    /// Answers from these tables. Prometheus is known by the token; without one it is told nothing.
    #[must_use]
    pub fn new(
        store: Arc<dyn EventStore>,
        views: Arc<dyn Views>,
        monitoring_token: Option<BearerToken>,
    ) -> Self {
        let queries = AnswerQueries::of::<Hostler>(store, views.clone());
        Self { queries, targets: Targets::new(views, monitoring_token) }
    }
}

#[async_trait]
impl HttpHandler for Answers {
    async fn answer(&self, request: &Request) -> Response {
        if request.method == "GET" && request.segments() == targets::PATH {
            return self.targets.answer(request).await;
        }
        self.queries.answer(request).await
    }
}
