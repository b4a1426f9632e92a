//! Effects on the outside world that no entity of the application records, such as a payment.
//!
//! An effect is named by its saga and step, not by the attempt: `effect#<saga kind>/<saga id>/<step>`. A second
//! attempt never repeats an effect that is done; it gets the recorded output. An effect that is undone before it is
//! done is never done. Each decision that ends an attempt carries the answer to the saga.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::decider::{Decider, Decision};
use crate::failure::Category;
use crate::ids::{InvalidId, StepId, StreamId};
use crate::saga::{Answers, SagaCommand, SagaRef, StepOutcome, StepReply};

mod event;
#[cfg(test)]
mod tests;

pub use event::{EffectEvent, Work};

/// The key of the effect that an attempt is about: the attempt's id is `<saga id>/<step>/<attempt>`, or
/// `<saga id>/undo-<step>/<attempt>`.
///
/// # Errors
/// [`InvalidId`] when the attempt is not the saga's, or the key is too long.
pub fn effect_key(saga: &SagaRef, step: &StepId) -> Result<String, InvalidId> {
    let own = step.as_str().strip_prefix(saga.id()).and_then(|rest| rest.strip_prefix('/'));
    let name = own.and_then(|rest| rest.rsplit_once('/')).map_or("", |(name, _attempt)| name);
    let name = name.strip_prefix("undo-").unwrap_or(name);
    crate::ids::check_id("step of the saga", name)?;
    let key = format!("{}/{}/{name}", saga.kind(), saga.id());
    StreamId::new(EffectDecider::CATEGORY, &key)?;
    Ok(key)
}

/// Decides on `effect#` streams.
#[derive(Debug, Clone, Copy)]
pub struct EffectDecider;

/// One attempt, and its saga.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asker {
    /// The saga, which is answered.
    pub saga: SagaRef,
    /// Its attempt.
    pub step: StepId,
    /// Whether the effect is to be done or undone.
    pub work: Work,
    /// Whether an outsider's callback ends the step. Then a finished effect is only a sign of life to the saga.
    pub by_callback: bool,
}

impl Asker {
    fn answer(&self, outcome: StepOutcome) -> SagaCommand {
        let answers = Answers::Attempt(self.step.clone());
        SagaCommand::Answer(StepReply { saga: self.saga.clone(), answers, outcome })
    }

    fn success(&self, output: &Value) -> SagaCommand {
        self.answer(match self.by_callback && self.work == Work::Do {
            true => StepOutcome::Alive,
            false => StepOutcome::Succeeded { output: output.clone() },
        })
    }
}

/// What an effect is told.
#[derive(Debug, Clone, PartialEq)]
pub struct EffectInput {
    /// Who asked.
    pub asker: Asker,
    /// What happened.
    pub told: Told,
}

/// What happened to an effect, as its worker says.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// Somebody asks for it. Where nothing is to be done, the recorded answer is given.
    Asked,
    /// The call is about to be made.
    Begins,
    /// It is done, or undone.
    Finished {
        /// What came of it.
        output: Value,
    },
    /// The call failed.
    Failed {
        /// Transient failures are worth another attempt.
        category: Category,
        /// Why.
        reason: String,
        /// Whether something may have been done all the same.
        uncertain: bool,
    },
    /// The call was not made, or found the dependency away.
    Deferred {
        /// When it is looked at again.
        until: Timestamp,
        /// Which dependency is away.
        reason: String,
        /// Whether the call was made.
        called: bool,
    },
}

/// How far an effect, or its compensation, has come.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EffectState {
    /// How many calls have begun. It numbers the next one.
    pub begun: u32,
    /// Whether a call has begun whose end is not known.
    pub open: bool,
    /// Whether an earlier call may have done it.
    pub doubtful: bool,
    /// What came of it, once it is done.
    pub output: Option<Value>,
    /// How far its undoing has come.
    pub undo: Undo,
}

/// How far the undoing of an effect has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Undo {
    /// Nobody asked for it.
    #[default]
    No,
    /// It has begun. The effect is never done from now on.
    Begun,
    /// It is undone, or was never done.
    Done,
}

impl EffectState {
    /// Whether there may be something to undo.
    #[must_use]
    pub fn may_be_done(&self) -> bool {
        self.open || self.doubtful || self.output.is_some()
    }

    /// Whether a call is to be made. Where not, the effect is told [`Told::Asked`], and answers.
    #[must_use]
    pub fn is_to_be_called(&self, work: Work) -> bool {
        match work {
            Work::Do => self.undo == Undo::No && self.output.is_none(),
            Work::Undo => match self.undo {
                Undo::No => self.may_be_done(),
                Undo::Begun => true,
                Undo::Done => false,
            },
        }
    }
}

