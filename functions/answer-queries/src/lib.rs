//! Answers questions: views, timelines, states in the past.
//!
//! `GET /hosts`, `/provisionings`, `/requests`, `/failures` list rows (`?group=`, `?after=`, `?limit=`); with an id they
//! show one (`?version=` or `?at=` for how it was); `…/{id}/timeline` lists what happened.

mod past;
mod rows;

use std::sync::Arc;

use async_trait::async_trait;
use hostler_runtime::{EventStore, HttpHandler, Request, Response, Views};

/// Answers all questions.
pub struct AnswerQueries {
    /// The truth.
    pub store: Arc<dyn EventStore>,
    /// What is kept up with it.
    pub views: Arc<dyn Views>,
}

#[async_trait]
impl HttpHandler for AnswerQueries {
    async fn answer(&self, request: &Request) -> Response {
        let answered = match request.segments()[..] {
            _ if request.method != "GET" => Err(no_route(request)),
            [view] if rows::is_view(view) => self.list(view, request).await,
            // Ids may hold slashes, so what comes between the view and the last word is the id.
            [view, ref id @ .., "timeline"] if rows::is_view(view) && !id.is_empty() => {
                self.timeline(view, &id.join("/"), request).await
            }
            [view, ref id @ ..] if rows::is_view(view) => self.show(view, &id.join("/"), request).await,
            _ => Err(no_route(request)),
        };
        answered.unwrap_or_else(|refused| refused)
    }
}

fn no_route(request: &Request) -> Response {
    let message = format!(
        "{} {} is not served here: GET /hosts, /provisionings, /requests or /failures, with /{{id}} or /{{id}}/timeline",
        request.method, request.path
    );
    Response::error(404, "no-such-route", message)
}
