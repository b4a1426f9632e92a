//! What a function's calls to AWS cost: counted at the SDK, for each invocation.
//!
//! Emulators report capacity wrongly, so units are computed from the bytes of items by the rules that AWS publishes
//! (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html>): a write unit for each
//! kilobyte of an item begun, a read unit for each four kilobytes begun that were read consistently, half of it
//! otherwise; a failed condition costs as much as the write. SQS and EventBridge count a request or an event for each 64
//! KB begun.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::config::interceptors::{
    BeforeDeserializationInterceptorContextRef, BeforeSerializationInterceptorContextRef,
    BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_sdk_dynamodb::operation::{delete_item, get_item, put_item, query, update_item};
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_eventbridge::operation::put_events;
use aws_sdk_scheduler::operation::create_schedule;
use aws_sdk_sqs::operation::send_message_batch;
use aws_smithy_types::config_bag::{Storable, StoreReplace};
use serde::{Deserialize, Serialize};

use crate::tables::views as names;

const KB: usize = 1_024;
/// What SQS and EventBridge count as one.
const CHUNK: usize = 64 * KB;
/// What DynamoDB counts for an index entry beside the attributes.
const INDEX_OVERHEAD: usize = 100;

/// Calls of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Calls {
    /// How many there were.
    pub calls: u64,
    /// What AWS bills: write units, read units, requests or events.
    pub units: f64,
    /// Bytes of items, messages or events.
    pub bytes: u64,
}

/// What one invocation did.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Metered {
    /// The function.
    pub function: String,
    /// How long it took in milliseconds.
    pub milliseconds: f64,
    /// For how much of that at least one call was under way.
    pub waited: f64,
    /// Calls by kind and table, such as `PutItem events`.
    pub calls: BTreeMap<String, Calls>,
}

/// Counts calls.
#[derive(Clone, Default)]
pub struct Meter {
    counts: Arc<Mutex<BTreeMap<String, Calls>>>,
    waits: Arc<Mutex<Waits>>,
    /// The groups of rows that this process has written.
    groups: Arc<Mutex<HashMap<String, String>>>,
    file: Option<PathBuf>,
    /// The tables by the names that AWS gave them.
    tables: BTreeMap<String, &'static str>,
}

/// The time during which calls were under way.
#[derive(Debug, Default)]
struct Waits {
    calls: u32,
    since: Option<Instant>,
    total: Duration,
}

impl std::fmt::Debug for Meter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Meter").field("file", &self.file).finish_non_exhaustive()
    }
}

impl Meter {
    /// One that appends what each invocation did to a file.
    #[must_use]
    pub fn to_file(file: impl Into<PathBuf>, tables: BTreeMap<String, &'static str>) -> Self {
        Self { file: Some(file.into()), tables, ..Self::default() }
    }

    /// Forgets what was counted: the start is no part of an invocation.
    pub fn begin(&self) {
        self.take();
        *locked(&self.waits) = Waits::default();
    }

    /// Ends an invocation: one line of JSON, [`Metered`].
    pub fn end(&self, function: &str, time: Duration) {
        let Some(file) = &self.file else { return };
        let milliseconds = time.as_secs_f64() * 1e3;
        let waited = std::mem::take(&mut *locked(&self.waits)).total.as_secs_f64() * 1e3;
        let metered = Metered { function: function.to_owned(), milliseconds, waited, calls: self.take() };
        let written = serde_json::to_string(&metered).map_err(std::io::Error::other).and_then(|line| {
            let mut file = std::fs::OpenOptions::new().create(true).append(true).open(file)?;
            // One write, so that lines of processes side by side stay whole.
            file.write_all((line + "\n").as_bytes())
        });
        if let Err(error) = written {
            tracing::warn!(%error, file = %file.display(), "what the invocation cost was not written");
        }
    }

    fn take(&self) -> BTreeMap<String, Calls> {
        std::mem::take(&mut *locked(&self.counts))
    }

