//! The shop under a seed: what is in stock, who orders what, and what goes wrong.

use std::sync::Arc;
use std::time::Duration;

use hostler::prelude::*;
use hostler::runtime::serving::callback::CallbackKey;
use hostler::testkit::World;
use hostler::testkit::clock::Random;
use hostler::testkit::world::{Chaos, Ended, Own, Ports, STORE};
use orders::fraud::CheckCards;
use orders::mail::SendMails;
use orders::order::OrderSaga;
use orders::payment::TakePayments;
use orders::shipment::{ShipParcels, ShipmentSaga};
use orders::stock::ManageStock;
use orders::{Shop, operations};

use crate::checks::{CardsAndGoods, check_orders};
use crate::outside::Outside;

pub(crate) const ITEMS: [&str; 3] = ["tea", "pot", "cup"];
const CARDS: u64 = 6;
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

/// Makes the function that takes payments.
pub(crate) type Payments = fn(TakePayments) -> Arc<dyn Handler>;

/// A run of a seed.
pub(crate) struct Run<A = Shop> {
    pub world: World<A>,
    pub outside: Outside,
    pub orders: u64,
}

/// The shop's functions, each as its `main.rs` wires it, with what they call outside.
pub(crate) fn wire(ports: &Ports, outside: &Outside, payments: Payments) -> Own {
    let outside = Arc::new(outside.clone());
    let worker = || ports.worker::<Shop>();
    let take_payments = TakePayments { worker: worker(), bank: outside.clone() };
    let ship_parcels = ShipParcels {
        worker: worker(),
        courier: outside.clone(),
        callback_key: callback_key(),
        callback_url: "https://shop.test/callbacks".to_owned(),
    };
    vec![
        ("check-fraud", Arc::new(CheckCards { shell: ports.shell::<Shop>() })),
        ("manage-stock", Arc::new(ManageStock { shell: ports.shell::<Shop>() })),
        ("take-payments", payments(take_payments)),
        ("send-mails", Arc::new(SendMails { worker: worker(), mailer: outside })),
        ("ship-parcels", Arc::new(ship_parcels)),
    ]
}

pub(crate) fn callback_key() -> CallbackKey {
    CallbackKey::new(b"0123456789abcdef0123456789abcdef").unwrap()
}

impl Run {
    /// So many orders within an hour and a half, under this chaos.
    pub(crate) fn new(chaos: Chaos, orders: u64, payments: Payments) -> Self {
        Self::of(operations(callback_key()), chaos, orders, payments)
    }
}

impl<A: Application> Run<A> {
    /// The same of any build of the shop.
    pub(crate) fn of(operations: Operations, chaos: Chaos, orders: u64, payments: Payments) -> Self {
        let mut outside = None;
        let mut world = World::new(operations, |ports: &Ports| {
            wire(ports, outside.insert(Outside::new(ports)), payments)
        });
        let outside = outside.unwrap();
        world.must_hold(CardsAndGoods::of(&outside));
        world.unleash(chaos);
        // In every other run something is away for an hour.
        if chaos.seed.is_multiple_of(2) {
            let which = usize::try_from(chaos.seed / 2 % 4).unwrap();
            let dependency = ["payments", "courier", "mail", STORE][which];
            world.outages.take_away_in(40 * MINUTE, dependency, HOUR);
        }
        let mut run = Self { world, outside, orders };
        run.plan(&mut Random::new(chaos.seed ^ 0x0bde5));
        run
    }

    /// Lets everything happen until all is at rest, and checks the whole. What could not be undone in many attempts is
    /// stuck, and operators have it resumed.
    pub(crate) async fn run(&mut self) -> Ended {
        self.world.run().await;
        for (kind, id) in self.stuck() {
            let body = json!({ "saga": format!("{kind}#{id}"), "reason": "they answer again" });
            self.world.post("resume-saga", body).await;
            self.world.run().await;
        }
        self.world.check();
        check_orders(self);
        self.world.ended()
    }

    /// Parcels first: orders wait for theirs.
    fn stuck(&self) -> Vec<(&'static str, String)> {
        let of = |kind, ids: Vec<String>| ids.into_iter().map(move |id| (kind, id));
        let parcels = of(ShipmentSaga::KIND, self.world.sagas::<ShipmentSaga>());
        let is_stuck = |(kind, id): &(&str, String)| match *kind {
            ShipmentSaga::KIND => self.world.status::<ShipmentSaga>(id) == "stuck",
            _ => self.world.status::<OrderSaga>(id) == "stuck",
        };
        parcels.chain(of(OrderSaga::KIND, self.world.sagas::<OrderSaga>())).filter(is_stuck).collect()
    }

    /// Some orders are dear, some cards are used often, some goods run out. Operators approve most of what waits for them,
    /// and some customers change their minds.
    fn plan(&mut self, random: &mut Random) {
        let world = &mut self.world;
        for item in ITEMS {
            let body = json!({ "item": item, "quantity": self.orders, "lowBelow": self.orders / 4 });
            world.post_later(Duration::ZERO, 5 * MINUTE, "stock-item", &body);
        }
        for number in 0..self.orders {
            let (order, saga) = (format!("o-{number}"), format!("order#o-{number}"));
            let card = format!("card-{}", random.below(CARDS));
            let dear = if random.percent(15) { 100_000 } else { 0 };
            // The amount tells the order: its last two digits are the order's number.
            let mut lines = vec![json!({ "item": "tea", "quantity": 1, "cents": 500 + dear + number })];
            for item in ITEMS {
                if random.percent(50) {
                    lines.push(json!({ "item": item, "quantity": 1 + random.below(3), "cents": 300 }));
                }
            }
            let customer = format!("{order}@shop.test");
            let body = json!({ "order": order, "customer": customer, "card": card, "lines": lines });
            world.post_later(10 * MINUTE, 90 * MINUTE, "place-order", &body);
            if random.percent(80) {
                let body = json!({ "saga": saga, "reason": "looks good" });
                world.post_later(100 * MINUTE, 20 * HOUR, "approve-step", &body);
            }
            if random.percent(15) {
                let body = json!({ "saga": saga, "reason": "changed my mind" });
                world.post_later(15 * MINUTE, 10 * HOUR, "cancel-saga", &body);
            }
        }
    }
}
