//! Least privilege: every action is on a resource by its name, needed, and enough.

use hostler_aws::tables::env;

use hostler_app::Register;
use serde_json::{Value, json};

use crate::repository::{Findings, read};
use crate::stack::{FILE, Function, functions, list, properties, resource};

#[test]
fn no_policy_has_a_star() {
    let mut findings = Findings::of(
        "no * in an Action or a Resource, a role of its own for each function, no managed policies, no SAM policy templates",
    );
    for function in functions() {
        let id = function.id;
        let role = resource(&function.properties["Role"]).0;
        findings.unless(role == function.own("Role"), FILE, format!("{id} has the role {role}"));
        // With a policy or without a role, SAM makes one, and adds managed policies on * for queues and streams.
        findings.unless(function.properties["Policies"].is_null(), FILE, format!("{id} has Policies"));
        let managed = &function.role["ManagedPolicyArns"];
        findings.unless(managed.is_null(), FILE, format!("{role} has managed policies"));
        for policy in list(&function.role["Policies"]) {
            let name = policy["Fn::If"][1]["PolicyName"].as_str().unwrap_or_default();
            let in_subnets = policy["Fn::If"][0] == "HasSubnets" && name.starts_with("reach-");
            let inline = policy["PolicyDocument"]["Statement"].is_array();
            let fine = inline
                || (in_subnets && !function.properties["VpcConfig"].is_null())
                || is_on_given_target_groups(policy, &function)
                || is_of_run_command(policy, &function);
            findings.unless(fine, FILE, format!("{role} has a policy without statements: {policy}"));
        }
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

/// Target groups are no resources of the stack: their ARNs are given, to the policy and to the function that it is for.
fn is_on_given_target_groups(policy: &Value, function: &Function) -> bool {
    let statements = list(&policy["Fn::If"][1]["PolicyDocument"]["Statement"]);
    let given = json!({ "Ref": "TargetGroups" });
    let changes = json!(["elasticloadbalancing:RegisterTargets", "elasticloadbalancing:DeregisterTargets"]);
    let told = function.environment().get("TARGET_GROUPS").map(|value| &value["Fn::Join"][1]);
    policy["Fn::If"][0] == "HasTargetGroups"
        && told == Some(&given)
        && matches!(*statements, [statement] if statement["Resource"] == given && statement["Action"] == changes)
}

/// Nodes, and the document that applies roles, are no resources of the stack. What it is asked about them knows no resources.
fn is_of_run_command(policy: &Value, function: &Function) -> bool {
    let told = function.environment().get("ROLES_SOURCE").is_some_and(|value| value["Ref"] == "RolesSource");
    let arn = |end: &str| json!({ "Fn::Sub": format!("arn:${{AWS::Partition}}:{end}") });
    let own =
        |service: &str, of: &str| arn(&format!("{service}:${{AWS::Region}}:${{AWS::AccountId}}:{of}/*"));
    let allowed =
        |action: Value, resource: Value| json!({ "Effect": "Allow", "Action": action, "Resource": resource });
    let mut nodes =
        allowed("ssm:SendCommand".into(), json!([own("ec2", "instance"), own("ssm", "managed-instance")]));
    nodes["Condition"] = json!({ "StringLike": { "ssm:resourceTag/hostler-host": "?*" } });
    let document = arn("ssm:${AWS::Region}::document/AWS-ApplyAnsiblePlaybooks");
    let changes = json!([
        allowed("ssm:SendCommand".into(), document),
        nodes,
        allowed("ssm:GetParameter".into(), own("ssm", "parameter/hostler/roles")),
    ]);
    let asked =
        ["DescribeInstanceInformation", "ListCommands", "GetCommandInvocation", "ListCommandInvocations"];
    let asked = json!(asked.map(|action| format!("ssm:{action}")));
    let reads = json!([allowed(asked, "*".into())]);
    let statements = &policy["Fn::If"][1]["PolicyDocument"]["Statement"];
    policy["Fn::If"][0] == "HasRolesSource" && told && (*statements == changes || *statements == reads)
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
        let (logs, streams) = (function.own("Logs"), function.sources("DynamoDB").count() > 0);
        let elsewhere = |action: &str, resource: &str| {
            (action.starts_with("logs:") && resource == logs) || (streams && STREAM.contains(&action))
        };
        let others = grants.iter().filter(|grant| !grant.action.starts_with("sqs:"));
        for grant in others.filter(|grant| !elsewhere(&grant.action, &grant.resource)) {
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
const PORTS: [(&str, &str, &[&str]); 10] = [
    (".shell()", "EventsTable", &["dynamodb:Query", "dynamodb:PutItem"]),
    (".store()", "EventsTable", &["dynamodb:Query"]),
    (".event_log()", "EventsTable", &["dynamodb:Scan"]),
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
        let reads_all = function.may("dynamodb:Scan", "EventsTable");
        findings.unless(
            reads_all == main.contains(".event_log()"),
            FILE,
            format!("{} may read the whole store: {reads_all}", function.id),
        );
        // A function that publishes parks what a target does not take.
        let relays = main.contains("relay(function.bus()?");
        let parks = function.may("sqs:SendMessage", "RelayOutboxDlq");
        findings.unless(
            relays == parks,
            FILE,
            format!("{} may park: {parks}; it relays: {relays}", function.id),
        );
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

/// What Lambda does with the role of a function to read a queue for it.
const QUEUE: [&str; 3] = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"];
/// What Lambda does with the role of a function to read a table's stream for it.
const STREAM: [&str; 4] =
    ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams"];

#[test]
fn a_role_reads_what_its_function_is_woken_by_and_nothing_else() {
    let mut findings = Findings::of(
        "a role has what Lambda needs for the function's event sources, takes messages from no other queue, and writes to the function's own log group",
    );
    for function in functions() {
        let id = function.id;
        let sources: Vec<String> =
            function.sources("SQS").map(|source| resource(&source["Queue"]).0).collect();
        for queue in &sources {
            for action in QUEUE {
                findings.unless(
                    function.may(action, queue),
                    FILE,
                    format!("{id} may not {action} on {queue}"),
                );
            }
        }
        for source in function.sources("DynamoDB") {
            let table = resource(&source["Stream"]).0;
            for action in STREAM {
                findings.unless(
                    function.may(action, &table),
                    FILE,
                    format!("{id} may not {action} on {table}"),
                );
            }
        }
        for grant in function.grants() {
            let takes = ["sqs:ReceiveMessage", "sqs:DeleteMessage"].contains(&&*grant.action);
            let own = !takes || sources.contains(&grant.resource);
            findings.unless(own, FILE, format!("{id} may {} on {}", grant.action, grant.resource));
        }
        let logs = function.own("Logs");
        let group = &function.properties["LoggingConfig"]["LogGroup"]["Ref"];
        findings.unless(*group == *logs, FILE, format!("{id} logs to {group}"));
        let kept = &properties(&logs)["RetentionInDays"]["Ref"];
        findings.unless(kept == "LogRetentionDays", FILE, format!("{logs} keeps its lines for {kept}"));
        for action in ["logs:CreateLogStream", "logs:PutLogEvents"] {
            findings.unless(function.may(action, &logs), FILE, format!("{id} may not {action} on {logs}"));
        }
    }
    findings.none();
}

/// The categories of streams, each with the functions that write it, as ARCHITECTURE.md has them.
fn writers() -> Vec<(String, Vec<String>)> {
    let text = read("ARCHITECTURE.md");
    let section = text.split("## Streams\n").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let category = cells[0].trim_matches('`').split('#').next().unwrap().to_owned();
        let words = cells[2].split(|c: char| !c.is_ascii_lowercase() && c != '-');
        let functions = functions();
        let known = words.filter(|word| functions.iter().any(|function| function.folder() == *word));
        (category, known.map(str::to_owned).collect())
    };
    rows.map(row).collect()
}

#[test]
fn a_function_writes_its_own_streams_only() {
    let mut findings = Findings::of(
        "PutItem on the events table has the condition ForAllValues:StringLike dynamodb:LeadingKeys, with the categories that ARCHITECTURE.md (Streams) names for the function; the categories are the registered ones",
    );
    let writers = writers();
    for category in Register::categories() {
        let named = writers.iter().any(|(name, by)| name == category.name && !by.is_empty());
        findings.unless(named, "ARCHITECTURE.md", format!("nobody writes {}", category.name));
    }
    for (name, _) in &writers {
        let registered = Register::categories().iter().any(|category| category.name == name);
        findings.unless(registered, "ARCHITECTURE.md", format!("{name} is not registered"));
    }
    for function in functions() {
        let mut own: Vec<String> = Vec::new();
        for (category, by) in &writers {
            if by.iter().any(|writer| writer == function.folder()) {
                own.push(format!("{category}#*"));
            }
        }
        own.sort();
        let mut allowed: Vec<String> = Vec::new();
        for statement in function.statements() {
            let on_events = list(&statement["Resource"]).iter().any(|of| resource(of).0 == "EventsTable");
            let writes = ["PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem"]
                .map(|name| format!("dynamodb:{name}"));
            let writes =
                list(&statement["Action"]).iter().any(|action| writes.iter().any(|of| *action == of));
            if on_events && writes {
                let keys = &statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"];
                let keys = list(keys).into_iter().filter_map(|key| key.as_str());
                let before = allowed.len();
                allowed.extend(keys.map(str::to_owned));
                findings.unless(allowed.len() > before, FILE, format!("{} writes any stream", function.id));
            }
        }
        allowed.sort();
        findings.unless(
            allowed == own,
            FILE,
            format!("{} may write {allowed:?}; it writes {own:?}", function.id),
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
        for statement in function.statements() {
            let passes = list(&statement["Action"]).iter().any(|action| **action == "iam:PassRole");
            let to = &statement["Condition"]["StringEquals"]["iam:PassedToService"];
            let what = format!("{} may pass a role to {to}", function.id);
            findings.unless(!passes || *to == "scheduler.amazonaws.com", FILE, what);
        }
    }
    let role = properties("TimersScheduleRole");
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
