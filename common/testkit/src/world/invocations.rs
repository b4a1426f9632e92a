//! Invocations that are under way, and what their ends mean to whoever started them.

use std::future::poll_fn;
use std::task::{Context, Poll};

use futures::FutureExt;
use futures::future::LocalBoxFuture;
use hostler_runtime::messages::batch::{BatchResponse, dead_letter_queue};
use hostler_runtime::messages::timers::TIMERS_QUEUE;
use hostler_runtime::ports::{Clock, Outbound, Queues};
use hostler_runtime::register::Application;
use hostler_runtime::serving::http::{Request, Response};
use jiff::{SignedDuration, Timestamp};

use super::callers::Call;
use super::run::milliseconds;
use super::switch::{Bug, INVOCATION_TIME};
use super::{ChaosRates, World};
use crate::memory::Received;

/// After how long a message comes once more, where each does.
const COPY_AFTER_SECONDS: u16 = 30;
/// After how long the outbox comes again that could not be relayed, and a command that got no answer.
const RELAY_AGAIN: SignedDuration = SignedDuration::from_secs(1);
const POST_AGAIN: SignedDuration = SignedDuration::from_secs(5);
const POSTS_MAX: u32 = 1_000;

/// An invocation that is under way.
pub(super) struct Invocation {
    pub(super) id: u64,
    /// When the function is killed.
    pub(super) killed_at: Option<Timestamp>,
    pub(super) work: Work,
    future: LocalBoxFuture<'static, Answer>,
}

pub(super) enum Work {
    Queue(&'static str, Vec<Received>),
    /// The same messages once more, and what became of them the first time.
    Twice(&'static str, Vec<Received>, BatchResponse),
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
            Self::Queue(queue, _) | Self::Twice(queue, ..) => queue,
            Self::Letters(..) => "dead letters",
            Self::Relay(_) => "outbox",
            Self::Callback(_) | Self::Command(..) => "http",
        }
    }
}

pub(super) enum Answer {
    Batch(BatchResponse),
    Relayed(bool),
    Http(Box<Response>),
}

impl<A: Application> World<A> {
    pub(super) fn invoke(&mut self, work: Work, future: LocalBoxFuture<'static, Answer>) {
        let id = self.switch.next_invocation();
        self.invoked += 1;
        let killed_at = match &self.chaos {
            None => None,
            Some(running) => {
                let may_be_a_zombie =
                    matches!(&work, Work::Queue(queue, _) if running.chaos.zombies.contains(queue));
                let is_a_zombie = may_be_a_zombie && self.random.percent(50);
                (!is_a_zombie).then(|| self.clock.now() + INVOCATION_TIME)
            }
        };
        self.invocations.push(Invocation { id, killed_at, work, future });
    }

    /// Lets each invocation go on that does not stand still; says whether there was one. Without chaos one of them ends.
    pub(super) async fn poll_invocations(&mut self) -> bool {
        if self.invocations.is_empty() {
            return false;
        }
        let in_chaos = self.chaos.is_some();
        let went_on = poll_fn(|context| {
            let before = self.invocations.len();
            let went_on = self.poll_each(context);
            match in_chaos || self.invocations.len() < before {
                true => Poll::Ready(went_on),
                false => Poll::Pending,
            }
        })
        .await;
        // An end may be the beginning of something else.
        for (work, answer) in std::mem::take(&mut self.ended) {
            self.over(work, answer);
        }
        if in_chaos && !self.invocations.is_empty() {
            // Whoever gave way is woken.
            tokio::task::yield_now().await;
        }
        went_on
    }

    fn poll_each(&mut self, context: &mut Context<'_>) -> bool {
        let (mut went_on, mut at) = (false, 0);
        let now = self.clock.now();
        while let Some(invocation) = self.invocations.get_mut(at) {
            let switch = &self.switch;
            let killed = invocation.killed_at.is_some_and(|killed_at| killed_at <= now);
            if !killed && switch.stalled_until(invocation.id).is_some_and(|until| until > now) {
                at += 1;
                continue;
            }
            went_on = true;
            let mut answer = None;
            if !killed {
                switch.enter(invocation.id, invocation.work.of());
                let before = switch.port_calls();
                let polled = invocation.future.poll_unpin(context);
                *self.port_calls.entry(invocation.work.of()).or_default() += switch.port_calls() - before;
                match polled {
                    Poll::Ready(ended) => answer = Some(ended),
                    Poll::Pending if switch.is_doomed(invocation.id) => {}
                    Poll::Pending => {
                        at += 1;
                        continue;
                    }
                }
            }
            let Invocation { id, work, .. } = self.invocations.swap_remove(at);
            self.switch.leave(id);
            self.ended.push((work, answer));
        }
        went_on
    }

