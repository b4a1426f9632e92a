//! Alarms: what can go wrong has one, and each has a section that says what to do.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::repository::{Findings, read, sources};
use crate::stack::{FILE, functions, list, template};

const GUIDE: &str = "docs/operations.md";

fn alarms() -> impl Iterator<Item = (&'static str, &'static Value)> {
    template().resources("AWS::CloudWatch::Alarm").map(|(id, alarm)| (id, &alarm["Properties"]))
}

/// Whether an alarm looks at a metric of a resource.
fn looks_at(alarm: &Value, metric: &str, id: &str) -> bool {
    let dimensions = list(&alarm["Dimensions"]);
    let of =
        |dimension: &Value| dimension["Value"]["Ref"] == *id || dimension["Value"]["Fn::GetAtt"][0] == *id;
    alarm["MetricName"] == *metric && dimensions.iter().any(|dimension| of(dimension))
}

/// `*ErrorsAlarm` stands for each of its kind.
fn matches(heading: &str, alarm: &str) -> bool {
    heading.strip_prefix('*').map_or(heading == alarm, |end| alarm.ends_with(end))
}

#[test]
fn every_alarm_says_what_to_do() {
    let mut findings = Findings::of(
        "docs/operations.md has one section `### <alarm>` for each alarm (`### *ErrorsAlarm` is for all that end so), and no others",
    );
    let text = read(GUIDE);
    let headings: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .filter(|heading| heading.ends_with("Alarm"))
        .collect();
    for (id, alarm) in alarms() {
        let sections = headings.iter().filter(|heading| matches(heading, id)).count();
        findings.unless(sections == 1, GUIDE, format!("{id} has {sections} sections"));
        let described = alarm["AlarmDescription"].as_str().is_some_and(|text| text.len() > 15);
        findings.unless(described, FILE, format!("{id} has no description"));
        let tells = list(&alarm["AlarmActions"]).iter().any(|action| action["Ref"] == "AlertsTopic");
        findings.unless(tells, FILE, format!("{id} tells nobody: AlarmActions is not AlertsTopic"));
    }
    for heading in headings {
        let used = alarms().any(|(id, _)| matches(heading, id));
        findings.unless(used, GUIDE, format!("there is no alarm {heading}"));
    }
    findings.none();
}

#[test]
fn what_can_stop_has_an_alarm() {
    let mut findings = Findings::of(
        "each function has an alarm on its errors, each work queue one on the age of its messages (an hour at most), each dead-letter queue one on its length",
    );
    let one = |metric: &str, id: &str| alarms().any(|(_, alarm)| looks_at(alarm, metric, id));
    for function in functions() {
        let id = function.id;
        findings.unless(one("Errors", id), FILE, format!("the errors of {id} have no alarm"));
        if function.sources("DynamoDB").next().is_some() {
            findings.unless(one("IteratorAge", id), FILE, format!("the delay of {id} has no alarm"));
        }
        if function.sources("Schedule").next().is_some() {
            let silent = alarms().find(|(_, alarm)| looks_at(alarm, "Invocations", id));
            let breaching = silent.is_some_and(|(_, alarm)| alarm["TreatMissingData"] == "breaching");
            findings.unless(breaching, FILE, format!("that {id} is silent has no alarm"));
        }
    }
    for (id, _) in template().resources("AWS::SQS::Queue") {
        if id.ends_with("Dlq") {
            let metric = "ApproximateNumberOfMessagesVisible";
            findings.unless(one(metric, id), FILE, format!("what lies on {id} has no alarm"));
            continue;
        }
        let age = alarms().find(|(_, alarm)| looks_at(alarm, "ApproximateAgeOfOldestMessage", id));
        let seconds = age.and_then(|(_, alarm)| alarm["Threshold"].as_u64());
        findings.unless(
            seconds.is_some_and(|seconds| seconds <= 3600),
            FILE,
            format!("messages may be {seconds:?} s old on {id}"),
        );
    }
    for (id, _) in template().resources("AWS::DynamoDB::Table") {
        findings.unless(one("WriteThrottleEvents", id), FILE, format!("that {id} is throttled has no alarm"));
    }
    let rules = alarms().filter(|(_, alarm)| alarm["MetricName"] == "FailedInvocations").count();
    let schedules: usize = functions().iter().map(|function| function.sources("Schedule").count()).sum();
    let all = template().resources("AWS::Events::Rule").count() + schedules;
    findings.unless(rules == all, FILE, format!("{rules} of {all} rules have an alarm on FailedInvocations"));
    findings.none();
}

#[test]
fn alarms_do_not_travel_over_what_they_warn_of() {
    let mut findings = Findings::of(
        "what the bus tells people of is in a log as well, with a filter and an alarm, and the code writes that field",
    );
    for (id, filter) in template().resources("AWS::Logs::MetricFilter") {
        let filter = &filter["Properties"];
        let made = &filter["MetricTransformations"][0];
        let field = made["MetricValue"].as_str().unwrap_or_default().trim_start_matches("$.").to_owned();
        let pattern = filter["FilterPattern"].as_str().unwrap_or_default();
        findings.unless(
            pattern == format!("{{ $.{field} > 0 }}"),
            FILE,
            format!("{id} filters {pattern}, and counts {field}"),
        );
        let written = format!("{field} = 1");
        let said = sources().iter().any(|file| !file.is_test() && file.text.contains(&written));
        findings.unless(said, FILE, format!("{id}: nothing logs {field}"));
        let watched = alarms().any(|(_, alarm)| {
            alarm["MetricName"] == made["MetricName"] && alarm["Namespace"] == made["MetricNamespace"]
        });
        findings.unless(watched, FILE, format!("{id} has no alarm"));
        let group = filter["LogGroupName"]["Ref"].as_str().unwrap_or_default();
        let of_a_function = functions().iter().any(|function| function.own("Logs") == group);
        findings.unless(of_a_function, FILE, format!("{id} reads {group}"));
    }
    for needed in ["failures_quarantined", "failures_overdue", "sagas_stuck", "commits_tampered"] {
        let mut filters = template().resources("AWS::Logs::MetricFilter");
        let counted = filters.any(|(_, filter)| {
            filter["Properties"]["MetricTransformations"][0]["MetricValue"] == format!("$.{needed}")
        });
        findings.unless(counted, FILE, format!("{needed} is not counted"));
    }
    let topic = template().resources("AWS::SNS::TopicPolicy").any(|(_, policy)| {
        list(&policy["Properties"]["PolicyDocument"]["Statement"])
            .iter()
            .any(|statement| statement["Principal"]["Service"] == "cloudwatch.amazonaws.com")
    });
    findings.unless(topic, FILE, "the topic does not let CloudWatch in");
    findings.none();
}
