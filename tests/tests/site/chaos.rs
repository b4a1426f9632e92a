//! A site on which many invocations are under way at a time, and everything goes wrong by chance: one thread, virtual
//! time, one seed.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::task::Poll;

use futures::FutureExt;
use futures::future::LocalBoxFuture;
use hostler_app::Register;
use hostler_core::saga::{Direction, SagaDefinition, SagaEvent, StepName};
use hostler_core::triage::{FAILURES_QUEUE, FailureDecider, FailureEvent, FailureState};
use hostler_core::{
    Category, CommandId, Commit, Decider, EventId, Incoming, Payload, StreamId, StreamVersion,
};
use hostler_domain::{HostDecider, HostPhase, HostState, Provisioning};
use hostler_events::{HostEvent, ProvisioningOrder};
use hostler_runtime::messages::batch::BatchResponse;
use hostler_runtime::messages::batch::REPLAY;

use super::fleet::Call;
use super::functions::queues;
use super::switch::INVOCATION;
use super::{
    Bug, Clock, HttpHandler, Outbound, OutboxRecord, Queues, REMAINING, Random, Rates, Received, Request,
    Response, Setup, SignedDuration, Site, TIMERS_QUEUE, Timestamp, Value, json, relay_outbox, shuffle,
    sqs_event, system_url,
};

/// How many invocations are under way at a time.
const FLIGHTS_MAX: usize = 6;
/// How many of a hundred messages are delivered once more although they were handled.
const DUPLICATES_PERCENT: u8 = 2;
/// How many records the stream delivers at a time.
const RELAY_MAX: usize = 100;
/// More steps than any run needs.
const STEPS_MAX: u64 = 3_000_000;

/// The ids of replayed events begin with this.
const REPLAYED: u128 = 0x0019_0000_0000_7000_0000_0000_0000_0000;
/// A message that nobody can read.
const POISON: &str = "[poison]";

/// An invocation that is under way.
struct Flight {
    id: u64,
    /// When the function is killed.
    killed_at: Option<Timestamp>,
    work: Work,
    future: LocalBoxFuture<'static, Answer>,
}

enum Work {
    Queue(&'static str, Vec<Received>),
    /// What came to the dead-letter queue of this one.
    Letters(&'static str, Vec<Received>),
    /// So many records, the oldest ones.
    Relay(usize),
    Callback(Box<Call>),
    Command(Request, u32),
}

impl Work {
    /// What it is done for.
    fn of(&self) -> &'static str {
        match self {
            Self::Queue(queue, _) => queue,
            Self::Letters(..) => "dead letters",
            Self::Relay(_) => "outbox",
            Self::Callback(_) | Self::Command(..) => "http",
        }
    }
}

enum Answer {
    Batch(BatchResponse),
    Relayed(bool),
    Http(Box<Response>),
}

/// How a run ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ended {
    pub completed: u64,
    pub compensated: u64,
    pub stuck: u64,
    pub steps: u64,
    pub commits: u64,
    pub triaged: Triaged,
    /// The same for each run with one seed.
    pub hash: u64,
}

/// What triage came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Triaged {
    pub failures: u64,
    pub retries: u64,
    pub quarantined: u64,
    pub resolved: u64,
    /// Those of them that no operator had to look at.
    pub by_itself: u64,
}

impl Triaged {
    /// The sum.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            failures: self.failures + other.failures,
            retries: self.retries + other.retries,
            quarantined: self.quarantined + other.quarantined,
            resolved: self.resolved + other.resolved,
            by_itself: self.by_itself + other.by_itself,
        }
    }
}

/// A site in chaos.
pub struct Chaos {
    pub site: Site,
    random: Random,
    flights: Vec<Flight>,
    invocations: u64,
    steps: u64,
    hash: DefaultHasher,
    /// Commands that are yet to be given, and when.
    orders: Vec<(Timestamp, Request, u32)>,
    ordered: u32,
    poison_percent: u8,
    replayed: u64,
    /// How many messages were delivered.
    pub delivered: u64,
    /// How many port calls were made, by what for.
    pub port_calls: BTreeMap<&'static str, u64>,
    /// Until when things go wrong.
    calm_at: Timestamp,
    calm: bool,
    model: Model,
}

