//! [`Bmc`] over Redfish: a thin client that tolerates what BMCs leave out, add and get wrong.
//!
//! It follows links instead of building paths where BMCs differ, believes no single reading of a power state, and
//! sends no order whose effect it does not read back. Nothing it says or logs holds a password or a token.

mod boot;
mod facts;
mod http;
mod media;
mod power;
mod wire;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::OnceCell;

use crate::bmc::{
    Bmc, BmcEndpoint, Bmcs, BootMethod, Patience, PowerChange, PowerGoal, PowerState, SystemFacts, TlsTrust,
};
use crate::error::DriverError;
use boot::Way;
use wire::Wire;

/// The limits of every call to a BMC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RedfishLimits {
    /// The most that making a connection may take.
    pub connect_timeout: Duration,
    /// The most that one request may take, with its answer.
    pub request_timeout: Duration,
    /// The most that one operation without its own patience may take, with all its requests.
    pub operation_timeout: Duration,
    /// How often a request is made at most, when the BMC is busy or away.
    pub attempts_max: u32,
    /// The pause before the second attempt; it doubles with each one.
    pub backoff_first: Duration,
    /// The longest pause of our own choice.
    pub backoff_max: Duration,
    /// The longest pause that is kept because the BMC asks for it (`Retry-After`). If it asks for more, the call
    /// fails with [`DriverError::Busy`], which says how long.
    pub retry_after_max: Duration,
    /// The most bytes of an answer.
    pub answer_bytes_max: usize,
}

impl RedfishLimits {
    /// For one look at a BMC that says nothing when it takes longer than this.
    #[must_use]
    pub fn of_one_look(timeout: Duration) -> Self {
        Self { request_timeout: timeout, operation_timeout: timeout, attempts_max: 2, ..Self::default() }
    }
}

impl Default for RedfishLimits {
    /// 3 s to connect, 10 s per request, 30 s per operation, 4 attempts, 200 ms to 2 s between them, 5 s if asked
    /// for, 1 MiB per answer.
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(3),
            request_timeout: Duration::from_secs(10),
            operation_timeout: Duration::from_secs(30),
            attempts_max: 4,
            backoff_first: Duration::from_millis(200),
            backoff_max: Duration::from_secs(2),
            retry_after_max: Duration::from_secs(5),
            answer_bytes_max: 1 << 20,
        }
    }
}

/// Makes [`RedfishBmc`]s that share connections' settings: one HTTP client per kind of trust, for building one
/// loads certificates.
#[derive(Debug, Default)]
pub struct RedfishBmcs {
    limits: RedfishLimits,
    clients: Mutex<HashMap<TlsTrust, reqwest::Client>>,
}

impl RedfishBmcs {
    /// Uses the given limits for all BMCs.
    #[must_use]
    pub fn new(limits: RedfishLimits) -> Self {
        Self { limits, clients: Mutex::default() }
    }

    /// Makes a driver for one BMC. Does not call it yet.
    ///
    /// # Errors
    /// [`DriverError::BadEndpoint`] when the URL or the certificates can not be used.
    pub fn redfish(&self, endpoint: &BmcEndpoint) -> Result<RedfishBmc, DriverError> {
        let client = {
            let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
            match clients.get(&endpoint.trust) {
                Some(client) => client.clone(),
                None => {
                    let client = wire::client(endpoint, &self.limits)?;
                    clients.insert(endpoint.trust.clone(), client.clone());
                    client
                }
            }
        };
        Ok(RedfishBmc { wire: Wire::new(client, endpoint, self.limits)?, way: OnceCell::new() })
    }
}

impl Bmcs for RedfishBmcs {
    fn connect(&self, endpoint: &BmcEndpoint) -> Result<Arc<dyn Bmc>, DriverError> {
        Ok(Arc::new(self.redfish(endpoint)?))
    }
}

/// One BMC, called over Redfish.
#[derive(Debug)]
pub struct RedfishBmc {
    wire: Wire,
    /// How its host boots from an image. Found on first use, and kept: BMCs do not move their drives.
    way: OnceCell<Way>,
}

impl RedfishBmc {
    /// Makes a driver for one BMC with the default limits. For many, see [`RedfishBmcs`].
    ///
    /// # Errors
    /// [`DriverError::BadEndpoint`] when the URL or the certificates can not be used.
    pub fn new(endpoint: &BmcEndpoint) -> Result<Self, DriverError> {
        RedfishBmcs::default().redfish(endpoint)
    }
}

#[async_trait]
impl Bmc for RedfishBmc {
    fn address(&self) -> &str {
        self.wire.system().as_str()
    }

    async fn inspect(&self) -> Result<SystemFacts, DriverError> {
        facts::inspect(&self.wire).await
    }

    async fn power_state(&self) -> Result<PowerState, DriverError> {
        power::read(&self.wire, self.wire.operation_ends()).await
    }

    async fn settled_power_state(&self, patience: &Patience) -> Result<PowerState, DriverError> {
        power::settled(&self.wire, patience).await
    }

    async fn set_power(&self, goal: PowerGoal, patience: &Patience) -> Result<PowerChange, DriverError> {
        power::set(&self.wire, goal, patience).await
    }

    async fn boot_method(&self) -> Result<BootMethod, DriverError> {
        Ok(self.way(self.wire.operation_ends()).await?.method())
    }

    async fn set_boot_once(&self) -> Result<bool, DriverError> {
        let ends = self.wire.operation_ends();
        boot::set_once(&self.wire, self.way(ends).await?, ends).await
    }

    async fn restore_boot(&self) -> Result<bool, DriverError> {
        boot::restore(&self.wire).await
    }

    async fn boot_image(&self) -> Result<Option<String>, DriverError> {
        let ends = self.wire.operation_ends();
        match self.way(ends).await? {
            Way::Cd(cd) => media::inserted(&self.wire, cd, ends).await,
            Way::UefiHttp => http::image(&self.wire, ends).await,
        }
    }

    async fn set_boot_image(&self, image_url: &str) -> Result<bool, DriverError> {
        let ends = self.wire.operation_ends();
        match self.way(ends).await? {
            Way::Cd(cd) => media::insert(&self.wire, cd, image_url, ends).await,
            Way::UefiHttp => http::set(&self.wire, image_url, ends).await,
        }
    }

    async fn clear_boot_image(&self) -> Result<bool, DriverError> {
        let ends = self.wire.operation_ends();
        match self.way(ends).await? {
            Way::Cd(cd) => media::eject(&self.wire, cd, ends).await,
            Way::UefiHttp => http::clear(&self.wire, ends).await,
        }
    }
}

impl RedfishBmc {
    async fn way(&self, ends: tokio::time::Instant) -> Result<&Way, DriverError> {
        self.way.get_or_try_init(|| boot::find_way(&self.wire, ends)).await
    }
}
