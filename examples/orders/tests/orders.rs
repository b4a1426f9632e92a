//! What becomes of orders, in memory.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests may fail loudly, and their names say what they show"
)]

mod shop;

use std::collections::BTreeMap;
use std::time::Duration;

use hostler::core::saga::{Answers, StepName, StepOutcome};
use hostler::prelude::*;
use orders::order::OrderSaga;
use orders::payment::{ChargeCard, PaymentCommand, RefundCard};
use orders::shipment::ShipmentSaga;
use orders::stock::Stock;
use shop::TestShop;

const HOUR: Duration = Duration::from_secs(3_600);

fn delivered() -> Value {
    json!({ "result": "succeeded", "output": { "signedBy": "Ann" } })
}

#[tokio::test]
async fn an_order_is_paid_packed_shipped_and_thanked_for() {
    let mut shop = TestShop::open().await;
    shop.order("o-1", 450).await;
    assert_eq!(shop.status("o-1"), "running");
    let row = shop.world.get("/orders/o-1").await;
    assert_eq!((row.status, &row.body["running"][0]["step"]), (200, &json!("ship")), "{}", row.body);

    shop.deliver(delivered()).await;
    assert_eq!(shop.status("o-1"), "completed");
    assert_eq!(shop.outside.told(|told| told.charges.clone()), [("card-of-o-1".to_owned(), 900)]);
    assert_eq!(shop.outside.told(|told| told.mails.clone()), ["o-1@shop.test"]);
    assert_eq!(shop.world.state::<Stock>("tea").free, 98);
    let listed = shop.world.get("/orders").await;
    assert_eq!(listed.body["rows"][0]["status"], "completed", "{}", listed.body);
}

#[tokio::test]
async fn what_was_done_is_undone_when_the_courier_fails() {
    let mut shop = TestShop::open().await;
    shop.order("o-1", 450).await;
    let failed =
        json!({ "result": "failed", "category": "business", "reason": "nobody there", "uncertain": true });
    shop.deliver(failed).await;
    shop.world.advance(HOUR).await;
    let saga = shop.world.saga::<OrderSaga>("o-1");
    assert_eq!(saga.status.name(), "compensated", "{:?}", saga.status);
    assert!(saga.status.reason().unwrap().contains("nobody there"), "{:?}", saga.status);
    let shipment = shop.world.sagas::<ShipmentSaga>().pop().unwrap();
    assert_eq!(shop.world.status::<ShipmentSaga>(&shipment), "compensated");
    shop.outside.told(|told| {
        assert_eq!((told.charges.len(), told.payments.len()), (1, 0), "charged, and given back");
        assert_eq!((told.cancelled.len(), told.mails.len()), (1, 0));
    });
    assert_eq!(shop.world.state::<Stock>("tea").free, 100);
}

#[tokio::test]
async fn a_declined_card_gives_the_goods_back() {
    let mut shop = TestShop::open().await;
    shop.outside.told(|told| told.declines = true);
    shop.order("o-1", 450).await;
    assert_eq!(shop.status("o-1"), "compensated");
    assert_eq!(shop.world.state::<Stock>("tea").free, 100);
    assert!(shop.outside.told(|told| told.charges.is_empty()));
}

#[tokio::test]
async fn a_dear_order_waits_for_approval() {
    let mut shop = TestShop::open().await;
    shop.order("o-1", 60_000).await;
    shop.world.advance(HOUR).await;
    assert_eq!(shop.world.saga::<OrderSaga>("o-1").running.keys().next().unwrap().as_str(), "approve");
    assert!(shop.outside.told(|told| told.charges.is_empty()));

    shop.world.accepted("approve-step", json!({ "saga": "order#o-1", "reason": "a good customer" })).await;
    shop.world.settle().await;
    shop.deliver(delivered()).await;
    assert_eq!(shop.status("o-1"), "completed");
}

#[tokio::test]
async fn a_rejected_order_charges_nobody() {
    let mut shop = TestShop::open().await;
    shop.order("o-1", 60_000).await;
    shop.world.accepted("reject-step", json!({ "saga": "order#o-1", "reason": "too dear" })).await;
    shop.world.settle().await;
    let saga = shop.world.saga::<OrderSaga>("o-1");
    assert_eq!(saga.status.name(), "compensated");
    assert!(saga.status.reason().unwrap().contains("too dear"), "{:?}", saga.status);
    assert!(shop.outside.told(|told| told.charges.is_empty()));
}

#[tokio::test]
async fn a_card_that_is_used_too_often_needs_approval_until_the_window_has_passed() {
    let mut shop = TestShop::open().await;
    let waits = |shop: &TestShop, order: &str| {
        shop.world.saga::<OrderSaga>(order).running.contains_key(&StepName::said("approve"))
    };
    for order in ["o-1", "o-2", "o-3", "o-4"] {
        shop.place(order, "4711", 100).await;
        shop.world.settle().await;
        assert_eq!(waits(&shop, order), order == "o-4", "{order}");
    }
    shop.world.advance(Duration::from_secs(11 * 60)).await;
    shop.place("o-5", "4711", 100).await;
    shop.world.settle().await;
    assert!(!waits(&shop, "o-5"), "the others are forgotten");
}

