//! Makes the functions' inputs from the contracts' samples, in the forms in which AWS hands them over.

use std::collections::BTreeMap;

use hostler_core::Envelope;
use hostler_events::{Kind, SOURCE, catalogue, samples};
use serde_json::{Value, json};

const REGION: &str = "us-east-1";
const ACCOUNT: &str = "123456789012";

/// The sample of a contract in its newest version.
pub(crate) fn sample(name: &str) -> Value {
    let version = hostler_events::find(name).unwrap().version;
    serde_json::from_str(samples::sample_text(name, version).unwrap()).unwrap()
}

/// Every file of `samples/lambda/`.
pub(crate) fn lambda_inputs() -> BTreeMap<String, Value> {
    let mut inputs: BTreeMap<String, Value> = [
        ("accept-commands.http.json", command_request()),
        ("accept-commands.callback.http.json", boot_callback()),
        ("accept-commands.callback-configuration.http.json", configuration_callback()),
        ("accept-commands.sqs.json", sqs("commands", &[sample("request-hosts")])),
        ("run-sagas.timer.sqs.json", sqs("run-sagas", &[saga_timer()])),
        ("deploy-host.timer.sqs.json", sqs("deploy-host", &[host_timer()])),
        ("fire-timers.sqs.json", sqs("timers", &[saga_timer(), host_timer()])),
        ("project-views.sqs.json", sqs("project-views", &bus_events_of_the_views())),
        ("relay-outbox.stream.json", stream()),
        ("triage-failures.dead-letter.sqs.json", dead_letter()),
        ("watch-flow.schedule.json", tick()),
        ("ingest-signals.alertmanager.http.json", signals("alertmanager")),
        ("ingest-signals.redfish.http.json", signals("redfish")),
        ("ingest-signals.heartbeat.http.json", signals("heartbeat")),
        ("ingest-signals.osv.http.json", signals("osv")),
        ("ingest-signals.packages.http.json", signals("packages")),
        ("ingest-signals.debezium.http.json", signals("debezium")),
        ("watch-inventory.aws.sqs.json", sqs("watch-inventory", &[scheduled("InventoryRule")])),
        ("ingest-signals.aws.sqs.json", sqs("signals", &AWS.map(vendors_sample))),
        ("answer-queries.http.json", http("GET", "/{proxy+}", "/hosts", &[("limit", "50")], None)),
        ("answer-queries.past.http.json", {
            http("GET", "/{proxy+}", "/provisionings/web-1.1", &[("at", "2026-01-31T11:00:03Z")], None)
        }),
        ("answer-queries.timeline.http.json", http("GET", "/{proxy+}", "/hosts/h-01/timeline", &[], None)),
    ]
    .map(|(name, input)| (name.to_owned(), input))
    .into();
    for name in command_names() {
        let queue = hostler_events::find(name).unwrap().queue.unwrap();
        inputs.insert(format!("{}.{name}.sqs.json", reader(queue)), sqs(queue, &[sample(name)]));
    }
    inputs
}

/// The function that reads a queue: most bear its name.
pub(crate) fn reader(queue: &str) -> &str {
    match queue {
        "commands" => "accept-commands",
        "failures" => "triage-failures",
        "signals" => "ingest-signals",
        name => name,
    }
}

/// The event of `samples/eventbridge/`.
pub(crate) fn event_bridge_inputs() -> BTreeMap<String, Value> {
    [("host.reserved.json".to_owned(), on_the_bus("host.reserved"))].into()
}

/// An event as EventBridge hands it to a target.
fn on_the_bus(name: &str) -> Value {
    let envelope = sample(name);
    json!({
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": name,
        "source": SOURCE,
        "account": ACCOUNT,
        // To the second, as EventBridge has it.
        "time": envelope["timestamp"].as_str().unwrap().split(['.', 'Z']).next().unwrap().to_owned() + "Z",
        "region": REGION,
        "resources": [],
        "detail": envelope,
    })
}

fn bus_events_of_the_views() -> Vec<Value> {
    ["host.enrolled", "capacity.requested", "saga.started"].map(sample).into()
}

/// A batch of a queue, named as `sam deploy` would name it in the stack `hostler`.
fn sqs(queue: &str, bodies: &[Value]) -> Value {
    let resource: String = queue.split('-').map(|word| word[..1].to_uppercase() + &word[1..]).collect();
    let arn = format!("arn:aws:sqs:{REGION}:{ACCOUNT}:hostler-{resource}Queue-AbCdEfGhIjKl");
    let records: Vec<Value> = bodies
        .iter()
        .zip(1..)
        .map(|(body, n)| {
            json!({
                "messageId": format!("059f36b4-87a3-44ab-83d2-661975830a{n:02}"),
                "receiptHandle": format!("AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a{n:02}"),
                "body": body.to_string(),
                "attributes": {
                    "ApproximateReceiveCount": "1",
                    "SentTimestamp": "1769857202000",
                    "SenderId": "AROAEXAMPLEEXAMPLE123:hostler-relay-outbox",
                    "ApproximateFirstReceiveTimestamp": "1769857202045",
                },
                "messageAttributes": {},
                "eventSource": "aws:sqs",
                "eventSourceARN": arn,
                "awsRegion": REGION,
            })
        })
        .collect();
    json!({ "Records": records })
}

