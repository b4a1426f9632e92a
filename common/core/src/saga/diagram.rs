//! A plan as a Mermaid flowchart: drawn from the same data that runs.

use std::fmt::Write;

use super::plan::{Plan, RetryPolicy, Step, StepKind};

/// Draws a plan: stages downwards, branches side by side, compensations dotted.
#[must_use]
pub fn mermaid(plan: &Plan) -> String {
    let mut text = String::from("flowchart TD\n    start((start))\n");
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
        if let Some(policy) = &step.compensation {
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "    {0} -. undone by .-> undo_{0}[/\"undo {1}<br/>{2}\"/]",
                node(step),
                step.name,
                tries(policy)
            );
        }
    }
    text
}

fn node(step: &Step) -> String {
    step.name.as_str().replace('-', "_")
}

fn arrows(text: &mut String, from: &[String], to: &[String]) {
    let line = format!("    {} --> {}\n", from.join(" & "), to.join(" & "));
    text.push_str(&line);
}

fn label(step: &Step) -> String {
    let kind = match step.kind {
        StepKind::Ask => String::new(),
        StepKind::Child => "<br/>child saga".to_owned(),
        StepKind::Callback { heartbeat_seconds } => {
            format!("<br/>callback, sign of life every {heartbeat_seconds} s")
        }
        StepKind::Approval => "<br/>a person approves".to_owned(),
    };
    let condition = step.condition.map(|condition| format!("<br/>only {condition}")).unwrap_or_default();
    format!("{}{kind}{condition}<br/>{}", step.name, tries(&step.policy))
}

fn tries(policy: &RetryPolicy) -> String {
    let RetryPolicy { deadline_seconds, attempts, .. } = policy;
    let tries = if *attempts == 1 { "1 try".to_owned() } else { format!("{attempts} tries") };
    format!("{tries}, {deadline_seconds} s each")
}
