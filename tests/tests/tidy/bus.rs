//! The bus: rules match what is published, and lead to queues that let them in.

use std::collections::BTreeSet;

use hostler_events::{Kind, SOURCE, catalogue};
use serde_json::Value;

use crate::repository::Findings;
use crate::stack::{FILE, list, resource, template};

fn rules() -> impl Iterator<Item = (&'static str, &'static Value)> {
    template().resources("AWS::Events::Rule").map(|(id, rule)| (id, &rule["Properties"]))
}

fn detail_types(rule: &Value) -> BTreeSet<&str> {
    list(&rule["EventPattern"]["detail-type"]).into_iter().filter_map(Value::as_str).collect()
}

#[test]
fn rules_match_events_that_exist() {
    let mut findings = Findings::of("a rule matches the source hostler, and types of the catalogue");
    let catalogue = catalogue();
    let contracts = catalogue.iter().filter(|contract| contract.kind == Kind::Event);
    let published: BTreeSet<&str> = contracts.map(|contract| contract.name).collect();
    for (id, rule) in rules() {
        let source: Vec<&str> =
            list(&rule["EventPattern"]["source"]).into_iter().filter_map(Value::as_str).collect();
        findings.unless(source == [SOURCE], FILE, format!("{id} matches the sources {source:?}"));
        for unknown in detail_types(rule).difference(&published) {
            findings.add(FILE, format!("{id} matches {unknown}, which is no event"));
        }
        findings.unless(rule["EventBusName"]["Ref"] == "EventBus", FILE, format!("{id} is on another bus"));
    }
    findings.none();
}

#[test]
fn what_stays_off_the_bus_is_an_event_that_nobody_listens_to() {
    let mut findings =
        Findings::of("InternalEvents names events of the catalogue, and none that a rule matches");
    let internal = template().body["Parameters"]["InternalEvents"]["Default"].as_str().unwrap();
    let matched: BTreeSet<&str> = rules().flat_map(|(_, rule)| detail_types(rule)).collect();
    let catalogue = catalogue();
    for name in internal.split(',').map(str::trim) {
        let known = catalogue.iter().any(|contract| contract.kind == Kind::Event && contract.name == name);
        findings.unless(known, FILE, format!("{name} is no event"));
        findings.unless(!matched.contains(name), FILE, format!("a rule waits for {name}"));
    }
    findings.none();
}

#[test]
fn rules_lead_to_queues_that_let_them_in() {
    let mut findings = Findings::of(
        "a rule's target is a queue with a dead-letter queue, and a queue policy lets that rule send to both",
    );
    let policies: Vec<&Value> =
        template().resources("AWS::SQS::QueuePolicy").map(|(_, policy)| &policy["Properties"]).collect();
    for (id, rule) in rules() {
        let targets = list(&rule["Targets"]);
        findings.unless(!targets.is_empty(), FILE, format!("{id} has no target"));
        for target in targets {
            if let Some(topic) = target["Arn"]["Ref"].as_str() {
                findings.unless(
                    topic_lets_in(topic, id),
                    FILE,
                    format!("no policy lets {id} publish to {topic}"),
                );
                continue;
            }
            let dead = resource(&target["DeadLetterConfig"]["Arn"]).0;
            let queue = resource(&target["Arn"]).0;
            findings.unless(
                queue.ends_with("Queue") && dead.ends_with("Dlq"),
                FILE,
                format!("{id} leads to {queue}, {dead}"),
            );
            for needed in [&queue, &dead] {
                let lets_in = policies.iter().any(|policy| {
                    let attached = list(&policy["Queues"]).iter().any(|of| of["Ref"] == **needed);
                    attached
                        && list(&policy["PolicyDocument"]["Statement"])
                            .iter()
                            .any(|statement| allows(statement, id, needed))
                });
                findings.unless(lets_in, FILE, format!("no queue policy lets {id} send to {needed}"));
            }
        }
    }
    findings.none();
}

/// Whether a topic's policy lets a rule publish to it.
fn topic_lets_in(topic: &str, rule: &str) -> bool {
    template().resources("AWS::SNS::TopicPolicy").map(|(_, policy)| &policy["Properties"]).any(|policy| {
        list(&policy["Topics"]).iter().any(|of| of["Ref"] == *topic)
            && list(&policy["PolicyDocument"]["Statement"]).iter().any(|statement| {
                statement["Principal"]["Service"] == "events.amazonaws.com"
                    && statement["Action"] == "sns:Publish"
                    && statement["Resource"]["Ref"] == *topic
                    && resource(&statement["Condition"]["ArnEquals"]["aws:SourceArn"]).0 == rule
            })
    })
}

fn allows(statement: &Value, rule: &str, queue: &str) -> bool {
    statement["Effect"] == "Allow"
        && statement["Principal"]["Service"] == "events.amazonaws.com"
        && statement["Action"] == "sqs:SendMessage"
        && list(&statement["Resource"]).iter().any(|of| resource(of).0 == queue)
        && resource(&statement["Condition"]["ArnEquals"]["aws:SourceArn"]).0 == rule
}