/// A tick of a schedule.
fn tick() -> Value {
    scheduled("WatchFlowFunctionEveryMinute")
}

/// What the rule of a schedule sends.
fn scheduled(rule: &str) -> Value {
    json!({
        "version": "0",
        "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": ACCOUNT,
        "time": "2026-01-31T11:00:00Z",
        "region": REGION,
        "resources": [format!("arn:aws:events:{REGION}:{ACCOUNT}:rule/hostler-{rule}-AbCdEfGhIjKl")],
        "detail": {},
    })
}

/// A command that could not be handled, as its function put it on the dead-letter queue.
fn dead_letter() -> Value {
    let mut batch = sqs("commands", &[sample("label-host")]);
    let record = &mut batch["Records"][0];
    record["eventSourceARN"] =
        format!("arn:aws:sqs:{REGION}:{ACCOUNT}:hostler-CommandsDlq-AbCdEfGhIjKl").into();
    let said = [
        ("reason", "host h-01 is not known: enrol it first"),
        ("category", "business"),
        ("function", "accept-commands"),
        ("attempts", "1"),
        ("originalMessageId", "0198c5e2-6f5e-7c41-9d0a-8f2b6f1f7d10"),
    ];
    for (name, text) in said {
        record["messageAttributes"][name] = json!({ "stringValue": text, "dataType": "String" });
    }
    batch
}

fn saga_timer() -> Value {
    let started = sample("saga.step-started");
    let step = started["data"]["id"].as_str().unwrap();
    timer(&started, &format!("deadline:{step}"), "2026-01-31T11:00:32Z", "run-sagas")
}

fn host_timer() -> Value {
    let enrolled = sample("host.enrolled");
    let step = enrolled["data"]["step"].as_str().unwrap();
    timer(&enrolled, &format!("deadline:{step}"), "2026-01-31T10:05:00Z", "deploy-host")
}

/// The timer that an event's commit set.
fn timer(event: &Value, name: &str, due_at: &str, deliver_to: &str) -> Value {
    json!({
        "timerId": "019c13b5-b750-7fff-8fff-5a5a00ffffff",
        "stream": event["stream"],
        "deliverTo": deliver_to,
        "dueAt": due_at,
        "name": name,
        "correlationId": event["correlationId"],
        "causationId": event["causationId"],
        "traceContext": event["traceContext"],
        "hops": event["hops"],
        "actor": event["actor"],
    })
}

/// The DynamoDB-stream record of the commit that began a saga: two events, a command and a timer.
fn stream() -> Value {
    let events = ["saga.started", "saga.step-started"].map(sample);
    let commit: Envelope = serde_json::from_value(events[0].clone()).unwrap();
    let recorded = events.map(|event| json!({ "t": event["eventType"], "d": event["data"] }));
    let command = sample("reserve-host");
    let commands = json!([{
        "t": command["commandType"],
        "q": hostler_events::find("reserve-host").unwrap().queue,
        "d": command["data"],
    }]);
    let timer = saga_timer();
    let timers = json!([{
        "n": timer["name"],
        "at": timer["dueAt"],
        "q": timer["deliverTo"],
    }]);
    let keys =
        json!({ "stream": { "S": commit.stream }, "version": { "N": commit.stream_version.to_string() } });
    let mut image = json!({
        "commit_id": { "S": "019c13b5-b750-7eee-8eee-5a5a00eeeeee" },
        "causation_id": { "S": commit.header.causation_id },
        "correlation_id": { "S": commit.header.correlation_id },
        "traceparent": { "S": commit.header.trace_context.unwrap().traceparent },
        "hops": { "N": commit.header.hops.to_string() },
        "actor": { "S": commit.header.actor },
        "source": { "S": commit.source },
        "recorded_at": { "S": commit.timestamp },
        "events": { "S": json!(recorded).to_string() },
        "commands": { "S": commands.to_string() },
        "timers": { "S": timers.to_string() },
    });
    image.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    json!({ "Records": [{
        "eventID": "c4ca4238a0b923820dcc509a6f75849b",
        "eventName": "INSERT",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": REGION,
        "dynamodb": {
            "ApproximateCreationDateTime": 1_769_857_202.0,
            "Keys": keys,
            "NewImage": image,
            "SequenceNumber": "4421584500000000017450439091",
            "SizeBytes": image.to_string().len(),
            "StreamViewType": "NEW_IMAGE",
        },
        "eventSourceARN": format!(
            "arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/hostler-EventsTable-AbCdEfGhIjKl/stream/2026-01-31T09:00:00.000"
        ),
    }] })
}

