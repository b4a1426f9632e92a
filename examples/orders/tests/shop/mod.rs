//! The shop in memory, with a bank, a courier and a mailer that remember what they were told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use hostler::prelude::*;
use hostler::runtime::serving::callback::CallbackKey;
use hostler::testkit::World;
use hostler::testkit::world::{Outages, Ports};
use orders::fraud::CheckCards;
use orders::mail::{Mailer, SendMails};
use orders::order::OrderSaga;
use orders::payment::{Bank, TakePayments};
use orders::shipment::{Courier, ShipParcels};
use orders::stock::ManageStock;
use orders::{Shop, operations};

pub(crate) struct TestShop {
    pub world: World<Shop>,
    pub outside: Outside,
}

/// What the outside world was told.
#[derive(Clone)]
pub(crate) struct Outside {
    outages: Outages,
    told: Arc<Mutex<Told>>,
}

#[derive(Default)]
pub(crate) struct Told {
    /// Every charge that was ever made, by card.
    pub charges: Vec<(String, u64)>,
    /// The payments that stand, by their keys.
    pub payments: BTreeMap<String, String>,
    /// The URLs that the courier calls, by the keys of his bookings.
    pub bookings: BTreeMap<String, String>,
    /// Bookings that were called off.
    pub cancelled: Vec<String>,
    pub mails: Vec<String>,
    /// Whether the bank says no to every card.
    pub declines: bool,
    /// Whether no mail can be delivered.
    pub no_such_address: bool,
}

impl TestShop {
    pub(crate) async fn open() -> Self {
        let key = CallbackKey::new(b"0123456789abcdef0123456789abcdef").unwrap();
        let mut outside = None;
        let mut world = World::new(operations(key.clone()), |ports: &Ports| {
            let told = Outside { outages: ports.outages.clone(), told: Arc::default() };
            let outside = Arc::new(outside.insert(told).clone());
            let worker = || ports.worker::<Shop>();
            let callback_url = "https://shop.test/callbacks".to_owned();
            vec![
                ("check-fraud", Arc::new(CheckCards { shell: ports.shell::<Shop>() })),
                ("manage-stock", Arc::new(ManageStock { shell: ports.shell::<Shop>() })),
                ("take-payments", Arc::new(TakePayments { worker: worker(), bank: outside.clone() })),
                ("send-mails", Arc::new(SendMails { worker: worker(), mailer: outside.clone() })),
                (
                    "ship-parcels",
                    Arc::new(ShipParcels {
                        worker: worker(),
                        courier: outside,
                        callback_key: key,
                        callback_url,
                    }),
                ),
            ]
        });
        world.accepted("stock-item", json!({ "item": "tea", "quantity": 100, "lowBelow": 10 })).await;
        world.settle().await;
        Self { world, outside: outside.unwrap() }
    }

    /// Orders two bags of tea, each of so many cents, and lets everything happen that happens now.
    pub(crate) async fn order(&mut self, order: &str, cents: u64) {
        self.place(order, &format!("card-of-{order}"), cents).await;
        self.world.settle().await;
    }

    pub(crate) async fn place(&mut self, order: &str, card: &str, cents: u64) {
        let lines = json!([
            { "item": "tea", "quantity": 1, "cents": cents },
            { "item": "tea", "quantity": 1, "cents": cents },
        ]);
        let customer = format!("{order}@shop.test");
        let body = json!({ "order": order, "customer": customer, "card": card, "lines": lines });
        self.world.accepted("place-order", body).await;
    }

    /// The courier reports for all orders that he was booked for.
    pub(crate) async fn deliver(&mut self, answer: Value) {
        let urls: Vec<String> =
            self.outside.told(|told| std::mem::take(&mut told.bookings).into_values().collect());
        for url in urls {
            let answer = self.world.call_back(&url, answer.clone()).await;
            assert_eq!(answer.status, 202, "{}", answer.body);
        }
        self.world.settle().await;
    }

    pub(crate) fn status(&self, order: &str) -> &'static str {
        self.world.status::<OrderSaga>(order)
    }
}

impl Outside {
    pub(crate) fn told<T>(&self, look: impl FnOnce(&mut Told) -> T) -> T {
        look(&mut self.told.lock().unwrap())
    }
}

#[async_trait]
impl Bank for Outside {
    /// This bank forgets keys, so that whoever asks twice is charged twice.
    async fn charge(&self, key: &str, card: &str, cents: u64) -> Result<String, StepError> {
        let charge = async {
            self.told(|told| {
                if told.declines {
                    return Err(StepError::refused(format!("the card {card} is declined")));
                }
                told.charges.push((card.to_owned(), cents));
                told.payments.insert(key.to_owned(), format!("payment of {key}"));
                Ok(format!("payment of {key}"))
            })
        };
        self.outages.call("payments", charge).await
    }

    async fn refund(&self, payment: &str) -> Result<(), StepError> {
        let refund = async {
            self.told(|told| told.payments.retain(|_, made| made != payment));
            Ok(())
        };
        self.outages.call("payments", refund).await
    }

    async fn find(&self, key: &str) -> Result<Option<String>, StepError> {
        self.outages.call("payments", async { Ok(self.told(|told| told.payments.get(key).cloned())) }).await
    }
}

#[async_trait]
impl Courier for Outside {
    async fn book(&self, key: &str, _: &str, callback_url: &str) -> Result<(), StepError> {
        let book = async {
            self.told(|told| told.bookings.insert(key.to_owned(), callback_url.to_owned()));
            Ok(())
        };
        self.outages.call("courier", book).await
    }

    async fn cancel(&self, key: &str) -> Result<(), StepError> {
        let cancel = async {
            self.told(|told| told.cancelled.push(key.to_owned()));
            Ok(())
        };
        self.outages.call("courier", cancel).await
    }
}

#[async_trait]
impl Mailer for Outside {
    async fn send(&self, to: &str, _: &str) -> Result<(), StepError> {
        let send = async {
            self.told(|told| {
                if told.no_such_address {
                    return Err(StepError::refused(format!("there is no address {to}")));
                }
                told.mails.push(to.to_owned());
                Ok(())
            })
        };
        self.outages.call("mail", send).await
    }
}
