//! `hosts label`.

use serde_json::{Map, Value, json};

use super::args::LabelArgs;
use crate::api::{Said, View};
use crate::commands::datacentre::recorded;
use crate::error::CliError;
use crate::output::Out;
use crate::target::Target;
use crate::values::LabelChange;

/// Sets and removes labels.
pub(super) async fn run(args: LabelArgs, target: &Target, out: Out) -> Result<(), CliError> {
    let LabelArgs { host, changes } = args;
    let mut set = Map::new();
    let mut remove = Vec::new();
    for change in changes {
        match change {
            LabelChange::Set(label) => drop(set.insert(label.key, Value::String(label.value))),
            LabelChange::Remove(key) => remove.push(key),
        }
    }
    let body = json!({ "host": host, "set": set, "remove": remove });
    let on = (View::Host, host.as_str());
    let accepted = target.api.command_on(Said("hosts label"), on, "label-host", &body).await?;
    recorded(&accepted, &format!("the labels of {host}"), out)
}
