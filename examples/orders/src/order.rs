//! The saga of an order.

use hostler::core::saga::RetryPolicy as Retry;
use hostler::prelude::*;

use crate::fraud::{CheckFraud, FraudCheck, FraudCommand};
use crate::mail::{MailCommand, SendThanks};
use crate::payment::{ChargeCard, PaymentCommand, RefundCard};
use crate::shipment::{Parcel, ShipmentSaga};
use crate::stock::{ReleaseStock, ReserveStock, StockCommand};

/// Orders over this amount need a person's approval.
pub const APPROVAL_ABOVE_CENTS: u64 = 100_000;
/// How long an order waits for it.
const APPROVAL_SECONDS: u32 = 86_400;
/// How long a parcel may be on its way.
const SHIPPING_SECONDS: u32 = 7 * 86_400;

payloads! {
    /// What is ordered.
    pub struct Order {
        pub customer: String,
        pub card: String,
        pub lines: Vec<Line>,
    }

    /// One line of an order.
    pub struct Line {
        pub item: String,
        pub quantity: u32,
        pub cents: u64,
    }
}

impl Order {
    /// What it costs.
    pub fn cents(&self) -> u64 {
        self.lines.iter().map(|line| line.cents.saturating_mul(line.quantity.into())).sum()
    }
}

step_names! {
    /// What an order goes through, and how it is undone.
    pub enum OrderStep {
        /// Is the card used too often?
        CheckFraud = "check-fraud",
        /// A person says yes.
        Approve = "approve",
        /// Take the goods of one line out of the stock.
        Reserve = "reserve",
        /// Put them back.
        Release = "release",
        /// Take the money.
        Charge = "charge",
        /// Give it back.
        Refund = "refund",
        /// The saga of the parcel.
        Ship = "ship",
        /// Call the parcel back.
        Recall = "recall",
        /// Thank the customer.
        Thank = "thank",
    }
}

command_sets! {
    /// What an order asks for.
    pub enum OrderCommand {
        /// Of `check-fraud`.
        Fraud(FraudCommand),
        /// Of `manage-stock`.
        Stock(StockCommand),
        /// Of `take-payments`.
        Payment(PaymentCommand),
        /// Of `send-mails`.
        Mail(MailCommand),
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

    fn plan(version: u32, order: &Order) -> Option<Plan<OrderStep>> {
        use OrderStep::{Approve, Charge, CheckFraud, Recall, Refund, Release, Reserve, Ship, Thank};
        if version != 1 {
            return None;
        }
        let (policy, undo) = (Retry::attempts(5, 120), Retry::attempts(10, 120));
        let reserve = |line| Step::ask(Reserve, policy).for_line(line).undone_by(Release, undo);
        let lines = (0_u32..).zip(&order.lines).map(|(line, _)| reserve(line));
        let charge = Step::ask(Charge, policy).undone_by(Refund, undo);
        Some(
            Plan::default()
                .then(Step::ask(CheckFraud, policy))
                .then(
                    Step::approval(Approve, APPROVAL_SECONDS)
                        .when("the amount is high, or the card suspicious"),
                )
                .then_all(lines.chain([charge]))
                .then(Step::child(Ship, ShipmentSaga::KIND, SHIPPING_SECONDS).undone_by(Recall, undo))
                .then(Step::ask(Thank, policy).best_effort()),
        )
    }

    fn applies(_: OrderStep, _: Option<u32>, facts: &Facts<'_, Self>) -> bool {
        let check = facts.output::<FraudCheck>(OrderStep::CheckFraud);
        facts.order.cents() > APPROVAL_ABOVE_CENTS || check.is_ok_and(|check| check.suspicious)
    }

    fn command(ask: &Ask<'_, Self>) -> Result<Option<OrderCommand>, SagaRefusal> {
        let (saga, step, order) = (ask.saga.clone(), ask.id.clone(), ask.order);
        let line = || ask.line.and_then(|line| Some((line, order.lines.get(usize::try_from(line).ok()?)?)));
        Ok(match ask.step {
            OrderStep::CheckFraud => {
                Some(FraudCommand::from(CheckFraud { saga, step, card: order.card.clone() }).into())
            }
            OrderStep::Reserve => line().map(|(line, Line { item, quantity, .. })| {
                let (item, quantity) = (item.clone(), *quantity);
                StockCommand::from(ReserveStock { saga, step, line, item, quantity }).into()
            }),
            OrderStep::Release => line().map(|(line, Line { item, .. })| {
                StockCommand::from(ReleaseStock { saga, step, line, item: item.clone() }).into()
            }),
            OrderStep::Charge => {
                let (card, cents) = (order.card.clone(), order.cents());
                Some(PaymentCommand::from(ChargeCard { saga, step, card, cents }).into())
            }
            OrderStep::Refund => Some(PaymentCommand::from(RefundCard { saga, step }).into()),
            OrderStep::Thank => {
                let customer = order.customer.clone();
                Some(MailCommand::from(SendThanks { saga, step, customer }).into())
            }
            // People learn of approvals from the event; children are started by the engine.
            OrderStep::Approve | OrderStep::Ship | OrderStep::Recall => None,
        })
    }

    fn child_order(ask: &Ask<'_, Self>) -> Result<Value, SagaRefusal> {
        Ok(json!(Parcel { customer: ask.order.customer.clone() }))
    }

    fn check_output(
        step: OrderStep,
        _: Option<u32>,
        output: &Value,
    ) -> Result<(), hostler::serde_json::Error> {
        match step {
            OrderStep::CheckFraud => FraudCheck::check(output),
            _ => Ok(()),
        }
    }

    fn examples() -> Vec<Order> {
        let tea = Line { item: "tea".to_owned(), quantity: 2, cents: 450 };
        let pot = Line { item: "pot".to_owned(), quantity: 1, cents: APPROVAL_ABOVE_CENTS };
        vec![Order { customer: "ann@shop.test".to_owned(), card: "4711".to_owned(), lines: vec![tea, pot] }]
    }
}

/// Orders, listed by their status.
pub struct Orders;

impl SagaEntry for Orders {
    type Definition = OrderSaga;
    const VIEW: &'static str = "orders";
}
