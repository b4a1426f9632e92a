//! The fleet seen from another process: a client of the admin address.

use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response};
use serde::{Deserialize, Serialize};

use crate::endpoint::local_client;
use crate::error::Error;
use crate::fleet::faults::Fault;
use crate::fleet::guard::{FleetAccess, SECRET_HEADER};
use crate::fleet::hosts::{Behaviour, Boots};
use crate::fleet::inventory::FleetHost;
use crate::fleet::load::{Demand, PoolLoad};
use crate::fleet::record::Counts;
use crate::fleet::system::Condition;
use crate::http::CallbackRoute;

const SECONDS_MAX: u64 = 10;

/// All there is to know about a host of the fleet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostStatus {
    /// The inventory's entry.
    #[serde(flatten)]
    pub host: FleetHost,
    /// The faults it still has.
    pub faults: Vec<Fault>,
    /// How it behaves when it boots.
    pub behaviour: Behaviour,
    /// What is wrong with its own system.
    pub condition: Condition,
    /// What was asked of its BMC.
    pub counts: Counts,
    /// What it did.
    pub boots: Boots,
}

/// A client of [`Fleet::access`](crate::Fleet::access).
///
/// Every call fails with [`Error::Http`] when the fleet is not there, and with [`Error::Refused`] when it
/// doesn't know the host.
#[derive(Debug, Clone)]
pub struct FleetAdmin {
    access: FleetAccess,
    client: reqwest::Client,
}

impl FleetAdmin {
    /// A client of the fleet that gave this access.
    ///
    /// # Errors
    /// [`Error::Http`] when no HTTP client can be made.
    pub fn new(access: &FleetAccess) -> Result<Self, Error> {
        let access = FleetAccess { url: access.url.trim_end_matches('/').to_owned(), ..access.clone() };
        let client = local_client(Duration::from_secs(SECONDS_MAX))
            .map_err(|source| Error::Http { url: access.url.clone(), source })?;
        Ok(Self { access, client })
    }

    /// All hosts.
    ///
    /// # Errors
    /// See [`FleetAdmin`].
    pub async fn hosts(&self) -> Result<Vec<HostStatus>, Error> {
        let answer = self.send(Method::GET, "/hosts", |request| request).await?;
        answer.json().await.map_err(self.failed())
    }

    /// The counts of all hosts together.
    ///
    /// # Errors
    /// See [`FleetAdmin`].
    pub async fn counts(&self) -> Result<Counts, Error> {
        let answer = self.send(Method::GET, "/counts", |request| request).await?;
        answer.json().await.map_err(self.failed())
    }

    /// Adds a fault to a host.
    ///
    /// # Errors
    /// See [`FleetAdmin`].
    pub async fn set_fault(&self, host_id: &str, fault: &Fault) -> Result<(), Error> {
        let path = format!("/hosts/{host_id}/faults");
        self.send(Method::POST, &path, |request| request.json(fault)).await.map(drop)
    }

    /// Ends all faults of a host.
    ///
    /// # Errors
    /// See [`FleetAdmin`].
    pub async fn clear_faults(&self, host_id: &str) -> Result<(), Error> {
        let path = format!("/hosts/{host_id}/faults");
        self.send(Method::DELETE, &path, |request| request).await.map(drop)
    }

    /// Changes how a host behaves when it boots.
    ///
    /// # Errors
    /// See [`FleetAdmin`].
    pub async fn set_behaviour(&self, host_id: &str, behaviour: &Behaviour) -> Result<(), Error> {
        let path = format!("/hosts/{host_id}/behaviour");
        self.send(Method::PUT, &path, |request| request.json(behaviour)).await.map(drop)
    }

    /// Breaks or mends a host's own system.
    ///
    /// # Errors
    /// See [`FleetAdmin`].
    pub async fn set_condition(&self, host_id: &str, condition: Condition) -> Result<(), Error> {
        let path = format!("/hosts/{host_id}/condition");
        self.send(Method::PUT, &path, |request| request.json(&condition)).await.map(drop)
    }

    /// What the pools of the fleet's hosts have to do.
    ///
    /// # Errors
    /// See [`FleetAdmin`].
    pub async fn loads(&self) -> Result<Vec<PoolLoad>, Error> {
        let answer = self.send(Method::GET, "/loads", |request| request).await?;
        answer.json().await.map_err(self.failed())
    }

    /// Gives a pool so much to do, from now on.
    ///
    /// # Errors
    /// See [`FleetAdmin`]; [`Error::Refused`] also where that is no amount.
    pub async fn set_load(&self, pool: &str, demand: Demand) -> Result<(), Error> {
        let path = format!("/loads/{pool}");
        self.send(Method::PUT, &path, |request| request.json(&demand)).await.map(drop)
    }

    /// Has the hosts of a pool say again what they say without a demand.
    ///
    /// # Errors
    /// See [`FleetAdmin`].
    pub async fn clear_load(&self, pool: &str) -> Result<(), Error> {
        let path = format!("/loads/{pool}");
        self.send(Method::DELETE, &path, |request| request).await.map(drop)
    }

    /// Changes how hosts reach the address they are told to call.
    ///
    /// # Errors
    /// See [`FleetAdmin`].
    pub async fn set_callback_route(&self, route: &CallbackRoute) -> Result<(), Error> {
        self.send(Method::PUT, "/callback-route", |request| request.json(route)).await.map(drop)
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        fill: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, Error> {
        let url = format!("{}{path}", self.access.url);
        let request = self.client.request(method, &url).header(SECRET_HEADER, &self.access.secret);
        let answer = fill(request).send().await.map_err(self.failed())?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let body = answer.text().await.unwrap_or_default();
        Err(Error::Refused { url, status: status.as_u16(), body })
    }

    fn failed(&self) -> impl FnOnce(reqwest::Error) -> Error {
        let url = self.access.url.clone();
        |source| Error::Http { url, source }
    }
}
