//! A saga's steps as data.

use std::collections::BTreeSet;
use std::fmt::Debug;

use super::bad_plan::BadPlan;
use super::input::StepName;

/// The most steps that a plan may have.
pub(super) const STEPS_MAX: usize = 100;

/// The names of a definition's steps and compensations. They are a closed set, so that a misspelt name does not
/// compile.
/// [`step_names!`](crate::step_names) declares one.
pub trait StepNames: Copy + Eq + Debug + Send + Sync + 'static {
    /// All of them.
    const ALL: &'static [Self];

    /// The name in ids, views and timelines: 1 to 40 of `a-z`, `0-9` and `-`, with a letter first.
    fn as_str(self) -> &'static str;
}

/// Declares the names of a definition's steps and compensations.
///
/// ```
/// hostler_core::step_names! {
///     /// What an order goes through.
///     pub enum OrderStep {
///         /// Take the goods out of the stock.
///         ReserveStock = "reserve-stock",
///         /// Put them back.
///         ReleaseStock = "release-stock",
///     }
/// }
/// use hostler_core::saga::StepNames;
/// assert_eq!(OrderStep::ReserveStock.as_str(), "reserve-stock");
/// ```
#[macro_export]
macro_rules! step_names {
    (
        $(#[$doc:meta])*
        $visible:vis enum $names:ident { $( $(#[$step_doc:meta])* $step:ident = $text:literal ),+ $(,)? }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $visible enum $names { $( $(#[$step_doc])* $step ),+ }

        impl $crate::saga::StepNames for $names {
            const ALL: &'static [Self] = &[$(Self::$step),+];

            fn as_str(self) -> &'static str {
                match self { $( Self::$step => $text ),+ }
            }
        }
    };
}

/// How often something is tried, and how long each attempt may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Seconds from asking until the attempt's deadline.
    pub deadline_seconds: u32,
    /// Attempts in all, the first one included.
    pub attempts: u32,
    /// Seconds from the first failure to the second attempt; doubled with each further one.
    pub backoff_seconds: u32,
    /// The longest of these delays.
    pub backoff_seconds_max: u32,
}

impl RetryPolicy {
    /// One attempt.
    #[must_use]
    pub const fn once(deadline_seconds: u32) -> Self {
        Self { deadline_seconds, attempts: 1, backoff_seconds: 0, backoff_seconds_max: 0 }
    }

    /// Several attempts, with delays that begin at a second and double up to five minutes.
    #[must_use]
    pub const fn attempts(attempts: u32, deadline_seconds: u32) -> Self {
        Self { deadline_seconds, attempts, backoff_seconds: 1, backoff_seconds_max: 300 }
    }

    /// The delay after so many failed attempts.
    #[must_use]
    pub fn delay_seconds(&self, tried: u32) -> u32 {
        let doublings = tried.saturating_sub(1).min(31);
        self.backoff_seconds.saturating_mul(1 << doublings).min(self.backoff_seconds_max)
    }

    /// Whether it allows a wait without end, or no attempt at all.
    fn is_endless(&self) -> bool {
        self.attempts == 0 || self.deadline_seconds == 0
    }
}

/// Whose answer a step waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepKind {
    /// A consumer's, by a reply that names the attempt.
    Ask,
    /// The end of a child saga of this kind. The child retries inside itself, so there is one attempt.
    Child {
        /// The kind of the child.
        kind: &'static str,
    },
    /// An outsider's, who was given a token. Each sign of life arms the heartbeat again.
    Callback {
        /// How long the outsider may be silent.
        heartbeat_seconds: u32,
    },
    /// A person's. An approval that is not given in time has failed.
    Approval,
}

/// What happens to a running step when the saga turns back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnCancel {
    /// Its answer is awaited, because only the answer tells what there is to undo.
    Await,
    /// It is not awaited, and is undone as if it had been done. Whoever does the step must refuse to do it after it
    /// was undone.
    Stop,
}

