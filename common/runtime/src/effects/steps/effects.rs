//! Effects without an entity of their own: the runtime records them, once for each saga and step.

use hostler_core::effect::{Asker, EffectDecider, EffectInput, EffectState, Told, Work, effect_key};
use hostler_core::saga::SagaRef;
use hostler_core::{Category, Failure, StepId};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Begin, Step, StepError, StepWorker, Target, Wanted};
use crate::effects::breakers::Open;
use crate::effects::once::Fence;
use crate::state::shell::Cause;

/// A command of a saga that asks for an effect.
pub trait EffectCommand: Send + Sync {
    /// The saga, which is answered.
    fn saga(&self) -> &SagaRef;

    /// Its attempt.
    fn step(&self) -> &StepId;
}

/// Says of commands with the fields `saga` and `step` that they ask for effects.
///
/// ```
/// # use hostler_core::{StepId, saga::SagaRef};
/// pub struct ChargeCard {
///     pub saga: SagaRef,
///     pub step: StepId,
///     pub card: String,
/// }
///
/// hostler_runtime::effect_commands!(ChargeCard);
/// ```
#[macro_export]
macro_rules! effect_commands {
    ($($command:ty),+ $(,)?) => {$(
        impl $crate::effects::steps::EffectCommand for $command {
            fn saga(&self) -> &$crate::effects::steps::SagaRef {
                &self.saga
            }

            fn step(&self) -> &$crate::effects::steps::StepId {
                &self.step
            }
        }
    )+};
}

/// An effect on the outside world, such as a payment, and how it is undone.
///
/// Each is done once for a saga and step, however many attempts ask for it, and never after it was undone. What no record
/// can prevent is a worker that dies between the call and its record: the call is made again then. Hand [`Call::key`] to
/// whoever is called, so that it recognises the repeat, or ask it first whether the work is done.
pub trait Effect: Send + Sync {
    /// The command that asks for it.
    type Do: EffectCommand;
    /// The command that asks for its undoing; [`NoUndo`] where there is nothing to undo.
    type Undo: EffectCommand;
    /// What comes of it, for later steps and for the undoing.
    type Output: Serialize + DeserializeOwned + Send + Sync;

    /// The name of the effect in its key, the same for doing and undoing. Without it the effect is named after its step, and
    /// the compensation of `charge` must be called `undo-charge`: else a `do` that comes late is not known to be undone.
    const NAME: Option<&'static str> = None;

    /// Whether an outsider's callback answers the step, and not the end of [`Self::perform`].
    const ENDS_BY_CALLBACK: bool = false;

    /// What it calls, as the breakers know it: the most general first.
    fn dependencies(&self) -> Vec<String>;

    /// Does it.
    fn perform(
        &self,
        command: &Self::Do,
        call: &Call,
    ) -> impl Future<Output = Result<Self::Output, StepError>> + Send;

    /// Undoes it. `output` is what came of it; absent where nobody knows whether it was done, and then having nothing to
    /// undo is success.
    fn undo(
        &self,
        command: &Self::Undo,
        output: Option<Self::Output>,
        call: &Call,
    ) -> impl Future<Output = Result<(), StepError>> + Send;
}

/// One call of an effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The idempotency key: the same for each attempt of the saga at this step.
    pub key: String,
    /// The fencing token, for what can tell an older one from a newer one.
    pub fence: Fence,
}

/// The command of effects that are never undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoUndo {}

impl EffectCommand for NoUndo {
    fn saga(&self) -> &SagaRef {
        match *self {}
    }

    fn step(&self) -> &StepId {
        match *self {}
    }
}

impl StepWorker {
    /// Has an effect done, and its saga answered.
    ///
    /// # Errors
    /// As [`Self::run`]; [`Failure::Terminal`] for a command whose step is not its saga's.
    pub async fn perform<E: Effect>(
        &self,
        effect: &E,
        cause: &Cause,
        command: &E::Do,
    ) -> Result<(), Failure> {
        let key = key_of(command, E::NAME, Work::Do)?;
        self.run(&Doing { effect, key }, cause, command).await.map(drop)
    }

    /// Has an effect undone, if it may have been done, and its saga answered.
    ///
    /// # Errors
    /// As [`Self::perform`].
    pub async fn undo<E: Effect>(&self, effect: &E, cause: &Cause, command: &E::Undo) -> Result<(), Failure> {
        let key = key_of(command, E::NAME, Work::Undo)?;
        self.run(&Undoing { effect, key }, cause, command).await.map(drop)
    }
}

fn key_of(command: &impl EffectCommand, name: Option<&'static str>, work: Work) -> Result<String, Failure> {
    let (saga, step) = (command.saga(), command.step());
    let key = effect_key(saga, step).map_err(Failure::invalid)?;
    let prefix = format!("{}/{}/", saga.kind(), saga.id());
    let step_name = key.strip_prefix(&prefix).unwrap_or(&key);
    let Some(name) = name else {
        if work == Work::Undo && !step.as_str().contains(&format!("/undo-{step_name}/")) {
            let why = format!(
                "{step} undoes a step that its name does not tell: call the compensation undo-<step>, or give the effect a NAME"
            );
            return Err(Failure::invalid(why));
        }
        return Ok(key);
    };
    // What is done for a line of the order keeps the line.
    let line = step_name.split_once('.').map_or(String::new(), |(_, line)| format!(".{line}"));
    Ok(format!("{prefix}{name}{line}"))
}

