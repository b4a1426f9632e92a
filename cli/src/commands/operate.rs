//! `label`, `cancel`, `resume` and `requalify`: what an operator does to one host or saga.

use std::str::FromStr;

use clap::Args;
use serde_json::{Map, Value, json};

use crate::error::CliError;
use crate::output::Out;
use crate::target::{Global, Target};

const LABEL_EXAMPLES: &str = "\
Examples:
  hostler label h-03 rack=a1 owner=infra      sets two labels
  hostler label h-03 owner-                   removes one
  hostler label h-03 simulate.configure=fail  makes configuration runs on it fail (plain drivers only);
                                              also fail-once, fail-transient, slow:<seconds>, and simulate.monitor";

/// What `label` takes.
#[derive(Debug, Args)]
#[command(after_help = LABEL_EXAMPLES)]
pub(crate) struct LabelArgs {
    /// The host
    pub(crate) host: String,
    /// key=value sets a label, key- removes one
    #[arg(required = true, value_name = "KEY=VALUE|KEY-")]
    pub(crate) changes: Vec<LabelChange>,
}

/// One change of labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LabelChange {
    /// Sets a label.
    Set(String, String),
    /// Removes it.
    Remove(String),
}

impl FromStr for LabelChange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match (text.split_once('='), text.strip_suffix('-')) {
            (Some((key, value)), _) if !key.is_empty() => Ok(Self::Set(key.to_owned(), value.to_owned())),
            (None, Some(key)) if !key.is_empty() => Ok(Self::Remove(key.to_owned())),
            _ => Err("give key=value to set a label, or key- to remove one".to_owned()),
        }
    }
}

/// What `cancel` takes.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  hostler cancel web-x7q2.1 --reason \"wrong image\"")]
pub(crate) struct CancelArgs {
    /// The saga
    saga: String,
    /// Why; it is recorded
    #[arg(long)]
    reason: String,
}

/// What `resume` takes.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  hostler sagas --status stuck\n  hostler resume web-x7q2.1")]
pub(crate) struct ResumeArgs {
    /// The saga
    saga: String,
}

/// What `edit-saga` takes.
#[derive(Debug, Args)]
#[command(
    after_help = "What is skipped is not undone by the saga: see to it first. What gives the host back\n\
    cannot be skipped: put it right and resume.\n\nExample:\n  \
    hostler show saga web-x7q2.1\n  \
    hostler edit-saga web-x7q2.1 --skip deregister-monitoring --why \"monitoring was replaced\""
)]
pub(crate) struct EditSagaArgs {
    /// The saga
    saga: String,
    /// The compensation that it is stuck at, such as deregister-monitoring
    #[arg(long, value_name = "STEP")]
    skip: String,
    /// Why, and what was done instead; it is recorded
    #[arg(long)]
    why: String,
}

/// What `approve` and `reject` take.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  hostler show request web-q3\n  hostler approve web-q3 --why \"capacity plan\"\n  \
    hostler reject web-q3 --why \"the pool has enough\""
)]
pub(crate) struct ApprovalArgs {
    /// The request
    request: String,
    /// Why; it is recorded
    #[arg(long)]
    why: String,
}

/// What `requalify` takes.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  hostler hosts --phase quarantined\n  hostler requalify h-03")]
pub(crate) struct RequalifyArgs {
    /// The host
    host: String,
}

/// Sets and removes labels.
pub(crate) async fn label(args: LabelArgs, global: &Global, out: Out) -> Result<(), CliError> {
    let LabelArgs { host, changes } = args;
    let mut set = Map::new();
    let mut remove = Vec::new();
    for change in changes {
        match change {
            LabelChange::Set(key, value) => drop(set.insert(key, Value::String(value))),
            LabelChange::Remove(key) => remove.push(key),
        }
    }
    let body = json!({ "host": host, "set": set, "remove": remove });
    send("label-host", &body, &format!("the labels of {host}"), global, out).await
}

/// Cancels a saga.
pub(crate) async fn cancel(args: CancelArgs, global: &Global, out: Out) -> Result<(), CliError> {
    let body = json!({ "provisioning": args.saga, "reason": args.reason });
    send("cancel-provisioning", &body, &format!("the cancellation of {}", args.saga), global, out).await
}

/// Resumes a saga.
pub(crate) async fn resume(args: ResumeArgs, global: &Global, out: Out) -> Result<(), CliError> {
    let body = json!({ "provisioning": args.saga });
    send("resume-provisioning", &body, &format!("the resumption of {}", args.saga), global, out).await
}

/// Has a stuck saga go on without a compensation.
pub(crate) async fn edit_saga(args: EditSagaArgs, global: &Global, out: Out) -> Result<(), CliError> {
    let EditSagaArgs { saga, skip, why } = args;
    let body = json!({ "provisioning": saga, "kind": skip, "reason": why });
    send("skip-compensation", &body, &format!("{saga} goes on without {skip}"), global, out).await
}

/// Has a request carried out that waits for approval.
pub(crate) async fn approve(args: ApprovalArgs, global: &Global, out: Out) -> Result<(), CliError> {
    let body = json!({ "request": args.request, "reason": args.why });
    send("approve-request", &body, &format!("the approval of {}", args.request), global, out).await
}

/// Has a request not carried out that waits for approval.
pub(crate) async fn reject(args: ApprovalArgs, global: &Global, out: Out) -> Result<(), CliError> {
    let body = json!({ "request": args.request, "reason": args.why });
    send("reject-request", &body, &format!("the rejection of {}", args.request), global, out).await
}

/// Requalifies a host.
pub(crate) async fn requalify(args: RequalifyArgs, global: &Global, out: Out) -> Result<(), CliError> {
    let body = json!({ "host": args.host });
    send("requalify-host", &body, &format!("the requalification of {}", args.host), global, out).await
}

async fn send(name: &str, body: &Value, what: &str, global: &Global, out: Out) -> Result<(), CliError> {
    let accepted = Target::open(global).await?.api.command(name, body).await?;
    if out.json {
        return out.document(&accepted);
    }
    let again = if accepted.repeated { "; nothing had to change" } else { "" };
    out.line(format!("Recorded: {what} ({} is at version {}{again}).", accepted.stream, accepted.version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_changes_are_read() {
        let set = |key: &str, value: &str| Ok(LabelChange::Set(key.to_owned(), value.to_owned()));
        assert_eq!("a=b=c".parse(), set("a", "b=c"));
        assert_eq!("a=".parse(), set("a", ""));
        assert_eq!("a=b-".parse(), set("a", "b-"));
        assert_eq!("a-b-".parse(), Ok(LabelChange::Remove("a-b".to_owned())));
        for wrong in ["", "-", "=b", "a"] {
            assert!(wrong.parse::<LabelChange>().is_err(), "{wrong}");
        }
    }
}
