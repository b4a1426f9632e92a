//! A sample saga that has everything: an order's goods and money, a child saga, an approval and a callback.

use hostler_core::saga::{
    Ask, Direction, Errand, Plan, RetryPolicy, Saga, SagaDefinition, SagaEvent, SagaInput, SagaState, Step,
    StepId, StepName,
};
use hostler_core::{Addressed, ContractError, Data, Decider, Payload};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Orders over this amount need a person's approval, from version 2 on.
pub const APPROVAL_ABOVE: u32 = 1_000;

/// What was ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// What it costs.
    pub amount: u32,
}

/// What others are asked for: an errand about a step.
#[derive(Debug, Clone, PartialEq)]
pub struct OrderCommand {
    /// The errand's name, such as `do-charge`.
    pub name: &'static str,
    /// The attempt to answer.
    pub id: StepId,
    /// What to do it with.
    pub input: Value,
}

const NAMES: [(&str, &str, &str, &str); 6] = [
    ("approve", "do-approve", "stop-approve", "undo-approve"),
    ("reserve", "do-reserve", "stop-reserve", "undo-reserve"),
    ("charge", "do-charge", "stop-charge", "undo-charge"),
    ("ship", "do-ship", "stop-ship", "undo-ship"),
    ("carrier", "do-carrier", "stop-carrier", "undo-carrier"),
    ("thank", "do-thank", "stop-thank", "undo-thank"),
];

impl Payload for OrderCommand {
    fn type_name(&self) -> &'static str {
        self.name
    }

    fn schema_version(&self) -> u32 {
        1
    }

    fn to_data(&self) -> Data {
        json!({ "id": self.id, "input": self.input }).into()
    }

    fn from_data(type_name: &str, _: u32, _: &Data) -> Result<Self, ContractError> {
        Err(ContractError::UnknownType { type_name: type_name.to_owned(), known: "none".to_owned() })
    }
}

impl Addressed for OrderCommand {
    fn queue(&self) -> &'static str {
        "shop"
    }
}

/// The saga of an order. Version 1 knew no approvals.
#[derive(Debug, Clone, Copy)]
pub struct OrderSaga;

/// The decider of orders.
pub type Orders = Saga<OrderSaga>;

impl SagaDefinition for OrderSaga {
    const CATEGORY: &'static str = "order";
    const VERSION: u32 = 2;
    const TIMERS_TO: &'static str = "shop";
    type Order = Order;
    type Command = OrderCommand;

    fn plan(version: u32) -> Option<Plan> {
        let undo = RetryPolicy::tries(2, 30);
        let first = match version {
            1 => Plan::default(),
            2 => Plan::default().then(Step::approval("approve", 3_600).when("above an amount of 1000")),
            _ => return None,
        };
        Some(
            first
                .then_all([
                    Step::ask("reserve", RetryPolicy::tries(3, 60)).undone_by(undo),
                    Step::ask("charge", RetryPolicy::tries(2, 60)).undone_by(undo),
                ])
                .then(Step::child("ship", 600).undone_by(undo))
                .then_all([
                    Step::callback("carrier", RetryPolicy::once(7_200), 900).undone_by(undo),
                    Step::ask("thank", RetryPolicy::once(60)),
                ]),
        )
    }

    fn applies(_: u32, _: &StepName, order: &Order) -> bool {
        order.amount > APPROVAL_ABOVE
    }

    fn command(ask: &Ask<'_, Order>) -> Option<OrderCommand> {
        let (_, begin, stop, undo) = NAMES.iter().find(|(step, ..)| *step == ask.step.as_str())?;
        let name = match ask.errand {
            Errand::Do => begin,
            Errand::Stop => stop,
            Errand::Undo => undo,
        };
        let input = ask.edited.cloned().unwrap_or_else(|| json!(ask.order.amount));
        Some(OrderCommand { name, id: ask.id.clone(), input })
    }
}

