//! Queues: dead letters, visibility, retention, and who is told of which.

use std::collections::BTreeSet;

use hostler_app::Register;
use hostler_core::triage::FAILURES_QUEUE;
use hostler_events::catalogue;
use hostler_localstack::template::Template;
use hostler_runtime::effects::once::KEPT;
use hostler_runtime::messages::batch::RECEIVES_MAX;
use hostler_runtime::messages::timers::TIMERS_QUEUE;
use hostler_runtime::ports::message_bytes_max;
use hostler_runtime::register::COMMANDS_QUEUE;
use hostler_tests::root;

use crate::repository::Findings;
use crate::stack::{FILE, functions, properties, queue_resource, resource, template};

const DAY_SECONDS: u64 = 86_400;

fn queues() -> impl Iterator<Item = (&'static str, &'static serde_json::Value)> {
    let queues = template().resources("AWS::SQS::Queue");
    queues.filter(|(id, _)| !id.ends_with("Dlq")).map(|(id, queue)| (id, &queue["Properties"]))
}

/// The queues of all templates: the file, the queue's logical name and its properties.
fn all_queues() -> Vec<(String, String, serde_json::Value)> {
    let mut all = Vec::new();
    for file in [FILE, "examples/orders/template.yaml", "examples/starter/template.yaml"] {
        let template = Template::load(root().join(file)).unwrap();
        let queues = template.resources("AWS::SQS::Queue");
        all.extend(queues.map(|(id, queue)| (file.to_owned(), id.to_owned(), queue["Properties"].clone())));
    }
    all
}

#[test]
fn every_queue_has_its_own_dead_letter_queue() {
    let mut findings = Findings::of("<X>Queue redrives to <X>Dlq, which keeps messages for 14 days");
    let mut used = BTreeSet::from(["RelayOutboxDlq".to_owned(), "UndeliveredDlq".to_owned()]);
    for (id, queue) in queues() {
        let redrive = &queue["RedrivePolicy"];
        let (target, _) = resource(&redrive["deadLetterTargetArn"]);
        let expected = id.trim_end_matches("Queue").to_owned() + "Dlq";
        findings.unless(
            id.ends_with("Queue"),
            FILE,
            format!("the queue {id} is called neither …Queue nor …Dlq"),
        );
        findings.unless(
            target == expected,
            FILE,
            format!("{id} redrives to {target}, and not to {expected}"),
        );
        let receives = redrive["maxReceiveCount"].as_u64().unwrap_or(0);
        findings.unless(
            (3..=100).contains(&receives),
            FILE,
            format!("the maxReceiveCount of {id} is {receives}"),
        );
        used.insert(expected);
    }
    for (id, dead) in template().resources("AWS::SQS::Queue").filter(|(id, _)| id.ends_with("Dlq")) {
        let dead = &dead["Properties"];
        findings.unless(used.contains(id), FILE, format!("{id} belongs to no queue"));
        findings.unless(dead["RedrivePolicy"].is_null(), FILE, format!("{id} redrives itself"));
        let kept = dead["MessageRetentionPeriod"].as_u64();
        findings.unless(kept == Some(14 * DAY_SECONDS), FILE, format!("{id} keeps messages for {kept:?} s"));
    }
    findings.none();
}

#[test]
fn a_queue_takes_messages_as_large_as_the_code_sends_them() {
    let mut findings = Findings::of(
        "MaximumMessageSize of a queue is the code's limit for it (hostler_runtime::ports): 256 KB, and all that SQS takes for dead letters",
    );
    for (file, id, queue) in all_queues() {
        let size = queue["MaximumMessageSize"].as_u64();
        let name = if id.ends_with("Dlq") { "x-dlq" } else { "x" };
        let wanted = message_bytes_max(name) as u64;
        findings.unless(size == Some(wanted), &file, format!("{id} takes {size:?} bytes: {wanted}"));
    }
    findings.none();
}

