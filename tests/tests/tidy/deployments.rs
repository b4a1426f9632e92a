//! Deployments: each function works by an alias, which moves to a new version gradually, and back when an alarm rings.

use std::collections::BTreeSet;

use hostler_aws::tables::env;
use serde_json::{Value, json};

use crate::repository::Findings;
use crate::stack::{FILE, Function, alias, functions, list, properties, template};

/// The alias that everything leads to.
const ALIAS: &str = "live";

/// The alarms that take a function's deployment back: that of its new version, and what else shows within minutes what a bad
/// version does.
fn alarms_of(function: &Function) -> BTreeSet<String> {
    let mut alarms = BTreeSet::from([function.own("ReleaseAlarm")]);
    if function.sources("SQS").next().is_some() {
        alarms.insert("FailuresQuarantinedAlarm".to_owned());
    }
    if function.sources("DynamoDB").next().is_some() {
        alarms.insert("RelayAgeAlarm".to_owned());
    }
    let called =
        |integration: &Value| alias(&integration["Properties"]["IntegrationUri"]) == Some(function.id);
    if template().resources("AWS::ApiGatewayV2::Integration").any(|(_, integration)| called(integration)) {
        alarms.insert("Api5xxAlarm".to_owned());
    }
    if function.folder() == "run-sagas" {
        alarms.insert("SagasStuckAlarm".to_owned());
    }
    alarms
}

