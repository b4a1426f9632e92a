//! Outputs: typed, checked, and seen by conditions and later commands.

use hostler_core::Category;
use hostler_core::saga::{Facts, Outgoing, SagaEvent};
use serde_json::json;

use super::basket::{BasketRun, BasketSaga, BasketStep, before};
use super::{succeed, succeeded, with_output};

#[test]
fn an_output_of_another_form_is_a_failure_of_its_step_and_undone() {
    let mut run = before("authorize");
    let step = run.at("authorize");
    run.tell(&with_output(step, json!({ "total": "ten" })));
    assert_eq!(run.state.status.category(), Some(Category::Validation));
    assert!(run.state.status.reason().unwrap().contains("its output has another form"));
    assert!(run.is_at("refund"), "it may have been done");
}

#[test]
fn later_commands_are_made_of_outputs() {
    let run = before("capture");
    let capture = run.commands.iter().find_map(|command| match command {
        Outgoing::Step(command) if command.step == BasketStep::Capture => Some(&command.input),
        _ => None,
    });
    assert_eq!(capture, Some(&json!(10)));
}

#[test]
fn conditions_see_outputs() {
    for (total, wrapped) in [(100, false), (101, true)] {
        let mut run = before("authorize");
        let step = run.at("authorize");
        run.tell(&with_output(step, json!({ "total": total })));
        succeed(&mut run, &["pick"]);
        assert_eq!(run.is_at("wrap"), wrapped);
    }
}

#[test]
fn the_output_of_a_step_that_is_not_done_is_a_fault_of_the_definition() {
    let run = before("authorize");
    let begun = run.state.begun.as_ref().unwrap();
    let facts = Facts::<BasketSaga> {
        saga: &begun.saga,
        version: 1,
        order: &begun.order,
        outputs: &run.state.outputs,
    };
    let refusal = facts.output::<u32>(BasketStep::Authorize).unwrap_err();
    assert!(refusal.is_fault());
    assert_eq!(refusal.label(), "output-missing");
    assert!(facts.output_of_line::<Option<u32>>(BasketStep::Reserve, 0).is_ok());
}

#[test]
fn an_output_of_a_compensation_is_kept_and_not_checked() {
    let mut run = before("authorize");
    run.tell(&super::cancel());
    let refund = run.at("refund");
    run.tell(&with_output(refund, json!("note 7")));
    assert!(
        run.events
            .iter()
            .any(|event| matches!(event, SagaEvent::StepCompensated { output, .. } if output == "note 7"))
    );
    let kept = |run: &BasketRun, name: &str| {
        let mut outputs = run.state.outputs.iter();
        outputs.find(|(step, _)| step.as_str() == name).map(|(_, output)| output.clone())
    };
    assert_eq!(kept(&run, "refund"), Some(json!("note 7")));
    let release = run.at("release.0");
    run.tell(&succeeded(release));
    assert!(run.state.status.is_over());
    assert_eq!(kept(&run, "release.0"), None, "it had nothing to say");
}