#[test]
fn a_queue_gives_a_message_up_when_the_code_does_and_before_it_forgets_it() {
    let mut findings = Findings::of(
        "maxReceiveCount is RECEIVES_MAX (hostler_runtime::messages::batch), and visibility × receives is below the retention",
    );
    for (file, id, queue) in all_queues().into_iter().filter(|(_, id, _)| !id.ends_with("Dlq")) {
        let receives = queue["RedrivePolicy"]["maxReceiveCount"].as_u64();
        let wanted = u64::from(RECEIVES_MAX);
        findings.unless(
            receives == Some(wanted),
            &file,
            format!("{id} gives up after {receives:?}: {wanted}"),
        );
        let visibility = queue["VisibilityTimeout"].as_u64().unwrap_or(30);
        let kept = queue["MessageRetentionPeriod"].as_u64().unwrap_or(4 * DAY_SECONDS);
        findings.unless(
            visibility * wanted < kept,
            &file,
            format!("{id} forgets a message after {kept} s, and may try it for {} s", visibility * wanted),
        );
    }
    findings.none();
}

#[test]
fn queues_are_encrypted() {
    let mut findings = Findings::of("every queue has SqsManagedSseEnabled");
    for (id, queue) in template().resources("AWS::SQS::Queue") {
        findings.unless(queue["Properties"]["SqsManagedSseEnabled"] == true, FILE, format!("{id} has not"));
    }
    findings.none();
}

#[test]
fn work_queues_keep_messages_for_ten_days() {
    let mut findings = Findings::of(
        "a work queue keeps messages for 10 days: longer than a function may be off, and shorter than its dead-letter queue, where SQS counts a message's age from its first day; results of effects are kept longer (KEPT in hostler_runtime::effects::once), so that a repeat does none again",
    );
    let kept = u64::try_from(KEPT.as_secs()).unwrap() / DAY_SECONDS;
    findings.unless(
        kept > 10,
        "common/runtime/src/effects/once.rs",
        format!("results are kept for {kept} days"),
    );
    for (id, queue) in queues() {
        let kept = queue["MessageRetentionPeriod"].as_u64();
        findings.unless(kept == Some(10 * DAY_SECONDS), FILE, format!("{id} keeps messages for {kept:?} s"));
    }
    findings.none();
}

/// For how many seconds a source gathers messages, at least and at most.
fn window(source: &serde_json::Value) -> (u64, u64) {
    let window = &source["MaximumBatchingWindowInSeconds"];
    match window["Ref"].as_str().map(|name| &template().body["Parameters"][name]) {
        Some(parameter) => {
            let bound = |name: &str| parameter[name].as_u64().unwrap_or_default();
            (bound("MinValue"), bound("MaxValue"))
        }
        None => (window.as_u64().unwrap_or_default(), window.as_u64().unwrap_or_default()),
    }
}

#[test]
fn every_queue_is_worked_off_record_by_record() {
    let mut findings = Findings::of(
        "an SQS source reports partial batches, has batches of at most 10 (or a window), and a visibility of at least 6 × the function's Timeout",
    );
    let mut worked = BTreeSet::new();
    for function in functions() {
        for source in function.sources("SQS") {
            let (queue, _) = resource(&source["Queue"]);
            let place = format!("{} on {queue}", function.id);
            let partial = source["FunctionResponseTypes"]
                .as_array()
                .is_some_and(|types| types.iter().any(|of| of == "ReportBatchItemFailures"));
            findings.unless(partial, &place, "does not ReportBatchItemFailures");
            let size = source["BatchSize"].as_u64().unwrap_or(10);
            let (least, window) = window(source);
            findings.unless(
                size <= 10 || least > 0,
                &place,
                format!("has a BatchSize of {size} without a window"),
            );
            let concurrency = source["ScalingConfig"]["MaximumConcurrency"].as_u64().unwrap_or(0);
            findings.unless(
                (2..=1000).contains(&concurrency),
                &place,
                "has no ScalingConfig.MaximumConcurrency from 2",
            );
            // SQS hides messages for 30 s unless told otherwise.
            let visibility = properties(&queue)["VisibilityTimeout"].as_u64().unwrap_or(30);
            let needed = 6 * function.timeout().unwrap_or(3) + window;
            findings.unless(
                visibility >= needed,
                &place,
                format!("visibility is {visibility} s, under {needed}"),
            );
            findings.unless(worked.insert(queue.clone()), &place, "is worked off by two functions");
        }
    }
    for (id, _) in queues() {
        findings.unless(worked.contains(id), FILE, format!("nobody works off {id}"));
    }
    findings.none();
}

