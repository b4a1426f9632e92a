//! `failures retry`, `edit` and `discard`.

use std::time::Duration;

use hostler_core::triage::KeptMessage;
use serde::Serialize;
use serde_json::json;

use super::args::{ActArgs, EditArgs};
use super::{kept, list};
use crate::api::{FailureRow, Said, View};
use crate::error::CliError;
use crate::output::Out;
use crate::target::Target;

/// What is done to failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// They are put back on their queues.
    Retry,
    /// They are given up.
    Discard,
}

impl Act {
    fn command(self) -> &'static str {
        match self {
            Self::Retry => "retry-failure",
            Self::Discard => "discard-failure",
        }
    }

    fn said(self) -> &'static str {
        match self {
            Self::Retry => "failures retry",
            Self::Discard => "failures discard",
        }
    }

    fn done(self) -> &'static str {
        match self {
            Self::Retry => "Put back",
            Self::Discard => "Discarded",
        }
    }

    /// The status in which it can be done.
    fn can_be_done_in(self, status: &str) -> bool {
        match self {
            Self::Retry => ["quarantined", "waiting"].contains(&status),
            Self::Discard => ["quarantined", "waiting", "parked"].contains(&status),
        }
    }
}

/// What became of one of them.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Acted {
    failure: String,
    refused: Option<String>,
}

/// Does it to each of them, at a rate.
pub(super) async fn act(args: &ActArgs, act: Act, target: &Target, out: Out) -> Result<(), CliError> {
    let ids = chosen(args, act, target).await?;
    if args.dry_run {
        let sum = |ids: &[String]| format!("{} would be acted on", ids.len());
        return out.list(&ids, |id| id, "There are no such failures.", |ids| ids.join("\n"), sum);
    }
    let pause = Duration::from_secs(1) / args.rate.max(1);
    let mut acted = Vec::new();
    for (number, failure) in ids.into_iter().enumerate() {
        if number > 0 {
            tokio::time::sleep(pause).await;
        }
        let body = json!({ "failure": failure, "reason": args.reason.reason });
        let kept = kept_of(&failure, act, target).await;
        let refused = match target
            .api
            .command_on(Said(act.said()), (View::Failure, &failure), act.command(), &body)
            .await
        {
            Ok(_) => match &kept {
                Some(kept) => kept::remove(target, kept).await.err().map(|error| error.to_string()),
                None => None,
            },
            Err(CliError::Refused { message, .. }) => Some(message),
            Err(error @ CliError::NotFound { .. }) => Some(error.to_string()),
            Err(error) => return Err(error),
        };
        acted.push(Acted { failure, refused });
    }
    let refused: Vec<&Acted> = acted.iter().filter(|acted| acted.refused.is_some()).collect();
    let done = acted.len() - refused.len();
    if out.json {
        out.document(&acted)?;
    } else {
        out.line(format!("{} {done} of {}.", act.done(), acted.len()))?;
        for acted in &refused {
            let why = acted.refused.as_deref().unwrap_or_default();
            out.line(format!("{} {}: {why}", out.bad("✗"), acted.failure))?;
        }
    }
    match refused.len() {
        0 => Ok(()),
        refused => Err(CliError::Outcome(format!("{refused} of {} were refused", acted.len()))),
    }
}

/// Where a message is kept that is discarded, if it was too large to be recorded. Nothing keeps it any longer then.
async fn kept_of(failure: &str, act: Act, target: &Target) -> Option<KeptMessage> {
    if act != Act::Discard {
        return None;
    }
    // Where it cannot be read, its discarding says why.
    let row: FailureRow = target.api.document(View::Failure, failure, &[]).await.ok()?;
    row.dead_letter.kept
}

/// The ids that were given, or those that the options choose.
async fn chosen(args: &ActArgs, act: Act, target: &Target) -> Result<Vec<String>, CliError> {
    match (args.ids.is_empty(), args.which.is_any() && !args.everything) {
        (false, true) => Ok(args.ids.clone()),
        (false, false) => {
            Err(CliError::Usage("give ids or options, not both: each says which failures".to_owned()))
        }
        (true, true) => Err(CliError::Usage(
            "say which failures: give their ids, choose with --queue, --category, --type or --status, or take --everything"
                .to_owned(),
        )),
        (true, false) => {
            list::check(&args.which, target)?;
            let rows = list::rows(target, &args.which, false).await?;
            let rows = rows.into_iter().filter(|row| act.can_be_done_in(&row.status));
            Ok(rows.map(|row| row.id).collect())
        }
    }
}

/// Puts one back with another body.
pub(super) async fn edit(args: EditArgs, target: &Target, out: Out) -> Result<(), CliError> {
    let EditArgs { id, body_from, reason } = args;
    let body = tokio::fs::read_to_string(&body_from).await.map_err(|source| CliError::File {
        action: "read",
        path: body_from.clone(),
        source,
    })?;
    let command = json!({ "failure": id, "body": body.trim(), "reason": reason.reason });
    let accepted =
        target.api.command_on(Said("failures edit"), (View::Failure, &id), "edit-failure", &command).await?;
    if out.json {
        return out.document(&accepted);
    }
    out.line(format!(
        "Put back with the body from {} under an id of its own; follow it with `hostler failures show {id}`.",
        body_from.display()
    ))
}