/// A saga in memory, with everything that it recorded and set.
#[derive(Debug, Clone)]
pub struct OrderRun {
    /// Where it is.
    pub state: SagaState<Order>,
    /// What time it is.
    pub now: Timestamp,
    /// What happened.
    pub events: Vec<SagaEvent<Order>>,
    /// What was asked for.
    pub commands: Vec<OrderCommand>,
    /// The timers that did not fire yet.
    pub timers: Vec<(Timestamp, String)>,
}

impl OrderRun {
    /// A saga of which nobody has heard yet.
    #[must_use]
    pub fn new() -> Self {
        let now = Timestamp::UNIX_EPOCH;
        Self {
            state: SagaState::default(),
            now,
            events: Vec::new(),
            commands: Vec::new(),
            timers: Vec::new(),
        }
    }

    /// Tells it something, and applies what it decides. Events and state survive their way to the store.
    ///
    /// # Panics
    /// When they do not, or when it refuses.
    pub fn tell(&mut self, input: &SagaInput<Order>) -> usize {
        let decision = Orders::decide(&self.state, input, self.now).unwrap();
        let count = decision.events.len();
        for event in decision.events {
            let back = SagaEvent::from_data(event.type_name(), event.schema_version(), &event.to_data());
            assert_eq!(back.as_ref().ok(), Some(&event), "the event changes on its way");
            self.state = Orders::evolve(self.state.clone(), &event);
            self.events.push(event);
        }
        let stored = serde_json::to_value(&self.state).unwrap();
        self.state = serde_json::from_value(stored).unwrap();
        self.commands.extend(decision.commands);
        self.timers.extend(decision.timers.into_iter().map(|timer| (timer.due_at, timer.name)));
        count
    }

    /// Lets the next timer fire, if there is one.
    pub fn fire_next(&mut self) -> bool {
        let Some(at) = (0..self.timers.len()).min_by_key(|index| self.timers[*index].clone()) else {
            return false;
        };
        let (due_at, name) = self.timers.remove(at);
        self.now = self.now.max(due_at);
        self.tell(&SagaInput::Timer { name });
        true
    }

    /// The attempt under way at a step.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn at(&self, step: &str) -> StepId {
        self.state.running[&StepName::said(step)].id.clone()
    }

    /// The steps that began and were undone or skipped, told from the events alone.
    #[must_use]
    pub fn undone(&self) -> Vec<String> {
        let undone = |event: &SagaEvent<Order>| match event {
            SagaEvent::StepUndone { step, .. } | SagaEvent::StepSkipped { step, .. } => {
                Some(step.to_string())
            }
            _ => None,
        };
        self.events.iter().filter_map(undone).collect()
    }

    /// The steps with something to undo, in the order in which they took effect or were given up after they may
    /// have; told from the events alone.
    #[must_use]
    pub fn effects(&self) -> Vec<String> {
        let mut doubtful: Vec<String> = Vec::new();
        let mut effects: Vec<String> = Vec::new();
        for event in &self.events {
            let (step, effect) = match event {
                SagaEvent::StepCompleted { step, .. } => (step.to_string(), true),
                SagaEvent::StepFailed {
                    step, direction: Direction::Forward, uncertain, retry_at, ..
                } => {
                    let step = step.to_string();
                    if *uncertain {
                        doubtful.push(step.clone());
                    }
                    let effect = retry_at.is_none() && doubtful.contains(&step);
                    (step, effect)
                }
                SagaEvent::StepStopped { step, uncertain } => {
                    (step.to_string(), *uncertain || doubtful.contains(&step.to_string()))
                }
                _ => continue,
            };
            if effect && !["approve", "thank"].contains(&step.as_str()) && !effects.contains(&step) {
                effects.push(step);
            }
        }
        effects
    }
}

impl Default for OrderRun {
    fn default() -> Self {
        Self::new()
    }
}
