//! The bank, the courier and the mailer. What they are told they remember, and they fail as everything else does.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hostler::prelude::*;
use hostler::testkit::clock::Random;
use hostler::testkit::world::{Callers, Outages, Ports};
use orders::mail::Mailer;
use orders::payment::Bank;
use orders::shipment::Courier;

const HOUR: Duration = Duration::from_secs(3_600);

/// All three. Shared by its clones.
#[derive(Clone)]
pub(crate) struct Outside {
    outages: Outages,
    callers: Callers,
    told: Arc<Mutex<Told>>,
}

/// What they were told.
#[derive(Default)]
pub(crate) struct Told {
    /// By the keys under which they were made.
    pub payments: BTreeMap<String, Payment>,
    /// By the keys of the bookings: whose parcel it is.
    pub bookings: BTreeMap<String, String>,
    pub called_off: BTreeSet<String>,
    /// To whom mails were sent.
    pub mails: BTreeSet<String>,
}

pub(crate) struct Payment {
    pub card: String,
    pub cents: u64,
    pub refunded: bool,
}

impl Outside {
    pub(crate) fn new(ports: &Ports) -> Self {
        let (outages, callers) = (ports.outages.clone(), ports.callers.clone());
        Self { outages, callers, told: Arc::default() }
    }

    pub(crate) fn told<T>(&self, look: impl FnOnce(&mut Told) -> T) -> T {
        look(&mut self.told.lock().unwrap())
    }

    /// Most parcels arrive; some couriers fail, some never answer, and some take long.
    fn pick_up(&self, key: &str, callback_url: &str) {
        let mut hash = DefaultHasher::new();
        key.hash(&mut hash);
        let mut random = Random::new(hash.finish());
        let delivered = json!({ "result": "succeeded", "output": { "signedBy": "Ann" } });
        let failed = json!({ "result": "failed", "category": "business", "reason": "nobody there", "uncertain": true });
        let hours = u32::try_from(1 + random.below(20)).unwrap();
        let call = |hours: u32, body: &Value| self.callers.call_back_in(hours * HOUR, callback_url, body);
        match random.below(100) {
            0..70 => call(hours, &delivered),
            70..80 => {
                call(hours, &json!({ "result": "alive" }));
                call(hours + 20, &delivered);
            }
            80..93 => call(hours, &failed),
            _ => {}
        }
    }
}

#[async_trait]
impl Bank for Outside {
    /// What is asked twice under one key is done once, even if it was given back meanwhile.
    async fn charge(&self, key: &str, card: &str, cents: u64) -> Result<String, StepError> {
        let _at_it = self.outages.work_on(&format!("the payment {key}")).await;
        let charge = async {
            self.told(|told| {
                let payment = Payment { card: card.to_owned(), cents, refunded: false };
                let payment = told.payments.entry(key.to_owned()).or_insert(payment);
                assert!(!payment.refunded, "{key} is charged after it was given back");
                Ok(key.to_owned())
            })
        };
        self.outages.call("payments", charge).await
    }

    async fn refund(&self, payment: &str) -> Result<(), StepError> {
        let refund = async {
            self.told(|told| told.payments.get_mut(payment).unwrap().refunded = true);
            Ok(())
        };
        self.outages.call("payments", refund).await
    }

    async fn find(&self, key: &str) -> Result<Option<String>, StepError> {
        let find =
            async { Ok(self.told(|told| told.payments.get_key_value(key).map(|(key, _)| key.clone()))) };
        self.outages.call("payments", find).await
    }
}

#[async_trait]
impl Courier for Outside {
    async fn book(&self, key: &str, customer: &str, callback_url: &str) -> Result<(), StepError> {
        let book = async {
            let before = self.told(|told| told.bookings.insert(key.to_owned(), customer.to_owned()));
            if before.is_none() {
                self.pick_up(key, callback_url);
            }
            Ok(())
        };
        self.outages.call("courier", book).await
    }

    async fn cancel(&self, key: &str) -> Result<(), StepError> {
        let cancel = async {
            self.told(|told| told.called_off.insert(key.to_owned()));
            Ok(())
        };
        self.outages.call("courier", cancel).await
    }
}

#[async_trait]
impl Mailer for Outside {
    async fn send(&self, to: &str, _: &str) -> Result<(), StepError> {
        let send = async {
            self.told(|told| told.mails.insert(to.to_owned()));
            Ok(())
        };
        self.outages.call("mail", send).await
    }
}