#[test]
fn triage_reads_every_dead_letter_queue_but_its_own_and_may_put_messages_back() {
    let mut findings = Findings::of(
        "triage-failures works off every <X>Dlq but FailuresDlq and UndeliveredDlq, which operators look at, and may send to every queue that has one",
    );
    let functions = functions();
    let triage = functions.iter().find(|function| function.folder() == "triage-failures").unwrap();
    let read: BTreeSet<String> = triage.sources("SQS").map(|source| resource(&source["Queue"]).0).collect();
    for (id, _) in template().resources("AWS::SQS::Queue").filter(|(id, _)| id.ends_with("Dlq")) {
        let own = ["FailuresDlq", "UndeliveredDlq"].contains(&id);
        findings.unless(read.contains(id) != own, FILE, format!("{} and {id}", triage.id));
    }
    for (id, _) in queues() {
        findings.unless(
            triage.may("sqs:SendMessage", id),
            FILE,
            format!("{} may not send to {id}", triage.id),
        );
    }
    findings.none();
}

#[test]
fn watch_flow_is_told_of_every_queue_but_the_failures() {
    let mut findings = Findings::of(
        "MAPPINGS of watch-flow names the event source mapping of every registered queue but the failures'",
    );
    let functions = functions();
    let watch = functions.iter().find(|function| function.folder() == "watch-flow").unwrap();
    let told = watch.environment()["MAPPINGS"]["Fn::Sub"].as_str().unwrap();
    let told: std::collections::BTreeMap<String, String> = serde_json::from_str(told).unwrap();
    let watched: Vec<(&str, u16)> = Register::watched().collect();
    for (name, _) in &watched {
        let mut mappings = functions.iter().flat_map(|function| {
            let events = function.properties["Events"].as_object().into_iter().flatten();
            events.map(|(event, source)| (format!("{}{event}", function.id), &source["Properties"]))
        });
        let mapping = mappings.find(|(_, source)| resource(&source["Queue"]).0 == queue_resource(name));
        let expected = mapping.map(|(mapping, _)| format!("${{{mapping}}}"));
        findings.unless(
            expected.is_some() && told.get(*name) == expected.as_ref(),
            FILE,
            format!("MAPPINGS of {name} is not {expected:?}"),
        );
    }
    for (id, _) in queues().filter(|(id, _)| *id != "FailuresQueue") {
        let known = watched.iter().any(|(name, _)| queue_resource(name) == id);
        findings.unless(known, FILE, format!("nobody looks at {id}: register it"));
    }
    findings.none();
}

#[test]
fn every_command_has_its_queue_and_the_relay_sends_there() {
    let mut findings = Findings::of(
        "the queue of every command exists, and whoever sends it is told of it and may send to it",
    );
    // No commit carries these: the function that takes signals sends them itself.
    let of_signals = ["take-signals", "report-signal", "report-threshold", "read-role-run"];
    let functions = functions();
    let relay = functions.iter().find(|function| function.folder() == "relay-outbox").unwrap();
    let ingest = functions.iter().find(|function| function.folder() == "ingest-signals").unwrap();
    let told = relay.queues().unwrap();
    let mut needed: BTreeSet<&str> = BTreeSet::from([TIMERS_QUEUE, FAILURES_QUEUE]);
    for contract in catalogue() {
        let Some(queue) = contract.queue else { continue };
        let resource = queue_resource(queue);
        let exists = properties(&resource).is_object();
        findings.unless(
            exists,
            FILE,
            format!("{} goes to {queue}, and there is no {resource}", contract.name),
        );
        if of_signals.contains(&contract.name) {
            let knows = ingest.queues().unwrap().get(queue) == Some(&resource);
            findings.unless(knows, FILE, format!("QUEUE_URLS of {} lacks {queue}", ingest.id));
            let may = ingest.may("sqs:SendMessage", &resource);
            findings.unless(may, FILE, format!("{} may not send to {resource}", ingest.id));
        } else if queue != COMMANDS_QUEUE {
            needed.insert(queue);
        }
    }
    for queue in needed {
        let resource = queue_resource(queue);
        let knows = told.get(queue) == Some(&resource);
        findings.unless(knows, FILE, format!("QUEUE_URLS of {} lacks {queue}", relay.id));
        let may = relay.may("sqs:SendMessage", &resource);
        findings.unless(may, FILE, format!("{} may not send to {resource}", relay.id));
    }
    findings.none();
}

