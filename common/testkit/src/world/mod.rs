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
//!
//! Messages arrive one by one and in order, and nothing goes wrong, unless a test wants it otherwise: by a [`Setup`], at one
//! write ([`Switch::plan`]), or by chance ([`World::unleash`]).

mod ask;
mod callers;
mod chance;
mod check;
mod functions;
mod invocations;
mod ledger;
mod outages;
mod ports;
mod run;
mod settings;
mod switch;

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hostler_core::triage::FAILURES_QUEUE;
use hostler_runtime::messages::batch::Handler;
use hostler_runtime::messages::batch::{RECEIVES_MAX, dead_letter_queue};
use hostler_runtime::messages::relay::OutboxRecord;
use hostler_runtime::messages::timers::TIMERS_QUEUE;
use hostler_runtime::operations::flow::Backpressure;
use hostler_runtime::ports::{Clock, Schedules};
use hostler_runtime::register::{Application, Register};
use hostler_runtime::register::{Does, Operations};
use hostler_runtime::serving::CommandEdge;
use hostler_runtime::serving::http::{HttpHandler, Request};
use jiff::{SignedDuration, Timestamp};

use crate::clock::Random;
use crate::memory::{
    MemoryBus, MemoryControl, MemoryLeases, MemoryQueues, MemorySchedules, MemoryStore, MemoryViews, Redrive,
};
use crate::{SeededIds, TestClock};
use invocations::{Answer, Invocation, Work};
use ledger::Ledger;
use ports::{Skewed, Wired, WiredQueues, WiredSchedules};

pub use callers::Callers;
pub use chance::ChaosRates;
pub use check::{Ended, Ends, Reached};
pub use functions::{Functions, Ports, Reader};
pub use ledger::{Invariants, Triaged};
pub use outages::Outages;
pub use ports::{STORE, STREAM};
pub use settings::{Chaos, Order, Pace, Setup};
pub use switch::{Bug, Switch, WorkedOn, WriteFault};

/// How long a dead letter that triage has received stays invisible.
const DEAD_LETTER_VISIBILITY_SECONDS: u32 = 180;

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
    /// Where long timers wait.
    pub schedules: MemorySchedules,
    /// The read models.
    pub views: MemoryViews,
    /// Shared control state.
    pub control: MemoryControl,
    /// What has effects done once.
    pub leases: MemoryLeases,
    /// What is away, and for how long.
    pub outages: Outages,
    /// Who calls back, and when.
    pub callers: Callers,
    /// What lets calls of ports go wrong.
    pub switch: Switch,
    /// How many messages were delivered in chaos.
    pub delivered: u64,
    /// How many invocations there were, without those of a test's own questions.
    pub invoked: u64,
    /// How many calls of ports were made, by what for.
    pub port_calls: BTreeMap<&'static str, u64>,
    setup: Setup,
    ports: Ports,
    /// The application's own build, and others that are deployed in the run.
    builds: Vec<Wiring>,
    /// What is deployed when, in the order of time.
    deployments: Vec<Deployment>,
    ids: SeededIds,
    random: Random,
    invocations: Vec<Invocation>,
    /// Invocations that are over, and what they came to; nothing, when they died.
    ended: Vec<(Work, Option<Answer>)>,
    /// What was not relayed yet, and when it comes again.
    outbox: Vec<OutboxRecord>,
    outbox_at: Option<Timestamp>,
    /// Until when the consumers of each queue are at work, where that takes time.
    at_work: BTreeMap<&'static str, Vec<Timestamp>>,
    /// All that was sent to queues: queue and body.
    sent: Arc<Mutex<Vec<(String, String)>>>,
    posted: u32,
    /// Commands that are yet to be given, and when; the next one is the last.
    planned: Vec<(Timestamp, Request, u32)>,
    /// How many of each name were planned.
    given: BTreeMap<String, u64>,
    outside: Option<Box<dyn FnMut()>>,
    chaos: Option<Running>,
    replayed: u64,
    steps: u64,
    ledger: Ledger,
    invariants: Vec<Box<dyn Invariants>>,
    application: PhantomData<fn() -> A>,
}

/// A build of the application: the first is its own, others come by [`World::build`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Build(usize);

impl Build {
    /// The application's own, which runs where nothing else is deployed.
    pub const OWN: Self = Self(0);
}

/// The functions of a build.
#[derive(Clone)]
struct Wiring {
    functions: Rc<Functions>,
    edge: Option<Arc<dyn HttpHandler>>,
}

/// A build that takes the place of the one before: from a moment on some invocations are of the new one, later all.
struct Deployment {
    from: Timestamp,
    until: Timestamp,
    build: Build,
}

/// Chaos that goes on.
struct Running {
    chaos: Chaos,
    calm_at: Timestamp,
    calm: bool,
}

