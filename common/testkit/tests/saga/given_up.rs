//! Children that do not answer in time: none is left running without anybody who waits for it.

use hostler_core::saga::{
    Ask, ChildEnd, CompensateSaga, Operation, Outgoing, Plan, RetryPolicy, SagaCommand, SagaDefinition,
    SagaInput, SagaRef, SagaRefusal, Step,
};
use hostler_testkit::SagaRun;
use hostler_testkit::sample_saga::OrderRun;
use serde_json::{Value, json};

use super::basket::{BasketCommand, BasketStep};
use super::{by, cancel, child_completed, resume, skip, start, starve, succeed, why};

/// What is special about the step of the child.
const PLAIN: u8 = 0;
const UNDONE: u8 = 1;
const BEST_EFFORT: u8 = 2;
const PIVOT: u8 = 3;

/// A parcel by a child saga, and then a note to the customer.
struct Sending<const CHILD: u8>;

impl<const CHILD: u8> SagaDefinition for Sending<CHILD> {
    const KIND: &'static str = "sending";
    const VERSION: u32 = 1;
    type Order = ();
    type Step = BasketStep;
    type Command = BasketCommand;

    fn plan(_: u32, (): &()) -> Option<Plan<BasketStep>> {
        let child = Step::child(BasketStep::Parcel, "parcel", 600);
        let child = match CHILD {
            UNDONE => child.undone_by(BasketStep::Recall, RetryPolicy::once(60)),
            BEST_EFFORT => child.best_effort(),
            PIVOT => child.pivot(),
            _ => child,
        };
        Some(Plan::default().then(child).then(Step::ask(BasketStep::Notify, RetryPolicy::once(60))))
    }

    fn command(ask: &Ask<'_, Self>) -> Result<Option<BasketCommand>, SagaRefusal> {
        let (id, input) = (ask.id.clone(), Value::Null);
        Ok(Some(BasketCommand { step: ask.step, action: ask.action, id, input }))
    }

    fn examples() -> Vec<()> {
        vec![()]
    }
}

fn sending<const CHILD: u8>() -> SagaRun<Sending<CHILD>> {
    let mut run = SagaRun::new();
    let saga = SagaRef::new("sending", "s-1").unwrap();
    run.tell(&SagaInput::Start { saga, order: (), parent: None });
    run
}

fn overdue<const CHILD: u8>(run: &mut SagaRun<Sending<CHILD>>) {
    let name = format!("deadline:{}", run.at("parcel"));
    run.tell(&SagaInput::Timer { name });
}

/// How the child was told to undo itself: the attempts that wait for it, and why.
fn undone<D: SagaDefinition>(run: &SagaRun<D>) -> Vec<(Option<String>, String)> {
    let told = run.commands.iter().filter_map(|command| match command {
        Outgoing::Saga(SagaCommand::Compensate(CompensateSaga { saga, parent, reason })) => {
            assert_eq!(saga.as_str(), "parcel#s-1.parcel");
            Some((parent.as_ref().map(|parent| parent.step.to_string()), reason.clone()))
        }
        _ => None,
    });
    told.collect()
}

#[test]
fn a_child_that_nothing_undoes_is_undone_when_its_parent_gives_it_up() {
    let mut run = sending::<PLAIN>();
    let step = run.at("parcel");
    overdue(&mut run);
    assert_eq!(run.state.status.name(), "compensated");
    let reason = "its parent sending#s-1 gave it up: no answer within 600 s".to_owned();
    assert_eq!(undone(&run), [(None, reason)]);
    assert_eq!(run.tell(&child_completed(step)), 0, "its end comes too late");
}

#[test]
fn a_child_that_the_saga_goes_on_without_is_undone() {
    let mut run = sending::<BEST_EFFORT>();
    overdue(&mut run);
    assert!(run.is_at("notify"));
    assert_eq!(undone(&run).len(), 1);
    succeed(&mut run, &["notify"]);
    assert_eq!(run.state.status.name(), "completed");
}

#[test]
fn a_child_that_a_compensation_undoes_is_told_once_and_awaited() {
    let mut run = sending::<UNDONE>();
    overdue(&mut run);
    let told: Vec<_> = undone(&run).into_iter().map(|(waits, _)| waits).collect();
    assert_eq!(told, [Some("s-1/recall/1".to_owned())]);
    assert_eq!(run.state.status.name(), "compensating");
}

#[test]
fn a_child_that_was_told_to_stop_is_not_told_again_when_it_takes_too_long() {
    let mut run = sending::<PLAIN>();
    run.tell(&cancel());
    overdue(&mut run);
    assert_eq!(run.state.status.name(), "compensated");
    let told: Vec<_> = undone(&run).into_iter().map(|(waits, _)| waits).collect();
    assert_eq!(told, [Some("s-1/parcel/1".to_owned())]);
}

#[test]
fn a_child_at_the_point_of_no_return_goes_on_while_its_parent_waits_for_an_operator() {
    let mut run = sending::<PIVOT>();
    overdue(&mut run);
    assert_eq!(run.state.status.name(), "stuck");
    assert_eq!(undone(&run), []);
    run.tell(&resume());
    let step = run.at("parcel");
    run.tell(&SagaInput::ChildEnded { step, end: ChildEnd::Completed { output: Value::Null } });
    assert!(run.is_at("notify"), "it is asked again for its end");
}

#[test]
fn a_child_whose_step_is_skipped_is_undone() {
    let mut run = sending::<PIVOT>();
    overdue(&mut run);
    run.tell(&skip("parcel"));
    assert!(run.is_at("notify"));
    let reason = format!("its parent sending#s-1 gave it up: the step was skipped: {}", why());
    assert_eq!(undone(&run), [(None, reason)]);
}

#[test]
fn a_child_that_is_given_up_undoes_what_it_did() {
    let mut child = OrderRun::new();
    child.tell(&start(1));
    succeed(&mut child, &["reserve", "charge"]);
    child.tell(&SagaInput::Compensate { parent: None, reason: "its parent gave it up".to_owned() });
    starve(&mut child, "stuck");
    assert_eq!(child.state.status.reason().map(|reason| reason.starts_with("recall")), Some(true));
    child.tell(&skip("recall"));
    succeed(&mut child, &["refund", "release"]);
    assert_eq!(child.state.status.name(), "compensated");
}

#[test]
fn the_input_of_a_child_is_not_edited_for_it_keeps_its_order() {
    let edit = |step: &str| SagaInput::Operate {
        operation: Operation::Edit { step: super::name(step), input: json!(1) },
        actor: by(),
        reason: why(),
    };
    let mut forward = sending::<PIVOT>();
    overdue(&mut forward);
    let refusal = forward.try_tell(&edit("parcel")).unwrap_err();
    assert_eq!((refusal.label(), refusal.status()), ("child-edited", 409));
    assert_eq!(
        refusal.to_string(),
        "parcel is the child saga parcel#s-1.parcel, which keeps what it was started with: edit the step that holds up \
         parcel#s-1.parcel, or resume this saga"
    );
    let mut back = sending::<UNDONE>();
    overdue(&mut back);
    starve(&mut back, "stuck");
    assert_eq!(back.try_tell(&edit("recall")).unwrap_err().label(), "child-edited");
}
