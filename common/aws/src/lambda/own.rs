//! The functions that every application has, served by its register: what is left to a `main` is one line.

use hostler_core::Failure;
use hostler_core::saga::SAGAS_QUEUE;
use hostler_core::triage::FAILURES_QUEUE;
use hostler_runtime::effects::steps::StepWorker;
use hostler_runtime::messages::batch::Handler;
use hostler_runtime::messages::timers::TIMERS_QUEUE;
use hostler_runtime::operations::repair::Repair;
use hostler_runtime::register::{Application, Register};
use hostler_runtime::register::{COMMANDS_QUEUE, Does, Operations};
use hostler_runtime::serving::{
    AnswerQueries, CommandEdge, FireTimers, ProjectViews, relay_outbox, watch_flow,
};

use super::{Error, Function};
use crate::SettingsError;

impl Function {
    /// Starts a function of the application `A` by its name in the register.
    ///
    /// # Errors
    /// When the register has no such function, or a variable of the environment is wrong.
    pub async fn of<A: Application>(name: &'static str) -> Result<Self, Error> {
        if Register::<A>::function(name).is_none() {
            let known: Vec<&str> = A::FUNCTIONS.iter().map(|function| function.name).collect();
            return Err(
                format!("there is no function {name} in the register, only {}", known.join(", ")).into()
            );
        }
        Ok(Self::start(A::SOURCE, name).await?)
    }

    /// A variable of the environment that is the application's own, such as a key.
    ///
    /// # Errors
    /// [`SettingsError::Missing`] where it is absent or empty.
    pub fn variable(&self, name: &'static str) -> Result<String, SettingsError> {
        std::env::var(name).ok().filter(|text| !text.is_empty()).ok_or(SettingsError::Missing { name })
    }

    /// What carries out steps.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn worker(&self) -> Result<StepWorker, SettingsError> {
        Ok(StepWorker { shell: self.shell()?, once: self.once()?, breakers: self.breakers()? })
    }

    /// Does steps, from the queue of its own name.
    ///
    /// # Errors
    /// As [`Self::serve_queue`].
    pub async fn do_steps(self, handler: impl Handler) -> Result<(), Error> {
        let queue = self.name;
        self.serve_queue(queue, handler).await
    }

    /// Runs the application's sagas.
    ///
    /// # Errors
    /// When a definition is wrong; else as [`Self::serve_queue`].
    pub async fn run_sagas<A: Application>(self) -> Result<(), Error> {
        let sagas = Register::<A>::sagas(self.shell()?).map_err(Failure::invalid);
        let sagas = sagas.map_err(|wrong| Error::from(wrong.chain()))?;
        self.serve_queue(SAGAS_QUEUE, sagas).await
    }

    /// Takes operators' commands and outsiders' callbacks.
    ///
    /// # Errors
    /// As [`Self::serve_queue`].
    pub async fn take_commands(self, operations: Operations) -> Result<(), Error> {
        let function = self.keeping_order()?;
        let (shell, backpressure) = (function.shell()?, function.backpressure()?);
        let edge = CommandEdge { shell, backpressure, operations };
        function.serve_queue_and_http(COMMANDS_QUEUE, edge).await
    }

    /// Publishes what commits say.
    ///
    /// # Errors
    /// As [`Self::serve_outbox`].
    pub async fn relay<A: Application>(self) -> Result<(), Error> {
        let relay = Register::<A>::relay(self.bus()?, self.queues()?, self.clock());
        let relay = relay.keeping(self.internal_events()).signed_by(self.integrity());
        let relay = relay.scheduling(self.schedules());
        self.serve_outbox(async move |records| relay_outbox(&relay, records).await).await
    }

    /// Delivers timers.
    ///
    /// # Errors
    /// As [`Self::serve_queue`].
    pub async fn fire_timers(self) -> Result<(), Error> {
        let handler = FireTimers { clock: self.clock(), queues: self.queues()?, schedules: self.schedules() };
        self.serve_queue(TIMERS_QUEUE, handler).await
    }

    /// Keeps the read models.
    ///
    /// # Errors
    /// As [`Self::serve_queue`].
    pub async fn project_views<A: Application>(self) -> Result<(), Error> {
        let queue = Register::<A>::that(Does::Views).map_or(self.name, |views| views.name);
        let handler = ProjectViews::of::<A>(self.store()?, self.views()?);
        self.serve_queue(queue, handler).await
    }

    /// Answers questions.
    ///
    /// # Errors
    /// As [`Self::serve_http`].
    pub async fn answer_queries<A: Application>(self) -> Result<(), Error> {
        let handler = AnswerQueries::of::<A>(self.store()?, self.views()?);
        self.serve_http(handler).await
    }

    /// Deals with dead letters.
    ///
    /// # Errors
    /// As [`Self::serve_queue`].
    pub async fn triage<A: Application>(self) -> Result<(), Error> {
        debug_assert!(Register::<A>::queues().any(|(queue, _)| queue.name == FAILURES_QUEUE));
        let relay = Register::<A>::relay(self.bus()?, self.queues()?, self.clock());
        let relay = relay.keeping(self.internal_events()).signed_by(self.integrity());
        let repair = Repair::new(self.event_log()?, relay, self.control()?, self.clock());
        let triage = Register::<A>::triage(self.shell()?, self.queues()?, self.control()?);
        let triage = triage.signed_by(self.integrity()).publishing_on(self.bus()?);
        self.serve_triage(triage.repairing(repair)).await
    }

    /// Looks at the queues.
    ///
    /// # Errors
    /// As [`Self::serve_schedule`].
    pub async fn watch_flow<A: Application>(self) -> Result<(), Error> {
        let (depths, consumers) = (self.depths()?, self.consumers()?);
        let watch = Register::<A>::watch(self.shell()?, depths, consumers, self.control()?);
        let watch = watch.sharing(self.consumers_max()?);
        self.serve_schedule(async || watch_flow(&watch).await).await
    }
}
