//! What becomes of orders, in memory.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests may fail loudly, and their names say what they show"
)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use hostler::prelude::*;
use hostler::testkit::World;
use hostler::testkit::world::Outages;
use starter::order::OrderSaga;
use starter::payment::{Bank, DECLINED_CARD, TakePayments};
use starter::stock::{ManageStock, Stock};
use starter::{App, operations};

/// A bank that remembers what it was told, and can be away.
struct TestBank {
    outages: Outages,
    charged: Arc<Mutex<Vec<String>>>,
}

#[async_trait]
impl Bank for TestBank {
    async fn charge(&self, _: &str, card: &str, _: u64) -> Result<(), StepError> {
        let charge = async {
            if card == DECLINED_CARD {
                return Err(StepError::refused("the card is declined"));
            }
            self.charged.lock().unwrap().push(card.to_owned());
            Ok(())
        };
        self.outages.call("payments", charge).await
    }

    async fn refund(&self, _: &str) -> Result<(), StepError> {
        Ok(())
    }
}

async fn open() -> (World<App>, Arc<Mutex<Vec<String>>>) {
    let charged = Arc::new(Mutex::new(Vec::new()));
    let mut world = World::<App>::new(operations(), |ports| {
        let bank = Arc::new(TestBank { outages: ports.outages.clone(), charged: charged.clone() });
        vec![
            ("manage-stock", Arc::new(ManageStock { shell: ports.shell::<App>() })),
            ("take-payments", Arc::new(TakePayments { worker: ports.worker::<App>(), bank })),
        ]
    });
    world.accepted("stock-item", json!({ "item": "tea", "quantity": 10 })).await;
    world.settle().await;
    (world, charged)
}

async fn place(world: &mut World<App>, order: &str, card: &str, quantity: u32) {
    let order = json!({ "order": order, "item": "tea", "quantity": quantity, "card": card, "cents": 900 });
    world.accepted("place-order", order).await;
}

#[tokio::test]
async fn an_order_is_held_and_paid() {
    let (mut world, charged) = open().await;
    place(&mut world, "o-1", "4711", 2).await;
    world.run().await;
    assert_eq!(world.status::<OrderSaga>("o-1"), "completed");
    assert_eq!(*charged.lock().unwrap(), ["4711"]);
    assert_eq!(world.state::<Stock>("tea").free, 8);
}

#[tokio::test]
async fn a_declined_card_gives_the_goods_back() {
    let (mut world, charged) = open().await;
    place(&mut world, "o-1", DECLINED_CARD, 2).await;
    world.run().await;
    assert_eq!(world.status::<OrderSaga>("o-1"), "compensated");
    assert_eq!(world.state::<Stock>("tea").free, 10);
    assert!(charged.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_is_not_there_is_not_paid() {
    let (mut world, charged) = open().await;
    place(&mut world, "o-1", "4711", 11).await;
    world.run().await;
    assert_eq!(world.status::<OrderSaga>("o-1"), "compensated");
    assert!(charged.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_hour_without_payments_costs_time_and_nothing_else() {
    let (mut world, charged) = open().await;
    world.outages.take_away("payments", Duration::from_secs(3_600));
    place(&mut world, "o-1", "4711", 2).await;
    world.advance(Duration::from_secs(7_200)).await;
    assert_eq!(world.status::<OrderSaga>("o-1"), "completed");
    assert_eq!(*charged.lock().unwrap(), ["4711"], "the card is charged once");
}
