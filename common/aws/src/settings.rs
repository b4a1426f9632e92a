//! What a function's environment tells it, checked at cold start.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use hostler_runtime::messages::integrity::{Integrity, KeyError};
use hostler_runtime::operations::telemetry::NoShare;

use crate::ScheduleSettings;
use crate::meter::Meter;
use crate::tables::env;

/// Why a function cannot start as it is configured.
#[derive(thiserror::Error)]
pub enum SettingsError {
    /// A variable is absent or empty.
    #[error(
        "the environment variable {name} is not set, and this function needs it: set it under the function's Environment in template.yaml"
    )]
    Missing {
        /// The variable.
        name: &'static str,
    },
    /// A variable does not have the form that is expected.
    #[error("the environment variable {name} cannot be read, {expected} is expected: {source}")]
    Malformed {
        /// The variable.
        name: &'static str,
        /// What it should look like.
        expected: &'static str,
        /// Where it does not.
        #[source]
        source: serde_json::Error,
    },
    /// The share of invocations that log everything is none.
    #[error(transparent)]
    LogSample(#[from] NoShare),
    /// A signing key cannot be used.
    #[error("the environment variable SIGNING_KEYS cannot be used: {0}")]
    Keys(#[from] KeyError),
}

/// A `main` that returns an error prints it this way: as a sentence.
impl fmt::Debug for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where things are. Each function is told only of what it uses; asking for anything else is an error that
/// names the variable.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    values: BTreeMap<&'static str, String>,
    queues: BTreeMap<String, String>,
    mappings: BTreeMap<String, String>,
    schedules: Option<ScheduleSettings>,
    consumers_max: Option<u16>,
    integrity: Arc<Integrity>,
}

/// The URLs of queues. What is no URL is the name of a queue at the same place as one that is: an environment has 4 KB, of which
/// forty URLs would take more than half.
fn whole(mut queues: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let place = queues.values().find(|url| url.contains("://")).and_then(|url| url.rsplit_once('/'));
    let Some(place) = place.map(|(place, _)| place.to_owned()) else { return queues };
    for url in queues.values_mut().filter(|url| !url.contains("://")) {
        *url = format!("{place}/{url}");
    }
    queues
}

impl Settings {
    /// Reads the process's environment.
    ///
    /// # Errors
    /// [`SettingsError::Malformed`] names the variable.
    pub fn from_env() -> Result<Self, SettingsError> {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    /// Reads variables from anywhere. An empty one is as if absent.
    ///
    /// # Errors
    /// [`SettingsError::Malformed`] names the variable.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let present = |name| lookup(name).filter(|value| !value.is_empty()).map(|value| (name, value));
        let names = [
            env::EVENTS_TABLE,
            env::VIEWS_TABLE,
            env::CONTROL_TABLE,
            env::IDEMPOTENCY_TABLE,
            env::EVENT_BUS,
            env::METER_FILE,
            env::INTERNAL_EVENTS,
        ];
        let values = names.into_iter().filter_map(present).collect();
        let map =
            |name, expected| match present(name) {
                Some((name, text)) => serde_json::from_str(&text)
                    .map_err(|source| SettingsError::Malformed { name, expected, source }),
                None => Ok(BTreeMap::new()),
            };
        let queues = whole(map(env::QUEUE_URLS, "a JSON object of logical queue names and URLs")?);
        let mappings = map(env::MAPPINGS, "a JSON object of logical queue names and ids of mappings")?;
        let malformed = |name, expected| move |source| SettingsError::Malformed { name, expected, source };
        let expected = "a JSON object of group, role, queue and deadLetters";
        let schedules = present(env::SCHEDULES)
            .map(|(name, text)| serde_json::from_str(&text).map_err(malformed(name, expected)));
        let schedules = schedules.transpose()?;
        let consumers_max = present(env::CONSUMERS_MAX).map(|(name, text)| {
            serde_json::from_str(&text).map_err(malformed(name, "a whole number below 65,536"))
        });
        let consumers_max = consumers_max.transpose()?;
        let integrity = match present(env::SIGNING_KEYS) {
            Some((name, text)) => {
                let expected = "a JSON object of keys, sign and require";
                let keys = serde_json::from_str(&text).map_err(|source| SettingsError::Malformed {
                    name,
                    expected,
                    source,
                })?;
                Arc::new(Integrity::new(&keys)?)
            }
            None => Arc::default(),
        };
        Ok(Self { values, queues, mappings, schedules, consumers_max, integrity })
    }

