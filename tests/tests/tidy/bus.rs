//! The bus: rules match what is published, and lead to queues that let them in.

use std::collections::BTreeSet;

use hostler_events::{Kind, SOURCE, catalogue};
use serde_json::Value;

use crate::repository::Findings;
use crate::stack::{FILE, functions, list, resource, template};

fn rules() -> impl Iterator<Item = (&'static str, &'static Value)> {
    template().resources("AWS::Events::Rule").map(|(id, rule)| (id, &rule["Properties"]))
}

fn detail_types(rule: &Value) -> BTreeSet<&str> {
    list(&rule["EventPattern"]["detail-type"]).into_iter().filter_map(Value::as_str).collect()
}

#[test]
fn rules_match_events_that_exist() {
    let mut findings = Findings::of(
        "a rule on our bus matches the source hostler, and types of the catalogue; one on the account's default bus matches one of AWS's own services, and some of its types",
    );
    let catalogue = catalogue();
    let contracts = catalogue.iter().filter(|contract| contract.kind == Kind::Event);
    let published: BTreeSet<&str> = contracts.map(|contract| contract.name).collect();
    // A schedule matches nothing.
    for (id, rule) in rules().filter(|(_, rule)| rule["ScheduleExpression"].is_null()) {
        let source: Vec<&str> =
            list(&rule["EventPattern"]["source"]).into_iter().filter_map(Value::as_str).collect();
        if rule["EventBusName"] == "default" {
            let of_aws = source.len() == 1 && source.iter().all(|source| source.starts_with("aws."));
            findings.unless(of_aws, FILE, format!("{id} matches the sources {source:?}"));
            findings.unless(!detail_types(rule).is_empty(), FILE, format!("{id} matches whatever there is"));
            continue;
        }
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
fn rules_lead_to_targets_that_let_them_in() {
    let mut findings = Findings::of(
        "a rule's target is a queue or a topic that lets it in, and has a dead-letter queue that lets it in, too",
    );
    for (id, rule) in rules() {
        let targets = list(&rule["Targets"]);
        findings.unless(!targets.is_empty(), FILE, format!("{id} has no target"));
        for target in targets {
            let dead = resource(&target["DeadLetterConfig"]["Arn"]).0;
            findings.unless(dead.ends_with("Dlq"), FILE, format!("{id} has the dead-letter queue {dead}"));
            findings.unless(
                queue_lets_in(&dead, id),
                FILE,
                format!("no queue policy lets {id} send to {dead}"),
            );
            match target["Arn"]["Ref"].as_str() {
                Some(topic) => findings.unless(
                    topic_lets_in(topic),
                    FILE,
                    format!("no policy lets {id} publish to {topic}"),
                ),
                None => {
                    let queue = resource(&target["Arn"]).0;
                    let lets_in = queue.ends_with("Queue") && queue_lets_in(&queue, id);
                    findings.unless(lets_in, FILE, format!("no queue policy lets {id} send to {queue}"));
                }
            }
        }
    }
    findings.none();
}

#[test]
fn a_schedule_that_cannot_start_its_function_says_so() {
    let mut findings =
        Findings::of("a schedule has a dead-letter queue, and a queue policy lets its rule send there");
    for function in functions() {
        let events = function.properties["Events"].as_object().into_iter().flatten();
        for (name, event) in events.filter(|(_, event)| event["Type"] == "Schedule") {
            // SAM calls the rule by the function and the event.
            let rule = format!("{}{name}", function.id);
            let dead = resource(&event["Properties"]["DeadLetterConfig"]["Arn"]).0;
            let lets_in = dead.ends_with("Dlq") && queue_lets_in(&dead, &rule);
            findings.unless(lets_in, FILE, format!("what {rule} cannot deliver goes to {dead}"));
        }
    }
    findings.none();
}

/// Whether a topic's policy lets rules publish to it. EventBridge does not support a Condition there: with one, nothing is
/// delivered (Amazon EventBridge User Guide, "Using resource-based policies for Amazon EventBridge", November 2026).
fn topic_lets_in(topic: &str) -> bool {
    template().resources("AWS::SNS::TopicPolicy").map(|(_, policy)| &policy["Properties"]).any(|policy| {
        list(&policy["Topics"]).iter().any(|of| of["Ref"] == *topic)
            && list(&policy["PolicyDocument"]["Statement"]).iter().any(|statement| {
                statement["Principal"]["Service"] == "events.amazonaws.com"
                    && statement["Effect"] == "Allow"
                    && statement["Action"] == "sns:Publish"
                    && statement["Resource"]["Ref"] == *topic
                    && statement["Condition"].is_null()
            })
    })
}

/// Whether a queue's policy lets a rule send to it.
fn queue_lets_in(queue: &str, rule: &str) -> bool {
    template().resources("AWS::SQS::QueuePolicy").map(|(_, policy)| &policy["Properties"]).any(|policy| {
        list(&policy["Queues"]).iter().any(|of| of["Ref"] == *queue)
            && list(&policy["PolicyDocument"]["Statement"])
                .iter()
                .any(|statement| allows(statement, rule, queue))
    })
}

fn allows(statement: &Value, rule: &str, queue: &str) -> bool {
    statement["Effect"] == "Allow"
        && statement["Principal"]["Service"] == "events.amazonaws.com"
        && statement["Action"] == "sqs:SendMessage"
        && list(&statement["Resource"]).iter().any(|of| resource(of).0 == queue)
        && list(&statement["Condition"]["ArnEquals"]["aws:SourceArn"]).iter().any(|of| resource(of).0 == rule)
}
