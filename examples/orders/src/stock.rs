//! The stock: an entity of its own. It holds goods for orders, and orders more by itself when it runs low.

use std::collections::{BTreeMap, BTreeSet};

use hostler::prelude::*;
use hostler::runtime::state::shell::ExecuteError;
use hostler::serde::{Deserialize, Serialize};

/// How long the supplier takes.
pub const SUPPLY: SignedDuration = SignedDuration::from_hours(24);

payloads! {
    /// Hold goods for one line of an order.
    pub struct ReserveStock {
        pub saga: SagaRef,
        pub step: StepId,
        pub line: u32,
        pub item: String,
        pub quantity: u32,
    }

    /// Hold them no longer.
    pub struct ReleaseStock {
        pub saga: SagaRef,
        pub step: StepId,
        pub line: u32,
        pub item: String,
    }

    /// Goods came in.
    pub struct StockItem {
        pub item: String,
        pub quantity: u32,
        /// Below this many, more are ordered.
        pub low_below: u32,
    }

    /// Goods are held.
    pub struct Reserved {
        pub hold: String,
        pub quantity: u32,
    }

    /// They are not.
    pub struct Released {
        pub hold: String,
    }

    /// So many are there, and so few are enough.
    pub struct Stocked {
        pub quantity: u32,
        pub low_below: u32,
    }

    /// More is needed.
    pub struct RanLow {
        pub left: u32,
    }

    /// More is on its way.
    pub struct Reordered {
        pub quantity: u32,
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
        "stock.ran-low" v 1 => RanLow(RanLow),
        "stock.reordered" v 1 => Reordered(Reordered),
    }
}

/// How an item stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(crate = "hostler::serde", rename_all = "camelCase")]
pub struct StockState {
    pub free: u32,
    pub low_below: u32,
    pub on_order: u32,
    /// What is held, by order and line.
    pub holds: BTreeMap<String, u32>,
    /// What was given back, and is never held again: a command may come late.
    pub released: BTreeSet<String>,
}

/// What the decider of an item hears.
pub enum StockInput {
    Stock(StockItem),
    Reserve(ReserveStock),
    Release(ReleaseStock),
    /// The item itself said that it ran low.
    Reorder,
    /// The supplier has delivered.
    Delivered,
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
        now: Timestamp,
    ) -> Result<Decision<StockEvent, SagaCommand>, StockRefusal> {
        let stocked = |quantity, low_below| StockEvent::Stocked(Stocked { quantity, low_below });
        Ok(match input {
            StockInput::Stock(StockItem { quantity: 0, .. }) => return Err(StockRefusal::Nothing),
            StockInput::Stock(item) => Decision::events([stocked(item.quantity, item.low_below)]),
            StockInput::Reserve(reserve) => decide_reserve(state, reserve),
            StockInput::Release(ReleaseStock { saga, step, line, .. }) => {
                let (hold, answer) =
                    (hold(saga, *line), StepReply::succeeded(saga.clone(), step.clone(), Value::Null));
                let released =
                    (!state.released.contains(&hold)).then_some(StockEvent::Released(Released { hold }));
                Decision::events(released).command(answer.into())
            }
            StockInput::Reorder if state.on_order > 0 || state.free >= state.low_below => Decision::nothing(),
            StockInput::Reorder => {
                let quantity = state.low_below.saturating_mul(2);
                let timer = SetTimer {
                    name: "delivery".to_owned(),
                    due_at: now + SUPPLY,
                    deliver_to: "manage-stock",
                };
                Decision::events([StockEvent::Reordered(Reordered { quantity })]).timer(timer)
            }
            StockInput::Delivered if state.on_order == 0 => Decision::nothing(),
            StockInput::Delivered => Decision::events([stocked(state.on_order, state.low_below)]),
        })
    }

    fn evolve(mut state: StockState, event: &StockEvent) -> StockState {
        match event {
            StockEvent::Stocked(Stocked { quantity, low_below }) => {
                state.free += quantity;
                state.low_below = *low_below;
                state.on_order = 0;
            }
            StockEvent::Reserved(Reserved { hold, quantity }) => {
                state.free -= quantity;
                state.holds.insert(hold.clone(), *quantity);
            }
            StockEvent::Released(Released { hold }) => {
                state.free += state.holds.remove(hold).unwrap_or_default();
                state.released.insert(hold.clone());
            }
            StockEvent::RanLow(_) => {}
            StockEvent::Reordered(Reordered { quantity }) => state.on_order = *quantity,
        }
        state
    }
}

fn hold(saga: &SagaRef, line: u32) -> String {
    format!("{}/{line}", saga.id())
}

fn decide_reserve(state: &StockState, reserve: &ReserveStock) -> Decision<StockEvent, SagaCommand> {
    let ReserveStock { saga, step, line, quantity, item } = reserve;
    let hold = hold(saga, *line);
    let succeeded = StepReply::succeeded(saga.clone(), step.clone(), Value::Null);
    let refused = |reason: String| {
        // It is certain that nothing was done, so there is nothing to undo.
        let answer = StepReply::refused(saga.clone(), step.clone(), reason);
        Decision::nothing().command(answer.into())
    };
    if state.released.contains(&hold) {
        return refused("it was given back before it was held".to_owned());
    }
    if state.holds.contains_key(&hold) {
        return Decision::nothing().command(succeeded.into());
    }
    let Some(left) = state.free.checked_sub(*quantity) else {
        return refused(format!("{quantity} of {item} are ordered, and {} are free", state.free));
    };
    let reserved = StockEvent::Reserved(Reserved { hold, quantity: *quantity });
    let ran_low = (left < state.low_below).then_some(StockEvent::RanLow(RanLow { left }));
    Decision::events([reserved].into_iter().chain(ran_low)).command(succeeded.into())
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
    const TIMERS_TO: Option<&'static str> = Some("manage-stock");
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

/// The step function. It hears the stock's own events, too: nobody tells it to order more.
pub struct ManageStock {
    pub shell: Shell,
}

#[async_trait]
impl Handler for ManageStock {
    async fn handle(&self, message: &Incoming) -> Result<(), Failure> {
        let of_item = |item: &str| StreamId::new(Stock::CATEGORY, item).map_err(Failure::invalid);
        let (stream, input) = match message {
            Incoming::Event(event) => (event.stream.clone(), StockInput::Reorder),
            Incoming::Timer(timer) => (timer.stream.clone(), StockInput::Delivered),
            Incoming::Command(_) => match message.command()? {
                StockCommand::Reserve(reserve) => (of_item(&reserve.item)?, StockInput::Reserve(reserve)),
                StockCommand::Release(release) => (of_item(&release.item)?, StockInput::Release(release)),
            },
        };
        let done = self.shell.execute::<Stock>(&stream, &Cause::of(message), &input).await;
        done.map(drop).map_err(|error: ExecuteError<StockRefusal>| error.into())
    }
}