/// Effects refuse nothing: a late request is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NeverRefused {}

type EffectDecision = Decision<EffectEvent, SagaCommand>;

impl Decider for EffectDecider {
    const CATEGORY: &'static str = "effect";
    const STATE_VERSION: u32 = 1;
    type State = EffectState;
    type Input = EffectInput;
    type Event = EffectEvent;
    type Command = SagaCommand;
    type Refusal = NeverRefused;

    fn decide(
        state: &EffectState,
        input: &EffectInput,
        _: Timestamp,
    ) -> Result<EffectDecision, NeverRefused> {
        let EffectInput { asker, told } = input;
        if !state.is_to_be_called(asker.work) {
            return Ok(not_called(state, asker, told));
        }
        let (step, work) = (asker.step.clone(), asker.work);
        let (event, answer) = match told.clone() {
            // The answer comes when the call ends.
            Told::Asked => return Ok(Decision::nothing()),
            Told::Begins => return Ok(Decision::events([EffectEvent::Begun { step, work }])),
            Told::Finished { output } => {
                let answer = asker.success(&output);
                let event = match work {
                    Work::Do => EffectEvent::Finished { step, output },
                    Work::Undo => EffectEvent::Undone { step },
                };
                (event, answer)
            }
            Told::Failed { category, reason, uncertain } => {
                let outcome = StepOutcome::Failed {
                    category,
                    reason: reason.clone(),
                    uncertain: uncertain || state.doubtful,
                };
                (EffectEvent::Failed { step, work, category, reason, uncertain }, asker.answer(outcome))
            }
            Told::Deferred { until, reason, called } => {
                let outcome = StepOutcome::Deferred { until, reason: reason.clone() };
                (EffectEvent::Deferred { step, work, until, reason, called }, asker.answer(outcome))
            }
        };
        Ok(Decision::events([event]).command(answer))
    }

    fn evolve(state: EffectState, event: &EffectEvent) -> EffectState {
        match event {
            EffectEvent::Begun { work: Work::Do, .. } => EffectState {
                begun: state.begun.saturating_add(1),
                // A call whose end is not known may have done it, whatever the next call does.
                doubtful: state.doubtful || state.open,
                open: true,
                ..state
            },
            EffectEvent::Begun { work: Work::Undo, .. } => {
                EffectState { begun: state.begun.saturating_add(1), undo: Undo::Begun, ..state }
            }
            EffectEvent::Finished { output, .. } => {
                // It was done after it was undone, so it has to be undone again.
                let undo = if state.undo == Undo::Done { Undo::Begun } else { state.undo };
                EffectState { open: false, output: Some(output.clone()), undo, ..state }
            }
            EffectEvent::Failed { work: Work::Do, uncertain, .. }
            | EffectEvent::Deferred { work: Work::Do, called: uncertain, .. } => {
                EffectState { open: false, doubtful: state.doubtful || *uncertain, ..state }
            }
            EffectEvent::Undone { .. } | EffectEvent::Revoked { .. } => {
                EffectState { undo: Undo::Done, ..state }
            }
            EffectEvent::Failed { work: Work::Undo, .. }
            | EffectEvent::Deferred { work: Work::Undo, .. }
            | EffectEvent::Refused { .. }
            | EffectEvent::Answered { .. } => state,
        }
    }
}

/// The answer where no call is to be made. What is recorded counts, whatever a call did that was overtaken.
fn not_called(state: &EffectState, asker: &Asker, told: &Told) -> EffectDecision {
    let (step, work) = (asker.step.clone(), asker.work);
    let refused = |reason: &str, uncertain| {
        let (category, reason) = (Category::Business, reason.to_owned());
        asker.answer(StepOutcome::Failed { category, reason, uncertain })
    };
    let (event, answer) = match (work, told) {
        (_, Told::Begins) => return Decision::nothing(),
        // A worker whose lease was taken over by the undoing.
        (Work::Do, Told::Finished { output }) if state.undo != Undo::No && state.output.is_none() => {
            let event = EffectEvent::Finished { step, output: output.clone() };
            (event, refused("it was done while it was being undone: undo it once more", true))
        }
        (Work::Do, _) => match &state.output {
            Some(output) if state.undo == Undo::No => {
                (EffectEvent::Answered { step, work }, asker.success(output))
            }
            _ => (
                EffectEvent::Refused { step },
                refused("it was asked for after it had been undone: nothing was done", false),
            ),
        },
        (Work::Undo, _) => {
            let event = match state.undo {
                Undo::Done => EffectEvent::Answered { step, work },
                Undo::No | Undo::Begun => EffectEvent::Revoked { step },
            };
            (event, asker.success(&Value::Null))
        }
    };
    Decision::events([event]).command(answer)
}
