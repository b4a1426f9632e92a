//! A whole site in memory: all functions on the twins of their ports, machines that call back, virtual time.

mod chaos;
mod checks;
mod fleet;
mod functions;
mod ports;
mod switch;

use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hostler_app::Register;
use hostler_core::{Decider, StreamId};
use hostler_domain::{HostDecider, HostState, ProvisioningSaga, ProvisioningState};
use hostler_runtime::messages::relay::OutboxRecord;
use hostler_runtime::messages::timers::TIMERS_QUEUE;
use hostler_runtime::ports::{Clock, Outbound, Queues};
use hostler_runtime::serving::http::{HttpHandler, Request, Response};
use hostler_runtime::serving::relay_outbox;
use hostler_runtime::state::history::Fold;
use hostler_testkit::clock::Random;
use hostler_testkit::memory::{
    MemoryBus, MemoryControl, MemoryLeases, MemoryQueues, MemoryStore, MemoryViews, Received, Redrive,
    sqs_event,
};
use hostler_testkit::{SeededIds, TestClock};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

pub use chaos::{Chaos, Ended, Triaged};
pub use fleet::{Boot, Fleet, system_url};
pub use switch::{Bug, Fault, Rates, Switch};

pub use functions::APPROVAL_ABOVE;
use functions::{Functions, Ports, wire};
use ports::{Wired, WiredQueues};

/// What an invocation has for a batch.
const REMAINING: Duration = Duration::from_secs(30);
/// How many messages of a queue can be received at once, where order does not matter.
const ALL: usize = 1_000;
/// After how long a message comes once more, where messages do.
const COPY_AFTER_SECONDS: u16 = 30;
/// More than any journey needs.
const STEPS_MAX: usize = 50_000;

/// In which order what is on its way arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    OldestFirst,
    NewestFirst,
    /// Any order, the same for each run with this seed.
    Shuffled(u64),
}

/// How a site is set up.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    pub order: Order,
    /// Every message, stream batch and callback comes twice at once, and messages and callbacks late once more.
    pub duplicates: bool,
    /// How many messages a batch has at most.
    pub batch: usize,
    /// All that can be delivered is delivered at once, and calls let each other go first, by this seed.
    pub at_once: Option<u64>,
    /// What identifiers are made from.
    pub seed: u64,
    /// Breakers never open.
    pub breakers_off: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            order: Order::OldestFirst,
            duplicates: false,
            batch: 10,
            at_once: None,
            seed: 1,
            breakers_off: false,
        }
    }
}

/// A site.
pub struct Site {
    pub clock: TestClock,
    pub store: MemoryStore,
    pub bus: MemoryBus,
    pub queues: MemoryQueues,
    pub views: MemoryViews,
    pub control: MemoryControl,
    pub fleet: Fleet,
    pub switch: Switch,
    /// What ended up in dead-letter queues, by queue.
    pub dead: Vec<(String, Received)>,
    setup: Setup,
    random: Random,
    functions: Rc<Functions>,
    /// What the stream of the events table has not got rid of yet, and when it delivers it.
    outbox: Vec<OutboxRecord>,
    outbox_at: Option<Timestamp>,
    /// All that was sent to queues: queue and body.
    sent: Arc<Mutex<Vec<(String, String)>>>,
    commands: u32,
}

impl Site {
    pub fn new() -> Self {
        Self::with(Setup::default())
    }

