//! Payments: an effect on the outside world that is done once, however often it is asked for.

use std::sync::Arc;

use hostler::prelude::*;

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
    /// Takes money, and names the payment.
    async fn charge(&self, key: &str, card: &str, cents: u64) -> Result<String, StepError>;

    /// Gives a payment back.
    async fn refund(&self, payment: &str) -> Result<(), StepError>;

    /// The payment that was made under a key, if one was.
    async fn find(&self, key: &str) -> Result<Option<String>, StepError>;
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
    type Output = String;
    const NAME: Option<&'static str> = Some("payment");

    fn dependencies(&self) -> Vec<String> {
        vec!["payments".to_owned()]
    }

    async fn perform(&self, command: &ChargeCard, call: &Call) -> Result<String, StepError> {
        self.bank.charge(&call.key, &command.card, command.cents).await
    }

    async fn undo(&self, _: &RefundCard, payment: Option<String>, call: &Call) -> Result<(), StepError> {
        let payment = match payment {
            Some(payment) => Some(payment),
            // Nobody knows whether it was made: the bank does.
            None => self.bank.find(&call.key).await?,
        };
        match payment {
            Some(payment) => self.bank.refund(&payment).await,
            None => Ok(()),
        }
    }
}
