//! A command that reads an output which may not be there is found before a saga runs.

use std::cell::RefCell;

use hostler_core::StepId;
use hostler_core::saga::{Action, Ask, Facts, Plan, RetryPolicy, SagaDefinition, SagaRefusal, Step, check};
use serde_json::{Value, json};

use super::basket::{BasketCommand, BasketStep as S};

const ONCE: RetryPolicy = RetryPolicy::once(1);
const TWICE: RetryPolicy = RetryPolicy::attempts(2, 1);

/// A plan, and what one of its commands reads.
#[derive(Clone)]
struct Case {
    plan: Plan<S>,
    asked: S,
    action: Action,
    read: Read,
    example: Option<Value>,
}

#[derive(Clone, Copy)]
enum Read {
    Needed(S),
    Optional(S),
    NeededOfLine(S, u32),
}

thread_local! {
    static CASE: RefCell<Option<Case>> = const { RefCell::new(None) };
}

fn case() -> Case {
    CASE.with_borrow(|case| case.clone().unwrap())
}

struct Reading;

impl SagaDefinition for Reading {
    const KIND: &'static str = "reading";
    const VERSION: u32 = 1;
    type Order = ();
    type Step = S;
    type Command = BasketCommand;

    fn plan(_: u32, (): &()) -> Option<Plan<S>> {
        Some(case().plan)
    }

    fn command(ask: &Ask<'_, Self>) -> Result<Option<BasketCommand>, SagaRefusal> {
        if (ask.step, ask.action) == (case().asked, case().action) {
            read(&ask.facts)?;
        }
        let (id, input): (StepId, Value) = (ask.id.clone(), json!(ask.line));
        Ok(Some(BasketCommand { step: ask.step, action: ask.action, id, input }))
    }

    fn child_order(ask: &Ask<'_, Self>) -> Result<Value, SagaRefusal> {
        if ask.step == case().asked {
            read(&ask.facts)?;
        }
        Ok(Value::Null)
    }

    fn check_output(_: S, line: Option<u32>, output: &Value) -> Result<(), serde_json::Error> {
        let known = output.is_number() || line.is_some();
        if known { Ok(()) } else { Err(serde::de::Error::custom("a number was expected")) }
    }

    fn example_output(_: S) -> Option<Value> {
        case().example
    }

    fn examples() -> Vec<()> {
        vec![()]
    }
}

fn read(facts: &Facts<'_, Reading>) -> Result<(), SagaRefusal> {
    match case().read {
        Read::Needed(step) => facts.output::<u32>(step).map(drop),
        Read::Optional(step) => {
            let _may_be_missing = facts.output::<u32>(step).ok();
            Ok(())
        }
        Read::NeededOfLine(step, line) => facts.output_of_line::<u32>(step, line).map(drop),
    }
}

fn reading(plan: &Plan<S>, asked: S, read: Read) -> Case {
    Case { plan: plan.clone(), asked, action: Action::Do, read, example: Some(json!(7)) }
}

fn checked(case: Case) -> Result<(), SagaRefusal> {
    CASE.set(Some(case));
    check::<Reading>()
}

/// The sentence with which the start fails.
#[track_caller]
fn wrong(case: Case) -> String {
    checked(case).unwrap_err().to_string()
}

fn ask(step: S) -> Step<S> {
    Step::ask(step, ONCE)
}

fn plan(steps: impl IntoIterator<Item = Step<S>>) -> Plan<S> {
    steps.into_iter().fold(Plan::default(), Plan::then)
}

#[test]
fn a_command_may_read_what_was_done_for_certain_before_it() {
    let before = [
        ask(S::Pick),
        Step::ask(S::Pick, TWICE).never_skipped("it is needed"),
        Step::child(S::Pick, "parcel", 1),
        Step::callback(S::Pick, ONCE, 1),
    ];
    for step in before {
        let plan = plan([step, ask(S::Wrap).undone_by(S::Unpick, ONCE)]);
        assert_eq!(checked(reading(&plan, S::Wrap, Read::Needed(S::Pick))), Ok(()));
        assert_eq!(checked(reading(&plan, S::Unpick, Read::Needed(S::Pick))), Ok(()));
    }
    let lines = Plan::default().then_all((0..2).map(|line| ask(S::Pick).for_line(line))).then(ask(S::Wrap));
    assert_eq!(checked(reading(&lines, S::Wrap, Read::NeededOfLine(S::Pick, 1))), Ok(()));
}

