//! The run of a world: what can begin begins, what is under way goes on, and when all is quiet time passes.

use std::time::Duration;

use futures::FutureExt;
use hostler_core::triage::FAILURES_QUEUE;
use hostler_core::{CommandId, EventId, Incoming};
use hostler_runtime::messages::batch::{REPLAY, dead_letter_queue};
use hostler_runtime::messages::relay::OutboxRecord;
use hostler_runtime::messages::timers::TIMERS_QUEUE;
use hostler_runtime::ports::{Clock, Outbound};
use hostler_runtime::register::Does;
use hostler_runtime::register::{Application, Register};
use hostler_runtime::serving::http::Request;
use hostler_runtime::serving::relay_outbox;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::invocations::{Answer, Work};
use super::ledger::REPLAYED;
use super::ports::STREAM;
use super::settings::Order;
use super::switch::Bug;
use super::{ChaosRates, World};
use crate::clock::Random;
use crate::memory::{Received, sqs_event};

/// What an invocation has for a batch.
const REMAINING: Duration = Duration::from_secs(30);
/// How many messages of a queue can be received at once, where order does not matter.
const ALL: usize = 1_000;
/// How many records the stream delivers at a time.
const RELAY_MAX: usize = 100;
/// How many invocations are under way at a time in chaos.
const AT_ONCE_MAX: usize = 6;
/// More steps than any run needs.
const STEPS_MAX: u64 = 3_000_000;
/// The same where things take time, for whole data centres.
const PACED_STEPS_MAX: u64 = 300_000_000;
/// A message that nobody can read.
const POISON: &str = "[poison]";

