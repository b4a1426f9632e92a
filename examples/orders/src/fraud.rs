//! How often a card was used of late: a decider whose timers forget.

use std::collections::BTreeMap;
use std::convert::Infallible;

use hostler::prelude::*;
use hostler::runtime::state::shell::ExecuteError;

/// For how long an order is remembered.
pub const WINDOW: SignedDuration = SignedDuration::from_mins(10);
/// How many orders by one card in that time are no cause for suspicion.
pub const ORDERS_MAX: usize = 3;

payloads! {
    /// Look at the card of an order.
    pub struct CheckFraud {
        pub saga: SagaRef,
        pub step: StepId,
        pub card: String,
    }

    /// What came of it.
    pub struct FraudCheck {
        pub suspicious: bool,
    }

    /// An order was paid by the card.
    pub struct CardUsed {
        pub order: SagaRef,
        pub suspicious: bool,
    }

    /// That was long ago.
    pub struct UseForgotten {
        pub order: SagaRef,
    }
}

impl FraudCheck {
    /// Whether an output is one.
    pub fn check(output: &Value) -> Result<(), hostler::serde_json::Error> {
        hostler::serde_json::from_value::<Self>(output.clone()).map(drop)
    }
}

contracts! {
    /// What is asked of `check-fraud`.
    pub enum FraudCommand as Command {
        "check-fraud" v 1 @ "check-fraud" => Check(CheckFraud),
    }
}

contracts! {
    /// What happens to a card.
    pub enum CardEvent as Event {
        "card.used" v 1 => Used(CardUsed),
        "card.use-forgotten" v 1 => Forgotten(UseForgotten),
    }
}

/// What the decider of a card hears.
pub enum CardInput {
    Check(CheckFraud),
    Timer(String),
}

/// Decides on `card#` streams. The state is the orders of late, and whether each was suspicious.
pub struct Card;

impl Decider for Card {
    const CATEGORY: &'static str = "card";
    const STATE_VERSION: u32 = 1;
    type State = BTreeMap<String, bool>;
    type Input = CardInput;
    type Event = CardEvent;
    type Command = SagaCommand;
    type Refusal = Infallible;

    fn decide(
        orders: &Self::State,
        input: &CardInput,
        now: Timestamp,
    ) -> Result<Decision<CardEvent, SagaCommand>, Infallible> {
        let CheckFraud { saga, step, .. } = match input {
            CardInput::Check(check) => check,
            CardInput::Timer(order) => {
                let saga = order.parse().ok().filter(|_| orders.contains_key(order));
                let forgotten = saga.map(|order| CardEvent::Forgotten(UseForgotten { order }));
                return Ok(Decision::events(forgotten));
            }
        };
        let known = orders.get(saga.as_str()).copied();
        let suspicious = known.unwrap_or(orders.len() >= ORDERS_MAX);
        let output = json!(FraudCheck { suspicious });
        let answer = StepReply::succeeded(saga.clone(), step.clone(), output);
        let decision = Decision::nothing().command(answer.into());
        if known.is_some() {
            return Ok(decision);
        }
        let forget = SetTimer { name: saga.to_string(), due_at: now + WINDOW, deliver_to: "check-fraud" };
        Ok(decision.event(CardEvent::Used(CardUsed { order: saga.clone(), suspicious })).timer(forget))
    }

    fn evolve(mut orders: Self::State, event: &CardEvent) -> Self::State {
        match event {
            CardEvent::Used(CardUsed { order, suspicious }) => {
                orders.insert(order.to_string(), *suspicious);
            }
            CardEvent::Forgotten(UseForgotten { order }) => {
                orders.remove(order.as_str());
            }
        }
        orders
    }
}

/// Cards. Nobody looks at them.
pub struct Cards;

impl Entity for Cards {
    type Decider = Card;
    const TIMERS_TO: Option<&'static str> = Some("check-fraud");
}

/// The step function: it calls nothing outside, so it needs no worker.
pub struct CheckCards {
    pub shell: Shell,
}

#[async_trait]
impl Handler for CheckCards {
    async fn handle(&self, message: &Incoming) -> Result<(), Failure> {
        let (stream, input) = match message {
            Incoming::Timer(timer) => (timer.stream.clone(), CardInput::Timer(timer.name.clone())),
            Incoming::Command(_) => {
                let FraudCommand::Check(check) = message.command()?;
                let stream = StreamId::new(Card::CATEGORY, &check.card).map_err(Failure::invalid)?;
                (stream, CardInput::Check(check))
            }
            Incoming::Event(_) => return Err(message.misplaced("a command or a timer")),
        };
        let done = self.shell.execute::<Card>(&stream, &Cause::of(message), &input).await;
        done.map(drop).map_err(|error: ExecuteError<Infallible>| error.into())
    }
}
