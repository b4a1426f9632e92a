//! A saga's steps as data.

use std::collections::BTreeSet;

use super::input::StepName;

/// The most steps that a plan may have.
const STEPS_MAX: usize = 100;

/// How often something is tried, and how long each try may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Seconds from asking until the answer is given up for lost.
    pub deadline_seconds: u32,
    /// Tries in all, the first one included.
    pub attempts: u32,
    /// Seconds from the first failure to the second try; doubled with each further try.
    pub backoff_seconds: u32,
    /// The longest of these delays.
    pub backoff_seconds_max: u32,
}

impl RetryPolicy {
    /// One try.
    #[must_use]
    pub const fn once(deadline_seconds: u32) -> Self {
        Self { deadline_seconds, attempts: 1, backoff_seconds: 0, backoff_seconds_max: 0 }
    }

    /// Several tries, with delays that begin at a second and double up to five minutes.
    #[must_use]
    pub const fn tries(attempts: u32, deadline_seconds: u32) -> Self {
        Self { deadline_seconds, attempts, backoff_seconds: 1, backoff_seconds_max: 300 }
    }

    /// The delay after so many failed tries.
    #[must_use]
    pub fn delay_seconds(&self, tried: u32) -> u32 {
        let doublings = tried.saturating_sub(1).min(31);
        self.backoff_seconds.saturating_mul(1 << doublings).min(self.backoff_seconds_max)
    }
}

/// Whose answer a step waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepKind {
    /// A consumer's, by a reply that names the attempt.
    Ask,
    /// A child saga's end. The child retries inside itself, so there is one attempt.
    Child,
    /// An outsider's, who was given a token. Each sign of life arms the heartbeat again.
    Callback {
        /// How long the outsider may be silent.
        heartbeat_seconds: u32,
    },
    /// A person's. What nobody approves in time is not approved.
    Approval,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its name, unique in the plan.
    pub name: StepName,
    /// Whose answer it waits for.
    pub kind: StepKind,
    /// How it is tried.
    pub policy: RetryPolicy,
    /// How its undoing is tried; none where there is nothing to undo.
    pub compensation: Option<RetryPolicy>,
    /// When it is part of the saga, in words, where not always; [`super::SagaDefinition::applies`] decides.
    pub condition: Option<&'static str>,
}

impl Step {
    /// A step that is asked of a consumer.
    #[must_use]
    pub fn ask(name: &'static str, policy: RetryPolicy) -> Self {
        let name = StepName::of(name);
        Self { name, kind: StepKind::Ask, policy, compensation: None, condition: None }
    }

    /// A child saga.
    #[must_use]
    pub fn child(name: &'static str, deadline_seconds: u32) -> Self {
        let step = Self::ask(name, RetryPolicy::once(deadline_seconds));
        Self { kind: StepKind::Child, ..step }
    }

    /// An outsider's callback.
    #[must_use]
    pub fn callback(name: &'static str, policy: RetryPolicy, heartbeat_seconds: u32) -> Self {
        Self { kind: StepKind::Callback { heartbeat_seconds }, ..Self::ask(name, policy) }
    }

    /// A person's approval.
    #[must_use]
    pub fn approval(name: &'static str, deadline_seconds: u32) -> Self {
        let step = Self::ask(name, RetryPolicy::once(deadline_seconds));
        Self { kind: StepKind::Approval, ..step }
    }

    /// With a compensation.
    #[must_use]
    pub fn undone_by(self, policy: RetryPolicy) -> Self {
        Self { compensation: Some(policy), ..self }
    }

    /// Only when this holds.
    #[must_use]
    pub fn when(self, condition: &'static str) -> Self {
        Self { condition: Some(condition), ..self }
    }
}

/// Steps that run at the same time; the stage is over when all of them are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// Its steps.
    pub steps: Vec<Step>,
}

/// Stages that run one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// The stages.
    pub stages: Vec<Stage>,
}

/// Why a plan cannot be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPlan {
    /// None at all, or too many.
    #[error("the plan has {found} steps: give it 1 to {STEPS_MAX}")]
    Steps {
        /// How many.
        found: usize,
    },
    /// Two steps of one name: answers could not be told apart.
    #[error("two steps of the plan are called {step}: names are unique in a plan")]
    Twice {
        /// The name.
        step: StepName,
    },
    /// The name cannot be part of a step id.
    #[error(
        "the step name {step:?} cannot be part of an id: use 1 to 40 of a-z, 0-9 and -, not beginning with undo-"
    )]
    Name {
        /// The name.
        step: StepName,
    },
    /// A wait without an end, or a step that is never tried.
    #[error(
        "step {step} needs at least one attempt, a deadline of a second or more, and a heartbeat likewise"
    )]
    Policy {
        /// The step.
        step: StepName,
    },
    /// A child that would be started again by its parent.
    #[error(
        "step {step} has several attempts, and is a child saga or an approval: let the child retry inside itself"
    )]
    Attempts {
        /// The step.
        step: StepName,
    },
}

impl Plan {
    /// One more step after all others.
    #[must_use]
    pub fn then(self, step: Step) -> Self {
        self.then_all([step])
    }

    /// One more stage, whose steps run at the same time.
    #[must_use]
    pub fn then_all(mut self, steps: impl IntoIterator<Item = Step>) -> Self {
        self.stages.push(Stage { steps: steps.into_iter().collect() });
        self
    }

    /// All steps, in the order of the plan.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.stages.iter().flat_map(|stage| &stage.steps)
    }

    /// A step by its name.
    #[must_use]
    pub fn step(&self, name: &StepName) -> Option<&Step> {
        self.steps().find(|step| step.name == *name)
    }

    /// Whether sagas of this plan end whatever happens.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn check(&self) -> Result<(), BadPlan> {
        let found = self.steps().count();
        if found == 0 || found > STEPS_MAX {
            return Err(BadPlan::Steps { found });
        }
        let mut seen = BTreeSet::new();
        for Step { name, kind, policy, compensation, .. } in self.steps() {
            let step = || name.clone();
            if !name.is_sound() {
                return Err(BadPlan::Name { step: step() });
            }
            if !seen.insert(name) {
                return Err(BadPlan::Twice { step: step() });
            }
            let endless = |policy: &RetryPolicy| policy.attempts == 0 || policy.deadline_seconds == 0;
            let silent = matches!(kind, StepKind::Callback { heartbeat_seconds: 0 });
            if endless(policy) || compensation.as_ref().is_some_and(endless) || silent {
                return Err(BadPlan::Policy { step: step() });
            }
            if matches!(kind, StepKind::Child | StepKind::Approval) && policy.attempts > 1 {
                return Err(BadPlan::Attempts { step: step() });
            }
        }
        Ok(())
    }
}