/// How a step is undone. Several steps may name the same compensation. It then runs once, after everything that was
/// built on the first of them is undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compensation<N> {
    /// Its name, unique among steps and compensations.
    pub name: N,
    /// How it is tried. It is retried whatever the reason of a failure, because there is no alternative.
    pub policy: RetryPolicy,
    /// Why no operator may skip it, where that is so.
    pub never_skipped: Option<&'static str>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step<N> {
    /// Its name. Name and `line` together are unique in the plan.
    pub name: N,
    /// The line of the order, counted from 0, where the plan has a step for each line.
    pub line: Option<u32>,
    /// Whose answer it waits for.
    pub kind: StepKind,
    /// How it is tried.
    pub policy: RetryPolicy,
    /// How it is undone; none where there is nothing to undo.
    pub compensation: Option<Compensation<N>>,
    /// Its condition in words, where it has one. [`super::SagaDefinition::applies`] decides.
    pub condition: Option<&'static str>,
    /// What happens to it when the saga turns back, while it is running.
    pub on_cancel: OnCancel,
    /// Whether the saga goes on without it when it fails.
    pub best_effort: bool,
    /// Whether it is the point of no return: once it has begun, the saga only goes forward.
    pub pivot: bool,
    /// Why no operator may skip it, where that is so.
    pub never_skipped: Option<&'static str>,
}

impl<N: StepNames> Step<N> {
    /// A step that is asked of a consumer.
    #[must_use]
    pub fn ask(name: N, policy: RetryPolicy) -> Self {
        Self {
            name,
            line: None,
            kind: StepKind::Ask,
            policy,
            compensation: None,
            condition: None,
            on_cancel: OnCancel::Await,
            best_effort: false,
            pivot: false,
            never_skipped: None,
        }
    }

    /// A child saga.
    #[must_use]
    pub fn child(name: N, kind: &'static str, deadline_seconds: u32) -> Self {
        let step = Self::ask(name, RetryPolicy::once(deadline_seconds));
        Self { kind: StepKind::Child { kind }, ..step }
    }

    /// An outsider's callback.
    #[must_use]
    pub fn callback(name: N, policy: RetryPolicy, heartbeat_seconds: u32) -> Self {
        let step = Self::ask(name, policy);
        Self { kind: StepKind::Callback { heartbeat_seconds }, on_cancel: OnCancel::Stop, ..step }
    }

    /// A person's approval.
    #[must_use]
    pub fn approval(name: N, deadline_seconds: u32) -> Self {
        let step = Self::ask(name, RetryPolicy::once(deadline_seconds));
        Self { kind: StepKind::Approval, on_cancel: OnCancel::Stop, ..step }
    }

    /// For this line of the order, counted from 0.
    #[must_use]
    pub fn for_line(self, line: u32) -> Self {
        Self { line: Some(line), ..self }
    }

    /// With a compensation.
    #[must_use]
    pub fn undone_by(self, name: N, policy: RetryPolicy) -> Self {
        Self { compensation: Some(Compensation { name, policy, never_skipped: None }), ..self }
    }

    /// With a compensation that no operator may skip, and why.
    #[must_use]
    pub fn always_undone_by(self, name: N, policy: RetryPolicy, why: &'static str) -> Self {
        Self { compensation: Some(Compensation { name, policy, never_skipped: Some(why) }), ..self }
    }

    /// Only when this holds.
    #[must_use]
    pub fn when(self, condition: &'static str) -> Self {
        Self { condition: Some(condition), ..self }
    }

    /// Not awaited when the saga turns back, and undone.
    #[must_use]
    pub fn stopped_on_cancel(self) -> Self {
        Self { on_cancel: OnCancel::Stop, ..self }
    }

    /// The saga goes on when it fails.
    #[must_use]
    pub fn best_effort(self) -> Self {
        Self { best_effort: true, ..self }
    }

    /// The point of no return.
    #[must_use]
    pub fn pivot(self) -> Self {
        Self { pivot: true, ..self }
    }

    /// Never skipped by an operator, and why.
    #[must_use]
    pub fn never_skipped(self, why: &'static str) -> Self {
        Self { never_skipped: Some(why), ..self }
    }

    /// Its name in the saga's stream.
    #[must_use]
    pub fn full_name(&self) -> StepName {
        StepName::of(self.name, self.line)
    }

    /// The name of its compensation in the saga's stream.
    #[must_use]
    pub fn undone_by_name(&self) -> Option<StepName> {
        self.compensation.map(|compensation| StepName::of(compensation.name, self.line))
    }
}

