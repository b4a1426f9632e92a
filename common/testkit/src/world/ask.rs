//! What a test asks of a world, and what it sees there.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use hostler_core::saga::{Saga, SagaCommand, SagaDefinition, SagaRef, SagaState, StartSaga};
use hostler_core::{
    Actor, Addressed, Category, CommandEnvelope, CommandId, CorrelationId, Decider, Header, Payload, StreamId,
};
use hostler_runtime::ports::{Clock, Ids, Outbound, Queues};
use hostler_runtime::register::Application;
use hostler_runtime::serving::http::{HttpHandler, Request, Response};
use hostler_runtime::state::history::Fold;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::callers::callback;
use super::{Wiring, World};
use crate::shrink::{Fault, is_given};

/// How often a command is given, a second after the other, while there is no answer.
const POSTS_MAX: usize = 10;
/// After how long at most an operator looks at what is quarantined.
const LOOKED_AT_WITHIN: Duration = Duration::from_secs(600);

impl<A: Application> World<A> {
    /// Asks over HTTP: commands and callbacks with `POST`, questions with `GET`.
    ///
    /// # Panics
    /// When the application has no function for commands, and it is no question.
    pub async fn http(&self, request: &Request) -> Response {
        let Wiring { functions, edge } = &self.builds[0];
        let answered = match edge {
            _ if request.method == "GET" => self.switch.invoke(functions.queries.answer(request)).await,
            Some(edge) => self.switch.invoke(edge.answer(request)).await,
            None => panic!("the application takes no commands: register a function for them"),
        };
        // What the gateway says when a function has died.
        answered.unwrap_or_else(|| Response::error(502, "died", "the function gave no answer".to_owned()))
    }

    /// Gives a command as an operator does, over HTTP and under a key of its own, again until there is an answer.
    ///
    /// # Panics
    /// When there is none.
    pub async fn post(&mut self, command: &str, body: Value) -> Response {
        let request = self.command(command, &body);
        for _ in 0..POSTS_MAX {
            let answer = self.http(&request).await;
            if answer.status >= 500 {
                self.clock.advance_seconds(1);
                continue;
            }
            if self.setup.duplicates {
                let again = self.http(&request).await;
                assert!(again.status == answer.status, "{again:?} after {answer:?}");
            }
            return answer;
        }
        panic!("nobody answers {command}");
    }

    /// As [`Self::post`], and it is accepted.
    ///
    /// # Panics
    /// When it is not.
    pub async fn accepted(&mut self, command: &str, body: Value) -> Response {
        let answer = self.post(command, body).await;
        assert_eq!(answer.status, 202, "{command}: {}", answer.body);
        answer
    }

    /// Has a command given at some time after `after`, by chance, but not later than `within` after that. It is given again
    /// until there is an answer; that it comes too late, or too early, is an answer as well.
    ///
    /// # Panics
    /// When that is longer than time is.
    pub fn post_later(&mut self, after: Duration, within: Duration, command: &str, body: &Value) {
        let seconds = self.random.below(within.as_secs());
        let after = SignedDuration::try_from(after + Duration::from_secs(seconds)).unwrap();
        let (request, at) = (self.command(command, body), self.clock.now() + after);
        let mut hash = DefaultHasher::new();
        (&request.path, &request.body).hash(&mut hash);
        let number = (hash.finish() >> 32) as u32;
        let place = request.body.clone();
        let given = || Fault { number, at, what: command.to_owned(), place };
        if self.chaos.is_none() || is_given(number, given) {
            *self.given.entry(command.to_owned()).or_default() += 1;
            self.plan(at, request, 0);
        }
    }

    /// How many commands of a name are given by [`Self::post_later`]: all, unless a smaller run is looked for.
    #[must_use]
    pub fn given(&self, command: &str) -> u64 {
        self.given.get(command).copied().unwrap_or_default()
    }

    pub(super) fn plan(&mut self, at: Timestamp, request: Request, tries: u32) {
        self.planned.push((at, request, tries));
        self.planned.sort_by_key(|(at, _, _)| std::cmp::Reverse(*at));
    }

    fn command(&mut self, command: &str, body: &Value) -> Request {
        self.posted += 1;
        Request {
            method: "POST".to_owned(),
            path: format!("/commands/{command}"),
            headers: [("idempotency-key".to_owned(), format!("command-{}", self.posted))].into(),
            body: body.to_string(),
            caller: Some("operator".to_owned()),
            ..Request::default()
        }
    }

