//! The port to a load balancer, and a plain one that keeps its servers in a store.

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::error::{At, DriverError};
use crate::state::{StateStore, load, save};

/// A host as one server of a load balancer's backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrafficServer {
    /// The name of the backend: of HAProxy, or of a target group on AWS.
    pub backend: String,
    /// The id of the host.
    pub host: String,
    /// Where it takes requests, as `10.0.0.7:80`.
    pub address: String,
}

/// Sends a host requests, or no more of them. What is already so is left alone, so that each call may be repeated.
///
/// # Errors
/// All return [`DriverError`], of which [`DriverError::is_transient`] says whether to call again.
#[async_trait]
pub trait LoadBalancer: Send + Sync {
    /// Has the host take new requests from now on, whatever it did before.
    async fn join(&self, server: &TrafficServer) -> Result<(), DriverError>;

    /// Gives the host no new requests. Those that it has go on. A host that is not in the backend is fine.
    async fn drain(&self, server: &TrafficServer) -> Result<(), DriverError>;

    /// How many requests the host still has: one at least while there are any, and 0 of a host that is not in the backend. `None` of a
    /// load balancer that does not count: a host may have some until its time is over.
    async fn sessions(&self, server: &TrafficServer) -> Result<Option<u64>, DriverError>;

    /// Takes the host out of the backend. A load balancer that counts requests cuts off those that it still has. A host that is not in
    /// the backend is fine.
    async fn leave(&self, server: &TrafficServer) -> Result<(), DriverError>;
}

/// A [`LoadBalancer`] without a load balancer: it keeps servers under `traffic/<backend>/<host>`, and sends nobody anything.
#[derive(Debug, Clone)]
pub struct PlainLoadBalancer<S> {
    store: S,
}

/// The row of a server. The counters are what effects are counted by.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TrafficRow {
    /// Whether it takes requests.
    pub state: TrafficState,
    /// Where it takes them.
    pub address: String,
    /// How many requests it has. Nothing here changes it but leaving.
    #[serde(default)]
    pub sessions: u64,
    /// Joins that changed something.
    pub joined: u64,
    /// Drains that changed something.
    pub drained: u64,
    /// Leaves that changed something.
    pub left: u64,
}

/// How a server of a backend is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrafficState {
    /// It is not in the backend.
    #[default]
    Out,
    /// It takes new requests.
    In,
    /// It takes no new ones.
    Draining,
}

impl fmt::Display for TrafficState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Out => "out of traffic",
            Self::In => "in traffic",
            Self::Draining => "draining",
        })
    }
}

impl<S: StateStore> PlainLoadBalancer<S> {
    /// Keeps its rows in the given store.
    pub fn new(store: S) -> Self {
        Self { store }
    }

    /// The key of a server's row.
    #[must_use]
    pub fn key(server: &TrafficServer) -> String {
        format!("traffic/{}/{}", server.backend, server.host)
    }

    /// The row of a server; a fresh one if there is none.
    ///
    /// # Errors
    /// [`DriverError::Store`] or [`DriverError::CorruptState`].
    pub async fn row(&self, server: &TrafficServer) -> Result<TrafficRow, DriverError> {
        load(&self.store, &Self::key(server), at(server, "reading how it takes traffic")).await
    }

    /// Changes a server's row, where there is something to change.
    async fn change(
        &self,
        server: &TrafficServer,
        doing: &'static str,
        change: impl FnOnce(&mut TrafficRow) + Send,
    ) -> Result<(), DriverError> {
        let before = self.row(server).await?;
        let mut row = before.clone();
        change(&mut row);
        match row == before {
            true => Ok(()),
            false => save(&self.store, &Self::key(server), &row, at(server, doing)).await,
        }
    }
}

#[async_trait]
impl<S: StateStore> LoadBalancer for PlainLoadBalancer<S> {
    async fn join(&self, server: &TrafficServer) -> Result<(), DriverError> {
        let joined = |row: &mut TrafficRow| {
            if row.state != TrafficState::In || row.address != server.address {
                (row.state, row.address) = (TrafficState::In, server.address.clone());
                row.joined += 1;
            }
        };
        self.change(server, "joining traffic", joined).await
    }

    async fn drain(&self, server: &TrafficServer) -> Result<(), DriverError> {
        let drained = |row: &mut TrafficRow| {
            if row.state == TrafficState::In {
                row.state = TrafficState::Draining;
                row.drained += 1;
            }
        };
        self.change(server, "draining", drained).await
    }

    async fn sessions(&self, server: &TrafficServer) -> Result<Option<u64>, DriverError> {
        Ok(Some(self.row(server).await?.sessions))
    }

    async fn leave(&self, server: &TrafficServer) -> Result<(), DriverError> {
        let left = |row: &mut TrafficRow| {
            if row.state != TrafficState::Out {
                (row.state, row.sessions) = (TrafficState::Out, 0);
                row.left += 1;
            }
        };
        self.change(server, "leaving traffic", left).await
    }
}

pub(crate) fn at(server: &TrafficServer, doing: &'static str) -> At {
    At { system: format!("{} in backend {}", server.host, server.backend), doing }
}
