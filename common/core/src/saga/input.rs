//! What a saga is asked or told, and the names in it.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::command::{Answers, Parent, StepOutcome};
use super::plan::StepNames;
use crate::envelope::Actor;
use crate::ids::{InvalidId, StepId, StreamId};

/// The longest name of a step, in bytes.
const STEP_NAME_BYTES_MAX: usize = 40;

/// The name of a step, or of a compensation, in its saga: `reserve-stock`, or `reserve-line.3` for the fourth line of
/// an order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct StepName(Cow<'static, str>);

impl StepName {
    /// The name of a definition's step, for a line of the order where there is one.
    #[must_use]
    pub fn of(name: impl StepNames, line: Option<u32>) -> Self {
        Self(match line {
            None => Cow::Borrowed(name.as_str()),
            Some(line) => Cow::Owned(format!("{}.{line}", name.as_str())),
        })
    }

    /// A name as somebody has written it. It is looked up in the plan.
    #[must_use]
    pub fn said(name: &str) -> Self {
        Self(Cow::Owned(name.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the name of this step.
    pub(super) fn is(&self, name: impl StepNames, line: Option<u32>) -> bool {
        match line {
            None => self.0 == name.as_str(),
            Some(_) => *self == Self::of(name, line),
        }
    }

    pub(super) fn is_sound(name: &str) -> bool {
        let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        (1..=STEP_NAME_BYTES_MAX).contains(&name.len())
            && name.bytes().all(letters)
            && name.starts_with(|first: char| first.is_ascii_lowercase())
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

    /// The whole name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
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

/// How a child saga ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "status", rename_all = "kebab-case")]
pub enum ChildEnd {
    /// All is done.
    Completed {
        /// What came of it.
        #[serde(default)]
        output: Value,
    },
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

/// What a saga is asked or told.
#[derive(Debug, Clone, PartialEq)]
pub enum SagaInput<O> {
    /// Begin.
    Start {
        /// Its name.
        saga: SagaRef,
        /// What it is about.
        order: O,
        /// The parent's attempt that waits for its end.
        parent: Option<Parent>,
    },
    /// A step's answer: a consumer's reply, or an outsider's callback whose token the edge has checked.
    Answer {
        /// What is answered.
        answers: Answers,
        /// How it went.
        outcome: StepOutcome,
    },
    /// A child saga ended.
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
    /// The parent wants it undone, even when it is complete.
    Compensate {
        /// The parent's attempt that waits for it.
        parent: Option<Parent>,
        /// Why.
        reason: String,
    },
    /// An operator wants something done.
    Operate {
        /// What.
        operation: Operation,
        /// Who.
        actor: Actor,
        /// Why.
        reason: String,
    },
}

/// What operators may do with any saga.
#[derive(Debug, Clone, PartialEq)]
pub enum Operation {
    /// Undo a running saga.
    Cancel,
    /// Have a stuck saga try again.
    Resume,
    /// Go on without a step that is stuck or waits for its next attempt. The operator has dealt with it.
    Skip {
        /// The step, or the compensation.
        step: StepName,
    },
    /// Give a step that is stuck or waits for its next attempt another input, and try it again.
    Edit {
        /// The step, or the compensation.
        step: StepName,
        /// The input.
        input: Value,
    },
    /// Approve.
    Approve {
        /// The approval; needed where several wait.
        step: Option<StepName>,
    },
    /// Reject.
    Reject {
        /// The approval; needed where several wait.
        step: Option<StepName>,
    },
}