/// Steps that run at the same time; the stage is over when all of them are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage<N> {
    /// Its steps.
    pub steps: Vec<Step<N>>,
}

/// Stages that run one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan<N> {
    /// The stages.
    pub stages: Vec<Stage<N>>,
    /// Whether the saga never goes back: it cannot be cancelled, and a step that fails for good is stuck until an operator
    /// has put right what stands in its way.
    pub forward_only: bool,
}

impl<N> Default for Plan<N> {
    fn default() -> Self {
        Self { stages: Vec::new(), forward_only: false }
    }
}

impl<N: StepNames> Plan<N> {
    /// A plan that never goes back.
    #[must_use]
    pub fn forward_only() -> Self {
        Self { forward_only: true, ..Self::default() }
    }

    /// One more step after all others.
    #[must_use]
    pub fn then(self, step: Step<N>) -> Self {
        self.then_all([step])
    }

    /// One more stage, whose steps run at the same time.
    #[must_use]
    pub fn then_all(mut self, steps: impl IntoIterator<Item = Step<N>>) -> Self {
        self.stages.push(Stage { steps: steps.into_iter().collect() });
        self
    }

    /// All steps, in the order of the plan.
    pub fn steps(&self) -> impl Iterator<Item = &Step<N>> {
        self.stages.iter().flat_map(|stage| &stage.steps)
    }

    /// A step by its name.
    #[must_use]
    pub fn step(&self, name: &StepName) -> Option<&Step<N>> {
        self.steps().find(|step| name.is(step.name, step.line))
    }

    /// The first step that a compensation undoes, by the compensation's name.
    #[must_use]
    pub fn undone_by(&self, name: &StepName) -> Option<(&Step<N>, Compensation<N>)> {
        self.steps().find_map(|step| {
            let compensation = step.compensation?;
            name.is(compensation.name, step.line).then_some((step, compensation))
        })
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
        for step in self.steps() {
            check_step(step)?;
            if !seen.insert(step.full_name()) {
                return Err(BadPlan::Twice { step: step.full_name() });
            }
        }
        for step in self.steps() {
            let (Some(name), Some(compensation)) = (step.undone_by_name(), step.compensation) else {
                continue;
            };
            if seen.contains(&name) {
                return Err(BadPlan::Twice { step: name });
            }
            let other = |other: &Step<N>| {
                other.undone_by_name().as_ref() == Some(&name) && other.compensation != Some(compensation)
            };
            if self.steps().any(other) {
                return Err(BadPlan::Compensation { step: name });
            }
            let shared = self.steps().filter(|other| other.undone_by_name().as_ref() == Some(&name)).count();
            if shared > 1 && matches!(step.kind, StepKind::Child { .. }) {
                return Err(BadPlan::ChildCompensation { step: name });
            }
        }
        let goes_back = |step: &&Step<N>| step.compensation.is_some() || step.kind == StepKind::Approval;
        if let Some(step) = self.steps().find(goes_back).filter(|_| self.forward_only) {
            return Err(BadPlan::ForwardOnly { step: step.full_name() });
        }
        let alone = |stage: &Stage<N>| stage.steps.len() == 1;
        for stage in &self.stages {
            for step in stage.steps.iter().filter(|step| step.pivot) {
                if !alone(stage) || step.best_effort || step.kind == StepKind::Approval {
                    return Err(BadPlan::Pivot { step: step.full_name() });
                }
            }
        }
        Ok(())
    }
}

fn check_step<N: StepNames>(step: &Step<N>) -> Result<(), BadPlan> {
    let name = step.full_name();
    let names = [Some(step.name), step.compensation.map(|compensation| compensation.name)];
    if let Some(bad) = names.into_iter().flatten().find(|name| !StepName::is_sound(name.as_str())) {
        return Err(BadPlan::Name { step: StepName::of(bad, None) });
    }
    let endless = step.compensation.is_some_and(|compensation| compensation.policy.is_endless());
    let silent = matches!(step.kind, StepKind::Callback { heartbeat_seconds: 0 });
    if step.policy.is_endless() || endless || silent {
        return Err(BadPlan::Policy { step: name });
    }
    if matches!(step.kind, StepKind::Child { .. } | StepKind::Approval) && step.policy.attempts > 1 {
        return Err(BadPlan::Attempts { step: name });
    }
    Ok(())
}
