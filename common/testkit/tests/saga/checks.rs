//! Definitions are checked before they run.

use hostler_core::saga::{
    Ask, BadPlan, Plan, RetryPolicy, Saga, SagaDefinition, SagaInput, SagaRef, SagaRefusal, Step, StepName,
    check,
};
use hostler_core::{Decider, NoCommand};
use hostler_testkit::sample_saga::{Order, OrderRun, OrderSaga};

use super::basket::{BasketSaga, BasketStep as S};
use super::{name, refused};

const ONCE: RetryPolicy = RetryPolicy::once(1);

#[track_caller]
fn bad(plan: Plan<S>) -> BadPlan {
    plan.check().unwrap_err()
}

fn plan(steps: impl IntoIterator<Item = Step<S>>) -> Plan<S> {
    steps.into_iter().fold(Plan::default(), Plan::then)
}

fn ask(step: S) -> Step<S> {
    Step::ask(step, ONCE)
}

#[test]
fn the_samples_are_sound() {
    assert_eq!(check::<OrderSaga>(), Ok(()));
    assert_eq!(check::<BasketSaga>(), Ok(()));
}

#[test]
fn a_plan_that_could_wait_for_ever_is_refused() {
    let twice = RetryPolicy::attempts(2, 1);
    let policy = |step| BadPlan::Policy { step: name(step) };
    assert_eq!(bad(plan([])), BadPlan::Steps { found: 0 });
    assert_eq!(bad(plan((0..101).map(|line| ask(S::Pick).for_line(line)))), BadPlan::Steps { found: 101 });
    assert_eq!(bad(plan([Step::ask(S::Pick, RetryPolicy::once(0))])), policy("pick"));
    assert_eq!(bad(plan([Step::ask(S::Pick, RetryPolicy::attempts(0, 1))])), policy("pick"));
    assert_eq!(bad(plan([ask(S::Pick).undone_by(S::Unpick, RetryPolicy::once(0))])), policy("pick"));
    assert_eq!(bad(plan([Step::callback(S::Delivery, ONCE, 0)])), policy("delivery"));
    let child = Step { policy: twice, ..Step::child(S::Parcel, "parcel", 1) };
    assert_eq!(bad(plan([child])), BadPlan::Attempts { step: name("parcel") });
}

#[test]
fn a_plan_whose_answers_could_not_be_told_apart_is_refused() {
    let twice = |step| BadPlan::Twice { step: name(step) };
    assert_eq!(bad(plan([ask(S::Pick), ask(S::Pick)])), twice("pick"));
    assert_eq!(bad(plan([ask(S::Pick).undone_by(S::Pick, ONCE)])), twice("pick"));
    let line = || ask(S::Pick).for_line(1);
    assert_eq!(bad(plan([line(), line()])), twice("pick.1"));
}

hostler_core::step_names! {
    /// Names, of which some are no names of steps.
    pub enum Named {
        /// Letters, digits and hyphens.
        Sound = "pick-2",
        /// 40 bytes.
        Longest = "abcdefghijklmnopqrstuvwxyz-abcdefghijklm",
        /// One more.
        TooLong = "abcdefghijklmnopqrstuvwxyz-abcdefghijklmn",
        /// No byte.
        Empty = "",
        /// Begins with a digit.
        Digit = "2-pick",
        /// Begins with a hyphen.
        Hyphen = "-pick",
        /// Has a capital.
        Capital = "piCk",
        /// Has what tells lines apart.
        Dot = "pick.2",
    }
}

#[test]
fn a_step_has_a_name_that_ids_can_be_made_of() {
    let named = |name: Named| Plan::default().then(Step::ask(name, ONCE)).check();
    for sound in [Named::Sound, Named::Longest] {
        assert_eq!(named(sound), Ok(()));
    }
    for bad in [Named::TooLong, Named::Empty, Named::Digit, Named::Hyphen, Named::Capital, Named::Dot] {
        assert_eq!(named(bad), Err(BadPlan::Name { step: StepName::of(bad, None) }));
    }
}

