//! Settings of functions that are policies, as JSON in the environment.

use serde::de::DeserializeOwned;

/// A setting that does not read; the function does not start.
#[derive(Debug, thiserror::Error)]
#[error("the environment variable {name} is no policy: {source}; give it JSON such as {{}} in template.yaml")]
pub struct SettingError {
    name: &'static str,
    #[source]
    source: serde_json::Error,
}

/// Reads a setting that is JSON; an empty one has its default.
///
/// # Errors
/// [`SettingError`] names the variable.
pub fn setting<T: DeserializeOwned + Default>(name: &'static str, text: &str) -> Result<T, SettingError> {
    if text.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_str(text).map_err(|source| SettingError { name, source })
}
