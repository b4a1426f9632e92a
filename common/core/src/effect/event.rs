//! What happens to an effect.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::contract::tagged_contracts;
use crate::failure::Category;
use crate::ids::StepId;

/// Doing or undoing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Work {
    /// The effect.
    Do,
    /// Its compensation.
    Undo,
}

/// What happened to an effect. Each names the attempt of the saga that it belongs to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum EffectEvent {
    /// It is about to be done, or undone. From now on that may have happened.
    Begun {
        /// The attempt.
        step: StepId,
        /// Which of the two.
        work: Work,
    },
    /// It is done. It is never done again.
    Finished {
        /// The attempt.
        step: StepId,
        /// What came of it.
        output: Value,
    },
    /// It is undone. It is never undone again.
    Undone {
        /// The attempt.
        step: StepId,
    },
    /// It failed.
    Failed {
        /// The attempt.
        step: StepId,
        /// Which of the two.
        work: Work,
        /// Transient failures are worth another attempt.
        category: Category,
        /// Why.
        reason: String,
        /// Whether this attempt may have done something all the same.
        uncertain: bool,
    },
    /// It waits, because a dependency is away.
    Deferred {
        /// The attempt.
        step: StepId,
        /// Which of the two.
        work: Work,
        /// When it is looked at again.
        until: Timestamp,
        /// Which dependency is away.
        reason: String,
        /// Whether the call was made before that was known.
        called: bool,
    },
    /// It was to be undone before it was ever done. This is a tombstone: it is never done from now on.
    Revoked {
        /// The attempt.
        step: StepId,
    },
    /// It was to be done after it was undone. It was not done.
    Refused {
        /// The attempt.
        step: StepId,
    },
    /// An earlier attempt has done or undone it already. This attempt gets the recorded answer.
    Answered {
        /// The attempt.
        step: StepId,
        /// Which of the two.
        work: Work,
    },
}

tagged_contracts! {
    EffectEvent as Event, "effect.", None, {
        "begun" => Begun,
        "finished" => Finished,
        "undone" => Undone,
        "failed" => Failed,
        "deferred" => Deferred,
        "revoked" => Revoked,
        "refused" => Refused,
        "answered" => Answered,
    }
}