impl Chaos {
    pub fn new(seed: u64, rates: Rates) -> Self {
        Self::with(seed, rates, false)
    }

    /// As [`Self::new`], with breakers or without.
    pub fn with(seed: u64, rates: Rates, breakers_off: bool) -> Self {
        let mut site = Site::with(Setup { seed, breakers_off, ..Setup::default() });
        for origin in Register::origins() {
            site.queues.set_visibility(&format!("{origin}-dlq"), 180);
        }
        site.switch.unleash(seed, rates, &site.clock);
        site.setup.order = super::Order::Shuffled(seed);
        let calm_at = site.clock.now() + SignedDuration::from_hours(6);
        let mut chaos = Self {
            site,
            random: Random::new(seed ^ 0x5eed),
            flights: Vec::new(),
            invocations: 0,
            steps: 0,
            hash: DefaultHasher::new(),
            orders: Vec::new(),
            ordered: 0,
            poison_percent: 0,
            replayed: 0,
            delivered: 0,
            port_calls: BTreeMap::new(),
            calm_at,
            calm: false,
            model: Model::default(),
        };
        // In some runs a dependency is away for an hour.
        if rates.throttle > 0 && seed.is_multiple_of(4) {
            let dependency =
                ["configuration", "monitoring", "bmc", "store"][usize::try_from(seed / 4 % 4).unwrap_or(0)];
            let from = chaos.site.clock.now() + SignedDuration::from_mins(40);
            chaos.site.switch.take_down(dependency, from, from + SignedDuration::from_hours(1));
        }
        // Where messages are given up soon, triage has more to do.
        chaos.give_up_after(if seed.is_multiple_of(3) { 3 } else { 30 });
        chaos
    }

    /// So many of a hundred messages are joined by one that nobody can read.
    pub fn poison(&mut self, percent: u8) {
        self.poison_percent = percent;
    }

    /// How often a message is received before it is a dead letter.
    pub fn give_up_after(&mut self, receives_max: u32) {
        for queue in queues().into_iter().map(|queue| queue.name).filter(|queue| *queue != FAILURES_QUEUE) {
            let to = format!("{queue}-dlq");
            self.site.queues.set_redrive(queue, super::Redrive { to, receives_max });
        }
        let to = format!("{FAILURES_QUEUE}-dlq");
        self.site.queues.set_redrive(FAILURES_QUEUE, super::Redrive { to, receives_max: 30 });
    }

    /// Enrols hosts at the beginning and requests hosts later, each command at a moment of its own; some requests are
    /// cancelled.
    pub fn plan(&mut self, hosts: u32, requests: u32, count: u32, cancels_percent: u8) {
        let begin = self.site.clock.now();
        for number in 0..hosts {
            let host = format!("h-{number}");
            self.site.fleet.add(&host);
            let body = json!({
                "host": host, "pool": "web", "sku": "cpu", "faultDomain": format!("rack-{}", number % 7),
                "bmc": { "systemUrl": system_url(&host) },
            });
            self.order(begin, 600, "enrol-host", &body);
        }
        let begin = begin + SignedDuration::from_mins(20);
        for number in 0..requests {
            let body = json!({
                "request": format!("r-{number}"), "pool": "web", "role": "web-server", "image": "debian-13",
                "count": count,
            });
            self.order(begin, 5_400, "request-hosts", &body);
            if self.random.percent(cancels_percent) {
                let body = json!({ "saga": format!("provisioning#r-{number}.1"), "reason": "not needed" });
                self.order(begin + SignedDuration::from_secs(10), 7_200, "cancel-saga", &body);
            }
        }
        self.orders.sort_by_key(|(at, _, _)| *at);
        self.orders.reverse();
    }

    /// From when on nothing goes wrong any more.
    pub fn calm_after(&mut self, hours: i64) {
        self.calm_at = self.site.clock.now() + SignedDuration::from_hours(hours);
    }

    fn order(&mut self, begin: Timestamp, within_seconds: u64, kind: &str, body: &Value) {
        let at = begin + SignedDuration::from_secs(self.random.below(within_seconds).cast_signed());
        self.ordered += 1;
        let key = format!("order-{}", self.ordered);
        let request = Request {
            method: "POST".to_owned(),
            path: format!("/commands/{kind}"),
            headers: [("idempotency-key".to_owned(), key)].into(),
            body: body.to_string(),
            caller: Some("operator".to_owned()),
            ..Request::default()
        };
        self.orders.push((at, request, 0));
    }