#[tokio::test]
async fn stock_that_runs_low_is_ordered_anew_by_nobody_but_itself() {
    let mut shop = TestShop::open().await;
    shop.world.accepted("stock-item", json!({ "item": "tea", "quantity": 1, "lowBelow": 101 })).await;
    shop.order("o-1", 100).await;
    let tea = shop.world.state::<Stock>("tea");
    assert_eq!((tea.free, tea.on_order), (99, 202));
    shop.deliver(delivered()).await;
    shop.world.advance(25 * HOUR).await;
    let tea = shop.world.state::<Stock>("tea");
    assert_eq!((tea.free, tea.on_order), (301, 0));
}

#[tokio::test]
async fn a_courier_that_is_never_heard_of_again_is_called_off() {
    let mut shop = TestShop::open().await;
    shop.order("o-1", 450).await;
    shop.deliver(json!({ "result": "alive" })).await;
    shop.world.advance(20 * HOUR).await;
    assert_eq!(shop.status("o-1"), "running", "the courier gave a sign of life");
    shop.world.advance(30 * HOUR).await;
    assert_eq!(shop.status("o-1"), "compensated");
    assert_eq!(shop.outside.told(|told| (told.cancelled.len(), told.payments.len())), (1, 0));
}

#[tokio::test]
async fn only_the_courier_who_was_booked_may_answer() {
    let mut shop = TestShop::open().await;
    shop.order("o-1", 450).await;
    let url = shop.outside.told(|told| told.bookings.values().next().unwrap().clone());
    let forged = url.replace("token=", "token=00");
    assert_eq!(shop.world.call_back(&forged, delivered()).await.status, 403);
    shop.world.settle().await;
    assert_eq!(shop.status("o-1"), "running");
}

#[tokio::test]
async fn a_mail_that_cannot_be_sent_holds_nothing_up() {
    let mut shop = TestShop::open().await;
    shop.outside.told(|told| told.no_such_address = true);
    shop.order("o-1", 450).await;
    shop.deliver(delivered()).await;
    assert_eq!(shop.status("o-1"), "completed");
    assert!(shop.outside.told(|told| told.mails.is_empty()));
}

/// 30 orders while payments are away for an hour: the bank forgets keys, so that a repeat would be a second charge.
#[tokio::test]
async fn an_outage_of_payments_costs_time_and_nothing_else() {
    let mut shop = TestShop::open().await;
    shop.world.outages.take_away("payments", HOUR);
    let orders: Vec<String> = (1..=30).map(|n| format!("o-{n}")).collect();
    for order in &orders {
        shop.order(order, 100).await;
        shop.world.advance(Duration::from_secs(5)).await;
    }
    shop.world.advance(2 * HOUR).await;
    shop.deliver(delivered()).await;
    shop.world.run().await;
    let mut ends: BTreeMap<&str, u32> = BTreeMap::new();
    for order in &orders {
        *ends.entry(shop.status(order)).or_default() += 1;
    }
    assert_eq!(ends, [("completed", 30)].into(), "{:?}", shop.world.saga::<OrderSaga>("o-1"));
    let mut charged: Vec<String> =
        shop.outside.told(|told| told.charges.iter().map(|(card, _)| card.clone()).collect());
    charged.sort();
    let mut cards: Vec<String> = orders.iter().map(|order| format!("card-of-{order}")).collect();
    cards.sort();
    assert_eq!(charged, cards, "each card is charged once");
    assert!(shop.world.failures().is_empty(), "{:?}", shop.world.failures());
    assert_eq!(shop.world.count("saga.stuck"), 0);
    let calls = shop.world.outages.calls("payments");
    assert!(calls < 150, "payments are left alone while they are away: {calls} calls");
}

#[tokio::test]
async fn a_charge_that_comes_after_its_refund_charges_nobody() {
    let shop = &mut TestShop::open().await;
    let saga: SagaRef = "order#o-1".parse().unwrap();
    let step = |step: &str| StepId::new(format!("o-1/{step}/1")).unwrap();
    let refund = RefundCard { saga: saga.clone(), step: step("refund") };
    shop.world.send(&PaymentCommand::from(refund)).await;
    shop.world.settle().await;
    let charge = ChargeCard { saga, step: step("charge"), card: "4711".to_owned(), cents: 100 };
    shop.world.send(&PaymentCommand::from(charge)).await;
    shop.world.settle().await;
    assert!(shop.outside.told(|told| told.charges.is_empty()));
    assert_eq!(shop.world.count("effect.refused"), 1);
}

#[tokio::test]
async fn a_reply_to_an_attempt_that_was_given_up_changes_nothing() {
    let mut shop = TestShop::open().await;
    shop.order("o-1", 450).await;
    let before = shop.world.saga::<OrderSaga>("o-1");
    let late = StepReply {
        saga: "order#o-1".parse().unwrap(),
        answers: Answers::Attempt(StepId::new("o-1/charge/1").unwrap()),
        outcome: StepOutcome::Succeeded { output: json!("another payment") },
    };
    shop.world.send(&SagaCommand::from(late)).await;
    shop.world.settle().await;
    assert_eq!(shop.world.saga::<OrderSaga>("o-1"), before);
}

#[tokio::test]
async fn the_shop_tells_what_it_consists_of() {
    let told = TestShop::open().await.world.get("/register").await.body;
    let kinds = json!([{ "kind": "order", "view": "orders" }, { "kind": "shipment", "view": "shipments" }]);
    assert_eq!((&told["source"], &told["sagas"]), (&json!("shop"), &kinds));
    assert_eq!(told["commands"], json!(["place-order", "stock-item"]));
    assert_eq!(told["dependencies"], json!(["courier", "mail", "payments"]));
}
