//! `show`: the state of one thing, now or in the past, and what happened to it.

use clap::Args;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::api::{Timeline, View};
use crate::error::CliError;
use crate::output::Out;
use crate::render::{time, timeline};
use crate::target::{Global, Target};

const EXAMPLES: &str = "\
Examples:
  hostler show host h-03
  hostler show saga web-x7q2.1 --timeline            only what happened
  hostler show saga web-x7q2.1 --all                 also what each commit asked of others
  hostler show host h-03 --at 2026-01-31T12:00:00Z   how it was then
  hostler show host h-03 --version 4                 how it was after its fourth commit";

/// Fields that are shown first; the others follow by name.
const FIRST: [&str; 9] =
    ["phase", "status", "reason", "step", "attempt", "host", "provisioning", "request", "pool"];

/// What `show` takes.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ShowArgs {
    /// What it is
    kind: View,
    /// Its id
    id: String,
    /// How it was at this moment (RFC 3339)
    #[arg(long, value_name = "TIME", conflicts_with = "version")]
    at: Option<Timestamp>,
    /// How it was after this commit
    #[arg(long, value_name = "N")]
    version: Option<u64>,
    /// Only the timeline, not the state
    #[arg(long)]
    timeline: bool,
    /// In the timeline also commands, timers and causes
    #[arg(long)]
    all: bool,
}

/// Shows it.
pub(crate) async fn run(args: ShowArgs, global: &Global, out: Out) -> Result<(), CliError> {
    let target = Target::open(global).await?;
    let at = args.at.map(|at| at.to_string());
    let version = args.version.map(|version| version.to_string());
    let query: Vec<(&str, &str)> = [("at", at.as_deref()), ("version", version.as_deref())]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
    let state: Option<Map<String, Value>> =
        if args.timeline { None } else { Some(target.api.document(args.kind, &args.id, &query).await?) };
    let happened = target.api.timeline(args.kind, &args.id, &query).await?;
    if out.json {
        return out.document(&document(state, &happened));
    }
    if let Some(state) = &state {
        for (name, value) in lines(state) {
            out.line(format!("{}  {value}", out.faint(format!("{name:>16}"))))?;
        }
        out.line("")?;
    }
    if let Some(first) = happened.commits.first() {
        out.line(out.bold(format!("{} since {}", args.id, time::moment(first.recorded_at))))?;
    }
    out.line(timeline::timeline(&happened, args.all))
}

fn document(state: Option<Map<String, Value>>, happened: &Timeline) -> Value {
    match state {
        Some(state) => json!({ "state": state, "timeline": happened }),
        None => json!({ "timeline": happened }),
    }
}

/// A state's fields as lines, small objects on one line.
fn lines(state: &Map<String, Value>) -> Vec<(String, String)> {
    let shown = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<String> =
                items.iter().map(|item| item.as_str().map_or(item.to_string(), str::to_owned)).collect();
            items.join(" ")
        }
        Value::Object(fields) => {
            let pairs: Vec<String> = fields
                .iter()
                .map(|(key, value)| {
                    format!("{key}={}", value.as_str().map_or(value.to_string(), str::to_owned))
                })
                .collect();
            pairs.join(" ")
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    };
    let mut fields: Vec<(&String, &Value)> = state.iter().collect();
    fields.sort_by_key(|(name, _)| FIRST.iter().position(|first| first == name).unwrap_or(FIRST.len()));
    fields
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (spaced(name), shown(value)))
        .filter(|(_, value)| !value.is_empty())
        .collect()
}

/// `faultDomain` as `fault domain`.
fn spaced(name: &str) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() {
            text.push(' ');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_state_is_shown_line_by_line() {
        let state = json!({
            "host": "h-01", "faultDomain": "r-01", "labels": {"a": "b"}, "reason": null, "version": 4,
            "empty": {}, "provisionings": ["web.1", "web.2"],
        });
        let mut shown = lines(state.as_object().unwrap());
        shown.sort();
        let wanted = [
            ("fault domain", "r-01"),
            ("host", "h-01"),
            ("labels", "a=b"),
            ("provisionings", "web.1 web.2"),
            ("version", "4"),
        ];
        assert_eq!(shown, wanted.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
}
