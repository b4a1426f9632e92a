//! Two versions of the shop in one run: deployments, and one that is rolled back, while orders are under way.
//!
//! The next version takes the money first, and the goods afterwards. Orders that have begun go on as they began.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hostler::core::saga::{Direction, RetryPolicy as Retry, SagaEvent, StepNames};
use hostler::core::{Commit, Payload};
use hostler::prelude::*;
use hostler::testkit::seeds::{Seeds, Tally, in_one_thread};
use hostler::testkit::world::{Build, Chaos, ChaosRates, Ended, Invariants};
use orders::fraud::Cards;
use orders::operations::PlaceOrder;
use orders::order::{Order, OrderCommand, OrderSaga, OrderStep, Orders};
use orders::shipment::{ShipmentSaga, Shipments};
use orders::stock::{Items, StockInput, StockItem};
use orders::{Shop, ShopCommand, operations};

use crate::shop::{Run, callback_key, wire};

const MINUTE: Duration = Duration::from_secs(60);
const ORDERS: u64 = 20;

/// The definition of the next build: it knows the version before, and its own.
struct NextOrderSaga;

impl SagaDefinition for NextOrderSaga {
    const KIND: &'static str = OrderSaga::KIND;
    const VERSION: u32 = 2;
    type Order = Order;
    type Step = OrderStep;
    type Command = OrderCommand;

    fn plan(version: u32, order: &Order) -> Option<Plan<OrderStep>> {
        use OrderStep::{Approve, Charge, CheckFraud, Recall, Refund, Release, Reserve, Ship};
        if version == 1 {
            return OrderSaga::plan(1, order);
        }
        let (policy, undo) = (Retry::attempts(5, 120), Retry::attempts(10, 120));
        let reserve = |line| Step::ask(Reserve, policy).for_line(line).undone_by(Release, undo);
        (version == 2).then(|| {
            Plan::default()
                .then(Step::ask(CheckFraud, policy))
                .then(Step::approval(Approve, 86_400).when("the amount is high, or the card suspicious"))
                .then(Step::ask(Charge, policy).undone_by(Refund, undo))
                .then_all((0_u32..).zip(&order.lines).map(|(line, _)| reserve(line)))
                .then(Step::child(Ship, ShipmentSaga::KIND, 7 * 86_400).undone_by(Recall, undo))
        })
    }

    fn applies(step: OrderStep, line: Option<u32>, facts: &Facts<'_, Self>) -> bool {
        let Facts { saga, version, order, outputs } = *facts;
        OrderSaga::applies(step, line, &Facts { saga, version, order, outputs })
    }

    fn command(ask: &Ask<'_, Self>) -> Result<Option<OrderCommand>, SagaRefusal> {
        OrderSaga::command(&as_before(ask))
    }

    fn child_order(ask: &Ask<'_, Self>) -> Result<Value, SagaRefusal> {
        OrderSaga::child_order(&as_before(ask))
    }

    fn check_output(
        step: OrderStep,
        line: Option<u32>,
        output: &Value,
    ) -> Result<(), hostler::serde_json::Error> {
        OrderSaga::check_output(step, line, output)
    }

    fn examples() -> Vec<Order> {
        OrderSaga::examples()
    }
}

/// A step of either version is asked for in the same way.
fn as_before<'a>(ask: &Ask<'a, NextOrderSaga>) -> Ask<'a, OrderSaga> {
    let Ask { facts: Facts { saga, version, order, outputs }, step, line, action, id, edited } = *ask;
    Ask { facts: Facts { saga, version, order, outputs }, step, line, action, id, edited }
}

struct NextOrders;

impl SagaEntry for NextOrders {
    type Definition = NextOrderSaga;
    const VIEW: &'static str = Orders::VIEW;
}

/// The next build of the shop.
struct NextShop;

impl Application for NextShop {
    const SOURCE: &'static str = Shop::SOURCE;
    const FUNCTIONS: &'static [Function] = Shop::FUNCTIONS;
    type Operations = ShopCommand;

    fn entities(each: &mut impl Entities) {
        each.saga::<NextOrders>();
        each.saga::<Shipments>();
        each.viewed::<Items>();
        each.hidden::<Cards>();
    }
}

fn next_operations() -> Operations {
    Operations::default()
        .asking::<SagaEntity<NextOrders>, PlaceOrder>(|placed, _| {
            let PlaceOrder { order, customer, card, lines } = placed;
            let saga = SagaRef::new(NextOrderSaga::KIND, &order).map_err(Failure::invalid)?;
            Ok(Asked::new(SagaInput::Start { saga, order: Order { customer, card, lines }, parent: None }))
        })
        .on::<Items, StockItem>(StockInput::Stock)
        .sagas::<NextShop>()
        .callbacks::<NextShop>(callback_key())
}

