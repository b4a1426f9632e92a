//! Steps of sagas: an implementor writes what a step does, the worker does all that is the same for every step.
//!
//! For each command the [`StepWorker`] takes the lease on what is worked on, asks whether the step is still wanted, asks the
//! breakers, performs the step, and records how it went on the entity's stream. A step that cannot be performed now is
//! recorded as deferred, so that its saga gives it more time, and its message waits without using up attempts.
//!
//! [`Step`] is for steps whose outcome an entity records, such as a host. [`Effect`] is for steps without an entity of their
//! own, such as a payment: the runtime then keeps the record.

mod effects;
mod error;

use std::borrow::Cow;

use hostler_core::{Decider, Failure, StreamId};
use tracing::Instrument;

use crate::effects::breakers::{BreakerOpen, Breakers, Called};
use crate::effects::once::{Fence, Once};
use crate::effects::under_lease::{Lease, Recorded};
use crate::state::history::Fold;
use crate::state::shell::{Cause, ExecuteError, Executed, Shell};

// For the macro.
#[doc(hidden)]
pub use hostler_core::{StepId, saga::SagaRef};

pub use effects::{Call, Effect, EffectCommand, NoUndo};
pub use error::StepError;

/// What a step is about, and what it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The key of the entity whose stream records the step.
    pub entity: String,
    /// What is worked on by one at a time; none for steps that change nothing outside.
    pub lease: Option<String>,
    /// What it calls, as the breakers know it: the most general first, such as `bmc` and then `bmc/h-1`.
    pub dependencies: Vec<String>,
}

impl Target {
    /// A step that this entity records. It needs no lease and calls nothing that may be away.
    pub fn of(entity: impl Into<String>) -> Self {
        Self { entity: entity.into(), lease: None, dependencies: Vec::new() }
    }

    /// Worked on by one at a time.
    #[must_use]
    pub fn leased(self, key: impl Into<String>) -> Self {
        Self { lease: Some(key.into()), ..self }
    }

    /// Calls this, too: the most general dependency is named first.
    #[must_use]
    pub fn calling(mut self, dependency: impl Into<String>) -> Self {
        self.dependencies.push(dependency.into());
        self
    }
}

/// Whether a step is still to be performed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted<I> {
    /// It is.
    Yes,
    /// It is not, and nobody waits for an answer: the command came late.
    No,
    /// It is not to be performed, and this is recorded: somebody waits for an answer.
    Record(I),
}

impl<I> Wanted<I> {
    /// Wanted if this holds.
    #[must_use]
    pub fn when(is_wanted: bool) -> Self {
        if is_wanted { Self::Yes } else { Self::No }
    }
}

/// What is recorded before a step is performed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begin<I> {
    /// The part of the command's cause under which it is recorded, so that it is recorded once.
    pub part: Cow<'static, str>,
    /// What the entity is told.
    pub input: I,
}

impl<I> Begin<I> {
    /// Recorded once for each command.
    pub fn once(input: I) -> Self {
        Self { part: Cow::Borrowed("started"), input }
    }
}

/// What the entity of a step is told.
pub type InputOf<D> = <D as Decider>::Input;

/// What one command has done. All but [`Self::perform`] is a pure function.
///
/// The methods are called in their order here. A function implements the trait once for each command that it carries out, and
/// hands the commands to [`StepWorker::run`].
pub trait Step<C>: Send + Sync {
    /// Whose stream records the step, and says in its commit how the saga is answered.
    type Entity: Decider;
    /// What performing comes to.
    type Output: Send;

    /// What the step is about, and what it needs.
    fn target(&self, command: &C) -> Target;

    /// What is recorded before anything outside is touched. A refusal ends the step: the entity has moved on.
    fn begin(
        &self,
        command: &C,
        state: &<Self::Entity as Decider>::State,
    ) -> Option<Begin<InputOf<Self::Entity>>> {
        let (_, _) = (command, state);
        None
    }

