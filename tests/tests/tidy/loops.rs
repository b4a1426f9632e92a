//! Chains through queues: Lambda stops one of about 16 invocations, unless each of its functions allows it.

use std::collections::{BTreeMap, BTreeSet};

use hostler_app::Register;
use hostler_localstack::template::Template;
use hostler_tests::root;

use crate::repository::Findings;
use crate::stack::{Function, functions_of, resource};

/// All templates that we deploy, or that users begin with.
const TEMPLATES: [&str; 3] =
    ["template.yaml", "examples/orders/template.yaml", "examples/starter/template.yaml"];

/// The functions from which a chain through queues leads back to themselves.
fn in_loops(functions: &[Function]) -> BTreeSet<&'static str> {
    let readers: BTreeMap<String, &'static str> = functions
        .iter()
        .flat_map(|function| {
            function.sources("SQS").map(|source| (resource(&source["Queue"]).0, function.id))
        })
        .collect();
    let next: BTreeMap<&str, BTreeSet<&'static str>> = functions
        .iter()
        .map(|function| {
            let grants = function.grants().into_iter();
            let sends = grants.filter(|grant| grant.action == "sqs:SendMessage");
            (function.id, sends.filter_map(|grant| readers.get(&grant.resource).copied()).collect())
        })
        .collect();
    let leads_back = |start: &&'static str| {
        let (mut seen, mut todo) = (BTreeSet::new(), vec![*start]);
        while let Some(at) = todo.pop() {
            for to in next.get(at).into_iter().flatten() {
                if to == start {
                    return true;
                }
                if seen.insert(*to) {
                    todo.push(to);
                }
            }
        }
        false
    };
    functions.iter().map(|function| function.id).filter(leads_back).collect()
}

#[test]
fn every_function_of_a_chain_through_queues_allows_it() {
    let mut findings = Findings::of(
        "a function whose messages may come back to it through queues has RecursiveLoop: Allow, and no other has it",
    );
    for file in TEMPLATES {
        // As long as the process lives, so that functions can refer to it.
        let template: &'static Template = Box::leak(Box::new(Template::load(root().join(file)).unwrap()));
        let functions = functions_of(template);
        let looping = in_loops(&functions);
        findings.unless(
            looping.len() > 3,
            file,
            format!("only {looping:?} are in chains: the test sees too little"),
        );
        for function in &functions {
            let allows = function.properties["RecursiveLoop"] == "Allow";
            let what = format!(
                "{} is in a chain: {}; it allows it: {allows}",
                function.id,
                looping.contains(function.id)
            );
            findings.unless(allows == looping.contains(function.id), file, what);
        }
    }
    findings.none();
}

#[test]
fn whoever_reads_a_queue_is_in_a_chain() {
    let mut findings = Findings::of("a function that reads a queue sends what waits to that queue again");
    let functions = crate::stack::functions();
    let looping = in_loops(&functions);
    for (queue, function) in Register::queues() {
        let id = crate::stack::pascal(function.name) + "Function";
        findings.unless(looping.contains(&*id), crate::stack::FILE, format!("{id} reads {}", queue.name));
    }
    findings.none();
}
