//! A whole application in memory: its functions wired by its register, virtual time, and whatever a test does to it.
//!
//! ```no_run
//! # use std::time::Duration;
//! # use hostler_testkit::World;
//! # async fn example<A: hostler_runtime::register::Application>(operations: hostler_runtime::register::Operations) {
//! // The handlers of its step functions are given; all others are the runtime's.
//! let mut world = World::<A>::new(operations, |ports| vec![]);
//! world.accepted("place-order", serde_json::json!({ "order": "o-1" })).await;
//! world.outages.take_away("payments", Duration::from_secs(3_600));
//! world.run().await;
//! # }
//! ```

mod functions;
mod outages;

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use hostler_core::saga::{Saga, SagaCommand, SagaDefinition, SagaRef, SagaState, StartSaga};
use hostler_core::{
    Actor, Addressed, CommandEnvelope, CommandId, CorrelationId, Decider, Header, Payload, StreamId,
};
use hostler_runtime::messages::batch::Handler;
use hostler_runtime::messages::batch::dead_letter_queue;
use hostler_runtime::messages::relay::OutboxRecord;
use hostler_runtime::operations::flow::Backpressure;
use hostler_runtime::ports::{Clock, Ids, Outbound, Queues};
use hostler_runtime::register::{Application, Register};
use hostler_runtime::register::{Does, Operations};
use hostler_runtime::serving::http::{HttpHandler, Request, Response};
use hostler_runtime::serving::{CommandEdge, relay_outbox};
use hostler_runtime::state::history::Fold;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::memory::{
    MemoryBus, MemoryControl, MemoryLeases, MemoryQueues, MemoryStore, MemoryViews, Redrive, sqs_event,
};
use crate::{SeededIds, TestClock};

pub use functions::{Functions, Ports, Reader};
pub use outages::Outages;

/// What an invocation has for a batch.
const REMAINING: Duration = Duration::from_secs(30);
/// How many messages an invocation is given.
const BATCH: usize = 10;
/// How often a message is received before it is a dead letter, as in a deployment.
const RECEIVES_MAX: u32 = 30;
/// After how long the outbox comes again that could not be relayed.
const RELAY_AGAIN: SignedDuration = SignedDuration::from_secs(1);
/// More than any test needs.
const STEPS_MAX: usize = 500_000;