    /// Whether the step is still to be performed. Nobody else works on its target meanwhile, where it has a lease.
    fn is_wanted(
        &self,
        command: &C,
        state: &<Self::Entity as Decider>::State,
    ) -> Wanted<InputOf<Self::Entity>>;

    /// Does it. It is done again when the worker dies before the outcome is recorded. Devices that can tell an older fencing
    /// token from a newer one are handed `fence`; where the step has no lease it is the time.
    fn perform(
        &self,
        command: &C,
        state: &<Self::Entity as Decider>::State,
        fence: Fence,
    ) -> impl Future<Output = Result<Self::Output, StepError>> + Send;

    /// What the entity is told of success. The last input ends the step; those before are told as far as the entity still
    /// wants to know. Nothing is recorded of a step that somebody else's message ends.
    fn succeeded(&self, command: &C, output: Self::Output) -> Vec<InputOf<Self::Entity>>;

    /// What the entity is told of a failure. Without it nothing is recorded, and the message is tried again by its queue.
    fn failed(&self, command: &C, error: &StepError) -> Option<InputOf<Self::Entity>>;

    /// What the entity is told while the step waits for a dependency, so that its saga gives it more time. Without it
    /// nobody is told. The message waits in either case.
    fn deferred(&self, command: &C, open: &BreakerOpen) -> Option<InputOf<Self::Entity>>;
}

/// Carries out steps.
#[derive(Clone)]
pub struct StepWorker {
    /// Where entities are loaded and appended.
    pub shell: Shell,
    /// What has each target worked on by one at a time.
    pub once: Once,
    /// What leaves dependencies alone that are away.
    pub breakers: Breakers,
}

/// One command that is carried out.
struct Run<'a, C, S> {
    step: &'a S,
    cause: &'a Cause,
    command: &'a C,
    stream: &'a StreamId,
    target: &'a Target,
}

/// What was recorded, and the state as of then.
type Ended<D> = (Recorded, Option<<D as Decider>::State>);

impl StepWorker {
    /// Carries out one command, at most once for each cause. Gives the entity as it was when the outcome was recorded; none
    /// where nothing was recorded, now or before.
    ///
    /// # Errors
    /// [`Failure::Deferred`] while a dependency is away or somebody else is at work; else what kept the outcome from being
    /// recorded. A step that fails is no failure of its message, unless [`Step::failed`] says so.
    pub async fn run<C: Sync, S: Step<C>>(
        &self,
        step: &S,
        cause: &Cause,
        command: &C,
    ) -> Result<Option<<S::Entity as Decider>::State>, Failure> {
        let target = step.target(command);
        let stream = StreamId::new(S::Entity::CATEGORY, &target.entity).map_err(Failure::invalid)?;
        let span = tracing::info_span!("step", %stream, cause = cause.id.as_str());
        let run = Run { step, cause, command, stream: &stream, target: &target };
        self.under_lease(&run).instrument(span).await
    }

    async fn under_lease<C: Sync, S: Step<C>>(
        &self,
        run: &Run<'_, C, S>,
    ) -> Result<Option<<S::Entity as Decider>::State>, Failure> {
        let Some(key) = &run.target.lease else {
            let fold = self.shell.load::<S::Entity>(run.stream).await?;
            if self.shell.committed(run.stream, &fold, run.cause).await?.is_some() {
                tracing::info!("done before");
                return Ok(None);
            }
            return Ok(self.carry_out(run, fold, Fence::at(self.shell.now())).await?.1);
        };
        let lease = Lease { key, stream: run.stream, recorded_by: run.cause };
        let mut state = None;
        let work = async |fold, fence| {
            let recorded;
            (recorded, state) = self.carry_out(run, fold, fence).await?;
            Ok(recorded)
        };
        self.once.under_lease::<S::Entity>(&self.shell, &lease, work).await?;
        Ok(state)
    }

