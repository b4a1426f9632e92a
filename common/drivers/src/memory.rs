//! The ports in memory: a store, and a BMC whose host changes at once unless told to fail.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use serde_json::Value;

use crate::bmc::{Bmc, BmcEndpoint, Bmcs, Patience, PowerChange, PowerGoal, PowerState, SystemFacts};
use crate::error::{At, BoxError, DriverError};
use crate::state::StateStore;

/// A [`StateStore`] in memory. Clones share what they hold.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    rows: Arc<Mutex<BTreeMap<String, Value>>>,
}

impl MemoryStore {
    /// All rows, by key.
    #[must_use]
    pub fn rows(&self) -> BTreeMap<String, Value> {
        locked(&self.rows).clone()
    }
}

#[async_trait]
impl StateStore for MemoryStore {
    async fn get(&self, key: &str) -> Result<Option<Value>, BoxError> {
        Ok(locked(&self.rows).get(key).cloned())
    }

    async fn put(&self, key: &str, value: Value) -> Result<(), BoxError> {
        locked(&self.rows).insert(key.to_owned(), value);
        Ok(())
    }
}

/// What a [`MemoryBmc`] is in, and how often it was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryBmcState {
    /// The state of the host's power.
    pub power: PowerState,
    /// The image in the drive.
    pub image: Option<String>,
    /// Whether the next boot is from the drive.
    pub boots_from_cd: bool,
    /// How often power was switched.
    pub resets: u32,
    /// How often an image was inserted.
    pub inserts: u32,
}

/// A [`Bmc`] in memory. Clones share the host.
#[derive(Debug, Clone)]
pub struct MemoryBmc {
    address: Arc<str>,
    state: Arc<Mutex<MemoryBmcState>>,
    failures: Arc<Mutex<VecDeque<DriverError>>>,
}

impl MemoryBmc {
    /// A host that is off, with an empty drive.
    #[must_use]
    pub fn new(address: &str) -> Self {
        Self {
            address: address.into(),
            state: Arc::new(Mutex::new(MemoryBmcState {
                power: PowerState::Off,
                image: None,
                boots_from_cd: false,
                resets: 0,
                inserts: 0,
            })),
            failures: Arc::default(),
        }
    }

    /// Lets a call fail with this, once; more of them fail one call after another.
    pub fn fail_next(&self, error: DriverError) {
        locked(&self.failures).push_back(error);
    }

    /// The state it is in.
    #[must_use]
    pub fn state(&self) -> MemoryBmcState {
        locked(&self.state).clone()
    }

    fn called(&self) -> Result<MutexGuard<'_, MemoryBmcState>, DriverError> {
        match locked(&self.failures).pop_front() {
            Some(error) => Err(error),
            None => Ok(locked(&self.state)),
        }
    }
}

#[async_trait]
impl Bmc for MemoryBmc {
    fn address(&self) -> &str {
        &self.address
    }

    async fn inspect(&self) -> Result<SystemFacts, DriverError> {
        let state = self.called()?;
        Ok(SystemFacts {
            power_state: state.power.clone(),
            uuid: None,
            manufacturer: Some("Memory".to_owned()),
            model: None,
            serial: None,
            health: None,
            processors: None,
            memory_gib: None,
            nics: Vec::new(),
        })
    }

    async fn power_state(&self) -> Result<PowerState, DriverError> {
        Ok(self.called()?.power.clone())
    }

    async fn settled_power_state(&self, _patience: &Patience) -> Result<PowerState, DriverError> {
        Ok(self.called()?.power.clone())
    }

    async fn set_power(&self, goal: PowerGoal, _patience: &Patience) -> Result<PowerChange, DriverError> {
        let mut state = self.called()?;
        let changed = state.power != goal.state();
        state.power = goal.state();
        state.resets += u32::from(changed);
        Ok(PowerChange { changed, resets_sent: u32::from(changed) })
    }

    async fn set_boot_once_cd(&self) -> Result<bool, DriverError> {
        let mut state = self.called()?;
        Ok(!std::mem::replace(&mut state.boots_from_cd, true))
    }

    async fn restore_boot(&self) -> Result<bool, DriverError> {
        let mut state = self.called()?;
        Ok(std::mem::take(&mut state.boots_from_cd))
    }

    async fn inserted_media(&self) -> Result<Option<String>, DriverError> {
        Ok(self.called()?.image.clone())
    }

    async fn insert_media(&self, image_url: &str) -> Result<bool, DriverError> {
        let mut state = self.called()?;
        if state.image.as_deref() == Some(image_url) {
            return Ok(false);
        }
        state.image = Some(image_url.to_owned());
        state.inserts += 1;
        Ok(true)
    }

    async fn eject_media(&self) -> Result<bool, DriverError> {
        Ok(self.called()?.image.take().is_some())
    }
}

/// [`Bmcs`] in memory: one [`MemoryBmc`] per system URL, made on first use. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct MemoryBmcs {
    bmcs: Arc<Mutex<BTreeMap<String, MemoryBmc>>>,
}

impl MemoryBmcs {
    /// The BMC of a system URL.
    #[must_use]
    pub fn bmc(&self, system_url: &str) -> MemoryBmc {
        locked(&self.bmcs).entry(system_url.to_owned()).or_insert_with(|| MemoryBmc::new(system_url)).clone()
    }
}

impl Bmcs for MemoryBmcs {
    fn connect(&self, endpoint: &BmcEndpoint) -> Result<Arc<dyn Bmc>, DriverError> {
        Ok(Arc::new(self.bmc(&endpoint.system_url)))
    }
}

/// A transient failure, for [`MemoryBmc::fail_next`].
#[must_use]
pub fn busy(address: &str) -> DriverError {
    DriverError::Busy {
        at: At { system: address.to_owned(), doing: "being tested" },
        status: 503,
        retry_after_seconds: None,
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
