//! Children past their point of no return, and parents that are stuck past theirs.

use hostler_core::saga::{
    AnswerChild, ChildEnd, Outgoing, Parent, SagaCommand, SagaDefinition, SagaInput, SagaRef,
};
use hostler_testkit::SagaRun;
use hostler_testkit::sample_saga::{Order, OrderRun};

use super::basket::{Basket, BasketRun, before, forward};
use super::{cancel, failed, id, resume, saga, starve, succeed};
use hostler_core::Category;

fn parent(step: &str) -> Parent {
    Parent { saga: SagaRef::new("shop", "s-1").unwrap(), step: id(step) }
}

fn ends<D: SagaDefinition>(run: &SagaRun<D>) -> Vec<(String, ChildEnd)> {
    let told = run.commands.iter().filter_map(|command| match command {
        Outgoing::Saga(SagaCommand::AnswerChild(AnswerChild { step, end, .. })) => {
            Some((step.to_string(), end.clone()))
        }
        _ => None,
    });
    told.collect()
}

fn undo(step: &str) -> SagaInput<Basket> {
    SagaInput::Compensate { parent: Some(parent(step)), reason: "not wanted".to_owned() }
}

fn start(step: &str) -> SagaInput<Order> {
    SagaInput::Start { saga: saga(), order: Order { amount: 1 }, parent: Some(parent(step)) }
}

fn fail(run: &mut OrderRun) {
    for step in ["reserve", "charge"] {
        let id = run.at(step);
        run.tell(&failed(id, Category::Business));
    }
}

#[test]
fn a_child_past_its_pivot_tells_its_parent_that_it_is_stuck_and_goes_on() {
    let mut child = before("invoice");
    child.tell(&undo("s-1/undo-basket/1"));
    let [(step, ChildEnd::Stuck { .. })] = &ends(&child)[..] else { panic!("{:?}", ends(&child)) };
    assert_eq!(step, "s-1/undo-basket/1");
    child.tell(&undo("s-1/undo-basket/2"));
    assert_eq!(ends(&child).len(), 2, "each attempt is answered");
    while !child.state.status.is_over() {
        forward(&mut child);
    }
    assert_eq!(child.state.status.name(), "completed");
}

#[test]
fn a_child_before_its_pivot_is_undone() {
    let mut child = before("capture");
    child.tell(&undo("s-1/undo-basket/1"));
    assert_eq!(child.state.status.name(), "compensating");
}

#[test]
fn a_child_that_is_started_again_by_a_later_attempt_tells_that_one_its_end() {
    let mut child = OrderRun::new();
    child.tell(&start("s-1/order/1"));
    child.tell(&start("s-1/order/2"));
    assert_eq!(child.tell(&start("s-1/order/1")), 0, "a late copy changes nothing");
    assert_eq!(child.tell(&start("s-1/order/2")), 0, "nor does a repeat");
    fail(&mut child);
    child.tell(&start("s-1/order/3"));
    let steps: Vec<String> = ends(&child).into_iter().map(|(step, _)| step).collect();
    assert_eq!(steps, ["s-1/order/2", "s-1/order/3"], "it has ended, and says so again");
}

#[test]
fn a_start_that_comes_late_does_not_take_the_place_of_the_undoing() {
    let mut child = OrderRun::new();
    child.tell(&start("s-1/order/1"));
    let parent = Some(parent("s-1/undo-order/1"));
    child.tell(&SagaInput::Compensate { parent: parent.clone(), reason: "not wanted".to_owned() });
    assert_eq!(child.tell(&start("s-1/order/2")), 0);
    assert_eq!(child.state.parent, parent);
}

#[test]
fn a_parent_turns_back_when_its_child_is_past_the_pivot_and_is_stuck_visibly() {
    let mut run = before("parcel");
    let parcel = run.at("parcel");
    run.tell(&cancel());
    run.tell(&super::child_stuck(parcel));
    assert!(run.is_at("recall"));
    starve(&mut run, "stuck");
    run.tell(&resume());
    let recall = run.at("recall");
    run.tell(&super::child_compensated(recall));
    succeed(&mut run, &["void-label", "unpick", "refund", "release.0"]);
    assert!(run.state.status.is_over());
}

#[test]
fn a_basket_of_a_parent_ends_once() {
    let mut run = BasketRun::new();
    run.tell(&undo("s-1/undo-basket/1"));
    assert_eq!(ends(&run).len(), 1);
    assert_eq!(run.tell(&super::basket::basket(1, false)), 0);
}
