//! The port to a host's management controller (BMC): power, boot target, images, facts.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::error::DriverError;
use crate::operations;

/// Where a BMC is and how to be let in.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BmcEndpoint {
    /// The URL of the system: `https://10.0.0.7/redfish/v1/Systems/<id>`. Holds no credentials.
    pub system_url: String,
    /// The user; empty means that no credentials are sent.
    pub username: String,
    /// The password; never shown.
    pub password: String,
    /// Whose certificates are believed.
    #[serde(default)]
    pub trust: TlsTrust,
}

impl fmt::Debug for BmcEndpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("BmcEndpoint")
            .field("system_url", &self.system_url)
            .field("username", &self.username)
            .field("password", &"<redacted>")
            .field("trust", &self.trust)
            .finish()
    }
}

/// A setting that is missing; the function does not start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the environment variable {0} is not set: give it a value in template.yaml")]
pub struct NotSet(pub &'static str);

/// How a deployment is let in at its BMCs, which are all of one user.
#[derive(Clone)]
pub struct BmcLogin {
    /// The user.
    pub username: String,
    /// The password; never shown.
    pub password: String,
    /// Whose certificates are believed.
    pub trust: TlsTrust,
}

impl BmcLogin {
    /// What it is read from: user, password, and certificates as PEM text, without which the system's authorities are believed.
    pub const VARIABLES: [&'static str; 3] = ["BMC_USERNAME", "BMC_PASSWORD", "BMC_CA"];

    /// Reads it from its [`VARIABLES`](Self::VARIABLES).
    ///
    /// # Errors
    /// [`NotSet`] names a variable that is missing or empty.
    pub fn read(variable: impl Fn(&'static str) -> Option<String>) -> Result<Self, NotSet> {
        let set = |name| variable(name).filter(|text| !text.is_empty());
        let required = |name| set(name).ok_or(NotSet(name));
        let [username, password, authorities] = Self::VARIABLES;
        Ok(Self {
            username: required(username)?,
            password: required(password)?,
            trust: set(authorities).map_or(TlsTrust::System, TlsTrust::Authorities),
        })
    }

    /// Where the BMC of the system with this URL is, and how to be let in.
    #[must_use]
    pub fn at(&self, system_url: &str) -> BmcEndpoint {
        BmcEndpoint {
            system_url: system_url.to_owned(),
            username: self.username.clone(),
            password: self.password.clone(),
            trust: self.trust.clone(),
        }
    }
}

impl fmt::Debug for BmcLogin {
    /// Without the password.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("BmcLogin").field("username", &self.username).finish_non_exhaustive()
    }
}

/// Whose TLS certificates are believed when a BMC is called over `https`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TlsTrust {
    /// Those of the public authorities that the system knows.
    #[default]
    System,
    /// Only those signed by these authorities: one or more certificates as PEM text.
    Authorities(String),
    /// Any: for factory-fresh BMCs with self-made certificates, on a network that is itself trusted.
    AcceptAny,
}

/// A reading of a power state. Only `On` and `Off` can settle.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum PowerState {
    /// Running.
    On,
    /// Not running.
    Off,
    /// On its way to `On`.
    PoweringOn,
    /// On its way to `Off`.
    PoweringOff,
    /// Anything else, or nothing at all (empty), as the BMC says it.
    Other(String),
}

impl PowerState {
    /// The state as Redfish writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::On => "On",
            Self::Off => "Off",
            Self::PoweringOn => "PoweringOn",
            Self::PoweringOff => "PoweringOff",
            Self::Other(said) if said.is_empty() => "unknown",
            Self::Other(said) => said,
        }
    }

    /// Whether the state can stay: `On` or `Off`.
    #[must_use]
    pub fn can_settle(&self) -> bool {
        matches!(self, Self::On | Self::Off)
    }
}

impl From<String> for PowerState {
    fn from(said: String) -> Self {
        match said.as_str() {
            "On" => Self::On,
            "Off" => Self::Off,
            "PoweringOn" => Self::PoweringOn,
            "PoweringOff" => Self::PoweringOff,
            _ => Self::Other(said),
        }
    }
}

impl From<PowerState> for String {
    fn from(state: PowerState) -> Self {
        state.as_str().to_owned()
    }
}

impl fmt::Display for PowerState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// The power state that a host is brought to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PowerGoal {
    /// Running (`On`).
    On,
    /// Not running, at once and without asking the operating system (`ForceOff`).
    ForceOff,
}

impl PowerGoal {
    /// The state that shows the goal is reached.
    #[must_use]
    pub fn state(self) -> PowerState {
        match self {
            Self::On => PowerState::On,
            Self::ForceOff => PowerState::Off,
        }
    }

    /// Redfish's name of the reset that leads there.
    #[must_use]
    pub fn reset_type(self) -> &'static str {
        match self {
            Self::On => "On",
            Self::ForceOff => "ForceOff",
        }
    }
}

impl fmt::Display for PowerGoal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.state())
    }
}

/// How long to wait, and how often to look meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// The most that the whole operation may take.
    pub deadline: Duration,
    /// The time between two readings.
    pub poll_interval: Duration,
}

impl Default for Patience {
    /// 60 s, looking every second.
    fn default() -> Self {
        Self { deadline: Duration::from_secs(60), poll_interval: Duration::from_secs(1) }
    }
}