    /// Lets everything happen, checking after every step, until all is at rest; then checks the whole.
    pub async fn run(&mut self) -> Ended {
        loop {
            self.steps += 1;
            assert!(self.steps < STEPS_MAX, "it never comes to rest: {:#?}", self.site.sagas());
            if !self.calm && self.site.clock.now() >= self.calm_at {
                self.calm = true;
                self.site.switch.set_rates(Rates::default());
            }
            let went_on = self.poll_flights().await;
            self.model.check(&self.site);
            if !self.model.quarantined.is_empty() {
                self.operate();
            }
            // Twice: looking at a queue may have moved what is received too often to its dead letters.
            if !self.start_something() && !went_on && !self.start_something() && !self.pass_time() {
                break;
            }
        }
        self.site.check();
        self.model.check_end(&self.site);
        self.ended()
    }

    fn ended(&mut self) -> Ended {
        let mut ended = Ended {
            steps: self.steps,
            commits: self.model.commits as u64,
            triaged: self.model.triaged,
            ..Ended::default()
        };
        for (_, saga) in self.site.sagas() {
            match saga.status.name() {
                "completed" => ended.completed += 1,
                "compensated" => ended.compensated += 1,
                _ => ended.stuck += 1,
            }
        }
        for commit in self.site.store.outbox_since(0) {
            (commit.stream.to_string(), commit.version.0, commit.commit_id.to_string()).hash(&mut self.hash);
        }
        ended.hash = self.hash.finish();
        ended
    }

    /// Lets each invocation go on that does not stand still; says whether there was one.
    async fn poll_flights(&mut self) -> bool {
        let mut went_on = false;
        let mut at = 0;
        let now = self.site.clock.now();
        while at < self.flights.len() {
            let flight = &mut self.flights[at];
            let switch = &self.site.switch;
            if flight.killed_at.is_some_and(|killed_at| killed_at <= now) {
                let flight = self.flights.swap_remove(at);
                self.over(flight, None);
                went_on = true;
                continue;
            }
            if switch.stalled_until(flight.id).is_some_and(|until| until > now) {
                at += 1;
                continue;
            }
            went_on = true;
            switch.enter(flight.id);
            let before = switch.port_calls();
            let polled = poll_fn(|context| Poll::Ready(flight.future.poll_unpin(context))).await;
            *self.port_calls.entry(flight.work.of()).or_default() += switch.port_calls() - before;
            match polled {
                Poll::Ready(answer) => {
                    let flight = self.flights.swap_remove(at);
                    self.over(flight, Some(answer));
                }
                Poll::Pending if switch.is_doomed(flight.id) => {
                    let flight = self.flights.swap_remove(at);
                    self.over(flight, None);
                }
                Poll::Pending => at += 1,
            }
        }
        if !self.flights.is_empty() {
            // Whoever gave way is woken.
            tokio::task::yield_now().await;
        }
        went_on
    }

    /// What an invocation's end, or its death, means to whoever started it.
    fn over(&mut self, flight: Flight, answer: Option<Answer>) {
        self.site.switch.leave(flight.id);
        let now = self.site.clock.now();
        match (flight.work, answer) {
            (Work::Queue(queue, received), Some(Answer::Batch(response))) => {
                self.handled(queue, &received, &response)
            }
            (Work::Letters(origin, received), Some(Answer::Batch(response))) => {
                self.handled(&format!("{origin}-dlq"), &received, &response)
            }
            (Work::Relay(records), Some(Answer::Relayed(true))) => {
                // The stream may deliver a batch again that was relayed.
                if !self.random.percent(1) || self.calm {
                    self.site.outbox.drain(..records);
                }
            }
            (Work::Relay(_), _) => self.site.outbox_at = Some(now + SignedDuration::from_secs(1)),
            (Work::Callback(call), Some(Answer::Http(response))) if response.status < 500 => {
                if self.random.percent(3) && !self.calm {
                    self.site.fleet.replay(&call, now);
                }
            }
            (Work::Callback(call), _) => self.site.fleet.call_again(*call, now),
            (Work::Command(request, _), Some(Answer::Http(response))) if response.status < 500 => {
                let expected = [202, 404, 409].contains(&response.status);
                assert!(expected, "{}: {}", request.path, response.body);
            }
            (Work::Command(request, tries), _) => {
                assert!(tries < 1_000, "nobody answers {}", request.path);
                self.orders.push((now + SignedDuration::from_secs(5), request, tries + 1));
                self.orders.sort_by_key(|(at, _, _)| std::cmp::Reverse(*at));
            }
            // The messages come back after their visibility timeout.
            (Work::Queue(..) | Work::Letters(..), _) => {}
        }
    }

