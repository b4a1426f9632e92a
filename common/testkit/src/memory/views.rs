//! The read models in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use hostler_runtime::ports::{Page, PortError, Row, Views};

use crate::faults::{Fault, FaultPlan, injected};

const ROWS_PER_LIST_MAX: usize = 1_000;
const BODY_BYTES_MAX: usize = 390_000;

/// Read models in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryViews {
    rows: Arc<Mutex<BTreeMap<(String, String), Row>>>,
    faults: FaultPlan,
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
        self.rows.lock().unwrap().values().filter(|row| row.view == view).cloned().collect()
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
        let mut rows = self.rows.lock().unwrap();
        let place = (row.view.clone(), row.key.clone());
        let newer = rows.get(&place).is_none_or(|there| there.version < row.version);
        if newer {
            rows.insert(place, row.clone());
        }
        if fault == Fault::LoseAnswer { Err(unavailable("write", &row.key, &fault)) } else { Ok(newer) }
    }

    async fn get(&self, view: &str, key: &str) -> Result<Option<Row>, PortError> {
        self.check_read("read", key)?;
        Ok(self.rows.lock().unwrap().get(&(view.to_owned(), key.to_owned())).cloned())
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
        let wanted = |row: &Row| {
            group.is_none_or(|group| row.group == group) && after.is_none_or(|after| row.key.as_str() > after)
        };
        let all = self.rows.lock().unwrap();
        let from = (view.to_owned(), after.unwrap_or_default().to_owned());
        let of_view = all.range(from..).take_while(|((of, _), _)| of == view);
        let mut rows: Vec<Row> =
            of_view.map(|(_, row)| row).filter(|row| wanted(row)).take(limit + 1).cloned().collect();
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(|row| row.key.clone());
        Ok(Page { rows, next })
    }
}
