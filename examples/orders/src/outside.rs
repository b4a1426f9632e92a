//! The bank, the courier and the mailer of the example, where it is deployed: they note what they are told in `control`.
//!
//! A real shop has clients here that call its providers.

use std::sync::Arc;

use hostler::prelude::*;
use hostler::runtime::ports::Control;

use crate::mail::Mailer;
use crate::payment::Bank;
use crate::shipment::Courier;

/// Cards of this number are always declined.
pub const DECLINED_CARD: &str = "0000";

/// All three.
pub struct OutsideInControl {
    pub control: Arc<dyn Control>,
}

impl OutsideInControl {
    /// Notes something under a key, once.
    async fn note(&self, key: &str, value: &Value) -> Result<(), StepError> {
        // Somebody else who noted it first noted the same.
        let noted = self.control.put(key, value, 0).await;
        noted.map(drop).map_err(|error| StepError::unavailable(error.to_string()))
    }

    async fn noted(&self, key: &str) -> Result<bool, StepError> {
        let entry = self.control.get(key).await.map_err(|error| StepError::unavailable(error.to_string()))?;
        Ok(entry.is_some())
    }
}

#[async_trait]
impl Bank for OutsideInControl {
    async fn charge(&self, key: &str, card: &str, cents: u64) -> Result<String, StepError> {
        if card == DECLINED_CARD {
            return Err(StepError::refused(format!("the card {card} is declined")));
        }
        let payment = format!("payment/{key}");
        self.note(&payment, &json!({ "card": card, "cents": cents })).await?;
        Ok(payment)
    }

    async fn refund(&self, payment: &str) -> Result<(), StepError> {
        self.note(&format!("refund/{payment}"), &json!({ "refunded": true })).await
    }

    async fn find(&self, key: &str) -> Result<Option<String>, StepError> {
        let payment = format!("payment/{key}");
        Ok(self.noted(&payment).await?.then_some(payment))
    }
}

#[async_trait]
impl Courier for OutsideInControl {
    async fn book(&self, key: &str, customer: &str, callback_url: &str) -> Result<(), StepError> {
        self.note(&format!("courier/{key}"), &json!({ "customer": customer, "callbackUrl": callback_url }))
            .await
    }

    async fn cancel(&self, key: &str) -> Result<(), StepError> {
        self.note(&format!("courier-cancelled/{key}"), &json!({ "cancelled": true })).await
    }
}

#[async_trait]
impl Mailer for OutsideInControl {
    async fn send(&self, to: &str, text: &str) -> Result<(), StepError> {
        self.note(&format!("mail/{to}"), &json!({ "text": text })).await
    }
}
