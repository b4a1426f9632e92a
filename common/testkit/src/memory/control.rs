//! Shared control state in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use hostler_runtime::ports::{Control, Entry, PortError};
use serde_json::Value;

use crate::faults::{Fault, FaultPlan, injected};

/// Shared control state in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryControl {
    entries: Arc<Mutex<BTreeMap<String, Entry>>>,
    faults: FaultPlan,
}

impl MemoryControl {
    /// The fault switch.
    #[must_use]
    pub fn faults(&self) -> &FaultPlan {
        &self.faults
    }

    /// All that is stored.
    #[must_use]
    pub fn entries(&self) -> BTreeMap<String, Entry> {
        self.entries.lock().unwrap().clone()
    }
}

fn unavailable(action: &'static str, key: &str, fault: &Fault) -> PortError {
    PortError::Unavailable { table: "control", action, key: key.to_owned(), source: injected(fault) }
}

#[async_trait]
impl Control for MemoryControl {
    async fn get(&self, key: &str) -> Result<Option<Entry>, PortError> {
        if self.faults.on_read() {
            return Err(unavailable("read", key, &Fault::Fail));
        }
        Ok(self.entries.lock().unwrap().get(key).cloned())
    }

    async fn put(&self, key: &str, value: &Value, expected: u64) -> Result<bool, PortError> {
        let fault = self.faults.on_write(1);
        if !matches!(fault, Fault::None | Fault::LoseAnswer) {
            return Err(unavailable("write", key, &fault));
        }
        let mut entries = self.entries.lock().unwrap();
        let written = entries.get(key).map_or(0, |entry| entry.revision) == expected;
        if written {
            entries.insert(key.to_owned(), Entry { value: value.clone(), revision: expected + 1 });
        }
        if fault == Fault::LoseAnswer { Err(unavailable("write", key, &fault)) } else { Ok(written) }
    }
}