/// The alarm that a `Ref` names, be it there under a condition or not.
fn named(alarm: &Value) -> String {
    let alarm = if alarm["Fn::If"][0] == "Gradual" { &alarm["Fn::If"][1] } else { alarm };
    alarm["Ref"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn every_function_is_deployed_by_an_alias_and_taken_back_by_its_alarms() {
    let mut findings = Findings::of(
        "every function has the alias, the parameters Deployment and Release, and the alarms by which its deployment is taken back; its own counts the errors of the new version alone",
    );
    let all = &template().body["Globals"]["Function"];
    let preference = &all["DeploymentPreference"];
    findings.unless(all["AutoPublishAlias"] == ALIAS, FILE, "the functions have no alias");
    findings.unless(preference["Type"]["Ref"] == "Deployment", FILE, "Deployment decides nothing");
    let told = all["Environment"]["Variables"][env::RELEASE]["Ref"] == "Release";
    findings.unless(told, FILE, "two releases are the same to Lambda, which then publishes no version");
    for function in functions() {
        let (id, own) = (function.id, function.own("ReleaseAlarm"));
        let described = function.properties["VersionDescription"]["Ref"] == "Release";
        findings.unless(described, FILE, format!("a new Release publishes no version of {id}"));
        let whole = function.properties["AutoPublishAliasAllProperties"] == true;
        findings.unless(whole, FILE, format!("a new time-out of {id} does not reach its alias"));
        let listed = list(&function.properties["DeploymentPreference"]["Alarms"]);
        let listed: BTreeSet<String> = listed.into_iter().map(named).collect();
        let wanted = alarms_of(&function);
        findings.unless(listed == wanted, FILE, format!("{id} is taken back by {listed:?}, not {wanted:?}"));
        let alarm = properties(&own);
        let counts = json!([
            { "Name": "FunctionName", "Value": { "Ref": id } },
            { "Name": "Resource", "Value": { "Fn::Sub": format!("${{{id}}}:{ALIAS}") } },
            { "Name": "ExecutedVersion", "Value": { "Fn::GetAtt": [id, "Version.Version"] } },
        ]);
        findings.unless(alarm["Dimensions"] == counts, FILE, format!("{own} counts {}", alarm["Dimensions"]));
        // The shortest deployment looks for five minutes.
        let quick = alarm["Period"] == 60 && alarm["EvaluationPeriods"] == 1;
        findings.unless(alarm["MetricName"] == "Errors" && quick, FILE, format!("{own} rings too late"));
    }
    findings.none();
}

#[test]
fn every_kind_of_deployment_says_whether_it_is_gradual() {
    let mut findings = Findings::of(
        "the table Deployments has each allowed value of the parameter Deployment, and AllAtOnce alone needs no CodeDeploy",
    );
    let table = template().body["Mappings"]["Deployments"].as_object().unwrap();
    let allowed = list(&template().body["Parameters"]["Deployment"]["AllowedValues"]);
    let allowed: BTreeSet<&str> = allowed.into_iter().filter_map(Value::as_str).collect();
    let known: BTreeSet<&str> = table.keys().map(String::as_str).collect();
    findings.unless(allowed == known, FILE, format!("{allowed:?} may be asked for, and {known:?} are known"));
    for (name, kind) in table {
        let gradual = (name != "AllAtOnce").to_string();
        findings.unless(kind["Gradual"] == gradual, FILE, format!("{name} is gradual: {}", kind["Gradual"]));
    }
    findings.none();
}

#[test]
fn nothing_leads_past_the_alias() {
    let mut findings = Findings::of(
        "permissions, integrations and outputs name a function's alias: what names the function itself runs what no deployment has tried",
    );
    let functions = functions();
    let past = |value: &Value| {
        let id = value["Ref"].as_str().or_else(|| value["Fn::GetAtt"][0].as_str()).unwrap_or_default();
        functions.iter().any(|function| function.id == id)
    };
    for (kind, field) in [
        ("AWS::Lambda::Permission", "FunctionName"),
        ("AWS::Lambda::EventSourceMapping", "FunctionName"),
        ("AWS::ApiGatewayV2::Integration", "IntegrationUri"),
    ] {
        for (id, resource) in template().resources(kind) {
            findings.unless(
                !past(&resource["Properties"][field]),
                FILE,
                format!("{id} leads past the alias"),
            );
        }
    }
    for (id, rule) in template().resources("AWS::Events::Rule") {
        let targets = list(&rule["Properties"]["Targets"]);
        let past = targets.iter().any(|target| past(&target["Arn"]));
        findings.unless(!past, FILE, format!("{id} leads past the alias"));
    }
    for (id, output) in template().body["Outputs"].as_object().unwrap() {
        findings.unless(!past(&output["Value"]), FILE, format!("the output {id} is not the alias"));
    }
    findings.none();
}

#[test]
fn codedeploy_may_move_the_aliases_of_this_stack_and_nothing_else() {
    let mut findings = Findings::of(
        "gradual deployments have a role of the stack's own, for SAM's may move every alias of the account",
    );
    let all = &template().body["Globals"]["Function"]["DeploymentPreference"]["Role"];
    findings.unless(
        all["Fn::GetAtt"] == json!(["DeploymentRole", "Arn"]),
        FILE,
        format!("the role is {all}"),
    );
    let role = properties("DeploymentRole");
    let trusted = &role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"];
    findings.unless(*trusted == json!({ "Service": "codedeploy.amazonaws.com" }), FILE, trusted);
    for policy in list(&role["Policies"]) {
        for statement in list(&policy["PolicyDocument"]["Statement"]) {
            let on = statement["Resource"]["Fn::Sub"].as_str().unwrap_or_default();
            let stack =
                on.ends_with(":function:${AWS::StackName}-*") || on.ends_with(":alarm:${AWS::StackName}-*");
            findings.unless(stack, FILE, format!("DeploymentRole reaches {on}"));
            let actions: Vec<&str> =
                list(&statement["Action"]).into_iter().filter_map(Value::as_str).collect();
            let known = ["lambda:GetAlias", "lambda:UpdateAlias", "lambda:GetProvisionedConcurrencyConfig"];
            let fine = actions == known || actions == ["cloudwatch:DescribeAlarms"];
            findings.unless(fine, FILE, format!("DeploymentRole may {actions:?}"));
        }
    }
    findings.none();
}