impl<A: Application> World<A> {
    /// The application with what its operators may ask for, and with the handlers of its step functions.
    ///
    /// # Panics
    /// When a definition of a saga is wrong, or a function is in the register and not given.
    #[must_use]
    pub fn new(operations: Operations, own: impl FnOnce(&Ports) -> Own) -> Self {
        Self::with(Setup::default(), operations, own)
    }

    /// The same, set up otherwise.
    ///
    /// # Panics
    /// As [`Self::new`].
    #[must_use]
    pub fn with(setup: Setup, operations: Operations, own: impl FnOnce(&Ports) -> Own) -> Self {
        Self::assemble(setup, |ports| with_command_edge::<A>(ports, operations, own(ports)))
    }

    /// The application with a function of its own for commands, which is given beside the handlers of its step functions.
    ///
    /// # Panics
    /// As [`Self::new`].
    #[must_use]
    pub fn with_edge<E>(setup: Setup, own: impl FnOnce(&Ports) -> (Arc<E>, Own)) -> Self
    where
        E: Handler + HttpHandler + 'static,
    {
        Self::assemble(setup, |ports| {
            let (edge, mut own) = own(ports);
            if let Some(function) = Register::<A>::that(Does::Commands) {
                own.push((function.name, edge.clone()));
            }
            (Some(edge as Arc<dyn HttpHandler>), own)
        })
    }

    fn assemble(setup: Setup, own: impl FnOnce(&Ports) -> (Option<Arc<dyn HttpHandler>>, Own)) -> Self {
        let clock = TestClock::default();
        let ids = SeededIds::new(setup.seed);
        let switch = Switch::new(&clock);
        if let Some(seed) = setup.at_once {
            switch.let_others_go_first(seed);
        }
        let queues = queues::<A>(&clock);
        if let Some(pace) = setup.pace {
            queues.set_transit(pace.queue_ms, setup.seed);
        }
        let schedules = MemorySchedules::new(&clock, &queues);
        let bus = MemoryBus::default();
        for (queue, function) in Register::<A>::queues().filter(|(_, function)| !function.events.is_empty()) {
            bus.subscribe(function.events, &queues, queue.name);
        }
        let (store, views, control) =
            (MemoryStore::default(), MemoryViews::default(), MemoryControl::default());
        let (leases, outages, callers) =
            (MemoryLeases::default(), Outages::new(&switch), Callers::new(&clock));
        let sent: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
        let wired_queues =
            WiredQueues { memory: queues.clone(), switch: switch.clone(), sent: Arc::clone(&sent) };
        let has_timers = queues.names().iter().any(|name| name == TIMERS_QUEUE);
        let wired_schedules = (has_timers && !setup.timers_hop).then(|| -> Arc<dyn Schedules> {
            let (memory, switch, sent) = (schedules.clone(), switch.clone(), Arc::clone(&sent));
            Arc::new(WiredSchedules { memory, switch, sent })
        });
        let ports = Ports {
            store: Arc::new(Wired { memory: store.clone(), switch: switch.clone() }),
            bus: Arc::new(Wired { memory: bus.clone(), switch: switch.clone() }),
            queues: Arc::new(wired_queues),
            schedules: wired_schedules,
            views: Arc::new(Wired { memory: views.clone(), switch: switch.clone() }),
            control: Arc::new(Wired { memory: control.clone(), switch: switch.clone() }),
            leases: Arc::new(Wired { memory: leases.clone(), switch: switch.clone() }),
            outages: outages.clone(),
            callers: callers.clone(),
            switch: switch.clone(),
            clock: Arc::new(Skewed { clock: clock.clone(), switch: switch.clone() }),
            ids: Arc::new(ids.clone()),
            breakers_off: setup.breakers_off,
        };
        let (edge, own) = own(&ports);
        let builds = vec![Wiring::of::<A>(&ports, edge, own)];
        let seed = if let Order::Shuffled(seed) = setup.order { seed } else { 0 };
        Self {
            clock,
            store,
            bus,
            queues,
            schedules,
            views,
            control,
            leases,
            outages,
            callers,
            switch,
            delivered: 0,
            invoked: 0,
            port_calls: BTreeMap::new(),
            setup,
            ports,
            builds,
            deployments: Vec::new(),
            ids,
            random: Random::new(seed),
            invocations: Vec::new(),
            ended: Vec::new(),
            outbox: Vec::new(),
            outbox_at: None,
            at_work: BTreeMap::new(),
            sent,
            posted: 0,
            planned: Vec::new(),
            given: BTreeMap::new(),
            outside: None,
            chaos: None,
            replayed: 0,
            steps: 0,
            ledger: Ledger::of::<A>(),
            invariants: Vec::new(),
            application: PhantomData,
        }
    }

