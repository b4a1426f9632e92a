//! A saga of any definition in memory: told one thing after another, with everything that it recorded, asked and set.

use std::collections::BTreeSet;

use hostler_core::saga::{
    Direction, Outgoing, Plan, Saga, SagaDefinition, SagaEvent, SagaInput, SagaRefusal, SagaState, StepName,
};
use hostler_core::{Decider, Payload, StepId};
use jiff::Timestamp;

/// A saga in memory.
pub struct SagaRun<D: SagaDefinition> {
    /// Where it is.
    pub state: SagaState<D::Order>,
    /// What time it is.
    pub now: Timestamp,
    /// What happened.
    pub events: Vec<SagaEvent<D::Order>>,
    /// What was asked for.
    pub commands: Vec<Outgoing<D::Command>>,
    /// The timers that did not fire yet.
    pub timers: Vec<(Timestamp, String)>,
}

impl<D: SagaDefinition> SagaRun<D> {
    /// A saga of which nobody has heard yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: SagaState::default(),
            now: Timestamp::UNIX_EPOCH,
            events: Vec::new(),
            commands: Vec::new(),
            timers: Vec::new(),
        }
    }

    /// Tells it something, and says how many events came of it.
    ///
    /// # Panics
    /// When it refuses.
    #[track_caller]
    pub fn tell(&mut self, input: &SagaInput<D::Order>) -> usize {
        self.try_tell(input).unwrap_or_else(|refusal| panic!("it refused: {refusal}"))
    }

    /// Tells it something, and applies what it decides. Events and state survive their way to the store.
    ///
    /// # Errors
    /// Its refusal, after which nothing has changed.
    ///
    /// # Panics
    /// When events or state do not survive.
    #[track_caller]
    pub fn try_tell(&mut self, input: &SagaInput<D::Order>) -> Result<usize, SagaRefusal> {
        let decision = Saga::<D>::decide(&self.state, input, self.now)?;
        let count = decision.events.len();
        for event in decision.events {
            let back = SagaEvent::from_data(event.type_name(), event.schema_version(), &event.to_data());
            assert_eq!(back.as_ref().ok(), Some(&event), "the event changes on its way");
            self.state = Saga::<D>::evolve(std::mem::take(&mut self.state), &event);
            self.events.push(event);
        }
        let stored = serde_json::to_value(&self.state).unwrap();
        let state = serde_json::from_value(stored).unwrap();
        assert_eq!(self.state, state, "the state changes on its way");
        self.state = state;
        self.commands.extend(decision.commands);
        self.timers.extend(decision.timers.into_iter().map(|timer| (timer.due_at, timer.name)));
        Ok(count)
    }

    /// Lets the next timer fire, if there is one.
    #[track_caller]
    pub fn fire_next(&mut self) -> bool {
        let Some(at) = (0..self.timers.len()).min_by_key(|index| self.timers[*index].clone()) else {
            return false;
        };
        let (due_at, name) = self.timers.remove(at);
        self.now = self.now.max(due_at);
        self.tell(&SagaInput::Timer { name });
        true
    }

    /// Whether a step, or a compensation, is under way.
    #[must_use]
    pub fn is_at(&self, step: &str) -> bool {
        self.state.running.contains_key(&StepName::said(step))
    }

    /// The attempt under way at a step, or at a compensation.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    #[track_caller]
    pub fn at(&self, step: &str) -> StepId {
        let running = &self.state.running;
        let attempt = running.get(&StepName::said(step));
        attempt.unwrap_or_else(|| panic!("{step} is not under way: {running:?}")).id.clone()
    }

    /// The type names of what was asked for.
    #[must_use]
    pub fn asked(&self) -> Vec<&'static str> {
        self.commands.iter().map(Payload::type_name).collect()
    }

    /// The compensations that were done or skipped, in that order; told from the events alone.
    #[must_use]
    pub fn undone(&self) -> Vec<String> {
        let compensations: BTreeSet<StepName> =
            self.undone_by().map(|(_, compensation)| compensation).collect();
        let undone = |event: &SagaEvent<D::Order>| match event {
            SagaEvent::StepCompensated { step, .. } => Some(step.to_string()),
            SagaEvent::StepSkipped { step, .. } if compensations.contains(step) => Some(step.to_string()),
            _ => None,
        };
        self.events.iter().filter_map(undone).collect()
    }

    /// The compensations that must be done, in that order: those of all steps that took effect or were given up after
    /// they may have, the last first, and one that several steps share at the place of the first; told from the events
    /// alone.
    #[must_use]
    pub fn to_undo(&self) -> Vec<String> {
        let mut wanted: Vec<String> = Vec::new();
        for step in self.effects() {
            let compensation =
                self.undone_by().find(|(name, _)| *name == step).map(|(_, name)| name.to_string());
            wanted.extend(compensation.filter(|name| !wanted.contains(name)));
        }
        wanted.reverse();
        wanted
    }

    fn undone_by(&self) -> impl Iterator<Item = (StepName, StepName)> {
        let begun = self.state.begun.as_ref();
        let plan = begun.and_then(|begun| D::plan(begun.version, &begun.order)).unwrap_or_default();
        let Plan { stages, .. } = plan;
        let steps = stages.into_iter().flat_map(|stage| stage.steps);
        steps.filter_map(|step| Some((step.full_name(), step.undone_by_name()?)))
    }

    fn effects(&self) -> Vec<StepName> {
        let mut doubtful: BTreeSet<&StepName> = BTreeSet::new();
        let mut effects: Vec<StepName> = Vec::new();
        for event in &self.events {
            let (step, effect) = match event {
                SagaEvent::StepCompleted { step, .. } => (step, true),
                SagaEvent::StepFailed {
                    step, direction: Direction::Forward, uncertain, retry_at, ..
                } => {
                    if *uncertain {
                        doubtful.insert(step);
                    }
                    (step, retry_at.is_none() && doubtful.contains(step))
                }
                SagaEvent::StepStopped { step, uncertain } => (step, *uncertain || doubtful.contains(step)),
                SagaEvent::StepSkipped { step, .. } => (step, doubtful.contains(step)),
                _ => continue,
            };
            if effect && !effects.contains(step) {
                effects.push(step.clone());
            }
        }
        effects
    }
}

impl<D: SagaDefinition> Default for SagaRun<D> {
    fn default() -> Self {
        Self::new()
    }
}

// By hand, for a derive would ask it of the definition rather than of its commands.
impl<D: SagaDefinition<Command: Clone>> Clone for SagaRun<D> {
    fn clone(&self) -> Self {
        Self {
            state: self.state.clone(),
            now: self.now,
            events: self.events.clone(),
            commands: self.commands.clone(),
            timers: self.timers.clone(),
        }
    }
}