struct Doing<'a, E> {
    effect: &'a E,
    key: String,
}

struct Undoing<'a, E> {
    effect: &'a E,
    key: String,
}

impl<E: Effect> Step<E::Do> for Doing<'_, E> {
    type Entity = EffectDecider;
    type Output = Value;

    fn target(&self, _: &E::Do) -> Target {
        target(&self.key, self.effect)
    }

    fn begin(&self, command: &E::Do, state: &EffectState) -> Option<Begin<EffectInput>> {
        begin(asker::<E>(command, Work::Do), state)
    }

    fn is_wanted(&self, command: &E::Do, state: &EffectState) -> Wanted<EffectInput> {
        wanted(asker::<E>(command, Work::Do), state)
    }

    async fn perform(&self, command: &E::Do, _: &EffectState, fence: Fence) -> Result<Value, StepError> {
        let output = self.effect.perform(command, &Call { key: self.key.clone(), fence }).await?;
        serde_json::to_value(output).map_err(|error| StepError {
            category: Category::Unknown,
            reason: format!("it was done, and its output cannot be written as JSON: {error}"),
            uncertain: true,
            outage: false,
        })
    }

    fn succeeded(&self, command: &E::Do, output: Value) -> Vec<EffectInput> {
        vec![EffectInput { asker: asker::<E>(command, Work::Do), told: Told::Finished { output } }]
    }

    fn failed(&self, command: &E::Do, error: &StepError) -> Option<EffectInput> {
        Some(failed(asker::<E>(command, Work::Do), error))
    }

    fn deferred(&self, command: &E::Do, open: &Open) -> Option<EffectInput> {
        Some(deferred(asker::<E>(command, Work::Do), open))
    }
}

impl<E: Effect> Step<E::Undo> for Undoing<'_, E> {
    type Entity = EffectDecider;
    type Output = ();

    fn target(&self, _: &E::Undo) -> Target {
        target(&self.key, self.effect)
    }

    fn begin(&self, command: &E::Undo, state: &EffectState) -> Option<Begin<EffectInput>> {
        begin(asker::<E>(command, Work::Undo), state)
    }

    fn is_wanted(&self, command: &E::Undo, state: &EffectState) -> Wanted<EffectInput> {
        wanted(asker::<E>(command, Work::Undo), state)
    }

    async fn perform(&self, command: &E::Undo, state: &EffectState, fence: Fence) -> Result<(), StepError> {
        let output = state.output.clone().map(serde_json::from_value).transpose();
        let output = output.map_err(|error| StepError {
            category: Category::Validation,
            reason: format!("what came of the effect cannot be read, and it was not undone: {error}"),
            uncertain: false,
            outage: false,
        })?;
        self.effect.undo(command, output, &Call { key: self.key.clone(), fence }).await
    }

    fn succeeded(&self, command: &E::Undo, (): ()) -> Vec<EffectInput> {
        let told = Told::Finished { output: Value::Null };
        vec![EffectInput { asker: asker::<E>(command, Work::Undo), told }]
    }

    fn failed(&self, command: &E::Undo, error: &StepError) -> Option<EffectInput> {
        Some(failed(asker::<E>(command, Work::Undo), error))
    }

    fn deferred(&self, command: &E::Undo, open: &Open) -> Option<EffectInput> {
        Some(deferred(asker::<E>(command, Work::Undo), open))
    }
}

fn target<E: Effect>(key: &str, effect: &E) -> Target {
    let dependencies = effect.dependencies();
    Target { dependencies, ..Target::of(key).leased(format!("effect/{key}")) }
}

fn asker<E: Effect>(command: &impl EffectCommand, work: Work) -> Asker {
    let (saga, step) = (command.saga().clone(), command.step().clone());
    Asker { saga, step, work, by_callback: E::ENDS_BY_CALLBACK }
}

/// Each call is recorded before it is made, the call after a worker's death or a wait as well: only so is it known whether
/// something may have been done.
fn begin(asker: Asker, state: &EffectState) -> Option<Begin<EffectInput>> {
    state.is_to_be_called(asker.work).then(|| Begin {
        part: format!("begun-{}", state.begun).into(),
        input: EffectInput { asker, told: Told::Begins },
    })
}

fn wanted(asker: Asker, state: &EffectState) -> Wanted<EffectInput> {
    match state.is_to_be_called(asker.work) {
        true => Wanted::Yes,
        false => Wanted::Record(EffectInput { asker, told: Told::Asked }),
    }
}

fn failed(asker: Asker, error: &StepError) -> EffectInput {
    let StepError { category, reason, uncertain, .. } = error.clone();
    EffectInput { asker, told: Told::Failed { category, reason, uncertain } }
}

fn deferred(asker: Asker, open: &Open) -> EffectInput {
    let (until, reason, called) = (open.until, open.to_string(), open.called);
    EffectInput { asker, told: Told::Deferred { until, reason, called } }
}