    pub fn with(setup: Setup) -> Self {
        let switch = Switch::default();
        if let Some(seed) = setup.at_once {
            switch.let_others_go_first(seed);
        }
        let clock = TestClock::default();
        let dlq = |queue: &str| format!("{queue}-dlq");
        let names =
            functions::queues().into_iter().flat_map(|queue| [queue.name.to_owned(), dlq(queue.name)]);
        let queues = MemoryQueues::new(&clock, names.chain([Register::relay_failures()]));
        for queue in functions::queues() {
            queues.set_visibility(queue.name, queue.visibility_seconds);
            queues.set_redrive(queue.name, Redrive { to: dlq(queue.name), receives_max: 10 });
        }
        let bus = MemoryBus::default();
        let (store, views, control) =
            (MemoryStore::default(), MemoryViews::default(), MemoryControl::default());
        let (fleet, sent) = (Fleet::new(&switch), Arc::default());
        let functions = Rc::new(wire(Ports {
            store: Wired { twin: store.clone(), switch: switch.clone() },
            bus: Wired { twin: bus.clone(), switch: switch.clone() },
            queues: WiredQueues { twin: queues.clone(), switch: switch.clone(), sent: Arc::clone(&sent) },
            views: Wired { twin: views.clone(), switch: switch.clone() },
            control: Wired { twin: control.clone(), switch: switch.clone() },
            leases: Wired { twin: MemoryLeases::default(), switch: switch.clone() },
            bmcs: fleet.bmcs.clone(),
            clock: clock.clone(),
            ids: SeededIds::new(setup.seed),
            breakers_off: setup.breakers_off,
        }));
        let seed = if let Order::Shuffled(seed) = setup.order { seed } else { 0 };
        Self {
            clock,
            store,
            bus,
            queues,
            views,
            control,
            fleet,
            switch,
            dead: Vec::new(),
            setup,
            random: Random::new(seed),
            functions,
            outbox: Vec::new(),
            outbox_at: None,
            sent,
            commands: 0,
        }
    }

    /// Lets everything happen, until nothing is left to happen.
    pub async fn run(&mut self) {
        self.run_until(|_| false).await;
    }

    /// Lets things happen until this is so; says whether it ever was.
    pub async fn run_until(&mut self, is_so: impl Fn(&Self) -> bool) -> bool {
        for _ in 0..STEPS_MAX {
            if is_so(self) {
                return true;
            }
            if !self.step().await {
                return false;
            }
        }
        panic!("it never comes to rest at {}: {:#?}", self.clock.now(), self.sagas());
    }

    /// Lets one thing happen; nothing, when all is at rest.
    async fn step(&mut self) -> bool {
        let relay_first = !matches!(self.setup.order, Order::Shuffled(_)) || self.random.percent(50);
        if relay_first && self.relay().await {
            return true;
        }
        if self.deliver().await || self.relay().await {
            return true;
        }
        self.bury();
        self.call_back().await || self.pass_time()
    }

    async fn relay(&mut self) -> bool {
        let new = self.store.take_outbox_records();
        if !new.is_empty() {
            self.outbox_at = None;
            self.outbox.extend(new);
            if self.setup.order == Order::NewestFirst {
                self.outbox.reverse();
            }
        }
        if self.outbox.is_empty() || self.outbox_at.is_some_and(|at| at > self.clock.now()) {
            return false;
        }
        let mut relayed = None;
        for _ in 0..if self.setup.duplicates { 2 } else { 1 } {
            let relay = relay_outbox(&self.functions.registered.relay, &self.outbox);
            relayed = self.switch.invoke(relay).await;
        }
        if matches!(relayed, Some(Ok(_))) {
            self.outbox.clear();
        } else {
            self.outbox_at = Some(self.clock.now() + SignedDuration::from_secs(1));
        }
        true
    }

    /// Delivers what can be seen of one queue, or of all at once.
    async fn deliver(&mut self) -> bool {
        let mut turn: Vec<usize> = (0..self.functions.registered.readers.len()).collect();
        match self.setup.order {
            Order::OldestFirst => {}
            Order::NewestFirst => turn.reverse(),
            Order::Shuffled(_) => shuffle(&mut turn, &mut self.random),
        }
        let mut batches = Vec::new();
        for at in turn {
            let queue = self.functions.registered.readers[at].queue.name;
            let received = self.receive(queue);
            batches.extend(received.chunks(self.setup.batch).map(|batch| (at, batch.to_vec())));
            if self.setup.at_once.is_none() && !batches.is_empty() {
                break;
            }
        }
        if self.setup.at_once.is_some() {
            futures::future::join_all(batches.iter().map(|(at, batch)| self.invoke(*at, batch))).await;
        } else {
            for (at, batch) in &batches {
                self.invoke(*at, batch).await;
            }
        }
        !batches.is_empty()
    }

