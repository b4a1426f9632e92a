//! Least privilege: every action is on a resource by its name, needed, and enough.

use hostler_aws::tables::env;

use crate::repository::{Findings, read};
use crate::stack::{FILE, functions, list, resource};

#[test]
fn no_policy_has_a_star() {
    let mut findings = Findings::of(
        "no * in an Action or a Resource, no managed policies, no SAM policy templates, no Deny of nothing",
    );
    for function in functions() {
        let policies = function.properties["Policies"].as_array();
        for policy in policies.into_iter().flatten() {
            let inline = policy["Statement"].is_array();
            findings.unless(
                inline,
                FILE,
                format!("{} has a policy without statements: {policy}", function.id),
            );
        }
        findings.unless(
            function.properties["Role"].is_null(),
            FILE,
            format!("{} brings its own Role", function.id),
        );
        for grant in function.grants() {
            let star = [&grant.action, &grant.resource, &grant.part].iter().any(|text| text.contains('*'));
            findings.unless(
                !star,
                FILE,
                format!("{} may {} on {}{}", function.id, grant.action, grant.resource, grant.part),
            );
            findings.unless(
                !grant.resource.starts_with(['{', '"']),
                FILE,
                format!("{}: {} is on no resource of the stack", function.id, grant.resource),
            );
        }
    }
    findings.none();
}

#[test]
fn what_a_function_is_told_of_it_may_use() {
    let mut findings = Findings::of(
        "a function may use the queues, tables and the bus that its environment names, and no others",
    );
    for function in functions() {
        let id = function.id;
        let grants = function.grants();
        let own: Vec<String> = function.sources("SQS").map(|source| resource(&source["Queue"]).0).collect();
        let queues = function.queues().unwrap_or_default();
        for queue in queues.values() {
            // A function sends copies of messages that wait to its own queue.
            let reads = own.contains(queue);
            // Dead letters are taken, and never put back where they were.
            let letters = reads && queue.ends_with("Dlq");
            let visibility = (reads && !letters).then_some("sqs:ChangeMessageVisibility");
            // Whoever looks at a queue's length sends nothing to it.
            let only_looks =
                read(&format!("functions/{}/src/main.rs", function.folder())).contains(".depths()");
            let send = if only_looks { "sqs:GetQueueAttributes" } else { "sqs:SendMessage" };
            let send = (!letters).then_some(send);
            for action in visibility.into_iter().chain(send) {
                findings.unless(
                    function.may(action, queue),
                    FILE,
                    format!("{id} is told of {queue}, and may not {action}"),
                );
            }
        }
        for grant in grants.iter().filter(|grant| grant.action.starts_with("sqs:")) {
            let told = queues.values().any(|queue| *queue == grant.resource);
            findings.unless(
                told,
                FILE,
                format!("{id} may {} on {}, of which it is not told", grant.action, grant.resource),
            );
        }
        let environment = function.environment();
        for (name, service) in [
            (env::EVENTS_TABLE, "dynamodb:"),
            (env::VIEWS_TABLE, "dynamodb:"),
            (env::CONTROL_TABLE, "dynamodb:"),
            (env::IDEMPOTENCY_TABLE, "dynamodb:"),
            (env::EVENT_BUS, "events:"),
        ] {
            let Some(target) = environment.get(name).and_then(|value| value["Ref"].as_str()) else {
                continue;
            };
            let may =
                grants.iter().any(|grant| grant.action.starts_with(service) && grant.resource == target);
            findings.unless(may, FILE, format!("{id} is told of {target}, and may do nothing with it"));
        }
        for grant in grants.iter().filter(|grant| !grant.action.starts_with("sqs:")) {
            let named = [format!("${{{}}}", grant.resource), format!("${{{}.Arn}}", grant.resource)];
            let told = environment.values().any(|value| {
                let text = value["Fn::Sub"].as_str().unwrap_or_default();
                value["Ref"] == *grant.resource || named.iter().any(|name| text.contains(name))
            });
            findings.unless(
                told,
                FILE,
                format!("{id} may {} on {}, of which it is not told", grant.action, grant.resource),
            );
        }
    }
    findings.none();
}

