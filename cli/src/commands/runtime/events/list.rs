//! `events list`.

use comfy_table::Cell;
use hostler_aws::{DynamoEventLog, DynamoEventStore};
use hostler_core::{Commit, Envelope, StreamVersion};
use hostler_runtime::operations::replay::{EventLog, Selection};
use hostler_runtime::ports::EventStore;

use super::args::ListArgs;
use crate::error::{CliError, Source};
use crate::output::Out;
use crate::render::{table, time};
use crate::target::Target;

/// How many commits of a stream are read at once.
const PAGE: usize = 500;
/// How many pages are read at most.
const PAGES_MAX: usize = 2_000;

/// Lists recorded events.
pub(super) async fn run(args: ListArgs, target: &Target, out: Out) -> Result<(), CliError> {
    let ListArgs { stream, event_type, since, until, limit } = args;
    let selection = Selection { stream, event_type, since, until };
    let mut events = read(&selection, target).await?;
    // Ids are made in the order of time.
    events.sort_by_key(|event| (event.timestamp, event.event_id));
    let more = events.len().saturating_sub(limit);
    let newest = events.split_off(more);
    let id = |events: &[Envelope]| {
        let mut shown = table::plain(["RECORDED", "EVENT", "STREAM", "DATA"]);
        for event in events {
            shown.add_row([
                Cell::new(time::moment(event.timestamp)),
                Cell::new(&event.event_type),
                Cell::new(event.stream.as_str()),
                Cell::new(table::short(&event.data.to_string())),
            ]);
        }
        table::text(&shown)
    };
    let ids: Vec<String> = newest.iter().map(|event| event.event_id.to_string()).collect();
    if out.ids {
        return ids.iter().try_for_each(|id| out.line(id));
    }
    let sum = |_: &[Envelope]| {
        if more > 0 { format!("{more} older ones are left out: --limit") } else { String::new() }
    };
    out.list(&newest, |event| &event.event_type, "There are no such events.", id, sum)
}

/// The events of a selection, in no order.
pub(super) async fn read(selection: &Selection, target: &Target) -> Result<Vec<Envelope>, CliError> {
    fn unread<E: Into<Source>>(error: E) -> CliError {
        CliError::failed("the events cannot be read: check the credentials' dynamodb:Query and dynamodb:Scan")(
            error,
        )
    }
    let (client, name) = (aws_sdk_dynamodb::Client::new(&target.config), target.output("EventsTable")?);
    let mut events = Vec::new();
    let mut take =
        |commits: &[Commit]| events.extend(commits.iter().flat_map(|commit| selection.events(commit)));
    if let Some(stream) = &selection.stream {
        let store = DynamoEventStore::new(client, name);
        let mut after = StreamVersion(0);
        for page in 0..PAGES_MAX {
            let commits = store.read(stream, after, PAGE).await.map_err(unread)?;
            take(&commits);
            match commits.last() {
                Some(last) => after = last.version,
                None if page == 0 => {
                    let (name, hint) = (stream.to_string(), String::new());
                    return Err(CliError::NotFound { what: "stream".into(), name, hint, list: None });
                }
                None => break,
            }
        }
        return Ok(events);
    }
    let log = DynamoEventLog::new(client, name);
    let mut after: Option<String> = None;
    for _ in 0..PAGES_MAX {
        let page = log.page(after.as_deref()).await.map_err(unread)?;
        take(&page.commits);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    Ok(events)
}