/// How a BMC has its host boot from an image of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BootMethod {
    /// The image is in the BMC's virtual CD drive.
    VirtualMedia,
    /// The host's firmware fetches the image from an address that the BMC gives it (`HttpBootUri`).
    UefiHttp,
}

/// A network card of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nic {
    /// The BMC's id of it.
    pub id: String,
    /// Its MAC address, in lower case, if the BMC tells.
    pub mac: Option<String>,
}

/// What a BMC tells about its host. Everything but the power state may be missing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SystemFacts {
    /// One single reading: not to be acted on.
    pub power_state: PowerState,
    /// The SMBIOS UUID.
    pub uuid: Option<String>,
    /// Who made it.
    pub manufacturer: Option<String>,
    /// The maker's name of the model.
    pub model: Option<String>,
    /// The serial number.
    pub serial: Option<String>,
    /// `OK`, `Warning` or `Critical`.
    pub health: Option<String>,
    /// The number of processors (sockets).
    pub processors: Option<u32>,
    /// Memory in GiB.
    pub memory_gib: Option<f64>,
    /// Network cards; empty when the BMC tells nothing of them.
    pub nics: Vec<Nic>,
}

/// What [`Bmc::set_power`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PowerChange {
    /// Whether the state was another one before.
    pub changed: bool,
    /// How many resets were ordered: none if nothing was to be done, more than one if an order was lost.
    pub resets_sent: u32,
}

/// What [`Bmc::boot_from_image`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootStarted {
    /// The host runs from this image already: nothing was done.
    pub already_running: bool,
    /// The power states that the host was brought to, in order.
    pub power_changes: Vec<PowerState>,
    /// Another image was taken from the BMC.
    pub ejected: bool,
    /// The BMC was given the image.
    pub inserted: bool,
    /// The boot target was set, other than together with the image.
    pub boot_target_set: bool,
}

/// What [`Bmc::return_to_rest`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rested {
    /// The power states that the host was brought to, in order.
    pub power_changes: Vec<PowerState>,
    /// An image was taken from the BMC.
    pub ejected: bool,
    /// The boot target was set back.
    pub boot_restored: bool,
}

/// A host's management controller. All operations may be repeated: what is already so is left alone, and the
/// answer says what was changed. Every call ends within its patience, or within the limits of the driver.
///
/// # Errors
/// All return [`DriverError`], of which [`DriverError::is_transient`] says whether to call again.
#[async_trait]
pub trait Bmc: Send + Sync {
    /// The address of the system, for messages.
    fn address(&self) -> &str;

    /// Reads what the BMC knows of the host.
    async fn inspect(&self) -> Result<SystemFacts, DriverError>;

    /// Reads the power state once. The reading may be stale or wrong; act only on a settled one.
    async fn power_state(&self) -> Result<PowerState, DriverError>;

    /// Reads until two readings in a row say `On`, or two say `Off`.
    async fn settled_power_state(&self, patience: &Patience) -> Result<PowerState, DriverError>;

    /// Brings the host to a power state, and returns once two readings in a row show it. Orders nothing when the
    /// settled state is already the wanted one.
    async fn set_power(&self, goal: PowerGoal, patience: &Patience) -> Result<PowerChange, DriverError>;

    /// How this BMC has its host boot from an image: from a virtual CD drive where it has one, else by UEFI HTTP. PXE is not
    /// used: it carries no address, so that an image could not know for which step to call back.
    async fn boot_method(&self) -> Result<BootMethod, DriverError>;

    /// Lets the next boot be from the image. Returns whether anything was changed.
    async fn set_boot_once(&self) -> Result<bool, DriverError>;

    /// Takes the boot target back, so that the host boots from its disk. Returns whether anything was changed.
    async fn restore_boot(&self) -> Result<bool, DriverError>;

    /// The URL of the image that the BMC has for its host: in the virtual CD drive, or as the address for UEFI HTTP. It may
    /// hold a token: do not log it.
    async fn boot_image(&self) -> Result<Option<String>, DriverError>;

    /// Gives the BMC an image for its host, in place of any other. Returns whether anything was changed.
    async fn set_boot_image(&self, image_url: &str) -> Result<bool, DriverError>;

    /// Takes the image from the BMC. Returns whether anything was changed.
    async fn clear_boot_image(&self) -> Result<bool, DriverError>;

    /// Starts the host from an image: off, image in, boot target, on. An image is only given while the host is off,
    /// so a host that is on and whose BMC has this very image is already running from it, and is left alone.
    async fn boot_from_image(
        &self,
        image_url: &str,
        patience: &Patience,
    ) -> Result<BootStarted, DriverError> {
        operations::boot_from_image(self, image_url, patience).await
    }

    /// Brings the host to rest: off, no image, boot target as it was.
    async fn return_to_rest(&self, patience: &Patience) -> Result<Rested, DriverError> {
        operations::return_to_rest(self, patience).await
    }
}

/// Finds the driver of a BMC.
pub trait Bmcs: Send + Sync {
    /// Makes a driver for the BMC at an endpoint. Does not call it yet.
    ///
    /// # Errors
    /// [`DriverError::BadEndpoint`] when the endpoint can not be used.
    fn connect(&self, endpoint: &BmcEndpoint) -> Result<Arc<dyn Bmc>, DriverError>;
}