    fn receive(&mut self, queue: &str) -> Vec<Received> {
        match self.setup.order {
            Order::OldestFirst => self.queues.receive(queue, self.setup.batch),
            Order::NewestFirst => self.queues.receive(queue, ALL).into_iter().rev().collect(),
            Order::Shuffled(_) => {
                let mut received = self.queues.receive(queue, ALL);
                shuffle(&mut received, &mut self.random);
                received
            }
        }
    }

    async fn invoke(&self, at: usize, received: &[Received]) {
        let functions = &self.functions.registered;
        let reader = &functions.readers[at];
        let (queue, batch, handler) = (reader.queue.name, &reader.batch, functions.handler(reader));
        let event = || sqs_event(queue, received);
        let response = self.switch.invoke(batch.handle(event(), REMAINING, &*handler)).await;
        // A function that died reports nothing: its messages come back after their visibility timeout.
        let Some(response) = response else { return };
        // Timers multiply at their owner's only: twice at each of their hops would be thousands in the end.
        // The same goes for what waits by sending copies of itself.
        let waiting = received.iter().any(|message| message.attributes.contains_key("deferredSince"));
        let duplicates = self.setup.duplicates && queue != TIMERS_QUEUE && !waiting;
        if duplicates {
            self.switch.invoke(batch.handle(event(), REMAINING, &*handler)).await;
        }
        for message in received {
            let failed = response.batch_item_failures.iter().any(|f| f.item_identifier == message.message_id);
            if failed {
                continue;
            }
            self.queues.delete(queue, &message.receipt);
            if duplicates && !message.attributes.contains_key("copy") {
                let copy = Outbound {
                    body: message.body.clone(),
                    delay_seconds: COPY_AFTER_SECONDS,
                    attributes: [("copy".to_owned(), "yes".to_owned())].into(),
                };
                assert!(self.queues.send(queue, &[copy]).await[0].is_ok());
            }
        }
    }

    /// Dead letters are put aside: nothing here handles them.
    fn bury(&mut self) {
        for queue in self.queues.names().into_iter().filter(|name| name.ends_with("-dlq")) {
            for letter in self.queues.receive(&queue, 1_000) {
                self.queues.delete(&queue, &letter.receipt);
                self.dead.push((queue.clone(), letter));
            }
        }
    }

    async fn call_back(&mut self) -> bool {
        let now = self.clock.now();
        self.fleet.look(now);
        let Some(call) = self.fleet.take_call(now) else { return false };
        match self.http(&call.request).await {
            Some(answer) if answer.status < 500 => {
                if self.setup.duplicates {
                    self.http(&call.request).await;
                    self.fleet.replay(&call, now);
                }
            }
            _ => self.fleet.call_again(call, now),
        }
        true
    }

    fn pass_time(&mut self) -> bool {
        let retry_at = self.outbox_at.filter(|_| !self.outbox.is_empty());
        let next =
            [self.queues.next_visible_at(), self.fleet.next_call_at(), retry_at].into_iter().flatten().min();
        let Some(next) = next else { return false };
        assert!(next > self.clock.now(), "what is due was not delivered: {:?}", self.queues.names());
        self.clock.set(next);
        true
    }

    /// Asks the HTTP function; none when it died.
    pub async fn http(&self, request: &Request) -> Option<Response> {
        self.switch.invoke(self.functions.accept_commands.answer(request)).await
    }

