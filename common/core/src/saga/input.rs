//! What a saga is asked or told, and the names in it.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::event::SagaEvent;
use crate::envelope::Actor;
use crate::failure::Category;
use crate::ids::{InvalidId, StreamId};

/// The longest name of a step, in bytes.
const STEP_NAME_BYTES_MAX: usize = 40;

/// The name of a step in its plan.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct StepName(Cow<'static, str>);

impl StepName {
    /// A name that is written in the code.
    #[must_use]
    pub const fn of(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }

    /// A name that somebody said; it is looked up in the plan.
    #[must_use]
    pub fn said(name: &str) -> Self {
        Self(Cow::Owned(name.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn is_sound(&self) -> bool {
        let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        (1..=STEP_NAME_BYTES_MAX).contains(&self.0.len())
            && self.0.bytes().all(letters)
            && !self.0.starts_with("undo-")
    }
}

impl fmt::Display for StepName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names a saga of any kind: the id of its stream, such as `provisioning#web.1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct SagaRef(StreamId);

impl SagaRef {
    /// The saga of this kind and id.
    ///
    /// # Errors
    /// [`InvalidId`] when either part is empty, too long, or has characters that ids have not.
    pub fn new(kind: &str, id: &str) -> Result<Self, InvalidId> {
        StreamId::new(kind, id).map(Self)
    }

    /// The kind: the category of its definition.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.0.category()
    }

    /// The id, unique among the sagas of its kind.
    #[must_use]
    pub fn id(&self) -> &str {
        self.0.key()
    }

    /// Its stream.
    #[must_use]
    pub fn stream(&self) -> &StreamId {
        &self.0
    }
}

impl From<StreamId> for SagaRef {
    fn from(stream: StreamId) -> Self {
        Self(stream)
    }
}

impl FromStr for SagaRef {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl fmt::Display for SagaRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names a saga.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SagaId(String);

impl SagaId {
    /// The id of this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn of_child(parent: &Self, step: &StepName) -> Self {
        Self(format!("{parent}.{step}"))
    }
}

impl fmt::Display for SagaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names one attempt at a step, or at its undoing: `<saga>/<step>/<attempt>`, `<saga>/undo-<step>/<attempt>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepId(String);

impl StepId {
    /// The id of this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The saga whose attempt it is; what an answer is routed by.
    #[must_use]
    pub fn saga(&self) -> Option<SagaId> {
        let mut parts = self.0.rsplitn(3, '/');
        parts.nth(2).map(SagaId::new)
    }
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a child saga ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "status", rename_all = "kebab-case")]
pub enum ChildEnd {
    /// All is done.
    Completed,
    /// All is undone.
    Compensated {
        /// Why.
        reason: String,
    },
    /// It waits for an operator.
    Stuck {
        /// Why.
        reason: String,
    },
}

/// What the end of a child means to its parent: the attempt that it answers, and the end.
#[must_use]
pub fn child_end<O>(event: &SagaEvent<O>) -> Option<(StepId, ChildEnd)> {
    let (parent, end) = match event {
        SagaEvent::Completed { parent } => (parent, ChildEnd::Completed),
        SagaEvent::Compensated { parent, reason } => {
            (parent, ChildEnd::Compensated { reason: reason.clone() })
        }
        SagaEvent::Stuck { parent, reason, .. } => (parent, ChildEnd::Stuck { reason: reason.clone() }),
        SagaEvent::Started { .. }
        | SagaEvent::StepBegan { .. }
        | SagaEvent::HeartbeatHeard { .. }
        | SagaEvent::DeadlineExceeded { .. }
        | SagaEvent::StepFailed { .. }
        | SagaEvent::StepCompleted { .. }
        | SagaEvent::StepStopped { .. }
        | SagaEvent::UndoBegan { .. }
        | SagaEvent::StepUndone { .. }
        | SagaEvent::Resumed { .. }
        | SagaEvent::StepSkipped { .. }
        | SagaEvent::StepEdited { .. } => return None,
    };
    parent.clone().map(|parent| (parent, end))
}

/// What a saga is asked or told.
#[derive(Debug, Clone, PartialEq)]
pub enum SagaInput<O> {
    /// Begin.
    Start {
        /// Its id.
        saga: SagaId,
        /// What it is about.
        order: O,
        /// The parent's attempt that waits for its end.
        parent: Option<StepId>,
    },
    /// An attempt worked: a consumer's reply, or an outsider's callback whose token the edge has checked.
    Succeeded {
        /// The attempt.
        step: StepId,
        /// What came of it.
        output: Value,
    },
    /// An attempt did not work, and took no effect.
    Failed {
        /// The attempt.
        step: StepId,
        /// What is transient is tried again.
        category: Category,
        /// Why.
        reason: String,
    },
    /// An outsider is still at it.
    Heartbeat {
        /// The attempt.
        step: StepId,
    },
    /// A person approves.
    Approve {
        /// The attempt.
        step: StepId,
        /// Who.
        actor: Actor,
    },
    /// A person rejects.
    Reject {
        /// The attempt.
        step: StepId,
        /// Who.
        actor: Actor,
        /// Why.
        reason: String,
    },
    /// A child saga ended; see [`child_end`].
    ChildEnded {
        /// The attempt that waited for it.
        step: StepId,
        /// How.
        end: ChildEnd,
    },
    /// A timer is due.
    Timer {
        /// Its name.
        name: String,
    },
    /// An operator wants a running saga undone.
    Cancel {
        /// Who.
        actor: Actor,
        /// Why.
        reason: String,
    },
    /// The parent wants it undone, even when it is complete.
    Undo {
        /// The parent's attempt that waits for it.
        answers: Option<StepId>,
        /// Why.
        reason: String,
    },
    /// An operator wants a stuck saga to try again.
    Resume {
        /// Who.
        actor: Actor,
        /// Why.
        reason: String,
    },
    /// An operator has dealt with what a saga is stuck at.
    Skip {
        /// The step it is stuck at.
        step: StepName,
        /// Who.
        actor: Actor,
        /// Why.
        reason: String,
    },
    /// An operator gives a stuck step another input, and it is tried again.
    Edit {
        /// The step it is stuck at.
        step: StepName,
        /// The input.
        input: Value,
        /// Who.
        actor: Actor,
        /// Why.
        reason: String,
    },
}
