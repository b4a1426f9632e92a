//! A plan as a Mermaid flowchart: drawn from the same data that runs.

use std::fmt::Write;

use super::plan::{OnCancel, Plan, RetryPolicy, Step, StepKind, StepNames};

/// Draws a plan: stages downwards, parallel steps side by side, compensations dotted.
#[must_use]
pub fn mermaid<N: StepNames>(plan: &Plan<N>) -> String {
    let start = if plan.forward_only { "start<br/>never goes back" } else { "start" };
    let mut text = format!("flowchart TD\n    start(({start}))\n");
    for step in plan.steps() {
        let line = format!("    {}[\"{}\"]\n", node(step), label(step));
        text.push_str(&line);
    }
    text.push_str("    done((completed))\n");
    let mut before = vec!["start".to_owned()];
    for stage in &plan.stages {
        let here: Vec<String> = stage.steps.iter().map(node).collect();
        arrows(&mut text, &before, &here);
        before = here;
    }
    arrows(&mut text, &before, &["done".to_owned()]);
    for step in plan.steps() {
        if let (Some(compensation), Some(name)) = (&step.compensation, step.undone_by_name()) {
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "    {} -. undone by .-> {}[/\"{name}<br/>{}\"/]",
                node(step),
                id(name.as_str()),
                attempts(&compensation.policy)
            );
        }
    }
    text
}

fn node<N: StepNames>(step: &Step<N>) -> String {
    id(step.full_name().as_str())
}

/// A node's id. The prefix keeps steps apart from Mermaid's own words, such as `end`, and from the nodes `start` and
/// `done`. Names have neither capitals nor underscores, so that different names give different ids.
fn id(name: &str) -> String {
    format!("step_{}", name.replace('-', "_").replace('.', "_L"))
}

/// Text for a label, which would end at a quotation mark.
fn quoted(text: &str) -> String {
    text.replace('"', "#quot;")
}

fn arrows(text: &mut String, from: &[String], to: &[String]) {
    let line = format!("    {} --> {}\n", from.join(" & "), to.join(" & "));
    text.push_str(&line);
}

fn label<N: StepNames>(step: &Step<N>) -> String {
    let kind = match step.kind {
        StepKind::Ask => String::new(),
        StepKind::Child { kind } => format!("<br/>child saga: {kind}"),
        StepKind::Callback { heartbeat_seconds } => {
            format!("<br/>callback, sign of life every {heartbeat_seconds} s")
        }
        StepKind::Approval => "<br/>a person approves".to_owned(),
    };
    let condition =
        step.condition.map(|condition| format!("<br/>only {}", quoted(condition))).unwrap_or_default();
    let best_effort = if step.best_effort { "<br/>best effort" } else { "" };
    let pivot = if step.pivot { "<br/>point of no return" } else { "" };
    let stops = match (step.on_cancel, step.kind) {
        (OnCancel::Stop, StepKind::Ask) => "<br/>stopped at once on cancel",
        (OnCancel::Stop | OnCancel::Await, _) => "",
    };
    let name = step.full_name();
    format!("{name}{kind}{condition}{best_effort}{pivot}{stops}<br/>{}", attempts(&step.policy))
}

fn attempts(policy: &RetryPolicy) -> String {
    let RetryPolicy { deadline_seconds, attempts, .. } = policy;
    let attempts = if *attempts == 1 { "1 attempt".to_owned() } else { format!("{attempts} attempts") };
    format!("{attempts}, {deadline_seconds} s each")
}
