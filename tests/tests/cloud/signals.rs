//! What monitoring says reaches those who decide, and what cannot be understood an operator.

use hostler_core::{CommandType, Incoming};
use hostler_events::signal::ReportSignal;
use hostler_localstack::template::Template;
use hostler_localstack::{SiteOptions, needs};
use hostler_tests::root;
use serde_json::{Value, json};

use crate::world::{World, cloud, fleet};

/// Sends signals as a monitoring system does: with a token, or without.
async fn send(world: &World, form: &str, token: Option<&str>, body: &Value) -> (u16, Value) {
    let client = reqwest::Client::new();
    let request = client.post(world.api.url(&format!("/signals/{form}"))).json(body);
    let request = match token {
        Some(token) => request.bearer_auth(token),
        None => request,
    };
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null))
}

/// Leaves the queue of `recover-hosts` to the test: where it has a reader, that one is taken off.
fn left_to_the_test(template: &mut Value) {
    let Some(reader) = template.pointer_mut("/Resources/RecoverHostsFunction/Properties") else { return };
    reader.as_object_mut().unwrap().remove("Events");
    let text = template.to_string().replace("${RecoverHostsFunctionQueue}", "none");
    *template = serde_json::from_str(&text).unwrap();
}

/// What has come for `recover-hosts`, taken off its queue.
async fn told(world: &World, wanted: usize) -> Vec<ReportSignal> {
    let sqs = aws_sdk_sqs::Client::new(&world.site.account.sdk_config());
    let url = &world.queue_urls()["recover-hosts"];
    let found = std::sync::Mutex::new(Vec::new());
    world
        .until("recover-hosts is told", async || {
            let answer =
                sqs.receive_message().queue_url(url).max_number_of_messages(10).send().await.unwrap();
            for message in answer.messages() {
                let incoming = Incoming::decode(message.body().unwrap()).unwrap();
                World::integrity().verify(&incoming).unwrap();
                let Incoming::Command(command) = incoming else { panic!("{incoming:?}") };
                let report = ReportSignal::from_data(command.schema_version, &command.data);
                found.lock().unwrap().push(report.unwrap());
                let receipt = message.receipt_handle().unwrap();
                sqs.delete_message().queue_url(url).receipt_handle(receipt).send().await.unwrap();
            }
            (found.lock().unwrap().len() >= wanted).then_some(())
        })
        .await;
    found.into_inner().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_monitoring_says_reaches_those_who_decide_and_what_is_not_understood_an_operator() {
    needs!(Functions, Processes, HttpApi);
    let options =
        SiteOptions { fleet: fleet(1), edit: Some(Box::new(left_to_the_test)), ..SiteOptions::default() };
    let world = World::start_with(options).await;
    let token = world.site.parameters["SignalToken"].clone();
    let now = jiff::Timestamp::now();
    let alert = |labels: Value| json!({ "status": "firing", "labels": labels, "startsAt": now, "fingerprint": labels.to_string() });
    let body = json!({ "version": "4", "alerts": [
        alert(json!({ "alertname": "HostDown", "host": "h-01", "fault": "unreachable" })),
        alert(json!({ "alertname": "DiskFull", "job": "node" })),
    ] });

    assert_eq!(send(&world, "alertmanager", None, &body).await.0, 401);
    assert_eq!(send(&world, "alertmanager", Some("wrong"), &body).await.0, 403);
    let (status, answer) = send(&world, "alertmanager", Some(&token), &body).await;
    assert_eq!((status, &answer["messages"]), (202, &json!(1)), "{answer}");

    // What an AWS service says on the account's default bus, as EventBridge puts it on the queue. Nobody else may say
    // something there in the name of a service, so that this stands for it.
    let event = json!({
        "version": "0", "id": "12345678-1234-1234-1234-123456789012", "source": "aws.autoscaling",
        "detail-type": "EC2 Instance-terminate Lifecycle Action", "time": now, "resources": [],
        "account": world.site.account.id(), "region": "us-east-1",
        "detail": {
            "EC2InstanceId": "i-1", "AutoScalingGroupName": "web",
            "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
        },
    });
    let sqs = aws_sdk_sqs::Client::new(&world.site.account.sdk_config());
    let url = &world.queue_urls()["signals"];
    sqs.send_message().queue_url(url).message_body(event.to_string()).send().await.unwrap();

    let reports = told(&world, 2).await;
    let mut said: Vec<(&str, &str)> =
        reports.iter().map(|report| (report.host.as_str(), report.signal.fault.as_str())).collect();
    said.sort_unstable();
    assert_eq!(said, [("h-01", "unreachable"), ("i-1", "terminating")]);

    let failures = world
        .until("what was not understood is with the operators", async || {
            let rows = world.rows("/failures").await;
            (!rows.is_empty()).then_some(rows)
        })
        .await;
    assert_eq!(failures.len(), 1, "{failures:#?}");
    let reason = failures[0]["letter"]["reason"].as_str().unwrap();
    assert!(
        reason.contains("alerts[1] (DiskFull): it names no host: give its rule the label host"),
        "{reason}"
    );
    assert_eq!(
        (&failures[0]["letter"]["queue"], &failures[0]["category"], &failures[0]["status"]),
        (&json!("signals"), &json!("validation"), &json!("quarantined"))
    );
}

/// What AWS's own services say reaches the queue by a rule of its own, and nothing else of theirs does. Nobody can say it in
/// their name, so that the rules are asked.
#[tokio::test(flavor = "multi_thread")]
async fn each_event_of_aws_that_is_a_signal_is_matched_by_one_rule() {
    needs!(Functions, Processes, HttpApi);
    let events = aws_sdk_eventbridge::Client::new(&cloud().await.new_account().sdk_config());
    let template = Template::load(root().join("template.yaml")).unwrap();
    let rules: Vec<(&str, String)> = template
        .resources("AWS::Events::Rule")
        .map(|(id, rule)| (id, &rule["Properties"]))
        .filter(|(_, rule)| rule["EventBusName"] == "default")
        .map(|(id, rule)| (id, rule["EventPattern"].to_string()))
        .collect();
    let matched_by = async |event: &Value| {
        let mut matching = Vec::new();
        for (id, pattern) in &rules {
            let asked = events.test_event_pattern().event_pattern(pattern).event(event.to_string());
            if asked.send().await.unwrap().result() {
                matching.push(*id);
            }
        }
        matching
    };
    let sample = |name: &str| -> Value {
        let file = root().join(format!("events/samples/vendors/{name}.json"));
        serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
    };
    for (name, rule) in [
        ("cloudwatch-alarm", "AlarmSignalsRule"),
        ("cloudwatch-pool", "AlarmSignalsRule"),
        ("aws-health", "HealthSignalsRule"),
        ("auto-scaling-terminate", "LifecycleSignalsRule"),
        ("auto-scaling-launch", "LifecycleSignalsRule"),
        ("run-command", "RoleRunSignalsRule"),
    ] {
        assert_eq!(matched_by(&sample(name)).await, [rule], "{name}");
    }
    // An alarm of this deployment itself, and what tells all customers of a service.
    let (mut own, mut notice) = (sample("cloudwatch-alarm"), sample("aws-health"));
    own["detail"]["alarmName"] = json!("hostler-FailuresQuarantinedAlarm-AbCdEfGhIjKl");
    notice["detail"]["eventScopeCode"] = json!("PUBLIC");
    for other in [own, notice] {
        assert!(matched_by(&other).await.is_empty(), "{other}");
    }
}
