//! One thing of a view: its state, now or in the past, and what happened to it.

use clap::Args;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::api::{SagaName, Timeline, View};
use crate::error::CliError;
use crate::output::Out;
use crate::render::{time, timeline};
use crate::target::Target;
use crate::values::{count, moment};

/// Fields that are shown first; the others follow by name.
const FIRST: [&str; 9] =
    ["phase", "status", "reason", "step", "attempt", "host", "provisioning", "saga", "request"];

/// How much of it is shown.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Shown {
    /// How it was at this moment, such as 2026-01-31T12:00:00Z or 15m (ago)
    #[arg(long, value_name = "TIME", value_parser = moment, conflicts_with = "version")]
    at: Option<Timestamp>,
    /// How it was after this commit
    #[arg(long, value_name = "N", value_parser = count(1..=u64::MAX))]
    version: Option<u64>,
    /// Only the timeline, not the state
    #[arg(long)]
    timeline: bool,
    /// In the timeline also commands, timers and causes
    #[arg(long)]
    all: bool,
}

impl Shown {
    /// Whether it is shown as it is now, with its state.
    pub(crate) fn is_now(&self) -> bool {
        self.at.is_none() && self.version.is_none() && !self.timeline
    }

    /// Without the state, which was shown already.
    pub(crate) fn only_timeline(self) -> Self {
        Self { timeline: true, ..self }
    }
}

/// What is shown.
#[derive(Debug, Clone)]
pub(crate) enum Thing<'a> {
    /// A row of a view.
    Of(View<'a>, &'a str),
    /// A saga of any kind.
    Saga(&'a SagaName),
}

/// Shows it.
pub(crate) async fn show(thing: Thing<'_>, shown: &Shown, target: &Target, out: Out) -> Result<(), CliError> {
    let at = shown.at.map(|at| at.to_string());
    let version = shown.version.map(|version| version.to_string());
    let query: Vec<(&str, &str)> = [("at", at.as_deref()), ("version", version.as_deref())]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
    let api = &target.api;
    let state: Option<Map<String, Value>> = match &thing {
        _ if shown.timeline => None,
        Thing::Of(view, id) => Some(api.document(*view, id, &query).await?),
        Thing::Saga(saga) => Some(api.saga(saga, &query).await?),
    };
    let (id, happened) = match &thing {
        Thing::Of(view, id) => ((*id).to_owned(), api.timeline(*view, id, &query).await?),
        Thing::Saga(saga) => (saga.to_string(), api.saga_timeline(saga, &query).await?),
    };
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
        out.line(out.bold(format!("{id} since {}", time::moment(first.recorded_at))))?;
    }
    out.line(timeline::timeline(&happened, shown.all))
}

fn document(state: Option<Map<String, Value>>, happened: &Timeline) -> Value {
    match state {
        Some(state) => json!({ "state": state, "timeline": happened }),
        None => json!({ "timeline": happened }),
    }
}

/// A value on one line: lists and objects without their brackets, as far as that can be read.
fn on_one_line(value: &Value) -> String {
    let plain = |value: &Value| value.as_str().map_or(value.to_string(), str::to_owned);
    match value {
        Value::Array(items) => {
            let between = if items.iter().any(Value::is_object) { "; " } else { " " };
            items.iter().map(on_one_line).collect::<Vec<_>>().join(between)
        }
        Value::Object(fields) => {
            let pairs: Vec<String> =
                fields.iter().map(|(key, value)| format!("{key}={}", plain(value))).collect();
            pairs.join(" ")
        }
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => plain(value),
    }
}

/// A state's fields as lines, small objects on one line.
fn lines(state: &Map<String, Value>) -> Vec<(String, String)> {
    let mut fields: Vec<(&String, &Value)> = state.iter().collect();
    fields.sort_by_key(|(name, _)| FIRST.iter().position(|first| first == name).unwrap_or(FIRST.len()));
    fields
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (spaced(name), on_one_line(value)))
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
            "running": [{ "attempt": 1, "step": "charge" }, { "attempt": 2, "step": "reserve" }],
        });
        let mut shown = lines(state.as_object().unwrap());
        shown.sort();
        let wanted = [
            ("fault domain", "r-01"),
            ("host", "h-01"),
            ("labels", "a=b"),
            ("provisionings", "web.1 web.2"),
            ("running", "attempt=1 step=charge; attempt=2 step=reserve"),
            ("version", "4"),
        ];
        assert_eq!(shown, wanted.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
}