    fn handled(&mut self, queue: &str, received: &[Received], response: &BatchResponse) {
        let lost = self.site.switch.shows(Bug::AcknowledgeFailure, 1);
        for message in received {
            let failed = response.batch_item_failures.iter().any(|f| f.item_identifier == message.message_id);
            if failed && !lost {
                continue;
            }
            let again = queue != TIMERS_QUEUE && !self.calm && self.random.percent(DUPLICATES_PERCENT);
            if !again {
                self.site.queues.delete(queue, &message.receipt);
            }
        }
    }

    /// Starts one of the things that can be started now; says whether there was one.
    fn start_something(&mut self) -> bool {
        let now = self.site.clock.now();
        if self.flights.len() >= FLIGHTS_MAX {
            return false;
        }
        if self.orders.last().is_some_and(|(at, _, _)| *at <= now) {
            if let Some((_, request, tries)) = self.orders.pop() {
                self.http(request.clone(), Work::Command(request, tries));
            }
            return true;
        }
        let readers = self.site.functions.registered.readers.len();
        let mut turn: Vec<usize> = (0..readers + 3).collect();
        shuffle(&mut turn, &mut self.random);
        turn.into_iter().any(|at| match at.checked_sub(readers) {
            None => self.deliver(at),
            Some(0) => self.relay(),
            Some(1) => self.triage(),
            Some(_) => self.call_back(),
        })
    }

    fn fly(&mut self, work: Work, future: LocalBoxFuture<'static, Answer>) {
        self.invocations += 1;
        let now = self.site.clock.now();
        // What these two do is guarded by conditional writes, so that they may come back from the dead.
        let zombie =
            matches!(&work, Work::Queue("configure-host" | "monitor-host", _)) && self.random.percent(50);
        let killed_at = (!zombie).then(|| now + INVOCATION);
        self.flights.push(Flight { id: self.invocations, killed_at, work, future });
    }

    fn deliver(&mut self, at: usize) -> bool {
        let queue = self.site.functions.registered.readers[at].queue.name;
        let most = 1 + usize::try_from(self.random.below(10)).unwrap_or(0);
        let mut received = self.site.queues.receive(queue, most);
        if received.is_empty() {
            return false;
        }
        for message in &received {
            if message.body != POISON && queue != FAILURES_QUEUE && queue != TIMERS_QUEUE {
                self.delivered += 1;
                if self.poison_percent > 0 && self.random.percent(self.poison_percent) {
                    let message = Outbound { body: POISON.to_owned(), ..Outbound::default() };
                    let sent = self.site.queues.send(queue, &[message]).now_or_never();
                    assert!(sent.is_some_and(|results| results[0].is_ok()));
                }
            }
        }
        self.replay_some(queue, &received);
        shuffle(&mut received, &mut self.random);
        let (event, functions) = (sqs_event(queue, &received), std::rc::Rc::clone(&self.site.functions));
        let handler = functions.registered.handler(&functions.registered.readers[at]);
        let future = async move {
            let batch = &functions.registered.readers[at].batch;
            Answer::Batch(batch.handle(event, REMAINING, &*handler).await)
        };
        self.fly(Work::Queue(queue, received), future.boxed_local());
        true
    }