    /// What counts calls, where [`env::METER_FILE`] asks for it.
    #[must_use]
    pub fn meter(&self) -> Option<Meter> {
        let tables = [
            (env::EVENTS_TABLE, "events"),
            (env::VIEWS_TABLE, "views"),
            (env::CONTROL_TABLE, "control"),
            (env::IDEMPOTENCY_TABLE, "idempotency"),
        ];
        let named = |(variable, name)| Some((self.values.get(variable)?.clone(), name));
        let file = self.values.get(env::METER_FILE)?;
        Some(Meter::to_file(file, tables.into_iter().filter_map(named).collect()))
    }

    /// Types of events that stay off the bus: [`env::INTERNAL_EVENTS`].
    #[must_use]
    pub fn internal_events(&self) -> Vec<String> {
        let types =
            self.values.get(env::INTERNAL_EVENTS).map_or("", String::as_str).split(',').map(str::trim);
        types.filter(|name| !name.is_empty()).map(str::to_owned).collect()
    }

    /// Where long timers wait: [`env::SCHEDULES`].
    #[must_use]
    pub fn schedules(&self) -> Option<&ScheduleSettings> {
        self.schedules.as_ref()
    }

    /// How many consumers all queues together have at the most: [`env::CONSUMERS_MAX`].
    ///
    /// # Errors
    /// [`SettingsError::Missing`].
    pub fn consumers_max(&self) -> Result<u16, SettingsError> {
        self.consumers_max.ok_or(SettingsError::Missing { name: env::CONSUMERS_MAX })
    }

    /// What messages are signed by: [`env::SIGNING_KEYS`].
    #[must_use]
    pub fn integrity(&self) -> Arc<Integrity> {
        self.integrity.clone()
    }

    /// The table of streams.
    ///
    /// # Errors
    /// [`SettingsError::Missing`]; so too for the others.
    pub fn events_table(&self) -> Result<&str, SettingsError> {
        self.value(env::EVENTS_TABLE)
    }

    /// The table of read models.
    ///
    /// # Errors
    /// [`SettingsError::Missing`].
    pub fn views_table(&self) -> Result<&str, SettingsError> {
        self.value(env::VIEWS_TABLE)
    }

    /// The table of shared control state.
    ///
    /// # Errors
    /// [`SettingsError::Missing`].
    pub fn control_table(&self) -> Result<&str, SettingsError> {
        self.value(env::CONTROL_TABLE)
    }

    /// The table of leases for effects on the outside world.
    ///
    /// # Errors
    /// [`SettingsError::Missing`].
    pub fn idempotency_table(&self) -> Result<&str, SettingsError> {
        self.value(env::IDEMPOTENCY_TABLE)
    }

    /// The event bus.
    ///
    /// # Errors
    /// [`SettingsError::Missing`].
    pub fn event_bus(&self) -> Result<&str, SettingsError> {
        self.value(env::EVENT_BUS)
    }

    /// The queues' URLs by their logical names; not empty.
    ///
    /// # Errors
    /// [`SettingsError::Missing`].
    pub fn queue_urls(&self) -> Result<&BTreeMap<String, String>, SettingsError> {
        match self.queues.is_empty() {
            true => Err(SettingsError::Missing { name: env::QUEUE_URLS }),
            false => Ok(&self.queues),
        }
    }

    /// The ids of the queues' event source mappings by the queues' logical names; not empty.
    ///
    /// # Errors
    /// [`SettingsError::Missing`].
    pub fn mappings(&self) -> Result<&BTreeMap<String, String>, SettingsError> {
        match self.mappings.is_empty() {
            true => Err(SettingsError::Missing { name: env::MAPPINGS }),
            false => Ok(&self.mappings),
        }
    }

    fn value(&self, name: &'static str) -> Result<&str, SettingsError> {
        self.values.get(name).map(String::as_str).ok_or(SettingsError::Missing { name })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let settings = Settings::from_lookup(|_| Some(String::new()));
        let error = settings.unwrap().events_table().unwrap_err().to_string();
        assert!(error.contains("EVENTS_TABLE"), "{error}");
    }

    #[test]
    fn queues_are_a_json_object() {
        let queues =
            |text: &str| Settings::from_lookup(|name| (name == env::QUEUE_URLS).then(|| text.to_owned()));
        let settings = queues(r#"{"timers":"http://q/timers"}"#).unwrap();
        assert_eq!(settings.queue_urls().unwrap()["timers"], "http://q/timers");
        let settings = queues(r#"{"dlq":"stack-dlq","timers":"http://q/1/timers"}"#).unwrap();
        assert_eq!(settings.queue_urls().unwrap()["dlq"], "http://q/1/stack-dlq");
        let error = queues("timers=http").unwrap_err().to_string();
        assert!(error.contains("QUEUE_URLS") && error.contains("JSON object"), "{error}");
    }
}
