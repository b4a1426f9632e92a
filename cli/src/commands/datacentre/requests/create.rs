//! `requests create`: asks for hosts, and waits for them when told to.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

pub(crate) use super::args::CreateArgs;
use crate::api::{Accepted, Api, ProvisioningRow, Said};
use crate::commands::datacentre::pools;
use crate::error::CliError;
use crate::follow;
use crate::near::require;
use crate::output::Out;
use crate::render::table;
use crate::target::Target;

/// Sends a request with nothing said but what it needs.
///
/// # Errors
/// Those of [`Api::command`].
pub(crate) async fn plain(
    api: &Api,
    (id, pool, role): (&str, &str, &str),
    count: u32,
) -> Result<Accepted, CliError> {
    let body = json!({ "request": id, "pool": pool, "role": role, "image": "debian-12", "count": count });
    api.command(Said("requests create"), "request-hosts", &body).await
}

impl CreateArgs {
    /// The command's payload under an id.
    fn body(&self, id: &str) -> Value {
        let mut body = json!({
            "request": id, "pool": self.pool, "role": self.role, "image": self.image, "count": self.count,
        });
        if let Some(sku) = &self.sku {
            body["sku"] = json!(sku);
        }
        body
    }
}

/// `<role>-<four letters and digits>`.
fn short_id(role: &str) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    // The low half of a UUIDv7 is random.
    let mut random = Uuid::now_v7().as_u64_pair().1;
    let mut id = format!("{role}-");
    for _ in 0..4 {
        id.push(char::from(LETTERS[(random % 32) as usize]));
        random /= 32;
    }
    id
}

/// Sends the request.
pub(super) async fn run(args: CreateArgs, target: &Target, out: Out) -> Result<(), CliError> {
    let pools = pools(target).await?;
    require("pool", args.pool.as_str(), pools.iter().map(String::as_str))?;
    let id = args.id.as_ref().map_or_else(|| short_id(args.role.as_str()), ToString::to_string);
    let accepted = target.api.command(Said("requests create"), "request-hosts", &args.body(&id)).await?;
    let ids = &accepted.provisionings;
    if out.json && !args.wait {
        return out.document(&accepted);
    }
    let again = if accepted.repeated { " (it was accepted before)" } else { "" };
    out.say(format!("request {} is accepted{again}: {}", out.bold(&id), ids.join(" ")))?;
    if !args.wait {
        return out.say(out.faint(format!("follow it with: hostler watch --request {id}")));
    }
    let rows = wait(target, &id, ids, args.timeout, out).await?;
    if out.json {
        out.document(&json!({ "request": id, "accepted": accepted, "provisionings": rows }))?;
    } else {
        out.line(table::provisionings(&rows, Timestamp::now()))?;
    }
    verdict(&id, &rows)
}

/// Waits with a progress bar.
async fn wait(
    target: &Target,
    id: &str,
    ids: &[String],
    timeout: Duration,
    out: Out,
) -> Result<Vec<ProvisioningRow>, CliError> {
    let bar = if out.terminal {
        ProgressBar::with_draw_target(Some(ids.len() as u64), ProgressDrawTarget::stdout())
    } else {
        ProgressBar::hidden()
    };
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len}  {msg}  {elapsed}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(200));
    let rows = follow::provisionings(&target.api, id, ids, timeout, |rows| {
        let over = rows.iter().filter(|row| row.is_over()).count();
        bar.set_position(over as u64);
        bar.set_message(table::tally(rows.iter().map(|row| row.status.as_str())));
        Ok(())
    })
    .await;
    bar.finish_and_clear();
    rows
}

/// Fails unless all are completed.
fn verdict(id: &str, rows: &[ProvisioningRow]) -> Result<(), CliError> {
    let failed: Vec<&ProvisioningRow> = rows.iter().filter(|row| row.status != "completed").collect();
    match failed.first() {
        None => Ok(()),
        Some(first) => Err(CliError::Outcome(format!(
            "{} of {} provisionings of request {id} did not complete: see why with `hostler provisionings show {}`",
            failed.len(),
            rows.len(),
            first.provisioning
        ))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn ids_are_short_and_differ() {
        let (one, other) = (short_id("web"), short_id("web"));
        assert_eq!((one.len(), one.starts_with("web-")), (8, true), "{one}");
        assert_ne!(one, other);
    }

    #[test]
    fn the_payload_fits_its_contract() {
        let args = CreateArgs {
            pool: "web".parse().unwrap(),
            role: "web".parse().unwrap(),
            image: "debian-12".parse().unwrap(),
            sku: Some("cpu-small".parse().unwrap()),
            count: 3,
            id: None,
            wait: false,
            timeout: Duration::from_secs(1),
        };
        let body = args.body("web-1");
        (hostler_events::find("request-hosts").unwrap().check)(&body.into()).unwrap();
    }
}