    fn relay(&mut self) -> bool {
        let now = self.site.clock.now();
        let mut new = self.site.store.take_outbox_records();
        for commit in new.iter_mut().filter_map(|record| record.commit.as_mut().ok()) {
            // Nobody publishes it, and copying it takes its time.
            commit.snapshot = None;
        }
        if !new.is_empty() {
            self.site.outbox.extend(new);
            // Now and then the stream lags, once in a long while for more than a day.
            if !self.calm && self.random.percent(2) {
                let seconds = if self.random.below(500) == 0 { 25 * 3_600 } else { self.random.below(600) };
                self.site.outbox_at = Some(now + SignedDuration::from_secs(seconds.cast_signed()));
            }
        }
        let flying = self.flights.iter().any(|flight| matches!(flight.work, Work::Relay(_)));
        if flying || self.site.outbox.is_empty() || self.site.outbox_at.is_some_and(|at| at > now) {
            return false;
        }
        self.site.outbox_at = None;
        let copy = |record: &OutboxRecord| OutboxRecord {
            position: record.position.clone(),
            commit: record.commit.clone(),
            raw: record.raw.clone(),
        };
        let records: Vec<OutboxRecord> = self.site.outbox.iter().take(RELAY_MAX).map(copy).collect();
        let (count, functions) = (records.len(), std::rc::Rc::clone(&self.site.functions));
        let future =
            async move { Answer::Relayed(relay_outbox(&functions.registered.relay, &records).await.is_ok()) };
        self.fly(Work::Relay(count), future.boxed_local());
        true
    }

    fn call_back(&mut self) -> bool {
        let now = self.site.clock.now();
        let Some(call) = self.site.fleet.take_call(now) else { return false };
        self.http(call.request.clone(), Work::Callback(Box::new(call)));
        true
    }

    fn http(&mut self, request: Request, work: Work) {
        let functions = std::rc::Rc::clone(&self.site.functions);
        let future = async move { Answer::Http(Box::new(functions.accept_commands.answer(&request).await)) };
        self.fly(work, future.boxed_local());
    }

    /// Now and then an event is replayed as if it were new: under another id, so that nobody knows it. It must change
    /// nothing, or the row that it is about.
    fn replay_some(&mut self, queue: &str, received: &[Received]) {
        if self.calm
            || !["run-sagas", "project-views", "configure-host", "monitor-host"].contains(&queue)
            || !self.random.percent(2)
        {
            return;
        }
        let message = received.iter().find(|message| !message.attributes.contains_key(REPLAY));
        let Some(message) = message.and_then(|message| Incoming::decode(&message.body).ok()) else { return };
        self.replayed += 1;
        let id = uuid::Uuid::from_u128(REPLAYED | u128::from(self.replayed));
        let body = match message {
            Incoming::Event(mut event) => {
                event.event_id = EventId(id);
                serde_json::to_string(&event)
            }
            Incoming::Command(mut command) => {
                command.command_id = CommandId(id);
                serde_json::to_string(&command)
            }
            Incoming::Timer(_) => return,
        };
        let mark = if self.site.switch.shows(Bug::ForgetReplay, 1) { "lost" } else { REPLAY };
        let copy = Outbound {
            body: body.unwrap(),
            delay_seconds: u16::try_from(self.random.below(900)).unwrap_or(0),
            attributes: [(mark.to_owned(), "true".to_owned())].into(),
        };
        let sent = self.site.queues.send(queue, &[copy]).now_or_never();
        assert!(sent.is_some_and(|results| results[0].is_ok()));
    }

    /// Delivers what came to one of the dead-letter queues.
    fn triage(&mut self) -> bool {
        for origin in Register::origins() {
            let queue = format!("{origin}-dlq");
            if self.site.queues.len(&queue) == 0 {
                continue;
            }
            let received = self.site.queues.receive(&queue, 10);
            if received.is_empty() {
                continue;
            }
            if self.site.switch.shows(Bug::LoseLetter, 1) {
                received.iter().for_each(|letter| self.site.queues.delete(&queue, &letter.receipt));
                continue;
            }
            let (event, functions) = (sqs_event(&queue, &received), std::rc::Rc::clone(&self.site.functions));
            let future = async move {
                Answer::Batch(functions.registered.triage.dead_letters(origin, event, REMAINING).await)
            };
            self.fly(Work::Letters(origin, received), future.boxed_local());
            return true;
        }
        false
    }