    /// What an invocation's end, or its death, means to whoever started it.
    fn over(&mut self, work: Work, answer: Option<Answer>) {
        let now = self.clock.now();
        match (work, answer) {
            (Work::Queue(queue, received), Some(Answer::Batch(response))) => {
                // Timers multiply at their owner's only: twice at each of their hops would be thousands in the end.
                // The same goes for what waits by sending copies of itself.
                let waits = received.iter().any(|message| message.attributes.contains_key("deferredSince"));
                if self.setup.duplicates && queue != TIMERS_QUEUE && !waits {
                    return self.deliver_twice(queue, received, response);
                }
                self.handled(queue, &received, &response);
            }
            (Work::Twice(queue, received, response), _) => {
                self.handled(queue, &received, &response);
                self.copy(queue, &received, &response);
            }
            (Work::Letters(origin, received), Some(Answer::Batch(response))) => {
                self.handled(&dead_letter_queue(origin), &received, &response);
            }
            (Work::Relay(records), Some(Answer::Relayed(true))) => {
                // The stream may deliver a batch again that was relayed.
                if !self.happens("a batch of the stream comes twice", "outbox", |rates| rates.twice / 2) {
                    self.outbox.drain(..records);
                }
                if let Some(pace) = self.setup.pace.filter(|_| !self.outbox.is_empty()) {
                    self.outbox_at = Some(now + milliseconds(pace.invocation_ms / pace.relays.max(1)));
                }
            }
            (Work::Relay(_), _) => self.outbox_at = Some(now + RELAY_AGAIN),
            (Work::Callback(call), Some(Answer::Http(response))) if response.status < 500 => {
                if self.setup.duplicates {
                    self.callers.replay(&call, true);
                }
                let twice = self.happens("a callback comes twice", "http", |rates| rates.twice * 3 / 2);
                if self.setup.duplicates || twice {
                    self.callers.replay(&call, false);
                }
            }
            (Work::Callback(call), _) => self.callers.again(*call),
            (Work::Command(request, _), Some(Answer::Http(response))) if response.status < 500 => {
                let expected = [202, 404, 409].contains(&response.status);
                assert!(expected, "{}: {}", request.path, response.body);
            }
            (Work::Command(request, tries), _) => {
                assert!(tries < POSTS_MAX, "nobody answers {}", request.path);
                self.plan(now + POST_AGAIN, request, tries + 1);
            }
            // The messages come back after their visibility timeout.
            (Work::Queue(..) | Work::Letters(..), _) => {}
        }
    }

    fn handled(&mut self, queue: &str, received: &[Received], response: &BatchResponse) {
        let lost = self.switch.shows(Bug::AcknowledgeFailure, 1);
        for message in received {
            if is_failed(response, message) && !lost {
                continue;
            }
            let again =
                queue != TIMERS_QUEUE && self.happens("a message comes twice", queue, |rates| rates.twice);
            if !again {
                self.queues.delete(queue, &message.receipt);
            }
        }
    }

    /// Where every message comes twice, it comes late once more.
    fn copy(&mut self, queue: &str, received: &[Received], response: &BatchResponse) {
        for message in received.iter().filter(|message| !is_failed(response, message)) {
            if !message.attributes.contains_key("copy") {
                let copy = Outbound {
                    body: message.body.clone(),
                    delay_seconds: COPY_AFTER_SECONDS,
                    attributes: [("copy".to_owned(), "yes".to_owned())].into(),
                };
                self.put(queue, copy);
            }
        }
    }

    /// Puts a message on a queue, past what may go wrong.
    pub(super) fn put(&self, queue: &str, message: Outbound) {
        let sent = self.queues.send(queue, &[message]).now_or_never();
        assert!(sent.is_some_and(|results| results[0].is_ok()), "{queue} takes it");
    }

    /// Whether this goes wrong here, by chance.
    pub(super) fn happens(&self, what: &'static str, place: &str, rate: impl Fn(&ChaosRates) -> u64) -> bool {
        self.switch.chance(what, place, rate).is_some()
    }
}

fn is_failed(response: &BatchResponse, message: &Received) -> bool {
    response.batch_item_failures.iter().any(|failure| failure.item_identifier == message.message_id)
}
