//! The saga of an order.

use hostler::prelude::*;

use crate::payment::{ChargeCard, PaymentCommand, RefundCard};
use crate::stock::{ReleaseStock, ReserveStock, StockCommand};

payloads! {
    /// What is ordered.
    pub struct Order {
        pub item: String,
        pub quantity: u32,
        pub card: String,
        pub cents: u64,
    }
}

step_names! {
    /// What an order goes through, and how it is undone.
    pub enum OrderStep {
        /// Take the goods out of the stock.
        Reserve = "reserve",
        /// Put them back.
        Release = "release",
        /// Take the money.
        Charge = "charge",
        /// Give it back.
        Refund = "refund",
    }
}

command_sets! {
    /// What an order asks for.
    pub enum OrderCommand {
        /// Of `manage-stock`.
        Stock(StockCommand),
        /// Of `take-payments`.
        Payment(PaymentCommand),
    }
}

/// The definition.
pub struct OrderSaga;

impl SagaDefinition for OrderSaga {
    const KIND: &'static str = "order";
    const VERSION: u32 = 1;
    type Order = Order;
    type Step = OrderStep;
    type Command = OrderCommand;

    fn plan(version: u32, _: &Order) -> Option<Plan<OrderStep>> {
        let (policy, undo) = (RetryPolicy::attempts(5, 60), RetryPolicy::attempts(10, 60));
        let reserve = Step::ask(OrderStep::Reserve, policy).undone_by(OrderStep::Release, undo);
        let charge = Step::ask(OrderStep::Charge, policy).undone_by(OrderStep::Refund, undo);
        (version == 1).then(|| Plan::default().then(reserve).then(charge))
    }

    fn command(ask: &Ask<'_, Self>) -> Result<Option<OrderCommand>, SagaRefusal> {
        let (saga, step) = (ask.saga.clone(), ask.id.clone());
        let Order { item, quantity, card, cents } = ask.order.clone();
        Ok(Some(match ask.step {
            OrderStep::Reserve => StockCommand::from(ReserveStock { saga, step, item, quantity }).into(),
            OrderStep::Release => StockCommand::from(ReleaseStock { saga, step, item }).into(),
            OrderStep::Charge => PaymentCommand::from(ChargeCard { saga, step, card, cents }).into(),
            OrderStep::Refund => PaymentCommand::from(RefundCard { saga, step }).into(),
        }))
    }

    fn examples() -> Vec<Order> {
        vec![Order { item: "tea".to_owned(), quantity: 2, card: "4711".to_owned(), cents: 900 }]
    }
}

/// Orders, listed by their status.
pub struct Orders;

impl SagaEntry for Orders {
    type Definition = OrderSaga;
    const VIEW: &'static str = "orders";
}
