//! The functions of an application in one process, wired to ports by its register.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use hostler_runtime::effects::breakers::Breakers;
use hostler_runtime::effects::leases::Leases;
use hostler_runtime::effects::once::Once;
use hostler_runtime::effects::steps::StepWorker;
use hostler_runtime::messages::batch::{Batch, Handler};
use hostler_runtime::messages::ordering::OrderingKeys;
use hostler_runtime::messages::relay::Relay;
use hostler_runtime::operations::triage::Triage;
use hostler_runtime::ports::{Clock, Control, EventBus, EventStore, Ids, Queues, Schedules, Views};
use hostler_runtime::register::{Application, Register};
use hostler_runtime::register::{COMMANDS_QUEUE, Does, Function, Queue};
use hostler_runtime::serving::{AnswerQueries, FireTimers, ProjectViews};
use hostler_runtime::state::shell::Shell;

use super::{Callers, Outages, Switch};

/// What functions are wired to.
#[derive(Clone)]
pub struct Ports {
    /// The truth.
    pub store: Arc<dyn EventStore>,
    /// Where events are published.
    pub bus: Arc<dyn EventBus>,
    /// Where messages wait.
    pub queues: Arc<dyn Queues>,
    /// Where long timers wait; without, they hop on their queue.
    pub schedules: Option<Arc<dyn Schedules>>,
    /// The read models.
    pub views: Arc<dyn Views>,
    /// Shared control state.
    pub control: Arc<dyn Control>,
    /// What has effects done once.
    pub leases: Arc<dyn Leases>,
    /// What is away, for stand-ins of what steps call.
    pub outages: Outages,
    /// Who calls back, for stand-ins of outsiders.
    pub callers: Callers,
    /// What lets calls go wrong, for stand-ins of ports that the application has beside the runtime's.
    pub switch: Switch,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// What identifiers are made from.
    pub ids: Arc<dyn Ids>,
    /// Breakers never open.
    pub breakers_off: bool,
}

impl Ports {
    /// The shell of an application's functions.
    #[must_use]
    pub fn shell<A: Application>(&self) -> Shell {
        Shell::new(self.store.clone(), self.clock.clone(), self.ids.clone(), A::SOURCE)
    }

    /// What carries out steps, with breakers of its own, as each function has.
    #[must_use]
    pub fn worker<A: Application>(&self) -> StepWorker {
        let once = Once::new(self.leases.clone(), self.clock.clone(), self.ids.clone());
        let breakers = Breakers::new(self.control.clone(), self.clock.clone(), self.ids.clone());
        let breakers = if self.breakers_off { breakers.switched_off() } else { breakers };
        StepWorker { shell: self.shell::<A>(), once, breakers }
    }
}

/// A function that reads a queue.
pub struct Reader {
    /// The queue.
    pub queue: &'static Queue,
    /// What is done around every message.
    pub batch: Batch,
    pub(super) does: Does,
    handler: Arc<dyn Handler>,
}

/// All functions of an application. Those that are the runtime's are made here, by the register.
pub struct Functions {
    /// Publishes what commits say.
    pub relay: Relay,
    /// Answers questions.
    pub queries: AnswerQueries,
    /// Deals with dead letters.
    pub triage: Triage,
    /// Those that read queues, in the order of the register.
    pub readers: Vec<Reader>,
    projectors: Mutex<Vec<Arc<dyn Handler>>>,
    new_projector: Box<dyn Fn() -> Arc<dyn Handler> + Send + Sync>,
}

impl Functions {
    /// Wires the functions of the application `A`. Its own ones, which take commands, run sagas and do steps, are given by
    /// their names.
    ///
    /// # Panics
    /// When a function is in the register and not given, or given and not in the register.
    #[must_use]
    pub fn of<A: Application>(ports: &Ports, own: Vec<(&'static str, Arc<dyn Handler>)>) -> Self {
        let Ports { store, bus, queues, schedules, views, control, clock, ids, .. } = ports.clone();
        let mut own: BTreeMap<_, _> = own.into_iter().collect();
        let triage = Register::<A>::triage(ports.shell::<A>(), queues.clone(), control.clone());
        let triage = triage.publishing_on(bus.clone());
        let (store_of_views, views_of_views) = (store.clone(), views.clone());
        let new_projector = move || -> Arc<dyn Handler> {
            Arc::new(ProjectViews::of::<A>(store_of_views.clone(), views_of_views.clone()))
        };
        let mut handler = |function: &Function| -> Arc<dyn Handler> {
            match function.does {
                Does::Timers => Arc::new(FireTimers {
                    clock: clock.clone(),
                    queues: queues.clone(),
                    schedules: schedules.clone(),
                }),
                Does::Views => new_projector(),
                Does::Triage => Arc::new(triage.clone()),
                Does::Commands
                | Does::Sagas
                | Does::Steps
                | Does::Signals
                | Does::Relay
                | Does::Queries
                | Does::Flow => own
                    .remove(function.name)
                    .unwrap_or_else(|| panic!("{} is in the register, and was not given", function.name)),
            }
        };
        let reader = |(queue, function): (&'static Queue, &'static Function)| {
            let batch = Batch::new(function.name, queue.name, queues.clone(), clock.clone(), ids.clone());
            let ordering = || OrderingKeys::new(control.clone());
            let batch = if queue.name == COMMANDS_QUEUE { batch.in_order(ordering()) } else { batch };
            Reader { queue, batch, does: function.does, handler: handler(function) }
        };
        let readers = Register::<A>::queues().map(reader).collect();
        assert!(own.is_empty(), "not in the register: {:?}", own.keys());
        Self {
            relay: Register::<A>::relay(bus, queues.clone(), clock.clone()).scheduling(schedules.clone()),
            queries: AnswerQueries::of::<A>(store, views),
            triage,
            readers,
            projectors: Mutex::default(),
            new_projector: Box::new(new_projector),
        }
    }

    /// Who handles a batch of a reader. Functions that remember something do so in a process of their own, which has one
    /// invocation at a time, as on Lambda.
    #[must_use]
    pub fn handler(&self, reader: &Reader) -> Arc<dyn Handler> {
        if reader.does != Does::Views {
            return Arc::clone(&reader.handler);
        }
        let mut projectors = self.projectors.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = projectors.iter().find(|process| Arc::strong_count(process) == 1);
        if let Some(process) = idle {
            return process.clone();
        }
        let process = (self.new_projector)();
        projectors.push(process.clone());
        process
    }
}
