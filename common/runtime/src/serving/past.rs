//! What happened, and how things were: read from the streams themselves.

use std::marker::PhantomData;

use async_trait::async_trait;
use hostler_core::{Commit, Failure, StreamId, StreamVersion};
use serde_json::{Value, json};

use super::AnswerQueries;
use super::queries::View;
use super::rows::{fitting, limit, unknown};
use crate::ports::EventStore;
use crate::register::{Shown, Viewed};
use crate::serving::http::{Request, Response};
use crate::state::history::{Fold, Moment, load_at};

/// The moment that is asked for.
fn moment(request: &Request) -> Result<Option<Moment>, Response> {
    let invalid = |message: String| Response::error(400, "invalid", message);
    match (request.query.get("version"), request.query.get("at")) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(invalid("version and at were both given: give one of them".to_owned())),
        (Some(text), None) => text
            .parse()
            .map(|version| Some(Moment::Version(StreamVersion(version))))
            .map_err(|_| invalid(format!("version is {text:?}: give a whole number, such as 3"))),
        (None, Some(text)) => text
            .parse()
            .map(|at| Some(Moment::At(at)))
            .map_err(|_| invalid(format!("at is {text:?}: give a time such as 2026-01-31T12:00:00Z"))),
    }
}

/// How entities were.
#[async_trait]
pub(super) trait Past: Send + Sync {
    async fn at(
        &self,
        store: &dyn EventStore,
        stream: &StreamId,
        moment: Moment,
    ) -> Result<Response, Response>;
}

/// How the entities of one kind were.
pub(super) struct PastOf<E>(pub(super) PhantomData<fn() -> E>);

#[async_trait]
impl<E: Viewed> Past for PastOf<E> {
    async fn at(
        &self,
        store: &dyn EventStore,
        stream: &StreamId,
        moment: Moment,
    ) -> Result<Response, Response> {
        let fold: Fold<E::Decider> =
            load_at(store, stream, moment).await.map_err(|error| Response::failure(&Failure::from(error)))?;
        let Some(Shown { mut body, .. }) = E::show(&fold.state) else {
            let id = stream.key();
            let message =
                format!("{id} was not there yet at that moment: see its timeline for when it began");
            return Err(Response::error(404, "unknown", message));
        };
        if let Value::Object(fields) = &mut body {
            fields.insert("version".to_owned(), json!(fold.version));
            fields.insert("updatedAt".to_owned(), json!(fold.updated_at));
        }
        Ok(Response::new(200, body))
    }
}

impl AnswerQueries {
    /// One entity: its row, or how it was at a moment.
    pub(super) async fn show(&self, view: &View, id: &str, request: &Request) -> Result<Response, Response> {
        let Some(moment) = moment(request)? else { return self.row(view.name, id).await };
        view.past.at(&*self.store, &stream(view, id)?, moment).await
    }

    /// What happened, oldest first, from after `?after=<version>`.
    pub(super) async fn timeline(
        &self,
        view: &View,
        id: &str,
        request: &Request,
    ) -> Result<Response, Response> {
        let stream = stream(view, id)?;
        let limit = limit(request)?;
        let after = match request.query.get("after") {
            None => 0,
            Some(text) => text.parse().map_err(|_| {
                let message = format!("after is {text:?}: give the version to go on after, such as 3");
                Response::error(400, "invalid", message)
            })?,
        };
        let moment = moment(request)?;
        let mut commits = self
            .store
            .read(&stream, StreamVersion(after), limit)
            .await
            .map_err(|error| Response::failure(&Failure::from(error)))?;
        if commits.is_empty() && after == 0 {
            return Err(unknown(view.name, id));
        }
        let whole: Vec<Value> = commits.iter().map(shown_commit).collect();
        let shown = fitting(&whole).min(whole.len());
        let more = commits.len() == limit || shown < whole.len();
        commits.truncate(shown);
        let next = commits.last().filter(|_| more).map(|commit| commit.version);
        let asked_for = |commit: &Commit| moment.as_ref().is_none_or(|moment| moment.includes(commit));
        let commits: Vec<Value> = commits
            .iter()
            .zip(whole)
            .filter(|(commit, _)| asked_for(commit))
            .map(|(_, shown)| shown)
            .collect();
        Ok(Response::new(200, json!({ "stream": stream, "commits": commits, "next": next })))
    }
}

fn shown_commit(commit: &Commit) -> Value {
    json!({
        "version": commit.version,
        "recordedAt": commit.recorded_at,
        "actor": commit.actor,
        "correlationId": commit.correlation_id,
        "causationId": commit.causation_id,
        "events": commit.events,
        "commands": commit.commands,
        "timers": commit.timers,
    })
}

fn stream(view: &View, id: &str) -> Result<StreamId, Response> {
    StreamId::new(view.category, id).map_err(|error| Response::error(400, "invalid", error.to_string()))
}