    /// Gives a command as an operator does: under a key of its own, again until there is an answer.
    pub async fn command(&mut self, kind: &str, body: Value) -> Response {
        self.commands += 1;
        let request = Request {
            method: "POST".to_owned(),
            path: format!("/commands/{kind}"),
            headers: [("idempotency-key".to_owned(), format!("command-{}", self.commands))].into(),
            body: body.to_string(),
            caller: Some("operator".to_owned()),
            ..Request::default()
        };
        for _ in 0..10 {
            match self.http(&request).await {
                Some(answer) if answer.status < 500 => {
                    if self.setup.duplicates {
                        let again = self.http(&request).await.unwrap();
                        assert!(again.status == answer.status, "{again:?} after {answer:?}");
                    }
                    return answer;
                }
                _ => self.clock.advance_seconds(1),
            }
        }
        panic!("nobody answers {kind}");
    }

    /// As [`Self::command`], and it is accepted.
    pub async fn accepted(&mut self, kind: &str, body: Value) -> Response {
        let answer = self.command(kind, body).await;
        assert_eq!(answer.status, 202, "{kind}: {}", answer.body);
        answer
    }

    /// Enrols a host of the pool `web`.
    pub async fn enrol(&mut self, host: &str, labels: &[(&str, &str)]) {
        self.fleet.add(host);
        let rack = host.bytes().next_back().unwrap_or_default() % 3;
        let labels: serde_json::Map<String, Value> =
            labels.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
        let command = json!({
            "host": host, "pool": "web", "sku": "cpu", "faultDomain": format!("rack-{rack}"),
            "bmc": { "systemUrl": system_url(host) }, "labels": labels,
        });
        self.accepted("enrol-host", command).await;
    }

    /// Requests hosts for the pool `web`; the sagas are `<request>.1` and so on.
    pub async fn request(&mut self, request: &str, count: u32) {
        let command = json!({
            "request": request, "pool": "web", "role": "web-server", "image": "debian-13", "count": count,
        });
        self.accepted("request-hosts", command).await;
    }

    pub async fn cancel(&mut self, saga: &str) -> Response {
        let saga = format!("provisioning#{saga}");
        self.command("cancel-saga", json!({ "saga": saga, "reason": "not needed" })).await
    }

    /// Asks the read side.
    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> Response {
        let query = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let request =
            Request { method: "GET".to_owned(), path: path.to_owned(), query, ..Request::default() };
        self.functions.registered.queries.answer(&request).await
    }

    /// A stream's state, folded from its first commit on.
    pub fn fold<D: Decider>(&self, stream: &StreamId) -> Fold<D> {
        let mut fold = Fold::default();
        for commit in self.store.commits(stream) {
            fold.apply(&commit).unwrap();
        }
        fold
    }

    pub fn host(&self, host: &str) -> HostState {
        self.fold::<HostDecider>(&format!("host#{host}").parse().unwrap()).state
    }

    pub fn phase(&self, host: &str) -> &'static str {
        self.host(host).phase.name()
    }

    pub fn saga(&self, saga: &str) -> ProvisioningState {
        self.fold::<ProvisioningSaga>(&format!("provisioning#{saga}").parse().unwrap()).state
    }

    pub fn status(&self, saga: &str) -> &'static str {
        self.saga(saga).status.name()
    }

    /// The sagas and how they stand.
    pub fn sagas(&self) -> Vec<(String, ProvisioningState)> {
        let sagas = self.store.streams().into_iter();
        let sagas = sagas.filter(|stream| stream.category() == ProvisioningSaga::CATEGORY);
        sagas.map(|stream| (stream.key().to_owned(), self.saga(stream.key()))).collect()
    }

    /// How often an event of this type was recorded.
    pub fn count(&self, event_type: &str) -> usize {
        let commits = self.store.outbox_since(0);
        commits
            .iter()
            .flat_map(|commit| &commit.events)
            .filter(|event| event.event_type == event_type)
            .count()
    }
}

fn shuffle<T>(items: &mut [T], random: &mut Random) {
    for at in (1..items.len()).rev() {
        let other = usize::try_from(random.below(at as u64 + 1)).unwrap();
        items.swap(at, other);
    }
}
