//! The read models in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use hostler_runtime::ports::{Page, PortError, Row, Views};

use crate::faults::{Fault, FaultPlan, injected};

const ROWS_PER_LIST_MAX: usize = 1_000;
const BODY_BYTES_MAX: usize = 390_000;

/// Read models in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryViews {
    inner: Arc<Mutex<Inner>>,
    faults: FaultPlan,
}

#[derive(Debug, Default)]
struct Inner {
    /// By view and key.
    rows: BTreeMap<String, BTreeMap<String, Row>>,
    /// The keys of each group of a view: a list of a group costs what is in it, as on DynamoDB.
    groups: BTreeMap<(String, String), BTreeSet<String>>,
    listed: u64,
}

impl Inner {
    fn put(&mut self, row: &Row) -> bool {
        let of_view = self.rows.entry(row.view.clone()).or_default();
        let there = of_view.get(&row.key);
        if there.is_some_and(|there| there.version >= row.version) {
            return false;
        }
        if let Some(there) = there.filter(|there| there.group != row.group)
            && let Some(group) = self.groups.get_mut(&(row.view.clone(), there.group.clone()))
        {
            group.remove(&row.key);
        }
        self.groups.entry((row.view.clone(), row.group.clone())).or_default().insert(row.key.clone());
        of_view.insert(row.key.clone(), row.clone());
        true
    }

    /// So many rows after a key.
    fn list(&self, view: &str, group: Option<&str>, after: &str, limit: usize) -> Vec<Row> {
        let Some(of_view) = self.rows.get(view) else { return Vec::new() };
        let after = (Excluded(after), Unbounded);
        match group {
            None => of_view.range::<str, _>(after).take(limit).map(|(_, row)| row.clone()).collect(),
            Some(group) => {
                let keys = self.groups.get(&(view.to_owned(), group.to_owned()));
                let keys = keys.into_iter().flat_map(|keys| keys.range::<str, _>(after)).take(limit);
                keys.filter_map(|key| of_view.get(key).cloned()).collect()
            }
        }
    }
}

impl MemoryViews {
    /// The fault switch.
    #[must_use]
    pub fn faults(&self) -> &FaultPlan {
        &self.faults
    }

    /// All rows of a view, by key.
    #[must_use]
    pub fn rows(&self, view: &str) -> Vec<Row> {
        self.inner.lock().unwrap().rows.get(view).into_iter().flat_map(BTreeMap::values).cloned().collect()
    }

    /// How many rows lists have read so far: what a store bills by.
    #[must_use]
    pub fn rows_listed(&self) -> u64 {
        self.inner.lock().unwrap().listed
    }

    fn check_read(&self, action: &'static str, key: &str) -> Result<(), PortError> {
        match self.faults.on_read() {
            true => Err(unavailable(action, key, &Fault::Fail)),
            false => Ok(()),
        }
    }
}

fn unavailable(action: &'static str, key: &str, fault: &Fault) -> PortError {
    PortError::Unavailable { table: "views", action, key: key.to_owned(), source: injected(fault) }
}

fn check(row: &Row) -> Result<(), PortError> {
    let why = if row.view.is_empty() || row.key.is_empty() || row.group.is_empty() {
        "its view, key or group is empty, and each of them is part of a key".to_owned()
    } else {
        match row.body.to_string().len() {
            bytes if bytes > BODY_BYTES_MAX => {
                format!("it is {bytes} bytes, and the limit is {BODY_BYTES_MAX}")
            }
            _ => return Ok(()),
        }
    };
    Err(PortError::Refused { table: "views", action: "write", key: row.key.clone(), source: why.into() })
}

#[async_trait]
impl Views for MemoryViews {
    async fn put(&self, row: &Row) -> Result<bool, PortError> {
        check(row)?;
        let fault = self.faults.on_write(1);
        if !matches!(fault, Fault::None | Fault::LoseAnswer) {
            return Err(unavailable("write", &row.key, &fault));
        }
        let newer = self.inner.lock().unwrap().put(row);
        if fault == Fault::LoseAnswer { Err(unavailable("write", &row.key, &fault)) } else { Ok(newer) }
    }

    async fn get(&self, view: &str, key: &str) -> Result<Option<Row>, PortError> {
        self.check_read("read", key)?;
        Ok(self.inner.lock().unwrap().rows.get(view).and_then(|of_view| of_view.get(key)).cloned())
    }

    async fn list(
        &self,
        view: &str,
        group: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page, PortError> {
        self.check_read("list", view)?;
        let limit = limit.clamp(1, ROWS_PER_LIST_MAX);
        let mut inner = self.inner.lock().unwrap();
        let mut rows = inner.list(view, group, after.unwrap_or_default(), limit + 1);
        let more = rows.len() > limit;
        rows.truncate(limit);
        inner.listed += rows.len() as u64;
        let next = rows.last().filter(|_| more).map(|row| row.key.clone());
        Ok(Page { rows, next })
    }
}
