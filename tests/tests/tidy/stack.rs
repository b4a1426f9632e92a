//! template.yaml as the checks look at it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use hostler_localstack::template::Template;
use hostler_tests::root;
use serde_json::Value;

/// Where findings about the template are.
pub(crate) const FILE: &str = "template.yaml";

/// The template.
pub(crate) fn template() -> &'static Template {
    static TEMPLATE: OnceLock<Template> = OnceLock::new();
    TEMPLATE.get_or_init(|| Template::load(root().join(FILE)).unwrap())
}

/// `deploy-host` is `DeployHost`.
pub(crate) fn pascal(name: &str) -> String {
    name.split('-').map(|word| word[..1].to_uppercase() + &word[1..]).collect()
}

/// The resource of a queue by its logical name: `deploy-host` is `DeployHostQueue`, `deploy-host-dlq` is
/// `DeployHostDlq`.
pub(crate) fn queue_resource(name: &str) -> String {
    match name.strip_suffix("-dlq") {
        Some(of) => pascal(of) + "Dlq",
        None => pascal(name) + "Queue",
    }
}

/// The properties of a resource; null when there is no such resource.
pub(crate) fn properties(resource: &str) -> &'static Value {
    &template().body["Resources"][resource]["Properties"]
}

/// A Lambda function.
pub(crate) struct Function {
    /// Its logical id, such as `DeployHostFunction`.
    pub(crate) id: &'static str,
    /// Its properties.
    pub(crate) properties: &'static Value,
    /// The properties of its role; null when it has none of its own.
    pub(crate) role: &'static Value,
}

/// What SAM makes of functions' events: a mapping of a queue, or the rule of a schedule, is called by its function and its event.
pub(crate) fn mappings() -> BTreeSet<String> {
    let functions = functions();
    let events = functions.iter().flat_map(|function| {
        let events = function.properties["Events"].as_object().into_iter().flatten();
        let made = |event: &Value| event["Type"] == "SQS" || event["Type"] == "Schedule";
        events.filter(move |(_, event)| made(event)).map(|(name, _)| format!("{}{name}", function.id))
    });
    events.collect()
}

/// The alias of a function, as SAM lets a template name it: what works, and what a deployment moves to a new version.
pub(crate) fn alias(value: &Value) -> Option<&str> {
    value["Ref"].as_str()?.strip_suffix(".Alias")
}

/// All Lambda functions.
pub(crate) fn functions() -> Vec<Function> {
    functions_of(template())
}

/// All Lambda functions of a template.
pub(crate) fn functions_of(template: &'static Template) -> Vec<Function> {
    let functions = template.resources("AWS::Serverless::Function").map(|(id, function)| {
        let properties = &function["Properties"];
        let role = resource(&properties["Role"]).0;
        Function { id, properties, role: &template.body["Resources"][role]["Properties"] }
    });
    functions.collect()
}

/// What a policy allows: one action on one resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Grant {
    /// Such as `sqs:SendMessage`.
    pub(crate) action: String,
    /// The logical id, or what else is said where no resource is referred to.
    pub(crate) resource: String,
    /// What follows the resource's own ARN, such as `/index/by-group`.
    pub(crate) part: String,
}

