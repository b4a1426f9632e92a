//! Functions: folders and template agree, and each is told exactly what its code asks for.

use std::collections::BTreeSet;

use hostler_aws::tables::env;
use hostler_core::triage::FAILURES_QUEUE;
use hostler_drivers::BmcLogin;

use crate::repository::{Findings, folders, read, sources};
use crate::stack::{FILE, Function, functions, pascal, template};

#[test]
fn every_folder_is_deployed_and_everything_deployed_has_a_folder() {
    let mut findings = Findings::of("functions/<name>/ is <Name>Function with CodeUri target/lambda/<name>/");
    let deployed = functions();
    for folder in folders("functions") {
        let id = pascal(&folder) + "Function";
        match deployed.iter().find(|function| function.id == id) {
            None => findings.add(FILE, format!("functions/{folder} is not deployed: {id} is missing")),
            Some(function) => {
                let uri = function.properties["CodeUri"].as_str();
                let fine = uri == Some(&format!("target/lambda/{folder}/"));
                findings.unless(fine, FILE, format!("the CodeUri of {id} is {uri:?}"));
            }
        }
    }
    for function in &deployed {
        let known = folders("functions").iter().any(|folder| pascal(folder) + "Function" == function.id);
        findings.unless(known, FILE, format!("{} has no folder under functions/", function.id));
    }
    findings.none();
}

#[test]
fn every_function_has_a_timeout_and_says_what_it_does() {
    let mut findings = Findings::of("every function says its Timeout, MemorySize and Description itself");
    for function in functions() {
        let id = function.id;
        findings.unless(
            function.timeout().is_some_and(|s| s <= 900),
            FILE,
            format!("{id} has no Timeout up to 900 s"),
        );
        findings.unless(function.properties["MemorySize"].is_u64(), FILE, format!("{id} has no MemorySize"));
        let described = function.properties["Description"].as_str().is_some_and(|text| text.len() > 15);
        findings.unless(described, FILE, format!("{id} has no Description"));
    }
    findings.none();
}

#[test]
fn http_functions_answer_before_the_gateway_gives_up() {
    let mut findings = Findings::of(
        "an HTTP API waits 30 s: a function behind it has a shorter Timeout, and lets the API call it",
    );
    for (id, integration) in template().resources("AWS::ApiGatewayV2::Integration") {
        let uri = &integration["Properties"]["IntegrationUri"];
        let target = crate::stack::alias(uri).unwrap_or_default();
        match functions().iter().find(|function| function.id == target) {
            None => findings.add(FILE, format!("{id} leads to {uri}, which is no function's alias")),
            Some(function) => {
                let timeout = function.timeout();
                let quick = timeout.is_some_and(|seconds| seconds < 30);
                findings.unless(quick, FILE, format!("the Timeout of {target} is {timeout:?}"));
            }
        }
        let allowed = template().resources("AWS::Lambda::Permission").any(|(_, permission)| {
            let properties = &permission["Properties"];
            crate::stack::alias(&properties["FunctionName"]) == Some(target)
                && properties["Principal"] == "apigateway.amazonaws.com"
        });
        findings.unless(allowed, FILE, format!("no AWS::Lambda::Permission lets the API call {target}"));
    }
    findings.none();
}

fn main_of(function: &Function) -> String {
    read(&format!("functions/{}/src/main.rs", function.folder()))
}

/// The variables that the adapters need, by what main.rs asks them for.
const PORTS: [(&str, &str); 17] = [
    (".shell()", env::EVENTS_TABLE),
    (".store()", env::EVENTS_TABLE),
    (".event_log()", env::EVENTS_TABLE),
    (".views()", env::VIEWS_TABLE),
    (".control()", env::CONTROL_TABLE),
    (".depths()", env::QUEUE_URLS),
    (".consumers()", env::MAPPINGS),
    (".backpressure()", env::CONTROL_TABLE),
    (".breakers()", env::CONTROL_TABLE),
    (".keeping_order()", env::CONTROL_TABLE),
    (".bus()", env::EVENT_BUS),
    (".internal_events()", env::INTERNAL_EVENTS),
    (".queues()", env::QUEUE_URLS),
    (".schedules()", env::SCHEDULES),
    (".consumers_max()", env::CONSUMERS_MAX),
    (".once()", env::IDEMPOTENCY_TABLE),
    (".integrity()", env::SIGNING_KEYS),
];