    /// An operator looks at what is quarantined, and has it tried again.
    fn operate(&mut self) {
        for (failure, category) in std::mem::take(&mut self.model.quarantined) {
            let body = json!({ "failure": failure, "reason": "seen to" });
            // What cannot be read now will not be read later.
            let kind = if category == Category::Validation { "discard-failure" } else { "retry-failure" };
            self.order(self.site.clock.now(), 600, kind, &body);
        }
        self.orders.sort_by_key(|(at, _, _)| std::cmp::Reverse(*at));
    }

    fn pass_time(&mut self) -> bool {
        let now = self.site.clock.now();
        self.site.fleet.look(now);
        let retry_at = self.site.outbox_at.filter(|_| !self.site.outbox.is_empty());
        let stalls = self.flights.iter().filter_map(|flight| self.site.switch.stalled_until(flight.id));
        let kills = self.flights.iter().filter_map(|flight| flight.killed_at);
        let order = self.orders.last().map(|(at, _, _)| *at);
        let next = [self.site.queues.next_visible_at(), self.site.fleet.next_call_at(), retry_at, order];
        let next = next.into_iter().flatten().chain(stalls).chain(kills).filter(|at| *at > now).min();
        let Some(next) = next else {
            assert!(self.flights.is_empty(), "an invocation waits for what never comes");
            return false;
        };
        self.site.clock.set(next);
        self.site.switch.wake();
        true
    }
}

/// How a saga was seen to be undone.
#[derive(Default)]
struct SagaCheck {
    /// Its steps, and what undoes each.
    undone_by: Vec<(StepName, Option<StepName>)>,
    begun: BTreeSet<StepName>,
    /// How many of its first steps may still be undone.
    left: usize,
}

/// What is known of the site from its commits alone, and must hold after every one of them.
#[derive(Default)]
struct Model {
    /// How many commits were looked at.
    commits: usize,
    /// How many images inserted were looked at.
    inserted: usize,
    failures: BTreeMap<StreamId, FailureState>,
    /// What an operator has not looked at yet.
    quarantined: Vec<(String, Category)>,
    /// The failures that an operator has looked at, and those that were handled without one.
    looked_at: BTreeSet<StreamId>,
    handled: BTreeSet<StreamId>,
    triaged: Triaged,
    versions: BTreeMap<StreamId, StreamVersion>,
    causes: BTreeSet<(StreamId, String)>,
    inserts: BTreeSet<String>,
    hosts: BTreeMap<StreamId, (HostState, bool)>,
    /// What each saga has yet to undo, in order.
    sagas: BTreeMap<StreamId, SagaCheck>,
}

impl Model {
    fn check(&mut self, site: &Site) {
        for commit in site.store.outbox_since(self.commits) {
            self.commits += 1;
            self.check_commit(&commit);
        }
        for (stream, version, commit_id) in site.switch.take_acknowledged() {
            let there = site.store.stored(&stream, version) == Some(commit_id);
            assert!(there, "{stream}@{version}: an acknowledged commit is lost");
        }
        let collision = site.switch.collision();
        assert!(collision.is_none(), "worked on by two at a time: {collision:?}");
        let inserted = site.fleet.bmcs.inserted.lock().unwrap();
        for image in &inserted[self.inserted..] {
            assert!(self.inserts.insert(image.clone()), "one effect per key: {image} was inserted twice");
        }
        self.inserted = inserted.len();
    }

    fn check_commit(&mut self, commit: &Commit) {
        let stream = &commit.stream;
        let version = self.versions.entry(stream.clone()).or_insert(StreamVersion::EMPTY);
        assert_eq!(commit.version, version.next(), "{stream}: versions without gaps");
        *version = commit.version;
        let cause = (stream.clone(), commit.causation_id.to_string());
        let replayed = commit
            .causation_id
            .as_str()
            .parse::<uuid::Uuid>()
            .is_ok_and(|id| id.as_u128() & !u128::from(u64::MAX) == REPLAYED);
        assert!(!replayed, "{stream}: a replayed event has changed something");
        assert!(self.causes.insert(cause), "{stream}: a cause commits once: {}", commit.causation_id);
        match stream.category() {
            "host" => self.check_host(commit),
            "provisioning" => self.check_saga(commit),
            "failure" => self.check_failure(commit),
            _ => {}
        }
    }