    fn add(&self, kind: &str, on: &str, units: f64, bytes: usize) {
        let on = self.tables.get(on).copied().unwrap_or(on);
        let name = if on.is_empty() { kind.to_owned() } else { format!("{kind} {on}") };
        let mut counts = locked(&self.counts);
        let calls = counts.entry(name).or_default();
        calls.calls += 1;
        calls.units += units;
        calls.bytes += bytes as u64;
    }

    /// The table, and for the control table what is kept there: it holds breakers, and the state of plain drivers.
    fn part_of(&self, table: &str, item: Option<&HashMap<String, AttributeValue>>) -> String {
        if self.tables.get(table) != Some(&"control") {
            return table.to_owned();
        }
        let key = item.and_then(|item| item.get(crate::tables::control::KEY)?.as_s().ok());
        let part = key.and_then(|key| key.split('/').next()).unwrap_or_default();
        format!("control {part}")
    }

    /// What an index of a table costs beside a write to it. Views are listed by group, from an index with everything: a
    /// row whose group changes is removed there and written again. What the group was is known where this process wrote it.
    fn index_units(&self, table: &str, item: &HashMap<String, AttributeValue>) -> f64 {
        let text = |name| item.get(name).and_then(|value| value.as_s().ok()).map_or("", String::as_str);
        match self.tables.get(table) {
            Some(&"views") => {
                let row = format!("{}/{}", text(names::VIEW), text(names::KEY));
                let before = locked(&self.groups).insert(row, text(names::GROUP).to_owned());
                let moved = before.is_some_and(|before| before != text(names::GROUP));
                let units = begun(item_bytes(item) + INDEX_OVERHEAD, KB);
                if moved { units + units } else { units }
            }
            _ => 0.0,
        }
    }
}

/// A panic while counting leaves the counts as they are.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// How many units of this size are begun; an empty one counts as one.
fn begun(bytes: usize, unit: usize) -> f64 {
    bytes.div_ceil(unit).max(1) as f64
}

/// An item's size by DynamoDB's rules.
fn item_bytes(item: &HashMap<String, AttributeValue>) -> usize {
    item.iter().map(|(name, value)| name.len() + value_bytes(value)).sum()
}

fn value_bytes(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        // A byte for each two digits, and one.
        AttributeValue::N(number) => number.trim_start_matches('-').len().div_ceil(2) + 1,
        AttributeValue::B(blob) => blob.as_ref().len(),
        AttributeValue::Bool(_) | AttributeValue::Null(_) => 1,
        AttributeValue::L(list) => 3 + list.iter().map(|value| value_bytes(value) + 1).sum::<usize>(),
        AttributeValue::M(map) => 3 + item_bytes(map) + map.len(),
        AttributeValue::Ss(set) | AttributeValue::Ns(set) => set.iter().map(String::len).sum(),
        _ => 0,
    }
}