fn needed(function: &Function) -> BTreeSet<String> {
    let main = main_of(function);
    let mut needed: BTreeSet<String> =
        PORTS.iter().filter(|(port, _)| main.contains(port)).map(|(_, name)| (*name).to_owned()).collect();
    if main.contains(".serve_queue") || main.contains(".serve_triage") {
        needed.insert(env::QUEUE_URLS.to_owned());
        // What comes from a queue is verified, and what goes back is signed.
        needed.insert(env::SIGNING_KEYS.to_owned());
    }
    let prefix = format!("functions/{}/src/", function.folder());
    for file in sources().iter().filter(|file| file.path.starts_with(&prefix)) {
        let production = file.text.split("#[cfg(test)]").next().unwrap_or_default();
        if production.contains("BmcLogin::read") {
            needed.extend(BmcLogin::VARIABLES.map(str::to_owned));
        }
        needed.extend(
            production.split('"').skip(1).step_by(2).filter(|text| is_variable(text)).map(str::to_owned),
        );
    }
    needed
}

/// `CALLBACK_KEY` and the like.
fn is_variable(text: &str) -> bool {
    text.contains('_') && text.len() > 4 && text.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
}

#[test]
fn every_function_is_told_what_it_asks_for_and_no_more() {
    let mut findings =
        Findings::of("a function's environment has the variables that its code reads, and no others");
    for function in functions() {
        let (needed, environment) = (needed(&function), function.environment());
        for name in &needed {
            let told = environment.contains_key(name.as_str());
            findings.unless(
                told,
                FILE,
                format!("{} lacks the variable {name}, which its code reads", function.id),
            );
        }
        for name in environment.keys() {
            findings.unless(
                needed.contains(*name),
                FILE,
                format!("{} has {name}, which nobody reads", function.id),
            );
        }
    }
    findings.none();
}

#[test]
fn variables_name_the_resource_that_they_are_named_after() {
    let mut findings = Findings::of("EVENTS_TABLE is EventsTable, and so on");
    for function in functions() {
        let environment = function.environment();
        for (name, resource) in [
            (env::EVENTS_TABLE, "EventsTable"),
            (env::VIEWS_TABLE, "ViewsTable"),
            (env::CONTROL_TABLE, "ControlTable"),
            (env::IDEMPOTENCY_TABLE, "IdempotencyTable"),
            (env::EVENT_BUS, "EventBus"),
        ] {
            if let Some(value) = environment.get(name) {
                findings.unless(
                    value["Ref"] == resource,
                    FILE,
                    format!("{name} of {} is {value}", function.id),
                );
            }
        }
    }
    findings.none();
}

#[test]
fn a_function_serves_the_queue_that_is_connected_to_it() {
    let mut findings =
        Findings::of("the queue that main.rs serves is the function's event source, and bears its name");
    for function in functions() {
        let main = main_of(&function);
        let mut connected: Vec<String> =
            function.sources("SQS").map(|source| crate::stack::resource(&source["Queue"]).0).collect();
        let triages = main.contains(".serve_triage(");
        // Which dead-letter queues it reads is a rule of its own.
        connected.retain(|queue| !triages || queue.ends_with("Queue"));
        let served = main.split(".serve_queue").nth(1).map(|rest| {
            let argument =
                rest.split_once('(').map_or("", |(_, rest)| rest).split(',').next().unwrap_or_default();
            match argument.trim().trim_matches('"') {
                "TIMERS_QUEUE" => hostler_runtime::messages::timers::TIMERS_QUEUE.to_owned(),
                name => name.to_owned(),
            }
        });
        let served = served.or_else(|| triages.then(|| FAILURES_QUEUE.to_owned()));
        let expected: Vec<String> = served.iter().map(|name| crate::stack::queue_resource(name)).collect();
        let what = format!("{} serves {expected:?} and is connected to {connected:?}", function.id);
        findings.unless(connected == expected, FILE, what);
        let started = format!("start(\"{}\")", function.folder());
        findings.unless(
            main.contains(&started),
            format!("functions/{}", function.folder()),
            "starts by another name",
        );
    }
    findings.none();
}

