//! `request`: asks for hosts, and waits for them when told to.

use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::api::SagaRow;
use crate::error::CliError;
use crate::follow;
use crate::output::Out;
use crate::render::table;
use crate::target::{Global, Target};

const EXAMPLES: &str = "\
Examples:
  hostler request --pool web --role web
  hostler request --pool web --role web --count 10 --wait --timeout 5m
  hostler request --pool db --role db --sku cpu-large --id db-for-q3     the same id never acts twice";

/// What `request` takes.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RequestArgs {
    /// The pool that needs hosts, and that they are taken from
    #[arg(long)]
    pub(crate) pool: String,
    /// What they are to be, such as web
    #[arg(long)]
    pub(crate) role: String,
    /// What they run
    #[arg(long, default_value = "debian-12")]
    pub(crate) image: String,
    /// The hardware, if it matters
    #[arg(long)]
    pub(crate) sku: Option<String>,
    /// How many hosts
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=250))]
    pub(crate) count: u32,
    /// The request's name; sending the same one again acts once [default: <role>-<random>]
    #[arg(long)]
    pub(crate) id: Option<String>,
    /// Follow the sagas to their ends; fails unless all complete
    #[arg(long)]
    pub(crate) wait: bool,
    /// How long to wait
    #[arg(long, default_value = "30m", value_parser = duration, requires = "wait")]
    pub(crate) timeout: Duration,
}

/// Reads `30s`, `5m`, `1h 30m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let read: Result<SignedDuration, _> = text.parse();
    read.ok()
        .and_then(|duration| Duration::try_from(duration).ok())
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "give a length of time such as 30s, 5m or 1h".to_owned())
}

impl RequestArgs {
    /// A request with nothing said but what it needs.
    pub(crate) fn of(id: &str, pool: &str, role: &str, count: u32) -> Self {
        Self {
            pool: pool.to_owned(),
            role: role.to_owned(),
            image: "debian-12".to_owned(),
            sku: None,
            count,
            id: Some(id.to_owned()),
            wait: true,
            timeout: Duration::from_secs(180),
        }
    }

    /// The command's payload under a name.
    pub(crate) fn body(&self, id: &str) -> Value {
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
pub(crate) async fn run(args: RequestArgs, global: &Global, out: Out) -> Result<(), CliError> {
    let target = Target::open(global).await?;
    let id = args.id.clone().unwrap_or_else(|| short_id(&args.role));
    let accepted = target.api.command("request-hosts", &args.body(&id)).await?;
    let ids = &accepted.provisionings;
    if out.json && !args.wait {
        return out.document(&accepted);
    }
    let again = if accepted.repeated { " (it was taken before)" } else { "" };
    out.say(format!("request {} is taken{again}: {}", out.bold(&id), ids.join(" ")))?;
    if !args.wait {
        return out.say(out.faint(format!("follow it with: cargo hostler watch --request {id}")));
    }
    let rows = wait(&target, &id, ids, args.timeout, out).await?;
    if out.json {
        out.document(&json!({ "request": id, "accepted": accepted, "sagas": rows }))?;
    } else {
        out.line(table::sagas(&rows, Timestamp::now()))?;
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
) -> Result<Vec<SagaRow>, CliError> {
    let bar = if out.terminal {
        ProgressBar::with_draw_target(Some(ids.len() as u64), ProgressDrawTarget::stdout())
    } else {
        ProgressBar::hidden()
    };
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len}  {msg}  {elapsed}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(200));
    let rows = follow::sagas(&target.api, id, ids, timeout, |rows| {
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
fn verdict(id: &str, rows: &[SagaRow]) -> Result<(), CliError> {
    let failed: Vec<&SagaRow> = rows.iter().filter(|row| row.status != "completed").collect();
    match failed.first() {
        None => Ok(()),
        Some(first) => Err(CliError::Outcome(format!(
            "{} of {} sagas of request {id} did not complete: see why with `cargo hostler show saga {}`",
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
    fn lengths_of_time_are_read() {
        assert_eq!(duration("90s").unwrap(), Duration::from_secs(90));
        assert_eq!(duration("1h 30m").unwrap(), Duration::from_secs(5_400));
        assert!(duration("0s").is_err() && duration("-1s").is_err() && duration("soon").is_err());
    }

    #[test]
    fn the_payload_fits_its_contract() {
        let body = RequestArgs::of("web-1", "web", "web", 3).body("web-1");
        (hostler_events::find("request-hosts").unwrap().check)(&body.into()).unwrap();
    }
}
