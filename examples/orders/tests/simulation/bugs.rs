//! The checks are checked: each bug is made on purpose, and somebody must notice.

use std::sync::Arc;

use hostler::prelude::*;
use hostler::testkit::seeds::{in_one_thread, is_noticed, notices};
use hostler::testkit::shrink::{Fault, Only, shrink, with_only};
use hostler::testkit::world::{Bug, Chaos, ChaosRates};
use orders::payment::{ChargeCard, PaymentCommand, RefundCard, TakePayments};

use crate::shop::{Payments, Run};

/// The seeds that a bug has to show itself.
const SEEDS: std::ops::Range<u64> = 1..41;
const ORDERS: u64 = 6;

fn right(payments: TakePayments) -> Arc<dyn Handler> {
    Arc::new(payments)
}

/// A small run in which calls outside fail often, with something broken or not.
fn run(seed: u64, payments: Payments, broken: impl FnOnce(&mut Run)) {
    let rates = ChaosRates { dependency: 1_500, fail: 300, lose: 300, stall: 150, ..ChaosRates::EVERYTHING };
    let mut run = Run::new(Chaos { rates, hours: 12, ..Chaos::seeded(seed) }, ORDERS, payments);
    broken(&mut run);
    in_one_thread(run.run());
}

#[test]
fn nothing_is_noticed_where_nothing_is_broken() {
    (1..9).for_each(|seed| run(seed, right, |_| {}));
}

/// Takes payments wrongly, in one of two ways.
struct Wrong {
    right: TakePayments,
    by_attempt: bool,
    forgets_what_may_be: bool,
}

#[async_trait]
impl Handler for Wrong {
    async fn handle(&self, message: &Incoming) -> Result<(), Failure> {
        let (worker, cause) = (&self.right.worker, Cause::of(message));
        match message.command()? {
            PaymentCommand::Charge(command) => worker.perform(self, &cause, &command).await,
            PaymentCommand::Refund(command) => worker.undo(self, &cause, &command).await,
        }
    }
}

impl Effect for Wrong {
    type Do = ChargeCard;
    type Undo = RefundCard;
    type Output = String;
    const NAME: Option<&'static str> = Some("payment");

    fn dependencies(&self) -> Vec<String> {
        self.right.dependencies()
    }

    async fn perform(&self, command: &ChargeCard, call: &Call) -> Result<String, StepError> {
        let key = if self.by_attempt { command.step.as_str() } else { &call.key };
        self.right.bank.charge(key, &command.card, command.cents).await
    }

    async fn undo(&self, command: &RefundCard, paid: Option<String>, call: &Call) -> Result<(), StepError> {
        if self.forgets_what_may_be && paid.is_none() {
            return Ok(());
        }
        self.right.undo(command, paid, call).await
    }
}

#[test]
fn a_charge_that_is_keyed_by_its_attempt_is_noticed() {
    let wrong = |right| -> Arc<dyn Handler> {
        Arc::new(Wrong { right, by_attempt: true, forgets_what_may_be: false })
    };
    is_noticed("a charge keyed by its attempt", SEEDS, |seed| run(seed, wrong, |_| {}));
}

/// Of the faults and commands of a failing seed those are left that it takes: the order, and what has its charge be made twice.
#[test]
fn what_makes_a_seed_fail_is_shrunk_to_a_few_faults_and_commands() {
    let wrong = |right| -> Arc<dyn Handler> {
        Arc::new(Wrong { right, by_attempt: true, forgets_what_may_be: false })
    };
    let fails = |seed: &u64| notices(|| run(*seed, wrong, |_| {})).is_some();
    let seed = SEEDS.into_iter().find(fails).unwrap();
    let time = std::time::Duration::from_secs(600);
    let shrunk = shrink(&Only::default(), time, || run(seed, wrong, |_| {})).unwrap();
    println!("{shrunk}again: {}", shrunk.environment());
    let (faults, commands) = (shrunk.faults.len(), shrunk.commands.len());
    assert!(shrunk.of.0 > 30 && shrunk.of.1 > 6, "there was much to leave out: {:?}", shrunk.of);
    assert!((1..=4).contains(&faults) && (1..=8).contains(&commands), "{shrunk}");
    // The numbers that are printed are the same run again, and the way there is the same each time.
    let numbers = |all: &[Fault]| Some(all.iter().map(|fault| fault.number).collect());
    let only = Only { faults: numbers(&shrunk.faults), commands: numbers(&shrunk.commands) };
    let why = with_only(&only, || notices(|| run(seed, wrong, |_| {}))).unwrap();
    assert_eq!(why, shrunk.why);
    assert_eq!(shrink(&Only::default(), time, || run(seed, wrong, |_| {})), Some(shrunk));
}

#[test]
fn a_charge_that_may_have_been_made_and_is_not_undone_is_noticed() {
    let wrong = |right| -> Arc<dyn Handler> {
        Arc::new(Wrong { right, by_attempt: false, forgets_what_may_be: true })
    };
    is_noticed("a charge that is not undone", SEEDS, |seed| run(seed, wrong, |_| {}));
}

#[test]
fn goods_that_are_not_given_back_are_noticed() {
    is_noticed("goods that are not given back", SEEDS, |seed| {
        run(seed, right, |run| {
            run.world.switch.tamper(|commit| {
                for event in commit.events.iter_mut().filter(|event| event.event_type == "stock.released") {
                    let mut data = event.data.to_value();
                    data["hold"] = "another".into();
                    event.data = data.into();
                }
            });
        });
    });
}

#[test]
fn what_the_ports_do_wrong_is_noticed_in_the_shop_as_well() {
    for bug in [Bug::ForgetCommit, Bug::LoseMessage, Bug::LoseTimer, Bug::GrantEveryLease, Bug::ForgetEnd] {
        is_noticed(&format!("{bug:?}"), SEEDS, |seed| {
            run(seed, right, |run| run.world.switch.break_on_purpose(bug));
        });
    }
}