#[test]
fn a_compensation_is_shared_in_one_way_and_never_by_a_child() {
    let other = RetryPolicy::once(2);
    let two_ways =
        plan([ask(S::Authorize).undone_by(S::Refund, ONCE), ask(S::Capture).undone_by(S::Refund, other)]);
    assert_eq!(bad(two_ways), BadPlan::Compensation { step: name("refund") });
    let child = Step::child(S::Parcel, "parcel", 1).undone_by(S::Recall, ONCE);
    let with_child = plan([ask(S::Pick).undone_by(S::Recall, ONCE), child]);
    assert_eq!(bad(with_child), BadPlan::ChildCompensation { step: name("recall") });
}

#[test]
fn a_plan_that_never_goes_back_has_no_way_back() {
    let never_back = |step: Step<S>| bad(Plan::forward_only().then(ask(S::Notify)).then(step));
    let refused = BadPlan::ForwardOnly { step: name("dispatch") };
    assert_eq!(never_back(ask(S::Dispatch).undone_by(S::Recall, ONCE)), refused);
    assert_eq!(never_back(Step::approval(S::Dispatch, 1)), refused);
}

#[test]
fn a_pivot_stands_alone_and_is_reached() {
    let pivot = BadPlan::Pivot { step: name("dispatch") };
    let beside = Plan::default().then_all([ask(S::Dispatch).pivot(), ask(S::Notify)]);
    assert_eq!(bad(beside), pivot);
    assert_eq!(bad(plan([ask(S::Dispatch).pivot().best_effort()])), pivot);
    assert_eq!(bad(plan([Step::approval(S::Dispatch, 1).pivot()])), pivot);
}

#[test]
fn ids_of_children_have_room_too() {
    let start = |length| SagaInput::Start {
        saga: SagaRef::new("order", &"x".repeat(length)).unwrap(),
        order: Order { amount: 1 },
        parent: None,
    };
    assert!(OrderRun::new().tell(&start(132)) > 0);
    assert_eq!(
        refused(&OrderRun::new(), &start(133)),
        "bad-id",
        "`.ship` makes it longer than children may be"
    );
    assert_eq!(Saga::<OrderSaga>::CATEGORY, "order");
}

/// A definition whose newest version is `VERSION`, with plans up to 2; it has no command, and as many examples as said.
struct Broken<const VERSION: u32, const EXAMPLES: usize>;

impl<const V: u32, const EXAMPLES: usize> SagaDefinition for Broken<V, EXAMPLES> {
    const KIND: &'static str = "broken";
    const VERSION: u32 = V;
    type Order = ();
    type Step = S;
    type Command = NoCommand;

    fn plan(version: u32, (): &()) -> Option<Plan<S>> {
        match version {
            1 => Some(plan([ask(S::Pick).undone_by(S::Unpick, ONCE)])),
            2 => Some(plan([])),
            _ => None,
        }
    }

    fn command(_: &Ask<'_, Self>) -> Result<Option<NoCommand>, SagaRefusal> {
        Ok(None)
    }

    fn examples() -> Vec<()> {
        vec![(); EXAMPLES]
    }
}

#[test]
fn a_definition_that_cannot_run_is_found_by_its_check() {
    let no_command = BadPlan::NoCommand { step: name("pick") };
    let broken = |bad| Err(SagaRefusal::Plan { kind: "broken", bad });
    assert_eq!(check::<Broken<1, 1>>(), broken(no_command));
    assert_eq!(check::<Broken<2, 1>>(), broken(BadPlan::Steps { found: 0 }));
    assert_eq!(check::<Broken<3, 1>>().unwrap_err().label(), "unknown-version");
    assert_eq!(check::<Broken<1, 0>>(), broken(BadPlan::NoExample), "nothing would be checked");
}

#[test]
fn what_is_wrong_with_a_deployment_is_a_fault_and_the_message_comes_again() {
    let start = SagaInput::Start { saga: SagaRef::new("broken", "b-1").unwrap(), order: (), parent: None };
    let now = jiff::Timestamp::UNIX_EPOCH;
    let bad_plan = Saga::<Broken<2, 1>>::decide(&Default::default(), &start, now).unwrap_err();
    assert_eq!((bad_plan.label(), bad_plan.is_fault()), ("bad-plan", true));
    let unknown = Saga::<Broken<3, 1>>::decide(&Default::default(), &start, now).unwrap_err();
    assert_eq!((unknown.label(), unknown.is_fault()), ("unknown-version", true));
}