    async fn carry_out<C: Sync, S: Step<C>>(
        &self,
        run: &Run<'_, C, S>,
        mut fold: Fold<S::Entity>,
        fence: Fence,
    ) -> Result<Ended<S::Entity>, Failure> {
        let Run { step, command, .. } = run;
        if let Some(Begin { part, input }) = step.begin(command, &fold.state) {
            let part = run.cause.part(&part).map_err(Failure::invalid)?;
            match self.tell_from(run.stream, fold, &part, &input).await? {
                Some(begun) => fold = begun.fold,
                None => return Ok((Recorded::No, None)),
            }
        }
        let inputs = match step.is_wanted(command, &fold.state) {
            Wanted::Record(input) => vec![input],
            Wanted::No => {
                tracing::info!("late command: nothing to do");
                return Ok((Recorded::No, None));
            }
            Wanted::Yes => {
                let perform = async || step.perform(command, &fold.state, fence).await;
                let is_outage = |error: &StepError| error.outage;
                match self.breakers.call_through(&run.target.dependencies, is_outage, perform).await {
                    Ok(output) => step.succeeded(command, output),
                    Err(Called::Open(open)) => return Err(self.wait(run, fold, open).await),
                    Err(Called::Failed(error)) => match step.failed(command, &error) {
                        Some(input) => vec![input],
                        None => return Err(Failure::retryable(error)),
                    },
                }
            }
        };
        self.record(run, fold, inputs).await
    }

    /// Tells the entity how it went; the last input by the command's own cause, which ends the lease.
    async fn record<C, S: Step<C>>(
        &self,
        run: &Run<'_, C, S>,
        mut fold: Fold<S::Entity>,
        mut inputs: Vec<InputOf<S::Entity>>,
    ) -> Result<Ended<S::Entity>, Failure> {
        let Some(last) = inputs.pop() else { return Ok((Recorded::No, None)) };
        for (number, input) in inputs.iter().enumerate() {
            let part = run.cause.part(&format!("record-{number}")).map_err(Failure::invalid)?;
            fold = match self.tell_from(run.stream, fold, &part, input).await? {
                Some(told) => told.fold,
                None => self.shell.load(run.stream).await?,
            };
        }
        let told = self.tell_from(run.stream, fold, run.cause, &last).await?;
        Ok(told.map_or((Recorded::No, None), |told| (told.outcome.into(), Some(told.fold.state))))
    }

    /// Has the step wait, and its saga give it more time.
    async fn wait<C, S: Step<C>>(
        &self,
        run: &Run<'_, C, S>,
        fold: Fold<S::Entity>,
        open: BreakerOpen,
    ) -> Failure {
        let Some(input) = run.step.deferred(run.command, &open) else { return open.into() };
        let part = match run.cause.part(&format!("waits-{}", open.until.as_second())) {
            Ok(part) => part,
            Err(error) => return Failure::invalid(error),
        };
        match self.tell_from(run.stream, fold, &part, &input).await {
            Ok(_) => open.into(),
            Err(failure) => failure,
        }
    }

    /// Tells an entity something. A refusal means that the entity has moved on: it is logged, and nothing is left to do.
    ///
    /// # Errors
    /// Those of [`Shell::execute`], other than a refusal.
    pub async fn tell<D: Decider>(
        &self,
        stream: &StreamId,
        cause: &Cause,
        input: &D::Input,
    ) -> Result<Option<Executed<D>>, Failure> {
        told(stream, self.shell.execute::<D>(stream, cause, input).await)
    }

    /// The same from what is known of the entity.
    async fn tell_from<D: Decider>(
        &self,
        stream: &StreamId,
        fold: Fold<D>,
        cause: &Cause,
        input: &D::Input,
    ) -> Result<Option<Executed<D>>, Failure> {
        told(stream, self.shell.execute_from(stream, fold, cause, input).await)
    }
}

fn told<D: Decider>(
    stream: &StreamId,
    done: Result<Executed<D>, ExecuteError<D::Refusal>>,
) -> Result<Option<Executed<D>>, Failure> {
    match done {
        Ok(done) => Ok(Some(done)),
        Err(ExecuteError::Refused(refusal)) => {
            tracing::info!(%stream, %refusal, "the entity has moved on");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}
