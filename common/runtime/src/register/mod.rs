//! The register: what an application consists of. All that lists things reads it.
//!
//! An application implements [`Application`] once. Each reader asks for the part that it needs, so that a function links
//! no more than what it uses.

mod entity;
mod function;
mod operations;
mod own;
mod sagas;

use std::marker::PhantomData;
use std::sync::Arc;

use hostler_core::saga::{SagaOperation, SagaRefusal};
use hostler_core::triage::FailureOperation;
use hostler_core::{Decider, Incoming, OperatorCommands};

use crate::messages::ordering::OrderingKeys;
use crate::messages::relay::Relay;
use crate::operations::flow::{Consumers, Depths, Watch};
use crate::operations::triage::{KeyOf, Triage};
use crate::ports::{Clock, Control, EventBus, Queues};
use crate::serving::sagas::Sagas;
use crate::state::shell::Shell;

pub use entity::{Entity, Operated, Refused, SagaEntity, SagaEntry, Shown, Viewed, row};
pub use function::{Does, Function, Queue};
pub use operations::{Accept, Accepted, Asked, Operations, Rejected, operate};
pub use own::{Failures, Flows};
pub use sagas::CallBack;

/// The queue for operators' commands.
pub const COMMANDS_QUEUE: &str = "commands";

/// What an application consists of.
pub trait Application: 'static {
    /// The `source` of its events.
    const SOURCE: &'static str;
    /// What is deployed, each function once.
    const FUNCTIONS: &'static [Function];
    /// What operators may ask of it.
    type Operations: OperatorCommands;

    /// Names each of its entities and sagas once, in the order in which they are shown.
    fn entities(each: &mut impl Entities);
}

/// What looks at the entities of an application, one after another.
pub trait Entities {
    /// An entity that has a view.
    fn viewed<E: Viewed>(&mut self);

    /// An entity that nobody looks at.
    fn hidden<E: Entity>(&mut self);

    /// A saga: its view, and the queue of its timers, follow from its definition.
    fn saga<S: SagaEntry>(&mut self) {
        self.viewed::<SagaEntity<S>>();
    }
}

/// One entity, as data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Category {
    /// The category of its streams.
    pub name: &'static str,
    /// Its view, if it has one.
    pub view: Option<&'static str>,
    /// The queue to which its timers are delivered, if it sets any.
    pub timers_to: Option<&'static str>,
}

/// The register of an application, ready to be asked.
#[derive(Debug, Clone, Copy)]
pub struct Register<A>(PhantomData<A>);

impl<A: Application> Register<A> {
    /// Shows all entities: the application's, and then the runtime's own.
    pub fn visit(each: &mut impl Entities) {
        A::entities(each);
        each.viewed::<Failures>();
        each.hidden::<Flows>();
    }

    /// All categories of streams.
    #[must_use]
    pub fn categories() -> Vec<Category> {
        let mut categories = Categories(Vec::new());
        Self::visit(&mut categories);
        categories.0
    }

