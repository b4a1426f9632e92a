//! What must hold of the shop: nobody pays twice or for nothing, and goods add up.

use std::collections::{BTreeMap, BTreeSet};

use hostler::core::{Commit, Payload};
use hostler::prelude::*;
use hostler::testkit::world::Invariants;
use orders::order::OrderSaga;
use orders::shipment::ShipmentSaga;
use orders::stock::{Stock, StockEvent, StockState};

use crate::outside::{Outside, Payment};
use crate::shop::{ITEMS, Run};

/// After every step: no order was paid twice, and what came in of an item is free or held.
pub(crate) struct CardsAndGoods {
    outside: Outside,
    items: BTreeMap<StreamId, (StockState, u32)>,
}

impl CardsAndGoods {
    pub(crate) fn of(outside: &Outside) -> Self {
        Self { outside: outside.clone(), items: BTreeMap::new() }
    }
}

impl Invariants for CardsAndGoods {
    fn commit(&mut self, commit: &Commit) {
        if commit.stream.category() != Stock::CATEGORY {
            return;
        }
        let (state, came_in) = self.items.entry(commit.stream.clone()).or_default();
        for event in &commit.events {
            let event = StockEvent::from_data(&event.event_type, event.schema_version, &event.data).unwrap();
            if let StockEvent::Stocked(stocked) = &event {
                *came_in += stocked.quantity;
            }
            *state = Stock::evolve(std::mem::take(state), &event);
            let held: u32 = state.holds.values().sum();
            assert_eq!(state.free + held, *came_in, "{}: free and held are what came in", commit.stream);
        }
    }

    fn step(&mut self) {
        self.outside.told(|told| {
            let mut paid = BTreeSet::new();
            for payment in standing(&told.payments) {
                let order = number(payment);
                assert!(paid.insert(order), "o-{order} was paid twice with {}", payment.card);
            }
        });
    }
}

fn standing(payments: &BTreeMap<String, Payment>) -> impl Iterator<Item = &Payment> {
    payments.values().filter(|payment| !payment.refunded)
}

/// The order that was paid: the last two digits of the amount.
fn number(payment: &Payment) -> u64 {
    payment.cents % 100
}

/// At rest: a completed order was paid, held, delivered; of one that was undone nothing is left. None is stuck.
pub(crate) fn check_orders<A: Application>(run: &Run<A>) {
    let Run { world, outside, .. } = run;
    let ids = world.sagas::<OrderSaga>();
    assert_eq!(ids.len() as u64, world.given("place-order"), "every order was placed");
    let paid: BTreeMap<u64, u64> =
        outside.told(|told| standing(&told.payments).map(|paid| (number(paid), paid.cents)).collect());
    let holds: BTreeMap<String, u32> =
        ITEMS.iter().flat_map(|item| world.state::<Stock>(item).holds).collect();
    for id in ids {
        let saga = world.saga::<OrderSaga>(&id);
        let order = &saga.begun.as_ref().unwrap().order;
        let paid = paid.get(&id["o-".len()..].parse().unwrap()).copied();
        let held = |line: usize| holds.get(&format!("{id}/{line}")).copied();
        match saga.status.name() {
            "completed" => {
                assert_eq!(paid, Some(order.cents()), "{id} is completed, and paid");
                for (line, ordered) in order.lines.iter().enumerate() {
                    assert_eq!(held(line), Some(ordered.quantity), "{id} is completed: line {line} is held");
                }
            }
            "compensated" => {
                assert_eq!(paid, None, "{id} is undone, and paid: {:?}", saga.status);
                let held: Vec<_> = (0..order.lines.len()).filter_map(held).collect();
                assert!(held.is_empty(), "{id} is undone, and goods are held for it: {held:?}");
            }
            _ => panic!("{id} is {:?}", saga.status),
        }
        check_parcels(run, &order.customer, saga.status.name());
    }
}

/// A completed order's parcel was delivered; one that was sent for an order that was undone is called back.
fn check_parcels<A: Application>(run: &Run<A>, customer: &str, order: &str) {
    let shipments = run.world.sagas::<ShipmentSaga>().into_iter();
    let of_customer = |id: &String| {
        let begun = run.world.saga::<ShipmentSaga>(id).begun;
        begun.is_some_and(|begun| begun.order.customer == customer)
    };
    let ends: Vec<_> =
        shipments.filter(of_customer).map(|id| run.world.status::<ShipmentSaga>(&id)).collect();
    let delivered = ends.iter().filter(|end| **end == "completed").count();
    assert_eq!(delivered, usize::from(order == "completed"), "{customer}, {order}: {ends:?}");
    run.outside.told(|told| {
        for (key, _) in told.bookings.iter().filter(|(_, booked_for)| *booked_for == customer) {
            let kept = order == "completed" || told.called_off.contains(key);
            assert!(kept, "{customer}: the order is undone, and the courier {key} was not called off");
        }
    });
}
