//! The register: everything in it is there, and everything that is there is in it.

use std::collections::BTreeSet;

use hostler_app::{Hostler, Register, Settings, operations};
use hostler_events::catalogue;
use hostler_runtime::register::Application;
use hostler_runtime::register::COMMANDS_QUEUE;

use crate::repository::{Findings, folders};
use crate::stack::{FILE, functions, properties, queue_resource, resource};

const REGISTER: &str = "common/app/src/lib.rs";

#[test]
fn every_function_is_registered() {
    let mut findings = Findings::of("Hostler::FUNCTIONS names every folder under functions/, and no other");
    let registered: BTreeSet<&str> = Hostler::FUNCTIONS.iter().map(|function| function.name).collect();
    for folder in folders("functions") {
        findings.unless(registered.contains(&*folder), REGISTER, format!("{folder} is not registered"));
    }
    for name in &registered {
        findings.unless(folders("functions").contains(*name), REGISTER, format!("{name} has no folder"));
    }
    findings.unless(registered.len() == Hostler::FUNCTIONS.len(), REGISTER, "a function is named twice");
    findings.none();
}

#[test]
fn the_template_deploys_what_is_registered() {
    let mut findings = Findings::of(
        "a queue has the visibility and the consumers that are registered, and a schedule is the registered one",
    );
    let deployed = functions();
    for (queue, function) in Register::queues() {
        let id = queue_resource(queue.name);
        let seconds = properties(&id)["VisibilityTimeout"].as_u64();
        let wanted = u64::from(queue.visibility_seconds);
        findings.unless(
            seconds == Some(wanted),
            FILE,
            format!("{id} hides messages for {seconds:?} s: {wanted}"),
        );
        let Some(deployed) = deployed.iter().find(|deployed| deployed.folder() == function.name) else {
            findings.add(FILE, format!("{} is not deployed", function.name));
            continue;
        };
        let source = deployed.sources("SQS").find(|source| resource(&source["Queue"]).0 == id);
        let consumers = source.and_then(|source| source["ScalingConfig"]["MaximumConcurrency"].as_u64());
        let wanted = u64::from(queue.consumers);
        findings.unless(
            consumers == Some(wanted),
            FILE,
            format!("{} has {consumers:?} consumers of {id}: {wanted}", function.name),
        );
    }
    for function in Hostler::FUNCTIONS {
        let Some(deployed) = deployed.iter().find(|deployed| deployed.folder() == function.name) else {
            continue;
        };
        let schedule = deployed.sources("Schedule").next().map(|source| &source["Schedule"]);
        let schedule = schedule.and_then(serde_json::Value::as_str);
        findings.unless(
            schedule == function.schedule,
            FILE,
            format!("the schedule of {} is {schedule:?}: {:?}", function.name, function.schedule),
        );
    }
    findings.none();
}

#[test]
fn every_command_has_a_registered_reader() {
    let mut findings = Findings::of(
        "the queue of every command is registered, and every operator's command is registered with its entity",
    );
    let queues: BTreeSet<&str> = Register::queues().map(|(queue, _)| queue.name).collect();
    // The callbacks of booting hosts and of runners have acceptors of their own, in accept-commands.
    let operations = operations(Settings::default());
    let accepted: BTreeSet<&str> =
        operations.types().chain(["report-boot", "report-configuration"]).collect();
    for contract in catalogue() {
        let Some(queue) = contract.queue else { continue };
        findings.unless(queues.contains(queue), REGISTER, format!("{} goes to {queue}", contract.name));
        if queue == COMMANDS_QUEUE {
            findings.unless(accepted.contains(contract.name), "common/app/src/operations.rs", contract.name);
        }
    }
    findings.none();
}

#[test]
fn categories_and_views_are_named_once() {
    let mut findings = Findings::of("a category, and a view, is of one entity; its timers have a reader");
    let queues: BTreeSet<&str> = Register::queues().map(|(queue, _)| queue.name).collect();
    let (mut names, mut views) = (BTreeSet::new(), BTreeSet::new());
    for category in Register::categories() {
        findings.unless(names.insert(category.name), REGISTER, format!("{} is named twice", category.name));
        let new = category.view.is_none_or(|view| views.insert(view));
        findings.unless(new, REGISTER, format!("the view of {} is another's", category.name));
        let read = category.timers_to.is_none_or(|queue| queues.contains(queue));
        findings.unless(read, REGISTER, format!("nobody reads the timers of {}", category.name));
    }
    findings.none();
}