    /// The categories that have a view.
    #[must_use]
    pub fn viewed() -> Vec<&'static str> {
        Self::categories().into_iter().filter(|of| of.view.is_some()).map(|of| of.name).collect()
    }

    /// The function of this name.
    #[must_use]
    pub fn function(name: &str) -> Option<&'static Function> {
        A::FUNCTIONS.iter().find(|function| function.name == name)
    }

    /// The function that does this, if the application has one.
    #[must_use]
    pub fn that(does: Does) -> Option<&'static Function> {
        A::FUNCTIONS.iter().find(|function| function.does == does)
    }

    /// The queues, each with the function that reads it.
    pub fn queues() -> impl Iterator<Item = (&'static Queue, &'static Function)> {
        A::FUNCTIONS.iter().filter_map(|function| function.queue.as_ref().map(|queue| (queue, function)))
    }

    /// Where messages come from that could not be handled: triage reads `<origin>-dlq` of each.
    pub fn origins() -> impl Iterator<Item = &'static str> {
        let triaged = Self::queues().filter(|(_, function)| function.does != Does::Triage);
        triaged.map(|(queue, _)| queue.name).chain(Self::that(Does::Relay).map(|relay| relay.name))
    }

    /// The queues that flow control looks at, and how many consumers each has on a normal day.
    pub fn watched() -> impl Iterator<Item = (&'static str, u16)> {
        let watched = Self::queues().filter(|(_, function)| function.does != Does::Triage);
        watched.map(|(queue, _)| (queue.name, queue.consumers))
    }

    /// The dead-letter queue of the relay.
    #[must_use]
    pub fn relay_failures() -> String {
        crate::messages::batch::dead_letter_queue(
            Self::that(Does::Relay).map_or("relay-outbox", |relay| relay.name),
        )
    }

    /// The relay, which tells the views' queue of what moves.
    #[must_use]
    pub fn relay(bus: Arc<dyn EventBus>, queues: Arc<dyn Queues>, clock: Arc<dyn Clock>) -> Relay {
        let relay = Relay::new(bus, queues, clock, Self::relay_failures());
        match Self::that(Does::Views).and_then(|views| views.queue.as_ref()) {
            Some(queue) => relay.notifying(queue.name, Self::viewed()),
            None => relay,
        }
    }

    /// All its sagas; their definitions are checked.
    ///
    /// # Errors
    /// What is wrong with a definition.
    pub fn sagas(shell: Shell) -> Result<Sagas, SagaRefusal> {
        let mut found = Found { sagas: Sagas::new(shell), wrong: None };
        A::entities(&mut found);
        match found.wrong {
            None => Ok(found.sagas),
            Some(wrong) => Err(wrong),
        }
    }

    /// Triage, which keeps operators' commands about one thing in their order.
    #[must_use]
    pub fn triage(shell: Shell, queues: Arc<dyn Queues>, control: Arc<dyn Control>) -> Triage {
        let keys: [(&str, KeyOf); 1] = [(COMMANDS_QUEUE, subject::<A>)];
        let triage = Triage::new(shell, queues, OrderingKeys::new(control), keys);
        match Self::that(Does::Relay) {
            Some(relay) => triage.without_queue(relay.name),
            None => triage,
        }
    }

    /// Flow control over all queues.
    #[must_use]
    pub fn watch(
        shell: Shell,
        depths: Arc<dyn Depths>,
        consumers: Arc<dyn Consumers>,
        control: Arc<dyn Control>,
    ) -> Watch {
        let function = Self::that(Does::Flow).map_or("watch-flow", |flow| flow.name);
        Watch::new(function, shell, depths, consumers, control, Self::watched())
    }
}

/// What an operator's command is about; commands about the same keep their order.
#[must_use]
pub fn subject<A: Application>(message: &Incoming) -> Option<String> {
    fn of<C: OperatorCommands>(message: &Incoming) -> Option<Option<String>> {
        message.command::<C>().ok().map(|command| command.subject())
    }
    of::<A::Operations>(message)
        .or_else(|| of::<SagaOperation>(message))
        .or_else(|| of::<FailureOperation>(message))
        .flatten()
}

/// The sagas that were found, and the first that cannot be run.
struct Found {
    sagas: Sagas,
    wrong: Option<SagaRefusal>,
}

impl Entities for Found {
    fn viewed<E: Viewed>(&mut self) {}

    fn hidden<E: Entity>(&mut self) {}

    fn saga<S: SagaEntry>(&mut self) {
        if let Err(wrong) = self.sagas.add::<S::Definition>() {
            self.wrong.get_or_insert(wrong);
        }
    }
}

struct Categories(Vec<Category>);

impl Categories {
    fn add<E: Entity>(&mut self, view: Option<&'static str>) {
        let name = <E::Decider as Decider>::CATEGORY;
        self.0.push(Category { name, view, timers_to: E::TIMERS_TO });
    }
}

impl Entities for Categories {
    fn viewed<E: Viewed>(&mut self) {
        self.add::<E>(Some(E::VIEW));
    }

    fn hidden<E: Entity>(&mut self) {
        self.add::<E>(None);
    }
}