/// The handlers of an application's own functions, by the functions' names.
pub type Own = Vec<(&'static str, Arc<dyn Handler>)>;

/// An application in memory.
pub struct World<A> {
    /// Virtual time.
    pub clock: TestClock,
    /// The truth.
    pub store: MemoryStore,
    /// Where events are published.
    pub bus: MemoryBus,
    /// Where messages wait.
    pub queues: MemoryQueues,
    /// The read models.
    pub views: MemoryViews,
    /// Shared control state.
    pub control: MemoryControl,
    /// What has effects done once.
    pub leases: MemoryLeases,
    /// What is away, and for how long.
    pub outages: Outages,
    functions: Functions,
    edge: Option<Arc<CommandEdge>>,
    ids: SeededIds,
    /// What was not relayed yet, and when it comes again.
    outbox: Vec<OutboxRecord>,
    outbox_at: Timestamp,
    posted: u32,
    application: PhantomData<fn() -> A>,
}

impl<A: Application> World<A> {
    /// The application with what its operators may ask for, and with the handlers of its step functions.
    ///
    /// # Panics
    /// When a definition of a saga is wrong, or a function is in the register and not given.
    #[must_use]
    pub fn new(operations: Operations, own: impl FnOnce(&Ports) -> Own) -> Self {
        let clock = TestClock::default();
        let ids = SeededIds::new(1);
        let queues = queues::<A>(&clock);
        let bus = MemoryBus::default();
        for (queue, function) in Register::<A>::queues().filter(|(_, function)| !function.events.is_empty()) {
            bus.subscribe(function.events, &queues, queue.name);
        }
        let (store, views, control) =
            (MemoryStore::default(), MemoryViews::default(), MemoryControl::default());
        let (leases, outages) = (MemoryLeases::default(), Outages::new(Arc::new(clock.clone())));
        let ports = Ports {
            store: Arc::new(store.clone()),
            bus: Arc::new(bus.clone()),
            queues: Arc::new(queues.clone()),
            views: Arc::new(views.clone()),
            control: Arc::new(control.clone()),
            leases: Arc::new(leases.clone()),
            outages: outages.clone(),
            clock: Arc::new(clock.clone()),
            ids: Arc::new(ids.clone()),
        };
        let mut own = own(&ports);
        if let Some(function) = Register::<A>::that(Does::Sagas) {
            let sagas = Register::<A>::sagas(ports.shell::<A>());
            let sagas = sagas.unwrap_or_else(|wrong| panic!("{wrong}"));
            own.push((function.name, Arc::new(sagas)));
        }
        let edge = Register::<A>::that(Does::Commands).map(|function| {
            let backpressure = Backpressure::new(ports.control.clone(), ports.clock.clone());
            let edge = Arc::new(CommandEdge { shell: ports.shell::<A>(), backpressure, operations });
            own.push((function.name, edge.clone()));
            edge
        });
        let functions = Functions::of::<A>(&ports, own);
        Self {
            outbox_at: clock.now(),
            clock,
            store,
            bus,
            queues,
            views,
            control,
            leases,
            outages,
            functions,
            edge,
            ids,
            outbox: Vec::new(),
            posted: 0,
            application: PhantomData,
        }
    }

    /// Lets everything happen, until nothing is left to happen: deadlines that wait for a person pass, too.
    pub async fn run(&mut self) {
        self.run_until(|_| false).await;
    }

    /// Lets everything happen that happens now, and lets no time pass.
    pub async fn settle(&mut self) {
        self.advance(Duration::ZERO).await;
    }

    /// Lets everything happen in this time.
    ///
    /// # Panics
    /// When it never comes to rest.
    pub async fn advance(&mut self, time: Duration) {
        let until = self.clock.now() + SignedDuration::try_from(time).unwrap();
        for _ in 0..STEPS_MAX {
            if self.step().await {
                continue;
            }
            match self.next_at().filter(|next| *next <= until) {
                Some(next) => self.clock.set(next),
                None => return self.clock.set(until),
            }
        }
        self.never_at_rest();
    }

    /// Lets things happen until this is so; says whether it ever was.
    ///
    /// # Panics
    /// When it never comes to rest.
    pub async fn run_until(&mut self, is_so: impl Fn(&Self) -> bool) -> bool {
        for _ in 0..STEPS_MAX {
            if is_so(self) {
                return true;
            }
            if self.step().await {
                continue;
            }
            let Some(next) = self.next_at() else { return false };
            self.clock.set(next);
        }
        self.never_at_rest();
    }

    fn never_at_rest(&self) -> ! {
        let waiting = self.queues.names().into_iter().map(|name| (self.queues.len(&name), name));
        let waiting: Vec<_> = waiting.filter(|(messages, _)| *messages > 0).collect();
        panic!("it never comes to rest; at {} there wait {waiting:?}", self.clock.now());
    }

    /// Lets one thing happen that happens now.
    async fn step(&mut self) -> bool {
        self.relay().await || self.deliver().await || self.triage().await
    }

    async fn relay(&mut self) -> bool {
        let new = self.store.take_outbox_records();
        if !new.is_empty() {
            self.outbox.extend(new);
            self.outbox_at = self.clock.now();
        }
        if self.outbox.is_empty() || self.outbox_at > self.clock.now() {
            return false;
        }
        match relay_outbox(&self.functions.relay, &self.outbox).await {
            Ok(_) => self.outbox.clear(),
            Err(_) => self.outbox_at = self.clock.now() + RELAY_AGAIN,
        }
        true
    }

    /// Delivers what can be seen of one queue.
    async fn deliver(&mut self) -> bool {
        for reader in &self.functions.readers {
            let queue = reader.queue.name;
            let received = self.queues.receive(queue, BATCH);
            if received.is_empty() {
                continue;
            }
            let handler = self.functions.handler(reader);
            let done = reader.batch.handle(sqs_event(queue, &received), REMAINING, &*handler).await;
            let failed =
                |id: &String| done.batch_item_failures.iter().any(|item| item.item_identifier == *id);
            for message in received.iter().filter(|message| !failed(&message.message_id)) {
                self.queues.delete(queue, &message.receipt);
            }
            return true;
        }
        false
    }

    /// Delivers dead letters to triage, if the application has it.
    async fn triage(&mut self) -> bool {
        if Register::<A>::that(Does::Triage).is_none() {
            return false;
        }
        for origin in Register::<A>::origins() {
            let queue = dead_letter_queue(origin);
            let received = self.queues.receive(&queue, BATCH);
            if received.is_empty() {
                continue;
            }
            let event = sqs_event(&queue, &received);
            let done = self.functions.triage.dead_letters(origin, event, REMAINING).await;
            let failed =
                |id: &String| done.batch_item_failures.iter().any(|item| item.item_identifier == *id);
            for message in received.iter().filter(|message| !failed(&message.message_id)) {
                self.queues.delete(&queue, &message.receipt);
            }
            return true;
        }
        false
    }

    fn next_at(&self) -> Option<Timestamp> {
        let relay = Some(self.outbox_at).filter(|_| !self.outbox.is_empty());
        [self.queues.next_visible_at(), relay].into_iter().flatten().min()
    }

    /// Asks over HTTP: commands and callbacks with `POST`, questions with `GET`.
    ///
    /// # Panics
    /// When the application has no function for commands, and it is no question.
    pub async fn http(&self, request: &Request) -> Response {
        match &self.edge {
            _ if request.method == "GET" => self.functions.queries.answer(request).await,
            Some(edge) => edge.answer(request).await,
            None => panic!("the application takes no commands: register a function for them"),
        }
    }

    /// Gives a command as an operator does, over HTTP and under a key of its own.
    pub async fn post(&mut self, command: &str, body: Value) -> Response {
        self.posted += 1;
        let request = Request {
            method: "POST".to_owned(),
            path: format!("/commands/{command}"),
            headers: [("idempotency-key".to_owned(), format!("command-{}", self.posted))].into(),
            body: body.to_string(),
            caller: Some("operator".to_owned()),
            ..Request::default()
        };
        self.http(&request).await
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

    /// Calls a URL back that an outsider was given.
    pub async fn call_back(&self, url: &str, body: Value) -> Response {
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let request = Request {
            method: "POST".to_owned(),
            path: path.find("/callbacks").map_or(path, |at| &path[at..]).to_owned(),
            query: pairs.map(|(name, text)| (name.to_owned(), text.replace("%23", "#"))).collect(),
            body: body.to_string(),
            ..Request::default()
        };
        self.http(&request).await
    }

    /// Asks the read side.
    pub async fn get(&self, path: &str) -> Response {
        let request = Request { method: "GET".to_owned(), path: path.to_owned(), ..Request::default() };
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

    /// The state of a stream, folded from its first commit on.
    ///
    /// # Panics
    /// When the stream cannot be read.
    #[must_use]
    pub fn state<D: Decider>(&self, key: &str) -> D::State {
        let stream = StreamId::new(D::CATEGORY, key).unwrap();
        let mut fold = Fold::<D>::default();
        for commit in self.store.commits(&stream) {
            fold.apply(&commit).unwrap();
        }
        fold.state
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
        let streams = self.store.streams().into_iter();
        let of_kind = streams.filter(|stream| stream.category() == D::KIND);
        of_kind.map(|stream| stream.key().to_owned()).collect()
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

/// The queues of the register, with their visibility and their dead-letter queues.
fn queues<A: Application>(clock: &TestClock) -> MemoryQueues {
    let names = Register::<A>::queues().map(|(queue, _)| queue.name);
    let both = names.flat_map(|name| [name.to_owned(), dead_letter_queue(name)]);
    let queues = MemoryQueues::new(clock, both.chain([Register::<A>::relay_failures()]));
    for (queue, _) in Register::<A>::queues() {
        let (to, receives_max) = (dead_letter_queue(queue.name), RECEIVES_MAX);
        queues.set_visibility(queue.name, queue.visibility_seconds);
        queues.set_redrive(queue.name, Redrive { to, receives_max });
    }
    queues
}