/// How an order went.
#[derive(Default)]
struct Went {
    version: u32,
    charged: bool,
    ended: bool,
}

/// Each order goes as the version says with which it began.
#[derive(Clone, Default)]
struct EachByItsVersion(Rc<RefCell<BTreeMap<StreamId, Went>>>);

impl EachByItsVersion {
    /// How many orders of a version have ended.
    fn ended(&self, version: u32) -> u64 {
        let all = self.0.borrow();
        all.values().filter(|went| went.version == version && went.ended).count() as u64
    }
}

impl Invariants for EachByItsVersion {
    fn commit(&mut self, commit: &Commit) {
        let stream = &commit.stream;
        if stream.category() != OrderSaga::KIND {
            return;
        }
        let (mut all, charge) = (self.0.borrow_mut(), OrderStep::Charge.as_str());
        let went = all.entry(stream.clone()).or_default();
        let mut begun = BTreeSet::new();
        for event in &commit.events {
            let event =
                SagaEvent::<Order>::from_data(&event.event_type, event.schema_version, &event.data).unwrap();
            match event {
                SagaEvent::Started { version, .. } => went.version = version,
                SagaEvent::StepStarted { step, direction: Direction::Forward, attempt: 1, .. } => {
                    begun.insert(step.to_string());
                }
                SagaEvent::StepCompleted { step, .. } if step.to_string() == charge => went.charged = true,
                SagaEvent::Completed { .. } | SagaEvent::Compensated { .. } => went.ended = true,
                _ => {}
            }
        }
        if begun.iter().any(|step| step.starts_with(OrderStep::Reserve.as_str())) {
            let right = if went.version == 1 { begun.contains(charge) } else { went.charged };
            assert!(right, "{stream}: an order of version {} goes as another one: {begun:?}", went.version);
        }
        assert!(went.version == 1 || !begun.contains(OrderStep::Thank.as_str()), "{stream}: nobody thanks");
    }
}

/// What a run came to.
#[derive(Default)]
struct Deployed {
    ended: Ended,
    before: u64,
    next: u64,
}

impl std::ops::AddAssign<&Self> for Deployed {
    fn add_assign(&mut self, other: &Self) {
        self.ended += &other.ended;
        self.before += other.before;
        self.next += other.next;
    }
}

impl std::fmt::Debug for Deployed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { ended, before, next } = self;
        write!(formatter, "{before} orders of version 1, {next} of version 2; {ended:?}")
    }
}

/// The build before is deployed when the first orders come. The next one takes its place while they are under way, is rolled
/// back, and comes again; each time functions of both run for a while.
fn run(chaos: Chaos) -> Deployed {
    let mut run = Run::<NextShop>::of(next_operations(), chaos, ORDERS, |payments| Arc::new(payments));
    let versions = EachByItsVersion::default();
    run.world.must_hold(versions.clone());
    let outside = run.outside.clone();
    let before = run.world.build::<Shop>(operations(callback_key()), |ports| {
        wire(ports, &outside, |payments| Arc::new(payments))
    });
    let world = &mut run.world;
    world.deploy(before, Duration::ZERO, Duration::ZERO);
    world.deploy(Build::OWN, 30 * MINUTE, 20 * MINUTE);
    world.deploy(before, 60 * MINUTE, 10 * MINUTE);
    world.deploy(Build::OWN, 90 * MINUTE, 10 * MINUTE);
    let ended = in_one_thread(run.run());
    Deployed { ended, before: versions.ended(1), next: versions.ended(2) }
}

/// Nothing goes wrong but that builds change: all that must wait waits in its queue, and nobody has to see to it.
#[test]
fn a_deployment_and_its_rollback_break_no_order_and_leave_nothing_to_an_operator() {
    for seed in 1..9 {
        let chaos = Chaos { rates: ChaosRates::CALM, ..Chaos::seeded(2 * seed - 1) };
        let Deployed { ended, before, next } = run(chaos);
        assert_eq!(before + next, ORDERS, "seed {seed}: every order has ended");
        assert!(before >= 3 && next >= 3, "seed {seed}: some of each: {before} and {next}");
        assert_eq!(ended.triaged.failures, 0, "seed {seed}: no dead letters: {:?}", ended.triaged);
    }
}

#[test]
fn no_seed_breaks_a_promise_while_builds_change() {
    let tally: Tally<Deployed> = Seeds::from_env(1..9, 15).run(|seed| run(Chaos::seeded(seed)));
    tally.report(
        "deployments of the shop",
        "cargo test -p hostler-example-orders --test simulation while_builds",
    );
    let Deployed { before, next, .. } = tally.sum;
    assert_eq!(before + next, tally.runs * ORDERS, "every order has ended");
}
