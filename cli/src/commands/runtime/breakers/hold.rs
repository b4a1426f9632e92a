//! `breakers open`, `close` and `auto`.

use std::time::Duration;

use hostler_aws::DynamoControl;
use hostler_core::breaker::{Breaker, Override};
use hostler_runtime::effects::breakers::{INDEX, key};
use hostler_runtime::ports::Control;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::args::{AutoArgs, HoldArgs};
use super::{control, names, unread};
use crate::api::HostRow;
use crate::audit;
use crate::error::CliError;
use crate::near::require;
use crate::output::Out;
use crate::render::time;
use crate::target::Target;

/// How often a change is tried again because another writer was faster.
const TRIES_MAX: u32 = 5;

/// Holds a breaker open or closed.
pub(super) async fn hold(target: &Target, args: HoldArgs, open: bool, out: Out) -> Result<(), CliError> {
    let HoldArgs { dependency, lasts, reason } = args;
    let until = set(target, &dependency, lasts, open, &reason.reason).await?;
    let what = if open { "is not called" } else { "is called" };
    say(&dependency, &format!("{what} until {}", time::moment(until)), out)
}

/// Has a breaker be open or closed for so long; says until when.
pub(super) async fn set(
    target: &Target,
    dependency: &str,
    lasts: Duration,
    open: bool,
    why: &str,
) -> Result<Timestamp, CliError> {
    let lasts = SignedDuration::try_from(lasts).unwrap_or(SignedDuration::MAX);
    let until = Timestamp::now().saturating_add(lasts).unwrap_or(Timestamp::MAX);
    let actor = audit::actor(target).await;
    let forced = Override { open, until, actor, reason: why.to_owned() };
    change(target, dependency, Some(forced), why).await?;
    Ok(until)
}

/// Has the dependency's calls decide again.
pub(super) async fn auto(target: &Target, args: AutoArgs, out: Out) -> Result<(), CliError> {
    let AutoArgs { dependency, reason } = args;
    change(target, &dependency, None, &reason.reason).await?;
    say(&dependency, "is judged by its calls again", out)
}

fn say(dependency: &str, what: &str, out: Out) -> Result<(), CliError> {
    if out.json {
        return out.document(&json!({ "dependency": dependency, "now": what }));
    }
    out.line(format!("{dependency} {what}; functions know within 5 s."))
}

/// Fails where the application has no such dependency. BMCs have a breaker each, `bmc/<host>`.
async fn check(target: &Target, dependency: &str) -> Result<(), CliError> {
    if let Some(host) = dependency.strip_prefix("bmc/") {
        let hosts: Vec<HostRow> = target.api.rows(None).await?;
        return require("BMC of a host", host, hosts.iter().map(|row| row.host.as_str()));
    }
    let (seen, register) = (names(&control(target)?).await?, target.api.register().await?);
    let known = seen.keys().map(String::as_str).chain(register.dependencies.iter().map(String::as_str));
    require("dependency", dependency, known)
}

/// Changes what an operator wants of a breaker, and records who did so.
pub(super) async fn change(
    target: &Target,
    dependency: &str,
    forced: Option<Override>,
    why: &str,
) -> Result<(), CliError> {
    check(target, dependency).await?;
    let control = control(target)?;
    let unwritten = |error| {
        CliError::failed(
            "the breaker was not changed: check the credentials' dynamodb:PutItem on the control table",
        )(error)
    };
    audit::record(target, "breaker", &json!({ "dependency": dependency, "forced": forced, "reason": why }))
        .await?;
    for _ in 0..TRIES_MAX {
        let entry = control.get(&key(dependency)).await.map_err(unread)?;
        let (value, revision) =
            entry.map_or((json!(Breaker::default()), 0), |entry| (entry.value, entry.revision));
        let mut breaker: Breaker = serde_json::from_value(value).map_err(unread)?;
        breaker.forced.clone_from(&forced);
        breaker.changed_at = Some(Timestamp::now());
        if control.put(&key(dependency), &json!(breaker), revision).await.map_err(unwritten)? {
            return note(&control, dependency).await;
        }
    }
    Err(CliError::Outcome(format!("the breaker of {dependency} changes too quickly: try again")))
}

/// Has `list` find it.
async fn note(control: &DynamoControl, dependency: &str) -> Result<(), CliError> {
    for _ in 0..TRIES_MAX {
        let entry = control.get(INDEX).await.map_err(unread)?;
        let (mut names, revision) = entry.map_or((json!({}), 0), |entry| (entry.value, entry.revision));
        if let Value::Object(names) = &mut names {
            names.insert(dependency.to_owned(), json!(Timestamp::now()));
        }
        if control.put(INDEX, &names, revision).await.map_err(unread)? {
            return Ok(());
        }
    }
    Ok(())
}
