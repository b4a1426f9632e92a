//! A plan that sees its order: a step for each line.

use hostler_core::Category;
use hostler_core::saga::{
    Ask, Facts, Outgoing, Plan, RetryPolicy, SagaDefinition, SagaInput, SagaRef, SagaRefusal, Step,
};
use hostler_testkit::SagaRun;
use serde_json::{Value, json};

use super::basket::{BasketCommand, BasketRun, BasketStep, basket};
use super::{cancel, failed, succeed, with_output};

fn of_lines(lines: u32) -> BasketRun {
    let mut run = BasketRun::new();
    run.tell(&basket(lines, false));
    run
}

#[test]
fn each_line_has_a_step_of_its_own() {
    let run = of_lines(4);
    assert_eq!(run.asked(), ["reserve"; 4]);
    assert_eq!(run.at("reserve.3").as_str(), "b-1/reserve.3/1");
    let Some(Outgoing::Step(command)) = run.commands.last() else { panic!("{:?}", run.commands) };
    assert_eq!((command.id.as_str(), &command.input), ("b-1/reserve.3/1", &json!(3)));
}

#[test]
fn a_plan_may_have_no_line_at_all() {
    assert!(of_lines(0).is_at("authorize"));
}

#[test]
fn the_lines_that_were_done_are_undone_each_by_itself() {
    let mut run = of_lines(3);
    succeed(&mut run, &["reserve.2", "reserve.0"]);
    let last = run.at("reserve.1");
    run.tell(&failed(last, Category::Business));
    assert_eq!(run.at("release.0").as_str(), "b-1/release.0/1");
    succeed(&mut run, &["release.0", "release.2"]);
    assert_eq!(run.undone(), ["release.0", "release.2"]);
    assert!(run.state.status.is_over());
}

#[test]
fn lines_are_skipped_by_their_full_name() {
    let mut run = of_lines(2);
    let first = run.at("reserve.0");
    run.tell(&failed(first, Category::Transient));
    assert_eq!(super::refused(&run, &super::skip("reserve")), "not-at-step");
    run.tell(&super::skip("reserve.0"));
    run.tell(&cancel());
    succeed(&mut run, &["reserve.1", "release.1"]);
    assert_eq!(run.undone(), ["release.1"]);
}

/// Picks the lines of an order that are in stock; each answers with its own number.
struct Picking;

impl SagaDefinition for Picking {
    const KIND: &'static str = "picking";
    const VERSION: u32 = 1;
    /// Which lines are in stock.
    type Order = Vec<bool>;
    type Step = BasketStep;
    type Command = BasketCommand;

    fn plan(_: u32, lines: &Vec<bool>) -> Option<Plan<BasketStep>> {
        let pick = |line| Step::ask(BasketStep::Pick, RetryPolicy::once(60)).for_line(line);
        let lines = (0..).zip(lines).map(|(line, _)| pick(line).when("the line is in stock"));
        Some(Plan::default().then_all(lines))
    }

    fn applies(_: BasketStep, line: Option<u32>, facts: &Facts<'_, Self>) -> bool {
        line.is_some_and(|line| facts.order.get(line as usize) == Some(&true))
    }

    fn command(ask: &Ask<'_, Self>) -> Result<Option<BasketCommand>, SagaRefusal> {
        let (id, input) = (ask.id.clone(), json!(ask.line));
        Ok(Some(BasketCommand { step: ask.step, action: ask.action, id, input }))
    }

    fn check_output(_: BasketStep, line: Option<u32>, output: &Value) -> Result<(), serde_json::Error> {
        let own = *output == json!(line);
        if own { Ok(()) } else { Err(serde::de::Error::custom("it is about another line")) }
    }

    fn examples() -> Vec<Vec<bool>> {
        vec![vec![true, false]]
    }
}

fn picking(in_stock: &[bool]) -> SagaRun<Picking> {
    let mut run = SagaRun::new();
    let saga = SagaRef::new("picking", "p-1").unwrap();
    run.tell(&SagaInput::Start { saga, order: in_stock.to_vec(), parent: None });
    run
}

#[test]
fn a_condition_sees_its_line() {
    let run = picking(&[true, false, true]);
    assert!(run.is_at("pick.0") && !run.is_at("pick.1") && run.is_at("pick.2"));
}

#[test]
fn the_check_of_an_output_sees_its_line() {
    let mut run = picking(&[true, true]);
    let (first, second) = (run.at("pick.0"), run.at("pick.1"));
    run.tell(&with_output(first, json!(0)));
    run.tell(&with_output(second, json!(0)));
    assert_eq!(run.state.status.category(), Some(Category::Validation));
    assert!(run.state.status.reason().unwrap().contains("pick.1 failed"), "{:?}", run.state.status);
}
