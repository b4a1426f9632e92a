//! The ports in memory: a store, and a BMC whose host changes at once unless told to fail.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use serde_json::Value;

use crate::bmc::{
    Bmc, BmcEndpoint, BmcLogin, Bmcs, BootMethod, Patience, PowerChange, PowerGoal, PowerState, SystemFacts,
    TlsTrust,
};
use crate::error::{At, BoxError, DriverError, NO_WAY_TO_BOOT};
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

/// A user whom every [`MemoryBmc`] lets in.
#[must_use]
pub fn login() -> BmcLogin {
    BmcLogin { username: "admin".to_owned(), password: "secret".to_owned(), trust: TlsTrust::System }
}

/// What a [`MemoryBmc`] is in, and how often it was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryBmcState {
    /// The state of the host's power.
    pub power: PowerState,
    /// How the host boots from an image; none where it cannot.
    pub boot_method: Option<BootMethod>,
    /// The image that the BMC has for it.
    pub image: Option<String>,
    /// Whether the next boot is from the image.
    pub boots_from_image: bool,
    /// What the BMC says of the hardware, as `Critical`, if anything.
    pub health: Option<String>,
    /// How often power was switched.
    pub resets: u32,
    /// How often the BMC was given an image.
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
    /// A host that is off, with an empty virtual drive.
    #[must_use]
    pub fn new(address: &str) -> Self {
        Self {
            address: address.into(),
            state: Arc::new(Mutex::new(MemoryBmcState {
                power: PowerState::Off,
                boot_method: Some(BootMethod::VirtualMedia),
                image: None,
                boots_from_image: false,
                health: None,
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

    /// Changes how the host boots from an image; with none it cannot.
    pub fn boot_by(&self, method: Option<BootMethod>) {
        locked(&self.state).boot_method = method;
    }

    /// Changes what the BMC says of the hardware.
    pub fn says_of_hardware(&self, health: Option<&str>) {
        locked(&self.state).health = health.map(str::to_owned);
    }

    /// A call about an image, which not every BMC understands.
    fn called_about_image(&self) -> Result<MutexGuard<'_, MemoryBmcState>, DriverError> {
        let state = self.called()?;
        if state.boot_method.is_some() {
            return Ok(state);
        }
        let at = At { system: self.address.to_string(), doing: "finding a way to boot" };
        Err(DriverError::Unsupported { at, feature: NO_WAY_TO_BOOT })
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
            health: state.health.clone(),
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

    async fn boot_method(&self) -> Result<BootMethod, DriverError> {
        Ok(self.called_about_image()?.boot_method.unwrap_or(BootMethod::VirtualMedia))
    }

    async fn set_boot_once(&self) -> Result<bool, DriverError> {
        let mut state = self.called_about_image()?;
        Ok(!std::mem::replace(&mut state.boots_from_image, true))
    }

    async fn restore_boot(&self) -> Result<bool, DriverError> {
        let mut state = self.called()?;
        Ok(std::mem::take(&mut state.boots_from_image))
    }

    async fn boot_image(&self) -> Result<Option<String>, DriverError> {
        Ok(self.called_about_image()?.image.clone())
    }

    async fn set_boot_image(&self, image_url: &str) -> Result<bool, DriverError> {
        let mut state = self.called_about_image()?;
        if state.image.as_deref() == Some(image_url) {
            return Ok(false);
        }
        state.image = Some(image_url.to_owned());
        state.inserts += 1;
        Ok(true)
    }

    async fn clear_boot_image(&self) -> Result<bool, DriverError> {
        Ok(self.called_about_image()?.image.take().is_some())
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