impl<A: Application> World<A> {
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
        loop {
            if self.step().await {
                continue;
            }
            match self.next_at().filter(|next| *next <= until) {
                Some(next) => self.pass_time(next),
                None => return self.pass_time(until),
            }
        }
    }

    /// Lets things happen until this is so; says whether it ever was.
    ///
    /// # Panics
    /// When it never comes to rest; in chaos, when an invariant is broken.
    pub async fn run_until(&mut self, is_so: impl Fn(&Self) -> bool) -> bool {
        loop {
            if is_so(self) {
                return true;
            }
            if !self.go_on().await {
                return false;
            }
        }
    }

    /// Lets one thing happen, or time pass until one can; says whether there was one.
    ///
    /// # Panics
    /// As [`Self::run_until`].
    pub async fn go_on(&mut self) -> bool {
        if self.step().await {
            return true;
        }
        match self.next_at() {
            Some(next) => {
                self.pass_time(next);
                true
            }
            None => {
                assert!(self.invocations.is_empty(), "an invocation waits for what never comes");
                false
            }
        }
    }

    /// Lets one thing happen that happens now.
    async fn step(&mut self) -> bool {
        self.steps += 1;
        let steps_max = if self.setup.pace.is_some() { PACED_STEPS_MAX } else { STEPS_MAX };
        if self.steps > steps_max {
            self.never_at_rest();
        }
        if self.chaos.is_none() {
            let mut begun = false;
            while self.begin() {
                begun = true;
            }
            return self.poll_invocations().await || begun;
        }
        self.calm_down();
        let went_on = self.poll_invocations().await;
        self.check_step();
        // Twice: looking at a queue may have moved what is received too often to its dead letters.
        self.begin() || went_on || self.begin()
    }

    fn never_at_rest(&self) -> ! {
        let waiting = self.queues.names().into_iter().map(|name| (self.queues.len(&name), name));
        let waiting: Vec<_> = waiting.filter(|(messages, _)| *messages > 0).collect();
        panic!("it never comes to rest; at {} there wait {waiting:?}", self.clock.now());
    }

    /// From some time on nothing goes wrong any more.
    fn calm_down(&mut self) {
        if let Some(running) = &mut self.chaos
            && !running.calm
            && self.clock.now() >= running.calm_at
        {
            running.calm = true;
            self.switch.set_rates(ChaosRates::CALM);
        }
    }

    /// How many invocations may be under way at a time.
    fn at_once_max(&self) -> usize {
        match (&self.chaos, self.setup.at_once) {
            (Some(_), _) => AT_ONCE_MAX,
            (None, Some(_)) => usize::MAX,
            (None, None) => 1,
        }
    }

    /// Begins one of the things that can begin now; says whether there was one.
    fn begin(&mut self) -> bool {
        let now = self.clock.now();
        if self.invocations.len() >= self.at_once_max() {
            return false;
        }
        if self.planned.last().is_some_and(|(at, _, _)| *at <= now) {
            if let Some((_, request, tries)) = self.planned.pop() {
                self.ask(request.clone(), Work::Command(request, tries));
            }
            return true;
        }
        let readers = self.builds[0].functions.readers.len();
        let mut turn: Vec<usize> = match self.setup.order {
            // The outbox, the queues, dead letters, and callbacks only when nothing else is on its way.
            Order::OldestFirst => std::iter::once(readers).chain(0..readers).collect(),
            Order::NewestFirst => std::iter::once(readers).chain((0..readers).rev()).collect(),
            Order::Shuffled(_) => (0..readers + 3).collect(),
        };
        match self.setup.order {
            Order::Shuffled(_) => shuffle(&mut turn, &mut self.random),
            Order::OldestFirst | Order::NewestFirst => turn.extend([readers + 1, readers + 2]),
        }
        turn.into_iter().any(|at| match at.checked_sub(readers) {
            None => self.deliver(at),
            Some(0) => self.relay(),
            Some(1) => self.triage(),
            Some(_) => self.take_call(),
        })
    }

    fn ask(&mut self, request: Request, work: Work) {
        let Some(edge) = self.live().edge else {
            panic!("the application takes no commands: register a function for them")
        };
        let future = async move { Answer::Http(Box::new(edge.answer(&request).await)) };
        self.invoke(work, future.boxed_local());
    }

    fn take_call(&mut self) -> bool {
        let Some(call) = self.callers.take() else { return false };
        self.ask(call.request.clone(), Work::Callback(Box::new(call)));
        true
    }

    fn relay(&mut self) -> bool {
        let now = self.clock.now();
        let relaying = self.invocations.iter().any(|invocation| matches!(invocation.work, Work::Relay(_)));
        let mut new = self.store.take_outbox_records();
        for commit in new.iter_mut().filter_map(|record| record.commit.as_mut().ok()) {
            // Nobody publishes it, and copying it takes its time.
            commit.snapshot = None;
        }
        if !new.is_empty() {
            if let (Some(pace), true, false) = (self.setup.pace, self.outbox.is_empty(), relaying) {
                self.outbox_at = Some(now + milliseconds(pace.stream_ms));
            }
            self.outbox.extend(new);
            if self.setup.order == Order::NewestFirst && !relaying {
                self.outbox.reverse();
            }
            // Now and then the stream lags, once in a long while for more than a day.
            if let Some(mut random) = self.switch.chance("the stream lags", "outbox", |rates| rates.lag) {
                let seconds = if random.below(500) == 0 { 25 * 3_600 } else { random.below(600) };
                self.outbox_at = Some(now + SignedDuration::from_secs(seconds.cast_signed()));
            }
        }
        let waits = self.outbox_at.is_some_and(|at| at > now) || self.switch.is_down(STREAM);
        if relaying || self.outbox.is_empty() || waits {
            return false;
        }
        self.outbox_at = None;
        let copy = |record: &OutboxRecord| OutboxRecord {
            position: record.position.clone(),
            commit: record.commit.clone(),
            raw: record.raw.clone(),
        };
        let records: Vec<OutboxRecord> = self.outbox.iter().take(RELAY_MAX).map(copy).collect();
        let (count, times) = (records.len(), if self.setup.duplicates { 2 } else { 1 });
        let functions = self.live().functions;
        let future = async move {
            let mut relayed = false;
            for _ in 0..times {
                relayed = relay_outbox(&functions.relay, &records).await.is_ok();
            }
            Answer::Relayed(relayed)
        };
        self.invoke(Work::Relay(count), future.boxed_local());
        true
    }

    /// Delivers what can be seen of one queue.
    fn deliver(&mut self, at: usize) -> bool {
        let queue = self.builds[0].functions.readers[at].queue.name;
        if !self.has_consumer(queue) {
            return false;
        }
        let (most, batch) = match (&self.chaos, self.setup.order) {
            (Some(_), _) => {
                let most = 1 + usize::try_from(self.random.below(10)).unwrap_or(0);
                (most, most)
            }
            (None, Order::OldestFirst) => (self.setup.batch, self.setup.batch),
            (None, Order::NewestFirst | Order::Shuffled(_)) => (ALL, self.setup.batch),
        };
        let mut received = self.queues.receive(queue, most);
        if received.is_empty() {
            return false;
        }
        if let Some(pace) = self.setup.pace {
            let until = self.clock.now() + milliseconds(pace.invocation_ms);
            self.at_work.entry(queue).or_default().push(until);
        }
        if self.chaos.is_some() {
            self.poison(queue, &received);
            self.replay_some(at, &received);
        }
        match self.setup.order {
            Order::OldestFirst => {}
            Order::NewestFirst => received.reverse(),
            Order::Shuffled(_) => shuffle(&mut received, &mut self.random),
        }
        for received in received.chunks(batch) {
            self.handle(at, received, |received| Work::Queue(queue, received));
        }
        true
    }

    /// Whether an invocation for this queue may begin.
    fn has_consumer(&mut self, queue: &'static str) -> bool {
        let Some(pace) = self.setup.pace else { return true };
        let now = self.clock.now();
        let at_work = self.at_work.entry(queue).or_default();
        at_work.retain(|until| *until > now);
        at_work.len() < pace.consumers
    }

    fn handle(&mut self, at: usize, received: &[Received], work: impl FnOnce(Vec<Received>) -> Work) {
        let queue = self.builds[0].functions.readers[at].queue.name;
        let (event, functions) = (sqs_event(queue, received), self.live().functions);
        let at = functions.readers.iter().position(|reader| reader.queue.name == queue);
        let at = at.expect("all builds have the same queues");
        let handler = functions.handler(&functions.readers[at]);
        let future = async move {
            let batch = &functions.readers[at].batch;
            Answer::Batch(batch.handle(event, REMAINING, &*handler).await)
        };
        self.invoke(work(received.to_vec()), future.boxed_local());
    }

    /// Delivers the same messages once more, before anybody knows that they were handled.
    pub(super) fn deliver_twice(
        &mut self,
        queue: &'static str,
        received: Vec<Received>,
        response: hostler_runtime::messages::batch::BatchResponse,
    ) {
        let at = self.builds[0].functions.readers.iter().position(|reader| reader.queue.name == queue);
        let at = at.expect("it was delivered before");
        self.handle(at, &received, |received| Work::Twice(queue, received, response));
    }

    /// Some messages are joined by one that nobody can read.
    fn poison(&mut self, queue: &str, received: &[Received]) {
        let percent = self.chaos.as_ref().map_or(0, |running| running.chaos.poison_percent);
        for message in received {
            if message.body != POISON && queue != FAILURES_QUEUE && queue != TIMERS_QUEUE {
                self.delivered += 1;
                if percent > 0 && self.random.percent(percent) {
                    self.put(queue, Outbound { body: POISON.to_owned(), ..Outbound::default() });
                }
            }
        }
    }

    /// Now and then an event is replayed as if it were new: under another id, so that nobody knows it. It must change
    /// nothing, or the row that it is about.
    fn replay_some(&mut self, at: usize, received: &[Received]) {
        let reader = &self.builds[0].functions.readers[at];
        let queue = reader.queue.name;
        if !matches!(reader.does, Does::Sagas | Does::Steps | Does::Views) {
            return;
        }
        let happens = self.switch.chance("a message is replayed", queue, |rates| rates.replay);
        let Some(mut random) = happens else { return };
        let message = received.iter().find(|message| !message.attributes.contains_key(REPLAY));
        let Some(message) = message.and_then(|message| Incoming::decode(&message.body).ok()) else { return };
        self.replayed += 1;
        let id = Uuid::from_u128(REPLAYED | u128::from(self.replayed));
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
        let mark = if self.switch.shows(Bug::ForgetReplay, 1) { "lost" } else { REPLAY };
        let copy = Outbound {
            body: body.unwrap(),
            delay_seconds: u16::try_from(random.below(900)).unwrap_or(0),
            attributes: [(mark.to_owned(), "true".to_owned())].into(),
        };
        self.put(queue, copy);
    }

    /// Delivers what came to one of the dead-letter queues, if the application has triage.
    fn triage(&mut self) -> bool {
        if Register::<A>::that(Does::Triage).is_none() {
            return false;
        }
        for origin in Register::<A>::origins() {
            let queue = dead_letter_queue(origin);
            if self.queues.len(&queue) == 0 {
                continue;
            }
            let received = self.queues.receive(&queue, self.setup.batch);
            if received.is_empty() {
                continue;
            }
            if self.switch.shows(Bug::LoseLetter, 1) {
                received.iter().for_each(|letter| self.queues.delete(&queue, &letter.receipt));
                continue;
            }
            let (event, functions) = (sqs_event(&queue, &received), self.live().functions);
            let future =
                async move { Answer::Batch(functions.triage.dead_letters(origin, event, REMAINING).await) };
            self.invoke(Work::Letters(origin, received), future.boxed_local());
            return true;
        }
        false
    }

    /// When the next thing happens. Whatever the world outside does by itself, it does now.
    fn next_at(&mut self) -> Option<Timestamp> {
        if let Some(outside) = &mut self.outside {
            outside();
        }
        let now = self.clock.now();
        // Where no more invocations can begin, a message waits for one that ends.
        let is_full = self.invocations.len() >= self.at_once_max();
        let message = if is_full { None } else { self.queues.next_visible_after(now) };
        let relay = self.outbox_at.into_iter().chain(self.switch.back_at(STREAM));
        let relay = relay.filter(|_| !self.outbox.is_empty());
        let planned = self.planned.last().map(|(at, _, _)| *at);
        let stalls =
            self.invocations.iter().filter_map(|invocation| self.switch.stalled_until(invocation.id));
        let kills = self.invocations.iter().filter_map(|invocation| invocation.killed_at);
        let next = [message, self.callers.next_at(), planned].into_iter().flatten();
        let consumers = self.at_work.values().flatten().copied();
        next.chain(relay).chain(stalls).chain(kills).chain(consumers).filter(|at| *at > now).min()
    }

    fn pass_time(&mut self, until: Timestamp) {
        self.clock.set(until);
        self.switch.wake();
    }
}

pub(super) fn milliseconds(milliseconds: u32) -> SignedDuration {
    SignedDuration::from_millis(i64::from(milliseconds))
}

pub(super) fn shuffle<T>(items: &mut [T], random: &mut Random) {
    for at in (1..items.len()).rev() {
        let other = usize::try_from(random.below(at as u64 + 1)).unwrap();
        items.swap(at, other);
    }
}