/// What the adapters do, by what main.rs asks them for: the resource, and the actions.
const PORTS: [(&str, &str, &[&str]); 9] = [
    (".shell()", "EventsTable", &["dynamodb:Query", "dynamodb:PutItem"]),
    (".store()", "EventsTable", &["dynamodb:Query"]),
    (".control()", "ControlTable", &["dynamodb:GetItem", "dynamodb:PutItem"]),
    (".breakers()", "ControlTable", &["dynamodb:GetItem", "dynamodb:PutItem"]),
    (".keeping_order()", "ControlTable", &["dynamodb:GetItem", "dynamodb:PutItem"]),
    (".once()", "IdempotencyTable", &["dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"]),
    (".bus()", "EventBus", &["events:PutEvents"]),
    (".schedules()", "TimersScheduleGroup", &["scheduler:CreateSchedule"]),
    (".schedules()", "TimersScheduleRole", &["iam:PassRole"]),
];

#[test]
fn what_the_adapters_do_is_allowed() {
    let mut findings = Findings::of("the actions that a port's adapter uses are in the function's policy");
    for function in functions() {
        let main = read(&format!("functions/{}/src/main.rs", function.folder()));
        for (port, resource, actions) in PORTS {
            for action in actions.iter().filter(|_| main.contains(port)) {
                let may = function.may(action, resource);
                findings.unless(
                    may,
                    FILE,
                    format!("{} uses {port}, and may not {action} on {resource}", function.id),
                );
            }
        }
        let writes = function.may("dynamodb:PutItem", "EventsTable");
        let appends = main.contains(".shell()");
        findings.unless(
            writes == appends,
            FILE,
            format!("{} may append: {writes}; its code appends: {appends}", function.id),
        );
    }
    findings.none();
}

#[test]
fn a_role_is_passed_to_the_service_that_it_is_for_and_lets_nobody_elses_in() {
    let mut findings = Findings::of(
        "iam:PassRole has a condition on the service, and the role that schedules send by one on the account, and may send to TimersQueue and its dead letters",
    );
    for function in functions() {
        let policies = function.properties["Policies"].as_array().into_iter().flatten();
        for statement in policies.flat_map(|policy| list(&policy["Statement"])) {
            let passes = list(&statement["Action"]).iter().any(|action| **action == "iam:PassRole");
            let to = &statement["Condition"]["StringEquals"]["iam:PassedToService"];
            let what = format!("{} may pass a role to {to}", function.id);
            findings.unless(!passes || *to == "scheduler.amazonaws.com", FILE, what);
        }
    }
    let role = crate::stack::properties("TimersScheduleRole");
    let trust = &role["AssumeRolePolicyDocument"]["Statement"][0];
    let of_account = trust["Condition"]["StringEquals"]["aws:SourceAccount"]["Ref"] == "AWS::AccountId";
    let for_schedules = trust["Principal"]["Service"] == "scheduler.amazonaws.com";
    findings.unless(of_account && for_schedules, FILE, format!("TimersScheduleRole trusts {trust}"));
    let statements =
        list(&role["Policies"]).into_iter().flat_map(|policy| list(&policy["PolicyDocument"]["Statement"]));
    let may: Vec<(String, String)> = statements
        .flat_map(|statement| {
            let action = statement["Action"].to_string();
            list(&statement["Resource"]).into_iter().map(move |of| (action.clone(), resource(of).0))
        })
        .collect();
    let wanted =
        ["TimersQueue", "TimersDlq"].map(|queue| ("\"sqs:SendMessage\"".to_owned(), queue.to_owned()));
    findings.unless(may == wanted, FILE, format!("TimersScheduleRole may {may:?}"));
    findings.none();
}
