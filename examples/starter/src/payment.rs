//! Payments: an effect on the outside world that is done once, however often it is asked for.

use std::sync::Arc;

use hostler::prelude::*;
use hostler::runtime::ports::Control;

payloads! {
    /// Take the money of an order.
    pub struct ChargeCard {
        pub saga: SagaRef,
        pub step: StepId,
        pub card: String,
        pub cents: u64,
    }

    /// Give it back.
    pub struct RefundCard {
        pub saga: SagaRef,
        pub step: StepId,
    }
}

effect_commands!(ChargeCard, RefundCard);

contracts! {
    /// What is asked of `take-payments`.
    pub enum PaymentCommand as Command {
        "charge-card" v 1 @ "take-payments" => Charge(ChargeCard),
        "refund-card" v 1 @ "take-payments" => Refund(RefundCard),
    }
}

/// The bank. What it is told twice under one key it does once.
#[async_trait]
pub trait Bank: Send + Sync {
    /// Takes money.
    async fn charge(&self, key: &str, card: &str, cents: u64) -> Result<(), StepError>;

    /// Gives it back, if it was taken.
    async fn refund(&self, key: &str) -> Result<(), StepError>;
}

/// The step function.
pub struct TakePayments {
    pub worker: StepWorker,
    pub bank: Arc<dyn Bank>,
}

#[async_trait]
impl Handler for TakePayments {
    async fn handle(&self, message: &Incoming) -> Result<(), Failure> {
        let cause = Cause::of(message);
        match message.command()? {
            PaymentCommand::Charge(command) => self.worker.perform(self, &cause, &command).await,
            PaymentCommand::Refund(command) => self.worker.undo(self, &cause, &command).await,
        }
    }
}

impl Effect for TakePayments {
    type Do = ChargeCard;
    type Undo = RefundCard;
    type Output = ();
    const NAME: Option<&'static str> = Some("payment");

    fn dependencies(&self) -> Vec<String> {
        vec!["payments".to_owned()]
    }

    async fn perform(&self, command: &ChargeCard, call: &Call) -> Result<(), StepError> {
        self.bank.charge(&call.key, &command.card, command.cents).await
    }

    async fn undo(&self, _: &RefundCard, _: Option<()>, call: &Call) -> Result<(), StepError> {
        self.bank.refund(&call.key).await
    }
}

/// Cards of this number are always declined.
pub const DECLINED_CARD: &str = "0000";

/// A bank for trying things out: it notes in `control` what it is told. Put a client of a real one in its place.
pub struct BankInControl {
    pub control: Arc<dyn Control>,
}

impl BankInControl {
    async fn note(&self, key: String, value: Value) -> Result<(), StepError> {
        // What was noted before is not noted again.
        let noted = self.control.put(&key, &value, 0).await;
        noted.map(drop).map_err(|error| StepError::unavailable(error.to_string()))
    }
}

#[async_trait]
impl Bank for BankInControl {
    async fn charge(&self, key: &str, card: &str, cents: u64) -> Result<(), StepError> {
        if card == DECLINED_CARD {
            return Err(StepError::refused(format!("the card {card} is declined")));
        }
        self.note(format!("payment/{key}"), json!({ "card": card, "cents": cents })).await
    }

    async fn refund(&self, key: &str) -> Result<(), StepError> {
        self.note(format!("refund/{key}"), json!({ "refunded": true })).await
    }
}
