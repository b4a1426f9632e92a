//! Orders: goods are held, a card is charged, and what was done is undone when one of it fails.
#![allow(missing_docs, reason = "the fields of the records say what they are")]

pub mod order;
pub mod payment;
pub mod stock;

use hostler::prelude::*;

use order::{Order, OrderSaga, Orders};
use stock::{Items, StockInput, StockItem};

/// The register: what the application consists of.
pub struct App;

impl Application for App {
    const SOURCE: &'static str = "starter";

    const FUNCTIONS: &'static [Function] = &[
        Function::commands("accept-commands"),
        Function::sagas("run-sagas"),
        Function::steps("manage-stock"),
        Function::steps("take-payments").needs(&["payments"]),
        Function::timers("fire-timers"),
        Function::views("project-views"),
        Function::triage("triage-failures").consumers(5),
        Function::flow("watch-flow", "rate(1 minute)"),
        Function::relay("relay-outbox"),
        Function::queries("answer-queries"),
    ];

    type Operations = AppCommand;

    fn entities(each: &mut impl Entities) {
        each.saga::<Orders>();
        each.viewed::<Items>();
    }
}

payloads! {
    /// Order something.
    pub struct PlaceOrder {
        pub order: String,
        pub item: String,
        pub quantity: u32,
        pub card: String,
        pub cents: u64,
    }
}

contracts! {
    /// What the application is asked for.
    pub enum AppCommand as Command {
        "place-order" v 1 @ "commands" => PlaceOrder(PlaceOrder) of order,
        "stock-item" v 1 @ "commands" => StockItem(StockItem) of item,
    }
}

/// What each command tells whom. The runtime's own commands operate sagas of every kind.
pub fn operations() -> Operations {
    Operations::default()
        .asking::<SagaEntity<Orders>, PlaceOrder>(|placed, _| {
            let PlaceOrder { order, item, quantity, card, cents } = placed;
            let saga = SagaRef::new(OrderSaga::KIND, &order).map_err(Failure::invalid)?;
            let order = Order { item, quantity, card, cents };
            Ok(Asked::new(SagaInput::Start { saga, order, parent: None }))
        })
        .on::<Items, StockItem>(StockInput::Stock)
        .sagas::<App>()
}
