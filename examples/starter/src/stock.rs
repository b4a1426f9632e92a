//! The stock: an entity with a stream for each item, which holds goods for orders.

use std::collections::{BTreeMap, BTreeSet};

use hostler::prelude::*;
use hostler::runtime::state::shell::ExecuteError;
use hostler::serde::{Deserialize, Serialize};

payloads! {
    /// Hold goods for an order.
    pub struct ReserveStock {
        pub saga: SagaRef,
        pub step: StepId,
        pub item: String,
        pub quantity: u32,
    }

    /// Hold them no longer.
    pub struct ReleaseStock {
        pub saga: SagaRef,
        pub step: StepId,
        pub item: String,
    }

    /// Goods came in.
    pub struct StockItem {
        pub item: String,
        pub quantity: u32,
    }

    /// So many came in.
    pub struct Stocked {
        pub quantity: u32,
    }

    /// Goods are held.
    pub struct Reserved {
        pub order: SagaRef,
        pub quantity: u32,
    }

    /// They are not.
    pub struct Released {
        pub order: SagaRef,
    }
}

contracts! {
    /// What is asked of `manage-stock`.
    pub enum StockCommand as Command {
        "reserve-stock" v 1 @ "manage-stock" => Reserve(ReserveStock),
        "release-stock" v 1 @ "manage-stock" => Release(ReleaseStock),
    }
}

contracts! {
    /// What happens to an item.
    pub enum StockEvent as Event {
        "stock.stocked" v 1 => Stocked(Stocked),
        "stock.reserved" v 1 => Reserved(Reserved),
        "stock.released" v 1 => Released(Released),
    }
}

/// How an item stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(crate = "hostler::serde", rename_all = "camelCase")]
pub struct StockState {
    pub free: u32,
    /// What is held, by order.
    pub held: BTreeMap<String, u32>,
    /// Orders whose goods were put back: what comes late for them is refused.
    pub released: BTreeSet<String>,
}

/// What the decider of an item hears.
pub enum StockInput {
    Stock(StockItem),
    Reserve(ReserveStock),
    Release(ReleaseStock),
}

/// Decides on `stock#` streams.
pub struct Stock;

impl Decider for Stock {
    const CATEGORY: &'static str = "stock";
    const STATE_VERSION: u32 = 1;
    type State = StockState;
    type Input = StockInput;
    type Event = StockEvent;
    type Command = SagaCommand;
    type Refusal = StockRefusal;

    fn decide(
        state: &StockState,
        input: &StockInput,
        _: Timestamp,
    ) -> Result<Decision<StockEvent, SagaCommand>, StockRefusal> {
        Ok(match input {
            StockInput::Stock(StockItem { quantity: 0, .. }) => return Err(StockRefusal::Nothing),
            StockInput::Stock(StockItem { quantity, .. }) => {
                Decision::events([StockEvent::Stocked(Stocked { quantity: *quantity })])
            }
            StockInput::Reserve(reserve) => decide_reserve(state, reserve),
            StockInput::Release(ReleaseStock { saga, step, .. }) => {
                let released = StockEvent::Released(Released { order: saga.clone() });
                let released = (!state.released.contains(saga.as_str())).then_some(released);
                let answer = StepReply::succeeded(saga.clone(), step.clone(), Value::Null);
                Decision::events(released).command(answer.into())
            }
        })
    }

    fn evolve(mut state: StockState, event: &StockEvent) -> StockState {
        match event {
            StockEvent::Stocked(Stocked { quantity }) => state.free = state.free.saturating_add(*quantity),
            StockEvent::Reserved(Reserved { order, quantity }) => {
                state.free = state.free.saturating_sub(*quantity);
                state.held.insert(order.to_string(), *quantity);
            }
            StockEvent::Released(Released { order }) => {
                let held = state.held.remove(order.as_str()).unwrap_or_default();
                state.free = state.free.saturating_add(held);
                state.released.insert(order.to_string());
            }
        }
        state
    }
}

/// Holds goods, and answers the saga in the same commit.
fn decide_reserve(state: &StockState, reserve: &ReserveStock) -> Decision<StockEvent, SagaCommand> {
    let ReserveStock { saga, step, item, quantity } = reserve;
    let succeeded = StepReply::succeeded(saga.clone(), step.clone(), Value::Null);
    // It is certain that nothing was done, so there is nothing to undo.
    let refused = |reason: String| {
        let answer = StepReply::refused(saga.clone(), step.clone(), reason);
        Decision::nothing().command(answer.into())
    };
    if state.released.contains(saga.as_str()) {
        return refused("the goods were put back before they were held".to_owned());
    }
    if state.held.contains_key(saga.as_str()) {
        return Decision::nothing().command(succeeded.into());
    }
    if state.free < *quantity {
        return refused(format!("{quantity} of {item} are ordered, and {} are free", state.free));
    }
    let reserved = StockEvent::Reserved(Reserved { order: saga.clone(), quantity: *quantity });
    Decision::events([reserved]).command(succeeded.into())
}

/// Why the stock says no to a person.
#[derive(Debug)]
pub enum StockRefusal {
    Nothing,
}

impl std::fmt::Display for StockRefusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing came in: give a quantity of 1 or more"),
        }
    }
}

impl std::error::Error for StockRefusal {}

/// Items, all in one list.
pub struct Items;

impl Entity for Items {
    type Decider = Stock;
}

impl Viewed for Items {
    const VIEW: &'static str = "items";

    fn show(state: &StockState) -> Option<Shown> {
        Some(Shown::of("all", state))
    }
}

impl Operated for Items {
    fn refused(refusal: &StockRefusal) -> Refused {
        match refusal {
            StockRefusal::Nothing => Refused { status: 400, label: "nothing" },
        }
    }
}

/// The step function: it calls nothing outside, so it needs no worker.
pub struct ManageStock {
    pub shell: Shell,
}

#[async_trait]
impl Handler for ManageStock {
    async fn handle(&self, message: &Incoming) -> Result<(), Failure> {
        let (item, input) = match message.command()? {
            StockCommand::Reserve(reserve) => (reserve.item.clone(), StockInput::Reserve(reserve)),
            StockCommand::Release(release) => (release.item.clone(), StockInput::Release(release)),
        };
        let stream = StreamId::new(Stock::CATEGORY, &item).map_err(Failure::invalid)?;
        let done = self.shell.execute::<Stock>(&stream, &Cause::of(message), &input).await;
        done.map(drop).map_err(|error: ExecuteError<StockRefusal>| error.into())
    }
}