#[test]
fn timers_reach_their_owners() {
    let mut findings =
        Findings::of("fire-timers is told of every queue to which timers are delivered, and may send there");
    let functions = functions();
    let timers = functions.iter().find(|function| function.folder() == "fire-timers").unwrap();
    let told = timers.queues().unwrap();
    let owners = Register::categories().into_iter().filter_map(|category| category.timers_to);
    for queue in owners.chain([TIMERS_QUEUE]) {
        let resource = queue_resource(queue);
        findings.unless(told.contains_key(queue), FILE, format!("QUEUE_URLS of {} lacks {queue}", timers.id));
        let may = timers.may("sqs:SendMessage", &resource);
        findings.unless(may, FILE, format!("{} may not send to {resource}", timers.id));
    }
    findings.none();
}

#[test]
fn queue_urls_name_the_queues_that_they_say() {
    let mut findings = Findings::of(
        "QUEUE_URLS is a JSON object: deploy-host is ${DeployHostQueue}, deploy-host-dlq is ${DeployHostDlq}",
    );
    for function in functions() {
        match function.queues() {
            Err(what) => findings.add(function.id, what),
            Ok(queues) => {
                for (name, resource) in &queues {
                    let fine = *resource == queue_resource(name);
                    findings.unless(fine, function.id, format!("{name} is ${{{resource}}}"));
                }
                for source in function.sources("SQS") {
                    let (own, _) = resource(&source["Queue"]);
                    // What is a dead-letter queue itself has none.
                    let dead = own.strip_suffix("Queue").map(|name| name.to_owned() + "Dlq");
                    for needed in [Some(&own), dead.as_ref()].into_iter().flatten() {
                        let told = queues.values().any(|resource| resource == needed);
                        findings.unless(told, function.id, format!("is not told of {needed}"));
                    }
                }
            }
        }
    }
    findings.none();
}

#[test]
fn the_stacks_outputs_name_every_queue() {
    let mut findings = Findings::of("the output QueueUrls names every queue, under its logical name");
    let text = template().body["Outputs"]["QueueUrls"]["Value"]["Fn::Sub"].as_str().unwrap_or("{}");
    let urls: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).unwrap();
    for (name, url) in &urls {
        let expected = format!("${{{}}}", queue_resource(name));
        findings.unless(*url == expected, FILE, format!("{name} is {url}, and not {expected}"));
    }
    for (id, _) in template().resources("AWS::SQS::Queue") {
        let named = urls.keys().any(|name| queue_resource(name) == id);
        findings.unless(named, FILE, format!("the output QueueUrls lacks {id}"));
    }
    findings.none();
}

#[test]
fn the_outbox_is_given_up_long_before_its_stream_forgets() {
    let mut findings = Findings::of(
        "the relay's mapping gives a record up after 6 hours, of the 24 that the stream keeps it, or after so many tries, in halves, and names the batch to its dead-letter queue",
    );
    let functions = functions();
    let relay = functions.iter().find(|function| function.folder() == "relay-outbox").unwrap();
    let outbox = relay.sources("DynamoDB").next().unwrap();
    let age = outbox["MaximumRecordAgeInSeconds"].as_u64();
    findings.unless(age == Some(21_600), FILE, format!("MaximumRecordAgeInSeconds is {age:?}"));
    let tries = outbox["MaximumRetryAttempts"].as_u64();
    findings.unless(
        tries.is_some_and(|tries| tries <= 100),
        FILE,
        format!("MaximumRetryAttempts is {tries:?}"),
    );
    findings.unless(outbox["BisectBatchOnFunctionError"] == true, FILE, "the batch is not halved");
    let to = resource(&outbox["DestinationConfig"]["OnFailure"]["Destination"]).0;
    findings.unless(to == "RelayOutboxDlq", FILE, format!("what is given up goes to {to:?}"));
    findings.none();
}