    /// In chaos an operator looks at what is quarantined, and has it tried again.
    pub(super) fn operate(&mut self) {
        for (failure, category) in std::mem::take(&mut self.ledger.quarantined) {
            let body = json!({ "failure": failure, "reason": "seen to" });
            // What cannot be read now will not be read later.
            let command = if category == Category::Validation { "discard-failure" } else { "retry-failure" };
            let seconds = self.random.below(LOOKED_AT_WITHIN.as_secs());
            let request = self.command(command, &body);
            self.plan(self.clock.now() + SignedDuration::from_secs(seconds.cast_signed()), request, 0);
        }
    }

    /// Calls a URL back that an outsider was given.
    pub async fn call_back(&self, url: &str, body: Value) -> Response {
        self.http(&callback(url, &body)).await
    }

    /// Asks the read side.
    pub async fn get(&self, path: &str) -> Response {
        let caller = Some("operator".to_owned());
        let request =
            Request { method: "GET".to_owned(), path: path.to_owned(), caller, ..Request::default() };
        self.http(&request).await
    }

    /// Starts a saga, as another saga or function would.
    ///
    /// # Panics
    /// When the order cannot be written.
    pub async fn start<D: SagaDefinition>(&self, id: &str, order: &D::Order) {
        let saga = SagaRef::new(D::KIND, id).unwrap();
        let order = serde_json::to_value(order).unwrap();
        self.send(&SagaCommand::Start(StartSaga { saga, order, parent: None })).await;
    }

    /// Sends a command to its queue, as a function would.
    ///
    /// # Panics
    /// When the queue does not take it.
    pub async fn send<C: Payload + Addressed>(&self, command: &C) {
        let id = CommandId(self.ids.next());
        let envelope = CommandEnvelope {
            command_id: id,
            command_type: command.type_name().to_owned(),
            schema_version: command.schema_version(),
            timestamp: self.clock.now(),
            source: A::SOURCE.to_owned(),
            header: Header {
                correlation_id: CorrelationId(self.ids.next()),
                causation_id: id.into(),
                trace_context: None,
                hops: 0,
                actor: Actor("test".to_owned()),
            },
            data: command.to_data(),
            signature: None,
        };
        let body = serde_json::to_string(&envelope).unwrap();
        let sent = self.queues.send(command.queue(), &[Outbound { body, ..Outbound::default() }]).await;
        assert!(sent.iter().all(Result::is_ok), "{}: {sent:?}", command.queue());
    }

    /// A stream, folded from its first commit on.
    ///
    /// # Panics
    /// When the stream cannot be read.
    #[must_use]
    pub fn fold<D: Decider>(&self, stream: &StreamId) -> Fold<D> {
        let mut fold = Fold::default();
        for commit in self.store.commits(stream) {
            fold.apply(&commit).unwrap();
        }
        fold
    }

    /// The state of a stream, folded from its first commit on.
    ///
    /// # Panics
    /// When the stream cannot be read.
    #[must_use]
    pub fn state<D: Decider>(&self, key: &str) -> D::State {
        self.fold::<D>(&StreamId::new(D::CATEGORY, key).unwrap()).state
    }

    /// The streams of a decider.
    #[must_use]
    pub fn streams_of<D: Decider>(&self) -> Vec<StreamId> {
        self.store.streams().into_iter().filter(|stream| stream.category() == D::CATEGORY).collect()
    }

    /// The state of a saga.
    #[must_use]
    pub fn saga<D: SagaDefinition>(&self, id: &str) -> SagaState<D::Order> {
        self.state::<Saga<D>>(id)
    }

    /// Where a saga is, such as `completed`.
    #[must_use]
    pub fn status<D: SagaDefinition>(&self, id: &str) -> &'static str {
        self.saga::<D>(id).status.name()
    }

    /// The ids of all sagas of a kind.
    #[must_use]
    pub fn sagas<D: SagaDefinition>(&self) -> Vec<String> {
        self.streams_of::<Saga<D>>().into_iter().map(|stream| stream.key().to_owned()).collect()
    }

    /// All that was sent to queues since this was last called, each with its queue. [`Self::check`] does not find it any more: for
    /// runs that are too long for that.
    #[must_use]
    pub fn take_sent(&self) -> Vec<(String, String)> {
        std::mem::take(&mut *self.sent.lock().unwrap())
    }

    /// How often an event of this type was recorded.
    #[must_use]
    pub fn count(&self, event_type: &str) -> usize {
        let commits = self.store.outbox_since(0);
        let events = commits.iter().flat_map(|commit| &commit.events);
        events.filter(|event| event.event_type == event_type).count()
    }

    /// The failures that triage has not dealt with.
    #[must_use]
    pub fn failures(&self) -> Vec<Value> {
        let rows = self.views.rows(hostler_runtime::operations::triage::FAILURES).into_iter();
        rows.filter(|row| row.group == hostler_runtime::operations::triage::OPEN)
            .map(|row| json!(row.body))
            .collect()
    }
}