fn command_request() -> Value {
    let command = sample("request-hosts");
    let mut request =
        http("POST", "/commands/{type}", "/commands/request-hosts", &[], Some(&command["data"]));
    request["pathParameters"] = json!({ "type": "request-hosts" });
    request
}

/// What a booted image sends. It has no AWS identity; the token in its URL is what it shows.
fn boot_callback() -> Value {
    let report = &sample("report-boot")["data"];
    let query = ["host", "step", "token"].map(|name| (name, report[name].as_str().unwrap()));
    let body = json!({ "outcome": report["outcome"], "reason": report["reason"] });
    let mut request = http("POST", "/callbacks/boot", "/callbacks/boot", &query, Some(&body));
    request["requestContext"].as_object_mut().unwrap().remove("authorizer");
    request["headers"].as_object_mut().unwrap().remove("authorization");
    request
}

/// What a runner reports. It has no AWS identity either, and shows the token of its job.
fn configuration_callback() -> Value {
    let report = &sample("report-configuration")["data"];
    let query = ["host", "step", "token"].map(|name| (name, report[name].as_str().unwrap()));
    let path = "/callbacks/configuration";
    let mut request = http("POST", path, path, &query, Some(&report["report"]));
    request["requestContext"].as_object_mut().unwrap().remove("authorizer");
    request["headers"].as_object_mut().unwrap().remove("authorization");
    request
}

/// What another system sends, in the form that its vendor documents.
fn vendors_sample(name: &str) -> Value {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("samples/vendors/{name}.json"));
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    serde_json::from_str(&text).unwrap()
}

/// The samples of events that AWS's own services put on the queue `signals`.
const AWS: [&str; 6] = [
    "cloudwatch-alarm",
    "cloudwatch-pool",
    "aws-health",
    "auto-scaling-terminate",
    "auto-scaling-launch",
    "inspector-finding",
];

/// A system says something over HTTP. It has no AWS identity, and shows a token.
fn signals(form: &str) -> Value {
    let path = format!("/signals/{form}");
    let mut request = http("POST", "/signals/{form}", &path, &[], Some(&vendors_sample(form)));
    request["pathParameters"] = json!({ "form": form });
    request["requestContext"].as_object_mut().unwrap().remove("authorizer");
    request["headers"]["authorization"] = "Bearer 0123456789abcdef0123456789abcdef".into();
    request
}

/// A request as an HTTP API hands it over, payload format 2.0, signed by an IAM user.
fn http(method: &str, route: &str, path: &str, query: &[(&str, &str)], body: Option<&Value>) -> Value {
    let route = format!("{method} {route}");
    let raw_query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut request = json!({
        "version": "2.0",
        "routeKey": route,
        "rawPath": path,
        "rawQueryString": raw_query.join("&"),
        "headers": {
            "authorization": "AWS4-HMAC-SHA256 Credential=EXAMPLE",
            "content-type": "application/json",
            "host": "a1b2c3d4e5.execute-api.us-east-1.amazonaws.com",
            "traceparent": sample("request-hosts")["traceContext"]["traceparent"],
        },
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": "a1b2c3d4e5",
            "authorizer": { "iam": {
                "accessKey": "EXAMPLE",
                "accountId": ACCOUNT,
                "callerId": "AIDAEXAMPLEEXAMPLE123",
                "cognitoIdentity": null,
                "principalOrgId": "aws:PrincipalOrgID",
                "userArn": sample("request-hosts")["actor"],
                "userId": "AIDAEXAMPLEEXAMPLE123",
            } },
            "domainName": "a1b2c3d4e5.execute-api.us-east-1.amazonaws.com",
            "domainPrefix": "a1b2c3d4e5",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": "hostler",
            },
            "requestId": "JKJaXmPLvHcESHA=",
            "routeKey": route,
            "stage": "$default",
            "time": "31/Jan/2026:11:00:00 +0000",
            "timeEpoch": 1_769_857_200_000_u64,
        },
        "isBase64Encoded": false,
    });
    if !query.is_empty() {
        request["queryStringParameters"] =
            query.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect();
    }
    if let Some(body) = body {
        request["body"] = body.to_string().into();
    }
    request
}

/// The names of all commands that functions give, for checks that none is left without an input.
pub(crate) fn command_names() -> Vec<&'static str> {
    let commands = catalogue().into_iter().filter(|contract| contract.kind == Kind::Command);
    let of_functions = commands.filter(|contract| contract.queue != Some("commands"));
    of_functions.map(|contract| contract.name).collect()
}