#[test]
fn a_command_that_reads_what_may_not_be_there_is_refused_with_kind_step_and_what_to_do() {
    let plan = plan([ask(S::Wrap), ask(S::Pick)]);
    assert_eq!(
        wrong(reading(&plan, S::Wrap, Read::Needed(S::Pick))),
        "sagas of kind reading cannot be run: the command of wrap reads the output of pick, which comes later: have pick \
         done for certain before wrap, or let the command do without that output"
    );
}

#[test]
fn each_reason_why_an_output_may_be_missing_is_said() {
    let wrap = || ask(S::Wrap);
    let pivot = || ask(S::Dispatch).pivot();
    for (plan, why) in [
        (plan([wrap()]), "is no step of the plan"),
        (Plan::default().then_all([ask(S::Pick), wrap()]), "runs at the same time"),
        (plan([ask(S::Pick).best_effort(), wrap()]), "is best effort"),
        (plan([ask(S::Pick).when("it is big"), wrap()]), "has a condition"),
        (plan([Step::ask(S::Pick, TWICE), wrap()]), "may be skipped by an operator"),
        (plan([pivot(), ask(S::Pick), wrap()]), "may be skipped by an operator"),
        (Plan::forward_only().then(ask(S::Pick)).then(wrap()), "may be skipped by an operator"),
        (plan([ask(S::Pick).for_line(0), wrap()]), "is no step of the plan"),
    ] {
        let wrong = wrong(reading(&plan, S::Wrap, Read::Needed(S::Pick)));
        assert!(wrong.contains(&format!("reads the output of pick, which {why}")), "{wrong}");
    }
    let own = wrong(reading(&plan([wrap()]), S::Wrap, Read::Needed(S::Wrap)));
    assert!(own.contains("which is that step itself"), "{own}");
}

#[test]
fn a_compensation_reads_neither_its_own_step_nor_one_that_may_not_have_run() {
    let plan = plan([ask(S::Pick).undone_by(S::Refund, ONCE), ask(S::Capture).undone_by(S::Refund, ONCE)]);
    for (read, why) in [
        (S::Pick, "may be given up before it answers"),
        (S::Capture, "comes later"),
        (S::Refund, "is no step of the plan"),
    ] {
        let wrong = wrong(reading(&plan, S::Refund, Read::Needed(read)));
        assert!(wrong.contains("the command of refund") && wrong.contains(why), "{wrong}");
    }
}

#[test]
fn what_can_do_without_an_output_may_read_it_anywhere() {
    let plan = plan([ask(S::Pick).undone_by(S::Unpick, ONCE), ask(S::Wrap)]);
    for asked in [S::Pick, S::Unpick, S::Wrap] {
        for read in [S::Pick, S::Unpick, S::Wrap] {
            assert_eq!(checked(reading(&plan, asked, Read::Optional(read))), Ok(()));
        }
    }
}

#[test]
fn the_order_of_a_child_and_the_command_that_stops_a_step_are_checked_as_well() {
    let parcel = plan([Step::child(S::Parcel, "parcel", 1), ask(S::Pick)]);
    let wrong_child = wrong(reading(&parcel, S::Parcel, Read::Needed(S::Pick)));
    assert!(wrong_child.contains("the command of parcel"), "{wrong_child}");
    let stop = Case { action: Action::Stop, ..reading(&parcel, S::Pick, Read::Needed(S::Pick)) };
    assert!(wrong(stop).contains("which is that step itself"));
}

#[test]
fn an_example_of_an_output_is_one_that_the_step_may_answer_and_the_command_can_read() {
    let plan = plan([ask(S::Pick), ask(S::Wrap)]);
    let with = |example| Case { example, ..reading(&plan, S::Wrap, Read::Needed(S::Pick)) };
    let refused = wrong(with(Some(json!("seven"))));
    assert!(refused.contains("`check_output` refuses the example of an output of pick"), "{refused}");
    let unreadable = wrong(with(Some(json!(-7))));
    assert!(unreadable.contains("the command of wrap cannot read the example"), "{unreadable}");
    assert_eq!(checked(with(None)), Ok(()), "nothing is known of what it answers");
}

#[test]
fn checks_of_outputs_see_the_line() {
    let plan = plan([ask(S::Pick).for_line(0), ask(S::Wrap)]);
    let of_line = reading(&plan, S::Wrap, Read::NeededOfLine(S::Pick, 0));
    let wrong = wrong(Case { example: Some(json!("seven")), ..of_line });
    assert!(
        wrong.contains("cannot read the example of an output of pick.0"),
        "a line may answer text: {wrong}"
    );
}
