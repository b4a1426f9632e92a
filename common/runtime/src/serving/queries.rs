//! Answers questions: views, timelines, states in the past.
//!
//! `GET /<view>` lists rows (`?group=`, `?after=`, `?limit=`); with an id it shows one (`?version=` or `?at=` for how it
//! was); `…/{id}/timeline` lists what happened. `GET /register` says which views, sagas and commands there are.

use std::marker::PhantomData;
use std::sync::Arc;

use async_trait::async_trait;
use hostler_core::Decider;
use serde_json::Value;

use super::past::{Past, PastOf};
use super::register::{PATH, described};
use crate::ports::{EventStore, Views};
use crate::register::{Application, Entities, Entity, Register, Viewed};
use crate::serving::http::{HttpHandler, Request, Response, decoded};

/// Answers all questions.
pub struct AnswerQueries {
    /// The truth.
    pub(super) store: Arc<dyn EventStore>,
    /// What is kept up with it.
    pub(super) views: Arc<dyn Views>,
    shown: Shown,
    /// What the application tells of itself.
    described: Value,
}

/// A view, and how its entities are read in the past.
pub(super) struct View {
    pub(super) name: &'static str,
    pub(super) category: &'static str,
    pub(super) past: Box<dyn Past>,
}

#[derive(Default)]
struct Shown(Vec<View>);

impl Entities for Shown {
    fn viewed<E: Viewed>(&mut self) {
        let past = Box::new(PastOf::<E>(PhantomData));
        self.0.push(View { name: E::VIEW, category: <E::Decider as Decider>::CATEGORY, past });
    }

    fn hidden<E: Entity>(&mut self) {}
}

impl AnswerQueries {
    /// Answers for the application `A`.
    #[must_use]
    pub fn of<A: Application>(store: Arc<dyn EventStore>, views: Arc<dyn Views>) -> Self {
        let mut shown = Shown::default();
        Register::<A>::visit(&mut shown);
        Self { store, views, shown, described: described::<A>() }
    }

    fn view(&self, name: &str) -> Option<&View> {
        self.shown.0.iter().find(|view| view.name == name)
    }

    fn no_route(&self, request: &Request) -> Response {
        let names: Vec<String> = self.shown.0.iter().map(|view| format!("/{}", view.name)).collect();
        let names = match &names[..] {
            [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
            _ => names.concat(),
        };
        let message = format!(
            "{} {} is not served here: GET {names}, with /{{id}} or /{{id}}/timeline; GET /{PATH} lists all there is",
            request.method, request.path
        );
        Response::error(404, "no-such-route", message)
    }
}

#[async_trait]
impl HttpHandler for AnswerQueries {
    async fn answer(&self, request: &Request) -> Response {
        if let Err(refused) = request.verified_caller() {
            return refused;
        }
        let segments = request.segments();
        let view = segments.first().and_then(|name| self.view(name)).filter(|_| request.method == "GET");
        let answered = match (view, &segments[..]) {
            (None, [PATH]) if request.method == "GET" => Ok(Response::new(200, self.described.clone())),
            (Some(view), [_]) => self.list(view.name, request).await,
            // Ids may hold slashes, so what comes between the view and the last word is the id.
            (Some(view), [_, id @ .., "timeline"]) if !id.is_empty() => {
                self.timeline(view, &joined(id), request).await
            }
            (Some(view), [_, id @ ..]) => self.show(view, &joined(id), request).await,
            _ => Err(self.no_route(request)),
        };
        answered.unwrap_or_else(|refused| refused)
    }
}

/// The id in the parts of a path.
fn joined(id: &[&str]) -> String {
    id.iter().map(|part| decoded(part)).collect::<Vec<_>>().join("/")
}