    /// A host is free only when it was cleaned since it was last written to, and is held by one saga at a time.
    fn check_host(&mut self, commit: &Commit) {
        let stream = &commit.stream;
        let (state, dirty) = self.hosts.entry(stream.clone()).or_default();
        for event in &commit.events {
            let event = HostEvent::from_data(&event.event_type, event.schema_version, &event.data).unwrap();
            match &event {
                HostEvent::Enrolled(_) | HostEvent::DeployStarted(_) => *dirty = true,
                HostEvent::Cleaned(_) => *dirty = false,
                HostEvent::Reserved(reserved) => {
                    let holder = state.reservation.as_ref();
                    let free = holder.is_none_or(|holder| *holder == reserved.saga);
                    assert!(free, "{stream}: held by two sagas at a time: {holder:?}");
                }
                _ => {}
            }
            *state = HostDecider::evolve(std::mem::take(state), &event);
        }
        assert!(state.phase != HostPhase::Available || !*dirty, "{stream}: free, and not cleaned");
    }

    /// A failure is open, or it was dealt with; what is dealt with needs nobody's help in between.
    fn check_failure(&mut self, commit: &Commit) {
        let state = self.failures.entry(commit.stream.clone()).or_default();
        for event in &commit.events {
            let event =
                FailureEvent::from_data(&event.event_type, event.schema_version, &event.data).unwrap();
            match &event {
                FailureEvent::Recorded { .. } => self.triaged.failures += 1,
                FailureEvent::Quarantined { category, .. } => {
                    self.triaged.quarantined += 1;
                    self.quarantined.push((commit.stream.key().to_owned(), *category));
                    self.looked_at.insert(commit.stream.clone());
                }
                FailureEvent::Resent { why: None, .. } => self.triaged.retries += 1,
                FailureEvent::Resolved { .. } => {
                    self.triaged.resolved += 1;
                    if !self.looked_at.contains(&commit.stream) && self.handled.insert(commit.stream.clone())
                    {
                        self.triaged.by_itself += 1;
                    }
                }
                _ => {}
            }
            *state = FailureDecider::evolve(std::mem::take(state), &event);
        }
    }

    /// What is undone is undone in the reverse order of the plan, and each compensation is of a step that had begun.
    fn check_saga(&mut self, commit: &Commit) {
        let stream = &commit.stream;
        let saga = self.sagas.entry(stream.clone()).or_default();
        for event in &commit.events {
            let event = SagaEvent::<ProvisioningOrder>::from_data(
                &event.event_type,
                event.schema_version,
                &event.data,
            )
            .unwrap();
            match event {
                SagaEvent::Started { version, order, .. } => {
                    let plan = Provisioning::plan(version, &order).unwrap();
                    saga.undone_by =
                        plan.steps().map(|step| (step.full_name(), step.undone_by_name())).collect();
                    saga.left = saga.undone_by.len();
                }
                SagaEvent::StepStarted { step, direction: Direction::Forward, .. } => {
                    saga.begun.insert(step);
                }
                SagaEvent::StepStarted { step, direction: Direction::Back, .. } => {
                    let of =
                        |(_, undone_by): &(StepName, Option<StepName>)| undone_by.as_ref() == Some(&step);
                    let place = saga.undone_by.iter().position(of).unwrap();
                    assert!(place <= saga.left, "{stream}: compensations in reverse: {step} comes late");
                    saga.left = place;
                    let begun = |(name, _): &&(StepName, Option<StepName>)| saga.begun.contains(name);
                    let had_begun = saga.undone_by.iter().filter(|step| of(step)).find(begun).is_some();
                    assert!(had_begun, "{stream}: {step} undoes what had not begun");
                }
                _ => {}
            }
        }
    }

    /// No acknowledged commit is lost: what was handed out is what is stored.
    fn check_end(&self, site: &Site) {
        for (stream, state) in &self.failures {
            assert!(state.is_settled(), "{stream} is dealt with in the end: {state:#?}");
        }
        for commit in site.store.outbox_since(0) {
            let stored = site.store.commits(&commit.stream);
            let there = stored.iter().any(|stored| stored.commit_id == commit.commit_id);
            assert!(there, "{}@{}: an acknowledged commit is lost", commit.stream, commit.version);
        }
    }
}
