//! The small memory of drivers that have no system of their own behind them.

use std::sync::Arc;

use async_trait::async_trait;
use hostler_runtime::ports::Control;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{At, BoxError, DriverError};

/// Keeps one JSON value per key. One writer per host is assumed, as everywhere: the holder of the host's lease.
#[async_trait]
pub trait StateStore: Send + Sync {
    /// The value under a key, as last put.
    ///
    /// # Errors
    /// Whatever the store says; taken as transient.
    async fn get(&self, key: &str) -> Result<Option<Value>, BoxError>;

    /// Puts a value under a key, in place of any other.
    ///
    /// # Errors
    /// Whatever the store says; taken as transient.
    async fn put(&self, key: &str, value: Value) -> Result<(), BoxError>;
}

#[async_trait]
impl<S: StateStore + ?Sized> StateStore for Arc<S> {
    async fn get(&self, key: &str) -> Result<Option<Value>, BoxError> {
        (**self).get(key).await
    }

    async fn put(&self, key: &str, value: Value) -> Result<(), BoxError> {
        (**self).put(key, value).await
    }
}

/// The shared control state, as the drivers' memory.
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

/// Reads a row; one that is not there is a fresh one.
pub(crate) async fn load<T: DeserializeOwned + Default>(
    store: &dyn StateStore,
    key: &str,
    at: At,
) -> Result<T, DriverError> {
    let found = store.get(key).await.map_err(|source| DriverError::Store {
        at: at.clone(),
        key: key.to_owned(),
        source,
    })?;
    match found {
        None => Ok(T::default()),
        Some(value) => serde_json::from_value(value).map_err(|source| DriverError::CorruptState {
            at,
            key: key.to_owned(),
            source,
        }),
    }
}

/// Writes a row.
pub(crate) async fn save<T: Serialize + Sync>(
    store: &dyn StateStore,
    key: &str,
    row: &T,
    at: At,
) -> Result<(), DriverError> {
    let value = serde_json::to_value(row).map_err(|source| DriverError::CorruptState {
        at: at.clone(),
        key: key.to_owned(),
        source,
    })?;
    store.put(key, value).await.map_err(|source| DriverError::Store { at, key: key.to_owned(), source })
}