    /// From here on things go wrong by chance, the same for each run with this seed, and after every step is checked what
    /// must hold. What a test asks for itself, such as [`Self::get`], is spared.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use hostler_testkit::World;
    /// # use hostler_testkit::world::{Chaos, Ended};
    /// # async fn run<A: hostler_runtime::register::Application>(mut world: World<A>, seed: u64) -> Ended {
    /// world.unleash(Chaos::seeded(seed));
    /// let order = serde_json::json!({ "order": "o-1" });
    /// world.post_later(Duration::ZERO, Duration::from_secs(3_600), "place-order", &order);
    /// world.run().await;
    /// world.check();
    /// world.ended()
    /// # }
    /// ```
    pub fn unleash(&mut self, chaos: Chaos) {
        for origin in Register::<A>::origins() {
            self.queues.set_visibility(&dead_letter_queue(origin), DEAD_LETTER_VISIBILITY_SECONDS);
        }
        self.give_up_after(chaos.receives_max);
        self.switch.unleash(chaos.seed, chaos.rates);
        self.ids.begin_anew(chaos.seed);
        self.setup.order = Order::Shuffled(chaos.seed);
        self.random = Random::new(chaos.seed ^ 0x5eed);
        let calm_at = self.clock.now() + SignedDuration::from_hours(i64::from(chaos.hours));
        self.chaos = Some(Running { chaos, calm_at, calm: false });
    }

    /// How often a message is received before it is a dead letter. What triage does itself is not given up soon.
    fn give_up_after(&self, receives_max: u32) {
        for (queue, _) in Register::<A>::queues() {
            let receives_max = if queue.name == FAILURES_QUEUE { RECEIVES_MAX } else { receives_max };
            self.queues.set_redrive(queue.name, Redrive { to: dead_letter_queue(queue.name), receives_max });
        }
    }

    /// Another build of the application, such as the one before: with other definitions of sagas, other handlers, and the same
    /// queues. This world's own application must know what all of them write.
    ///
    /// # Panics
    /// As [`Self::new`].
    pub fn build<B: Application>(
        &mut self,
        operations: Operations,
        own: impl FnOnce(&Ports) -> Own,
    ) -> Build {
        let (edge, own) = with_command_edge::<B>(&self.ports, operations, own(&self.ports));
        self.builds.push(Wiring::of::<B>(&self.ports, edge, own));
        Build(self.builds.len() - 1)
    }

    /// Deploys a build after so long: from then on each new invocation is of the build before or of this one, by chance, and
    /// after `takes` all are of this one. Later deployments are given later.
    ///
    /// # Panics
    /// When that is longer than time is.
    pub fn deploy(&mut self, build: Build, after: Duration, takes: Duration) {
        let from = self.clock.now() + SignedDuration::try_from(after).unwrap();
        let until = from + SignedDuration::try_from(takes).unwrap();
        self.deployments.push(Deployment { from, until, build });
    }

    /// The build that the next invocation is of.
    fn live(&mut self) -> Wiring {
        let now = self.clock.now();
        let begun = self.deployments.iter().take_while(|deployment| deployment.from <= now).count();
        let (before, newest) = match &self.deployments[..begun] {
            [] => (Build::OWN, None),
            [newest] => (Build::OWN, Some(newest)),
            [.., before, newest] => (before.build, Some(newest)),
        };
        let Build(live) = match newest {
            Some(newest) if now < newest.until && self.random.percent(50) => before,
            Some(newest) => newest.build,
            None => before,
        };
        self.builds[live].clone()
    }

    /// Invariants of the application's own, for chaos.
    pub fn must_hold(&mut self, invariants: impl Invariants + 'static) {
        self.invariants.push(Box::new(invariants));
    }

    /// What the world outside does by itself, whenever nothing is left to happen before time passes: such as to find that it
    /// was told something, and to call back later.
    pub fn outside(&mut self, acts: impl FnMut() + 'static) {
        self.outside = Some(Box::new(acts));
    }
}

/// The edge that takes an application's commands, beside the handlers of its own functions.
fn with_command_edge<A: Application>(
    ports: &Ports,
    operations: Operations,
    mut own: Own,
) -> (Option<Arc<dyn HttpHandler>>, Own) {
    let edge = Register::<A>::that(Does::Commands).map(|function| {
        let backpressure = Backpressure::new(ports.control.clone(), ports.clock.clone());
        let edge = Arc::new(CommandEdge { shell: ports.shell::<A>(), backpressure, operations });
        own.push((function.name, edge.clone()));
        edge as Arc<dyn HttpHandler>
    });
    (edge, own)
}

impl Wiring {
    fn of<A: Application>(ports: &Ports, edge: Option<Arc<dyn HttpHandler>>, mut own: Own) -> Self {
        if let Some(function) = Register::<A>::that(Does::Sagas) {
            let sagas = Register::<A>::sagas(ports.shell::<A>());
            let sagas = sagas.unwrap_or_else(|wrong| panic!("{wrong}"));
            own.push((function.name, Arc::new(sagas)));
        }
        Self { functions: Rc::new(Functions::of::<A>(ports, own)), edge }
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
