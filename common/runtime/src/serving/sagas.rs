//! Runs an application's sagas: each message is one reaction of one saga.

use hostler_core::mutants;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::time::Duration;

use async_trait::async_trait;
use hostler_core::saga::{
    self, AnswerChild, CompensateSaga, Saga, SagaCommand, SagaDefinition, SagaInput, SagaRef, SagaRefusal,
    SagaStatus, StartSaga, StepReply,
};
use hostler_core::{Failure, Incoming};

use crate::messages::batch::Handler;
use crate::state::shell::{Cause, ExecuteError, Executed, Shell};

/// How long a message waits that this build cannot decide on: until a build is deployed that can.
const FAULT_WAIT: Duration = Duration::from_secs(60);

/// All sagas of an application, by their kinds. They are asked and answered on one queue, [`hostler_core::saga::SAGAS_QUEUE`].
pub struct Sagas {
    shell: Shell,
    kinds: BTreeMap<&'static str, Box<dyn RunsKind>>,
}

impl Sagas {
    /// No kind yet.
    #[must_use]
    pub fn new(shell: Shell) -> Self {
        Self { shell, kinds: BTreeMap::new() }
    }

    /// One more kind. Its definition is checked: a plan that could wait for ever, or that asks nobody, must not start.
    ///
    /// # Errors
    /// What is wrong with the definition.
    pub fn with<D: SagaDefinition>(mut self) -> Result<Self, SagaRefusal> {
        self.add::<D>()?;
        Ok(self)
    }

    pub(crate) fn add<D: SagaDefinition>(&mut self) -> Result<(), SagaRefusal> {
        saga::check::<D>()?;
        self.kinds.insert(D::KIND, Box::new(Kind::<D>(PhantomData)));
        Ok(())
    }
}

#[async_trait]
impl Handler for Sagas {
    async fn handle(&self, message: &Incoming) -> Result<(), Failure> {
        let (saga, heard) = match message {
            Incoming::Command(_) => {
                let command = message.command::<SagaCommand>()?;
                (command.saga().clone(), Heard::Command(command))
            }
            Incoming::Timer(timer) => (SagaRef::from(timer.stream.clone()), Heard::Timer(timer.name.clone())),
            Incoming::Event(_) => return Err(message.misplaced("a command to a saga, or its timer")),
        };
        let Some(kind) = self.kinds.get(saga.kind()) else {
            let why = format!(
                "sagas of kind {} are not run here, only {}: deploy a build that runs them",
                saga.kind(),
                self.kinds.keys().copied().collect::<Vec<_>>().join(", ")
            );
            return Err(Failure::deferred(FAULT_WAIT, why));
        };
        kind.hear(&self.shell, &saga, &Cause::of(message), heard).await
    }
}

/// What a saga hears.
enum Heard {
    Command(SagaCommand),
    Timer(String),
}

/// The sagas of one definition, whichever.
#[async_trait]
trait RunsKind: Send + Sync {
    async fn hear(&self, shell: &Shell, saga: &SagaRef, cause: &Cause, heard: Heard) -> Result<(), Failure>;
}

struct Kind<D>(PhantomData<D>);

impl<D: SagaDefinition> Kind<D> {
    fn input(heard: Heard) -> Result<SagaInput<D::Order>, Failure> {
        Ok(match heard {
            Heard::Timer(name) => SagaInput::Timer { name },
            Heard::Command(SagaCommand::Start(StartSaga { saga, order, parent })) => {
                let order = serde_json::from_value(order).map_err(|error| {
                    Failure::invalid(format!("{saga} cannot be started with this order: {error}"))
                })?;
                SagaInput::Start { saga, order, parent }
            }
            Heard::Command(SagaCommand::Answer(StepReply { answers, outcome, .. })) => {
                SagaInput::Answer { answers, outcome }
            }
            Heard::Command(SagaCommand::AnswerChild(AnswerChild { step, end, .. })) => {
                SagaInput::ChildEnded { step, end }
            }
            Heard::Command(SagaCommand::Compensate(CompensateSaga { parent, reason, .. })) => {
                SagaInput::Compensate { parent, reason }
            }
        })
    }
}

#[async_trait]
impl<D: SagaDefinition> RunsKind for Kind<D> {
    async fn hear(&self, shell: &Shell, saga: &SagaRef, cause: &Cause, heard: Heard) -> Result<(), Failure> {
        let input = Self::input(heard)?;
        let stream = saga.stream();
        match shell.execute::<Saga<D>>(stream, cause, &input).await {
            Ok(Executed { outcome, fold, .. }) => {
                let version = fold.version.0;
                tracing::info!(%stream, version, ?outcome, "saga reacted");
                // Whoever must see to it is told by the log as well: the event goes over the bus, which may be away.
                if matches!(fold.state.status, SagaStatus::Stuck { .. }) {
                    tracing::error!(%stream, version, sagas_stuck = 1, "a saga is stuck");
                }
                Ok(())
            }
            // The message is not acknowledged: acknowledged, a timer would be lost, and the saga would wait for ever.
            Err(ExecuteError::Refused(fault))
                if fault.is_fault() && !mutants::on("saga.drops-what-it-cannot-decide") =>
            {
                tracing::error!(%stream, %fault, "saga cannot go on with this build");
                Err(Failure::deferred(FAULT_WAIT, fault))
            }
            Err(ExecuteError::Refused(refusal)) => {
                tracing::warn!(%stream, %refusal, "saga refused");
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}
