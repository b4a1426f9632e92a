//! Plans as drawings.

use hostler_core::saga::{Plan, RetryPolicy, Step, mermaid};

hostler_core::step_names! {
    enum OddStep {
        Start = "start",
        Done = "done",
        End = "end",
        Default = "default",
        Dashed = "a-1",
        Lined = "a",
    }
}

const ONCE: RetryPolicy = RetryPolicy::once(1);

fn ask(step: OddStep) -> Step<OddStep> {
    Step::ask(step, ONCE)
}

#[test]
fn a_step_is_drawn_as_itself_whatever_it_is_called() {
    let plan = Plan::default()
        .then(ask(OddStep::Start).undone_by(OddStep::Done, ONCE))
        .then_all([ask(OddStep::End), ask(OddStep::Default)]);
    assert_eq!(
        mermaid(&plan),
        "flowchart TD\n    \
             start((start))\n    \
             step_start[\"start<br/>1 attempt, 1 s each\"]\n    \
             step_end[\"end<br/>1 attempt, 1 s each\"]\n    \
             step_default[\"default<br/>1 attempt, 1 s each\"]\n    \
             done((completed))\n    \
             start --> step_start\n    \
             step_start --> step_end & step_default\n    \
             step_end & step_default --> done\n    \
             step_start -. undone by .-> step_done[/\"done<br/>1 attempt, 1 s each\"/]\n"
    );
}

#[test]
fn two_steps_are_two_nodes_and_a_condition_may_have_quotation_marks() {
    let condition = "it is \"odd\"";
    let drawn = mermaid(
        &Plan::default().then_all([ask(OddStep::Dashed), ask(OddStep::Lined).for_line(1).when(condition)]),
    );
    assert!(drawn.contains("step_a_1[\"a-1<br/>"), "{drawn}");
    assert!(drawn.contains("step_a_L1[\"a.1<br/>only it is #quot;odd#quot;<br/>"), "{drawn}");
}