impl Intercept for Meter {
    fn name(&self) -> &'static str {
        "Meter"
    }

    fn read_before_serialization(
        &self,
        context: &BeforeSerializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let input = context.input();
        let mut read = |kind, table: Option<&str>, consistent: Option<bool>| {
            let table = table.unwrap_or_default().to_owned();
            bag.interceptor_state().store_put(Read { kind, table, consistent: consistent == Some(true) });
        };
        if let Some(query) = input.downcast_ref::<query::QueryInput>() {
            read("Query", query.table_name(), query.consistent_read());
        } else if let Some(get) = input.downcast_ref::<get_item::GetItemInput>() {
            let table = self.part_of(get.table_name().unwrap_or_default(), get.key());
            read("GetItem", Some(&table), get.consistent_read());
        } else if let Some(put) = input.downcast_ref::<put_item::PutItemInput>() {
            let table = put.table_name().unwrap_or_default();
            let bytes = put.item().map_or(0, item_bytes);
            let index = put.item().map_or(0.0, |item| self.index_units(table, item));
            self.add("PutItem", &self.part_of(table, put.item()), begun(bytes, KB) + index, bytes);
        } else if let Some(update) = input.downcast_ref::<update_item::UpdateItemInput>() {
            let values = update.expression_attribute_values().map_or(0, item_bytes);
            let bytes = values + update.key().map_or(0, item_bytes);
            self.add("UpdateItem", update.table_name().unwrap_or_default(), begun(bytes, KB), bytes);
        } else if let Some(delete) = input.downcast_ref::<delete_item::DeleteItemInput>() {
            let bytes = delete.key().map_or(0, item_bytes);
            self.add("DeleteItem", delete.table_name().unwrap_or_default(), begun(bytes, KB), bytes);
        } else if let Some(send) = input.downcast_ref::<send_message_batch::SendMessageBatchInput>() {
            let entries = send.entries();
            let attributes = |entry: &aws_sdk_sqs::types::SendMessageBatchRequestEntry| -> usize {
                let attributes = entry.message_attributes().into_iter().flatten();
                attributes.map(|(name, value)| name.len() + value.string_value().map_or(0, str::len)).sum()
            };
            let bytes =
                entries.iter().map(|entry| entry.message_body().len() + attributes(entry)).sum::<usize>();
            self.add("SendMessageBatch", "", begun(bytes, CHUNK), bytes);
            self.add("messages sent", "", entries.len() as f64, bytes);
        } else if let Some(put) = input.downcast_ref::<put_events::PutEventsInput>() {
            let sizes: Vec<usize> =
                put.entries().iter().map(|entry| entry.detail().map_or(0, str::len)).collect();
            let units = sizes.iter().map(|bytes| begun(*bytes, CHUNK)).sum();
            self.add("PutEvents", "", units, sizes.iter().sum());
        } else if let Some(create) = input.downcast_ref::<create_schedule::CreateScheduleInput>() {
            let bytes = create.target().and_then(|target| target.input()).map_or(0, str::len);
            self.add("CreateSchedule", "", 1.0, bytes);
        } else if input
            .downcast_ref::<aws_sdk_sqs::operation::change_message_visibility::ChangeMessageVisibilityInput>()
            .is_some()
        {
            self.add("ChangeMessageVisibility", "", 1.0, 0);
        }
        Ok(())
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let mut waits = locked(&self.waits);
        waits.calls += 1;
        waits.since.get_or_insert_with(Instant::now);
        Ok(())
    }

    fn read_after_transmit(
        &self,
        _: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let mut waits = locked(&self.waits);
        waits.calls = waits.calls.saturating_sub(1);
        if waits.calls == 0
            && let Some(since) = waits.since.take()
        {
            waits.total += since.elapsed();
        }
        Ok(())
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let (Some(read), Some(Ok(output))) = (bag.load::<Read>(), context.output_or_error()) else {
            return Ok(());
        };
        let bytes = if let Some(found) = output.downcast_ref::<query::QueryOutput>() {
            found.items().iter().map(item_bytes).sum()
        } else if let Some(found) = output.downcast_ref::<get_item::GetItemOutput>() {
            found.item().map_or(0, item_bytes)
        } else {
            return Ok(());
        };
        let units = begun(bytes, 4 * KB) * if read.consistent { 1.0 } else { 0.5 };
        self.add(read.kind, &read.table, units, bytes);
        Ok(())
    }
}

/// A read that is on its way: what it found is known only when it is back, and what it asked for no more.
#[derive(Debug)]
struct Read {
    kind: &'static str,
    table: String,
    consistent: bool,
}

impl Storable for Read {
    type Storer = StoreReplace<Self>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_counted_as_dynamodb_does() {
        let text = |length: usize| AttributeValue::S("x".repeat(length));
        let item = HashMap::from([
            ("name".to_owned(), text(10)),
            ("n".to_owned(), AttributeValue::N("12345".into())),
        ]);
        assert_eq!(item_bytes(&item), 4 + 10 + 1 + 4);
        assert!((begun(0, KB) - 1.0).abs() < f64::EPSILON && (begun(1_024, KB) - 1.0).abs() < f64::EPSILON);
        assert!((begun(1_025, KB) - 2.0).abs() < f64::EPSILON);
    }
}