impl Function {
    /// The folder under `functions/`.
    pub(crate) fn folder(&self) -> &'static str {
        let uri = self.properties["CodeUri"].as_str().unwrap_or_default();
        uri.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
    }

    /// Seconds until it is ended; `None` when not said.
    pub(crate) fn timeout(&self) -> Option<u64> {
        self.properties["Timeout"].as_u64()
    }

    /// Its environment variables.
    pub(crate) fn environment(&self) -> BTreeMap<&'static str, &'static Value> {
        let variables = self.properties["Environment"]["Variables"].as_object();
        variables.into_iter().flatten().map(|(name, value)| (name.as_str(), value)).collect()
    }

    /// The queues that it is told of: logical name and resource. `Err` says what cannot be read.
    pub(crate) fn queues(&self) -> Result<BTreeMap<String, String>, String> {
        match self.environment().get("QUEUE_URLS") {
            None => Ok(BTreeMap::new()),
            Some(value) => {
                let text = value["Fn::Sub"].as_str().ok_or("QUEUE_URLS is no !Sub of a text")?;
                let urls: BTreeMap<String, String> = serde_json::from_str(text)
                    .map_err(|error| format!("QUEUE_URLS is no JSON of texts: {error}"))?;
                if !urls.is_empty() && urls.values().all(|value| value.ends_with(".QueueName}")) {
                    return Err("QUEUE_URLS has names only, and no URL that says where they are".to_owned());
                }
                urls.into_iter()
                    .map(|(name, value)| {
                        let resource = value.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
                        let resource =
                            resource.ok_or(format!("the URL of {name} is {value}, and not ${{Queue}}"))?;
                        // A name alone is completed by a URL beside it.
                        Ok((name, resource.trim_end_matches(".QueueName").to_owned()))
                    })
                    .collect()
            }
        }
    }

    /// Its event sources of a type, such as `SQS`.
    pub(crate) fn sources(&self, kind: &'static str) -> impl Iterator<Item = &'static Value> {
        let events = self.properties["Events"].as_object();
        events
            .into_iter()
            .flatten()
            .map(|(_, event)| event)
            .filter(move |event| event["Type"] == kind)
            .map(|event| &event["Properties"])
    }

    /// What is called after it: `AcceptCommandsFunction` has the role `AcceptCommandsRole`, and the logs `AcceptCommandsLogs`.
    pub(crate) fn own(&self, kind: &str) -> String {
        self.id.trim_end_matches("Function").to_owned() + kind
    }

    /// The statements of its role. What Lambda itself needs for a VPC is not among them: it is there under a condition.
    pub(crate) fn statements(&self) -> Vec<&'static Value> {
        let policies = list(&self.role["Policies"]).into_iter();
        policies.flat_map(|policy| list(&policy["PolicyDocument"]["Statement"])).collect()
    }

    /// What its role allows.
    pub(crate) fn grants(&self) -> BTreeSet<Grant> {
        self.statements()
            .into_iter()
            .flat_map(|statement| {
                let resources: Vec<_> = list(&statement["Resource"]).into_iter().map(resource).collect();
                list(&statement["Action"]).into_iter().flat_map(move |action| {
                    let action = action.as_str().unwrap_or_default().to_owned();
                    resources.clone().into_iter().map(move |(resource, part)| Grant {
                        action: action.clone(),
                        resource,
                        part,
                    })
                })
            })
            .collect()
    }

    /// Whether it may do something with a resource as a whole.
    pub(crate) fn may(&self, action: &str, resource: &str) -> bool {
        self.grants().iter().any(|grant| {
            (grant.action.as_str(), grant.resource.as_str(), grant.part.as_str()) == (action, resource, "")
        })
    }
}

/// One or many, as CloudFormation has it.
pub(crate) fn list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Null => Vec::new(),
        one => vec![one],
    }
}

/// The resource whose ARN a value is, and what follows it. Anything else is given as its JSON.
pub(crate) fn resource(value: &Value) -> (String, String) {
    if let Some(pair) = value["Fn::GetAtt"].as_array()
        && let (Some(id), Some("Arn" | "StreamArn")) = (pair[0].as_str(), pair[1].as_str())
    {
        return (id.to_owned(), String::new());
    }
    if let Some((_, mapping)) =
        value["Fn::Sub"].as_str().and_then(|text| text.split_once(":event-source-mapping:${"))
    {
        return (mapping.trim_end_matches('}').to_owned(), String::new());
    }
    // A schedule's name is its timer's id: no policy can name them, only their group.
    if let Some(group) = value["Fn::Sub"].as_str().and_then(|text| text.split_once(":schedule/${")) {
        return (group.1.trim_end_matches("}/*").to_owned(), String::new());
    }
    if let Some((id, part)) = value["Fn::Sub"]
        .as_str()
        .and_then(|text| text.strip_prefix("${"))
        .and_then(|text| text.split_once(".Arn}"))
    {
        return (id.to_owned(), part.to_owned());
    }
    (value.to_string(), String::new())
}
