//! What a site tells this function: addresses, secrets and patience.

use std::fmt;
use std::time::Duration;

use hostler_drivers::{BmcLogin, NotSet, Patience};
use hostler_events::Image;
use hostler_runtime::serving::callback::{CallbackKey, WeakKey};

/// How long a host may take to change its power state.
const POWER_DEADLINE: Duration = Duration::from_secs(60);
/// How often it is looked at meanwhile.
const POWER_POLL: Duration = Duration::from_millis(250);

/// A setting that is missing or cannot be used; the function does not start.
#[derive(Debug, thiserror::Error)]
pub enum SettingError {
    /// It is not set.
    #[error(transparent)]
    Missing(#[from] NotSet),
    /// It is no image name.
    #[error("the environment variable CLEANING_IMAGE is no image name: {0}")]
    Image(#[from] hostler_core::InvalidId),
    /// A secret is too short.
    #[error("the environment variable {0} cannot be used: {1}")]
    Key(&'static str, #[source] WeakKey),
}

/// What a site tells this function.
#[derive(Clone)]
pub struct DeploySettings {
    /// Where BMCs fetch images; the image's name is appended.
    pub image_url: String,
    /// The image that wipes a host.
    pub cleaning_image: Image,
    /// Where a booted host calls back.
    pub callback_url: String,
    /// What single-use tokens are derived from.
    pub callback_key: CallbackKey,
    /// How BMCs let it in.
    pub bmc_login: BmcLogin,
    /// How long power changes are waited for.
    pub patience: Patience,
}

impl fmt::Debug for DeploySettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("DeploySettings")
            .field("image_url", &self.image_url)
            .field("callback_url", &self.callback_url)
            .finish_non_exhaustive()
    }
}

impl DeploySettings {
    /// Reads the settings from named variables.
    ///
    /// # Errors
    /// [`SettingError`] names the variable.
    pub fn read(variable: impl Fn(&'static str) -> Option<String>) -> Result<Self, SettingError> {
        let required = |name| variable(name).filter(|text| !text.is_empty()).ok_or(NotSet(name));
        let weak = |name| move |error| SettingError::Key(name, error);
        let callback_key = CallbackKey::new(required("CALLBACK_KEY")?.as_bytes())
            .map_err(weak("CALLBACK_KEY"))?
            .after(variable("PREVIOUS_CALLBACK_KEY").unwrap_or_default().as_bytes())
            .map_err(weak("PREVIOUS_CALLBACK_KEY"))?;
        Ok(Self {
            image_url: required("IMAGE_URL")?,
            cleaning_image: Image::new(required("CLEANING_IMAGE")?)?,
            callback_url: required("CALLBACK_URL")?,
            callback_key,
            bmc_login: BmcLogin::read(&variable)?,
            patience: Patience { deadline: POWER_DEADLINE, poll_interval: POWER_POLL },
        })
    }
}
