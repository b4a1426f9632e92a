//! Read-modify-write of one value in the shared control state, and the one rule for a value that cannot be read.
//!
//! **A value that cannot be read is never overwritten.** Newer code wrote it, or somebody changed it by hand; only a person
//! can tell what it should be. Reading and changing it fail with [`PortError::Refused`], which names the key. A caller for
//! whom the value is only advice, such as flow control, goes on as if `control` did not answer.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::ports::{Control, PortError};

/// The name of the port in its errors.
const TABLE: &str = "control";
/// How often a change is tried again because another writer was faster.
const TRIES_MAX: u32 = 8;

/// A value and its revision; the default and 0 where there is none.
///
/// # Errors
/// [`PortError`]; [`PortError::Refused`] when the value is there and cannot be read.
pub async fn read<T: DeserializeOwned + Default>(
    control: &dyn Control,
    key: &str,
) -> Result<(T, u64), PortError> {
    let Some(entry) = control.get(key).await? else { return Ok((T::default(), 0)) };
    match serde_json::from_value(entry.value) {
        Ok(value) => Ok((value, entry.revision)),
        Err(source) => Err(PortError::Refused {
            table: TABLE,
            action: "read",
            key: key.to_owned(),
            source: format!(
                "its value has another form than this code knows, and is left as it is: {source}"
            )
            .into(),
        }),
    }
}

/// Changes a value until no other writer comes in between. `change` says whether there is anything to write.
///
/// # Errors
/// [`PortError`]; [`PortError::Unavailable`] when other writers were faster each time.
pub async fn update<T: DeserializeOwned + Default + Serialize>(
    control: &dyn Control,
    key: &str,
    mut change: impl FnMut(&mut T) -> bool,
) -> Result<T, PortError> {
    for _ in 0..TRIES_MAX {
        let (mut value, revision) = read::<T>(control, key).await?;
        if !change(&mut value) || control.put(key, &json!(value), revision).await? {
            return Ok(value);
        }
    }
    Err(PortError::Unavailable {
        table: TABLE,
        action: "change",
        key: key.to_owned(),
        source: "other writers were faster each time".into(),
    })
}
