//! `breakers`: which dependencies are not called, and what an operator wants instead.

mod args;
mod hold;
mod list;

use std::collections::BTreeMap;
use std::time::Duration;

use hostler_aws::DynamoControl;
use hostler_runtime::effects::breakers::INDEX;
use hostler_runtime::ports::Control;
use jiff::Timestamp;

pub(crate) use args::BreakersArgs;
use args::BreakersVerb;

use crate::error::{CliError, Source};
use crate::output::Out;
use crate::target::{Global, Target};

/// Does what the verb says.
pub(crate) async fn run(args: BreakersArgs, global: &Global, out: Out) -> Result<(), CliError> {
    let target = Target::open(global).await?;
    match args.verb {
        BreakersVerb::List(args) => list::run(&args, &target, out).await,
        BreakersVerb::Open(args) => hold::hold(&target, args, true, out).await,
        BreakersVerb::Close(args) => hold::hold(&target, args, false, out).await,
        BreakersVerb::Auto(args) => hold::auto(&target, args, out).await,
    }
}

/// Holds a breaker open for so long.
///
/// # Errors
/// Where there is no such dependency, and those of reading and writing the control table.
pub(crate) async fn open_for(
    target: &Target,
    dependency: &str,
    lasts: Duration,
    why: &str,
) -> Result<(), CliError> {
    hold::set(target, dependency, lasts, true, why).await.map(drop)
}

/// Has a dependency's calls decide again.
///
/// # Errors
/// As [`open_for`].
pub(crate) async fn let_go(target: &Target, dependency: &str, why: &str) -> Result<(), CliError> {
    hold::change(target, dependency, None, why).await
}

fn control(target: &Target) -> Result<DynamoControl, CliError> {
    let table = target.output("ControlTable")?;
    Ok(DynamoControl::new(aws_sdk_dynamodb::Client::new(&target.config), table))
}

fn unread<E: Into<Source>>(error: E) -> CliError {
    CliError::failed(
        "the breakers cannot be read: check the credentials' dynamodb:GetItem on the control table",
    )(error)
}

/// The dependencies whose breakers ever opened or were held.
async fn names(control: &DynamoControl) -> Result<BTreeMap<String, Timestamp>, CliError> {
    let index = control.get(INDEX).await.map_err(unread)?;
    let names = index.map(|entry| serde_json::from_value(entry.value)).transpose().map_err(unread)?;
    Ok(names.unwrap_or_default())
}
