//! The plain driver's state, kept in the control table.

use std::sync::Arc;

use async_trait::async_trait;
use hostler_drivers::{BoxError, StateStore};
use hostler_runtime::Control;
use serde_json::Value;

/// The driver's port on the runtime's.
#[derive(Clone)]
pub struct ControlState(pub Arc<dyn Control>);

#[async_trait]
impl StateStore for ControlState {
    async fn get(&self, key: &str) -> Result<Option<Value>, BoxError> {
        Ok(self.0.get(key).await?.map(|entry| entry.value))
    }

    async fn put(&self, key: &str, value: Value) -> Result<(), BoxError> {
        let expected = self.0.get(key).await?.map_or(0, |entry| entry.revision);
        match self.0.put(key, &value, expected).await? {
            true => Ok(()),
            false => {
                Err(format!("{key} in the control table was changed by another writer at the same time")
                    .into())
            }
        }
    }
}
