//! A sample saga that has everything: an order's goods and money, a child saga, an approval and a callback.

use hostler_core::saga::{
    Action, Ask, Facts, Plan, RetryPolicy, Saga, SagaDefinition, SagaRefusal, Step, StepNames,
};
use hostler_core::{Addressed, ContractError, Data, Payload, StepId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::saga_run::SagaRun;

/// Orders over this amount need a person's approval, from version 2 on.
pub const APPROVAL_ABOVE: u32 = 1_000;

/// What was ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// What it costs.
    pub amount: u32,
}

hostler_core::step_names! {
    /// What an order goes through, and how it is undone.
    pub enum OrderStep {
        /// A person says yes.
        Approve = "approve",
        /// Take the goods out of the stock.
        Reserve = "reserve",
        /// Put them back.
        Release = "release",
        /// Take the money.
        Charge = "charge",
        /// Give it back.
        Refund = "refund",
        /// The child saga that ships.
        Ship = "ship",
        /// Take the parcel back.
        Recall = "recall",
        /// The carrier calls back.
        Carrier = "carrier",
        /// Call the carrier off.
        CallOff = "call-off",
        /// Thank the customer.
        Thank = "thank",
    }
}

/// What others are asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct OrderCommand {
    /// The step or compensation.
    pub step: OrderStep,
    /// Whether to do or to stop it.
    pub action: Action,
    /// The attempt to answer.
    pub id: StepId,
    /// What to do it with.
    pub input: Value,
}

impl Payload for OrderCommand {
    fn type_name(&self) -> &'static str {
        match (self.action, self.step) {
            (Action::Do, step) => step.as_str(),
            (Action::Stop, _) => "stop",
        }
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

/// An order in memory.
pub type OrderRun = SagaRun<OrderSaga>;

impl SagaDefinition for OrderSaga {
    const KIND: &'static str = "order";
    const VERSION: u32 = 2;
    type Order = Order;
    type Step = OrderStep;
    type Command = OrderCommand;

    fn plan(version: u32, _: &Order) -> Option<Plan<OrderStep>> {
        use OrderStep::{Approve, CallOff, Carrier, Charge, Recall, Refund, Release, Reserve, Ship, Thank};
        let undo = RetryPolicy::attempts(2, 30);
        let first = match version {
            1 => Plan::default(),
            2 => Plan::default().then(Step::approval(Approve, 3_600).when("above an amount of 1000")),
            _ => return None,
        };
        Some(
            first
                .then_all([
                    Step::ask(Reserve, RetryPolicy::attempts(3, 60)).undone_by(Release, undo),
                    Step::ask(Charge, RetryPolicy::attempts(2, 60)).undone_by(Refund, undo),
                ])
                .then(Step::child(Ship, "shipment", 600).undone_by(Recall, undo))
                .then_all([
                    Step::callback(Carrier, RetryPolicy::once(7_200), 900).undone_by(CallOff, undo),
                    Step::ask(Thank, RetryPolicy::once(60)),
                ]),
        )
    }

    fn applies(_: OrderStep, _: Option<u32>, facts: &Facts<'_, Self>) -> bool {
        facts.order.amount > APPROVAL_ABOVE
    }

    fn command(ask: &Ask<'_, Self>) -> Result<Option<OrderCommand>, SagaRefusal> {
        let input = ask.edited.cloned().unwrap_or_else(|| json!(ask.order.amount));
        Ok(Some(OrderCommand { step: ask.step, action: ask.action, id: ask.id.clone(), input }))
    }

    fn child_order(ask: &Ask<'_, Self>) -> Result<Value, SagaRefusal> {
        Ok(json!({ "parcelOf": ask.saga }))
    }

    fn result(facts: &Facts<'_, Self>) -> Value {
        json!({ "paid": facts.order.amount })
    }

    fn examples() -> Vec<Order> {
        vec![Order { amount: 2 * APPROVAL_ABOVE }]
    }
}