/// Lambda takes this many bytes of names and values (AWS Lambda Developer Guide, "Lambda quotas", November 2026).
const ENVIRONMENT_BYTES_MAX: usize = 4096;
/// What a stack, an id of a resource, a URL of a queue and a secret may be as long as.
const STACK_BYTES: usize = 20;

/// How long a value may be once it is resolved.
fn resolved_bytes(value: &serde_json::Value) -> usize {
    let parameters = &template().body["Parameters"];
    // `hostler-CommandsQueue-1A2B3C4D5E6F`, and for a queue the address before it.
    let name = |id: &str| STACK_BYTES + id.len() + 14;
    let of = |id: &str| match parameters.get(id) {
        Some(parameter) if id == "BmcCa" => parameter["Default"].as_str().map_or(0, str::len) + 2048,
        Some(parameter) if id == "SigningKeys" => parameter["Default"].as_str().map_or(0, str::len) + 300,
        Some(parameter) if parameter["MaxLength"].is_u64() => {
            parameter["MaxLength"].as_u64().unwrap().try_into().unwrap()
        }
        Some(parameter) => match &parameter["Default"] {
            serde_json::Value::String(text) if text.len() > 100 => text.len(),
            _ => 100,
        },
        None if id.ends_with(".QueueName") => name(id.trim_end_matches(".QueueName")),
        None if id.ends_with("Queue") || id.ends_with("Dlq") => {
            "https://sqs.ap-southeast-1.amazonaws.com/123456789012/".len() + name(id)
        }
        None => name(id),
    };
    match value {
        serde_json::Value::String(text) => text.len(),
        value if value["Ref"].is_string() => of(value["Ref"].as_str().unwrap()),
        value if value["Fn::Sub"].is_string() => {
            let text = value["Fn::Sub"].as_str().unwrap();
            let ids = text.split("${").skip(1).filter_map(|rest| rest.split_once('}')).map(|(id, _)| id);
            // What stands for a value is not there any more.
            ids.fold(text.len(), |sum, id| sum + of(id) - "${}".len() - id.len())
        }
        // Texts of a list, with something between them. A list of ARNs has room for ten.
        value if value["Fn::Join"].is_array() => 10 * resolved_bytes(&value["Fn::Join"][1]),
        // One of two: the longer is no longer than both.
        value => {
            let either = value["Fn::If"].as_array().unwrap_or_else(|| panic!("{value} is not understood"));
            either.iter().skip(1).map(resolved_bytes).max().unwrap_or_default()
        }
    }
}

#[test]
fn an_environment_is_as_small_as_lambda_wants_it() {
    let mut findings = Findings::of("names and values of a function's environment have 4,096 bytes at most");
    let global = &template().body["Globals"]["Function"]["Environment"]["Variables"];
    let global: Vec<(&str, &serde_json::Value)> =
        global.as_object().unwrap().iter().map(|(name, value)| (name.as_str(), value)).collect();
    for function in functions() {
        let variables = function.environment().into_iter().chain(global.clone());
        let bytes: usize = variables.map(|(name, value)| name.len() + resolved_bytes(value)).sum();
        findings.unless(
            bytes <= ENVIRONMENT_BYTES_MAX,
            FILE,
            format!("{} has up to {bytes} bytes", function.id),
        );
    }
    for secret in [
        "SIGNING_KEYS",
        "CALLBACK_KEY",
        "PREVIOUS_CALLBACK_KEY",
        "SIGNAL_TOKEN",
        "PREVIOUS_SIGNAL_TOKEN",
        "BMC_PASSWORD",
    ] {
        let everywhere = global.iter().any(|(name, _)| *name == secret);
        findings.unless(!everywhere, FILE, format!("every function is told {secret}"));
    }
    findings.none();
}
