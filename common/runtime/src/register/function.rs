//! What is deployed: functions, the queues that they read, and what they depend on.

use hostler_core::triage::FAILURES_QUEUE;

use super::COMMANDS_QUEUE;
use crate::messages::timers::TIMERS_QUEUE;

/// For how many seconds a message is hidden from others once it is received, unless a function says otherwise.
const VISIBILITY_SECONDS: u32 = 180;
/// How many consumers a queue has on a normal day, unless a function says otherwise.
const CONSUMERS: u16 = 20;

/// What a function is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Does {
    /// Takes operators' commands.
    Commands,
    /// Runs sagas.
    Sagas,
    /// Does steps: something in the outside world.
    Steps,
    /// Takes what other systems say, and tells it to those who decide.
    Signals,
    /// Publishes what commits say.
    Relay,
    /// Delivers timers.
    Timers,
    /// Keeps read models.
    Views,
    /// Answers questions.
    Queries,
    /// Deals with dead letters.
    Triage,
    /// Looks at the queues.
    Flow,
}

/// A queue that a function reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queue {
    /// Its logical name.
    pub name: &'static str,
    /// For how many seconds a message is hidden from others once it is received.
    pub visibility_seconds: u32,
    /// How many consumers it has on a normal day.
    pub consumers: u16,
}

/// A function that is deployed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Function {
    /// Its name; the folder of the function, too.
    pub name: &'static str,
    /// What it is there for.
    pub does: Does,
    /// The queue that it reads.
    pub queue: Option<Queue>,
    /// What it depends on in the outside world, each behind a breaker of this name.
    pub dependencies: &'static [&'static str],
    /// The types of events that the bus brings to its queue.
    pub events: &'static [&'static str],
    /// How often it is woken, where it is: as a schedule says it.
    pub schedule: Option<&'static str>,
}

impl Function {
    const fn new(name: &'static str, does: Does) -> Self {
        Self { name, does, queue: None, dependencies: &[], events: &[], schedule: None }
    }

    const fn reading(mut self, queue: &'static str) -> Self {
        self.queue =
            Some(Queue { name: queue, visibility_seconds: VISIBILITY_SECONDS, consumers: CONSUMERS });
        self
    }

    /// Takes operators' commands, over HTTP and from the queue `commands`.
    #[must_use]
    pub const fn commands(name: &'static str) -> Self {
        Self::new(name, Does::Commands).reading(COMMANDS_QUEUE)
    }

    /// Runs sagas, from the queue of its own name.
    #[must_use]
    pub const fn sagas(name: &'static str) -> Self {
        Self::new(name, Does::Sagas).reading(name)
    }

    /// Does steps, from the queue of its own name.
    #[must_use]
    pub const fn steps(name: &'static str) -> Self {
        Self::new(name, Does::Steps).reading(name)
    }

    /// Takes what other systems say, over HTTP and from this queue.
    #[must_use]
    pub const fn signals(name: &'static str, queue: &'static str) -> Self {
        Self::new(name, Does::Signals).reading(queue)
    }

    /// Publishes what commits say, from the stream of the events table.
    #[must_use]
    pub const fn relay(name: &'static str) -> Self {
        Self::new(name, Does::Relay)
    }

    /// Delivers timers, from the queue on which they wait.
    #[must_use]
    pub const fn timers(name: &'static str) -> Self {
        Self::new(name, Does::Timers).reading(TIMERS_QUEUE)
    }

    /// Keeps read models, from the queue of its own name.
    #[must_use]
    pub const fn views(name: &'static str) -> Self {
        Self::new(name, Does::Views).reading(name)
    }

    /// Answers questions, over HTTP.
    #[must_use]
    pub const fn queries(name: &'static str) -> Self {
        Self::new(name, Does::Queries)
    }

    /// Deals with dead letters, and reads the queue of failures.
    #[must_use]
    pub const fn triage(name: &'static str) -> Self {
        Self::new(name, Does::Triage).reading(FAILURES_QUEUE)
    }

    /// Looks at the queues as often as this schedule says.
    #[must_use]
    pub const fn flow(name: &'static str, schedule: &'static str) -> Self {
        let mut function = Self::new(name, Does::Flow);
        function.schedule = Some(schedule);
        function
    }

    /// Hides a message from others for so long once it is received.
    #[must_use]
    pub const fn visibility(mut self, seconds: u32) -> Self {
        if let Some(queue) = &mut self.queue {
            queue.visibility_seconds = seconds;
        }
        self
    }

    /// Has so many consumers on a normal day.
    #[must_use]
    pub const fn consumers(mut self, consumers: u16) -> Self {
        if let Some(queue) = &mut self.queue {
            queue.consumers = consumers;
        }
        self
    }

    /// Hears events of these types, from the bus by its queue.
    #[must_use]
    pub const fn hears(mut self, events: &'static [&'static str]) -> Self {
        self.events = events;
        self
    }

    /// Depends on these, each behind a breaker of its own.
    #[must_use]
    pub const fn needs(mut self, dependencies: &'static [&'static str]) -> Self {
        self.dependencies = dependencies;
        self
    }
}
