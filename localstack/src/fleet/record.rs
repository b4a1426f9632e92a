//! What was asked of the BMCs: counts per host and sort of request, to assert on and to show.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use axum::http::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Sorts of Redfish requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RequestKind {
    /// A power action.
    Reset,
    /// Media inserted, or an address set for UEFI HTTP boot.
    InsertMedia,
    /// Media ejected, or that address cleared.
    EjectMedia,
    /// A boot override, or another change of the system.
    BootOverride,
    /// A read of the system, power state included.
    ReadSystem,
    /// Another read.
    Read,
    /// Another change.
    Change,
}

impl RequestKind {
    pub(crate) fn of(method: &Method, path: &str) -> Self {
        let path = path.trim_end_matches('/');
        let segments = path.split('/').filter(|segment| !segment.is_empty()).count();
        // /redfish/v1/Systems/{uuid}
        let is_system = segments == 4 && path.contains("/Systems/");
        match (method.as_str(), is_system) {
            ("GET" | "HEAD", true) => Self::ReadSystem,
            ("GET" | "HEAD", false) => Self::Read,
            ("PATCH", true) => Self::BootOverride,
            ("POST", _) if path.ends_with("ComputerSystem.Reset") => Self::Reset,
            ("POST", _) if path.ends_with("VirtualMedia.InsertMedia") => Self::InsertMedia,
            ("POST", _) if path.ends_with("VirtualMedia.EjectMedia") => Self::EjectMedia,
            _ => Self::Change,
        }
    }

    /// The sort of a request with this body: only the body says whether a change of the system is about UEFI HTTP boot.
    pub(crate) fn with(self, body: &[u8]) -> Self {
        if self != Self::BootOverride {
            return self;
        }
        let body = serde_json::from_slice::<Value>(body).unwrap_or_default();
        match body.pointer("/Boot/HttpBootUri") {
            None => self,
            Some(Value::String(uri)) if !uri.is_empty() => Self::InsertMedia,
            Some(_) => Self::EjectMedia,
        }
    }

    /// Whether it changes anything.
    pub(crate) fn changes(self) -> bool {
        !matches!(self, Self::ReadSystem | Self::Read)
    }
}

/// The counts of one host, or of all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Requests that reached the BMC.
    pub reached: BTreeMap<RequestKind, u64>,
    /// Power actions among them, by their type, as `On`.
    pub resets: BTreeMap<String, u64>,
    /// Requests that a fault kept from the BMC.
    pub refused: u64,
    /// Requests that the BMC itself answered with an error.
    pub failed: u64,
}

impl Counts {
    /// How many requests of a sort reached the BMC.
    #[must_use]
    pub fn of(&self, kind: RequestKind) -> u64 {
        self.reached.get(&kind).copied().unwrap_or_default()
    }

    fn add(&mut self, other: &Self) {
        for (kind, count) in &other.reached {
            *self.reached.entry(*kind).or_default() += count;
        }
        for (reset, count) in &other.resets {
            *self.resets.entry(reset.clone()).or_default() += count;
        }
        self.refused += other.refused;
        self.failed += other.failed;
    }
}

/// The counts of all hosts.
#[derive(Debug, Default)]
pub struct Record {
    by_host: Mutex<BTreeMap<String, Counts>>,
}

impl Record {
    /// The counts of one host.
    #[must_use]
    pub fn of(&self, host_id: &str) -> Counts {
        let by_host = self.by_host.lock().unwrap_or_else(PoisonError::into_inner);
        by_host.get(host_id).cloned().unwrap_or_default()
    }

    /// The sum over all hosts.
    #[must_use]
    pub fn total(&self) -> Counts {
        let by_host = self.by_host.lock().unwrap_or_else(PoisonError::into_inner);
        by_host.values().fold(Counts::default(), |mut sum, counts| {
            sum.add(counts);
            sum
        })
    }

    /// Starts counting again.
    pub fn clear(&self) {
        self.by_host.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(crate) fn note(&self, host_id: &str, change: impl FnOnce(&mut Counts)) {
        let mut by_host = self.by_host.lock().unwrap_or_else(PoisonError::into_inner);
        change(by_host.entry(host_id.to_owned()).or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_sorted_by_method_and_path() {
        let system = "/redfish/v1/Systems/4057";
        let of = |method, path: &str| RequestKind::of(&method, &format!("{system}{path}"));
        assert_eq!(of(Method::GET, "/"), RequestKind::ReadSystem);
        assert_eq!(of(Method::GET, "/VirtualMedia/Cd"), RequestKind::Read);
        assert_eq!(of(Method::PATCH, ""), RequestKind::BootOverride);
        assert_eq!(of(Method::POST, "/Actions/ComputerSystem.Reset"), RequestKind::Reset);
        let insert = "/VirtualMedia/Cd/Actions/VirtualMedia.InsertMedia";
        assert_eq!(of(Method::POST, insert), RequestKind::InsertMedia);
        assert_eq!(RequestKind::of(&Method::GET, "/redfish/v1/Systems"), RequestKind::Read);
    }
}
