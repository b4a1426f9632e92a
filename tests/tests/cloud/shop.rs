//! `examples/orders` on the local cloud: its real functions, its generated template with policies enforced, and its outside
//! world, which notes in `control` what it was told.

use std::collections::BTreeMap;

use hostler_localstack::{ApplicationOptions, Build, Progress, build_functions, needs};
use hostler_tests::root;
use serde_json::{Value, json};
use tokio::sync::SemaphorePermit;

use crate::edge::Edge;
use crate::ledger::{Ledger, controlled};
use crate::world::{Deployed, ROOM, cloud};

struct Shop {
    edge: Edge,
    _deployed: Deployed,
    _room: SemaphorePermit<'static>,
}

impl Shop {
    async fn open() -> Self {
        let root = root().join("examples/orders");
        // Before it takes room, so that nobody waits for a compiler.
        let functions = build_functions(&root, Build::Dev, &Progress::default()).await.unwrap();
        let room = ROOM.acquire().await.unwrap();
        let cloud = cloud().await;
        let options = ApplicationOptions { root, functions, ..ApplicationOptions::default() };
        let stack = cloud.deploy_application(&cloud.new_account(), options).await.unwrap();
        let edge = Edge::of(&stack, &["/orders", "/shipments", "/items", "/failures"]);
        Self { edge, _deployed: Deployed::new(&stack), _room: room }
    }

    async fn place(&self, order: &str, card: &str, (item, quantity, cents): (&str, u32, u64)) {
        let order = json!({
            "order": order, "customer": format!("{order}@shop.test"), "card": card,
            "lines": [{ "item": item, "quantity": quantity, "cents": cents }],
        });
        self.edge.accepted("place-order", &order).await;
    }

    /// Waits until an order stands as it is expected to.
    async fn until(&self, order: &str, what: &str, expected: impl Fn(&Value) -> bool) -> Value {
        let what = format!("{order} {what}");
        self.edge
            .until(&what, async || {
                let (status, row) = self.edge.get(&format!("/orders/{order}")).await;
                (status == 200 && expected(&row)).then_some(row)
            })
            .await
    }

    async fn ends(&self, order: &str, status: &str) -> Value {
        self.until(order, status, |row| row["status"] == status).await
    }

    async fn waits_for(&self, order: &str, step: &str) {
        self.until(order, &format!("waits for {step}"), |row| row["running"][0]["step"] == step).await;
    }

    /// The address that the courier of an order was given, once he is booked.
    async fn courier_of(&self, order: &str) -> String {
        let key = format!("courier/shipment/{order}.ship/courier");
        self.edge
            .until(&format!("a courier is booked for {order}"), async || {
                let noted = controlled(&self.edge).await;
                noted.get(&key)?["callbackUrl"].as_str().map(str::to_owned)
            })
            .await
    }
}

/// What was noted under keys that begin so.
fn noted<'a>(control: &'a BTreeMap<String, Value>, prefix: &str) -> Vec<(&'a str, &'a Value)> {
    control.iter().filter_map(|(key, value)| Some((key.strip_prefix(prefix)?, value))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_are_completed_compensated_and_approved() {
    needs!(Functions, Processes, HttpApi);
    let shop = Shop::open().await;
    let stock = json!({ "item": "tea", "quantity": 100, "lowBelow": 90 });
    shop.edge.accepted("stock-item", &stock).await;

    shop.place("paid", "card-1", ("tea", 2, 450)).await;
    shop.place("declined", "0000", ("tea", 2, 450)).await;
    shop.place("too-many", "card-2", ("tea", 1_000, 5)).await;
    shop.place("dear", "card-3", ("tea", 20, 20_000)).await;

    // Nobody but the courier ends the step that waits for him.
    let address = shop.courier_of("paid").await;
    let delivered = json!({ "result": "succeeded", "output": { "signedBy": "Ann" } });
    let forged = address.replace("token=", "token=00");
    assert_eq!(shop.edge.call_back(&forged, &delivered).await.0, 403);
    assert_eq!(shop.edge.call_back(&address, &delivered).await.0, 202);
    shop.ends("paid", "completed").await;

    let declined = shop.ends("declined", "compensated").await;
    assert_eq!(declined["reason"], "charge failed: the card 0000 is declined");
    let too_many = shop.ends("too-many", "compensated").await;
    assert!(too_many["reason"].as_str().unwrap().contains("1000 of tea are ordered"), "{too_many}");

    shop.waits_for("dear", "approve").await;
    let yes = json!({ "saga": "order#dear", "reason": "a good customer" });
    shop.edge.accepted("approve-step", &yes).await;
    let address = shop.courier_of("dear").await;
    assert_eq!(shop.edge.call_back(&address, &delivered).await.0, 202);
    shop.ends("dear", "completed").await;

    shop.edge.at_rest().await;
    let control = controlled(&shop.edge).await;
    let charged: Vec<&str> =
        noted(&control, "payment/").into_iter().map(|(_, paid)| paid["card"].as_str().unwrap()).collect();
    let refunded = noted(&control, "refund/payment/");
    assert!(charged.iter().all(|card| charged.iter().filter(|other| *other == card).count() == 1));
    // The charge and the goods of an order are asked for at the same time.
    let of_too_many = usize::from(charged.contains(&"card-2"));
    assert_eq!(refunded.len(), of_too_many, "what was charged for nothing is given back: {control:#?}");
    assert_eq!(charged.len(), 2 + of_too_many, "{charged:?}");
    assert_eq!(noted(&control, "courier/").len(), 2, "{control:#?}");
    let mails: Vec<&str> = noted(&control, "mail/").into_iter().map(|(to, _)| to).collect();
    assert_eq!(mails, ["dear@shop.test", "paid@shop.test"]);
    let (_, tea) = shop.edge.get("/items/tea").await;
    assert_eq!(
        (&tea["free"], &tea["onOrder"]),
        (&json!(78), &json!(180)),
        "it ran low, and was ordered again"
    );

    let ledger = Ledger::of(&shop.edge).await;
    ledger.check_ended();
    assert_eq!(ledger.count("saga.started"), 6, "four orders and two shipments: {ledger:#?}");
    // The relay gave the event to the bus, and the bus to the stock's own queue.
    assert_eq!(ledger.count("stock.reordered"), 1, "{ledger:#?}");
    assert!(shop.edge.rows("/failures").await.is_empty(), "nothing failed that was not told to a saga");
}
