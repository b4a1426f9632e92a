//! Faults on demand: per host, for a number of requests, changed while the fleet runs.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::fleet::inventory::FleetHost;
use crate::fleet::record::RequestKind;

/// What a BMC does wrong. As JSON: `{"fault": "busy503", "times": 3}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Fault {
    /// Answers 503 to the next requests, and does nothing.
    Busy503 {
        /// How many requests.
        times: u32,
    },
    /// Takes the next requests, does nothing, and gives no answer for a while (then 504).
    Timeout {
        /// How many requests.
        times: u32,
        /// For how long.
        seconds: u64,
    },
    /// Does what the next changing requests ask, but their answer is lost: nothing for a while, then 504.
    LostAnswer {
        /// How many requests.
        times: u32,
        /// For how long.
        seconds: u64,
    },
    /// Reports the opposite power state at the next reads of the system.
    LiePower {
        /// How many reads.
        times: u32,
    },
    /// Is slow, until the fault is cleared.
    Latency {
        /// By how much.
        ms: u64,
    },
}

/// What happens to one request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) latency_ms: u64,
    pub(crate) busy: bool,
    /// No answer for so many seconds, and the BMC never sees the request.
    pub(crate) unheard_seconds: Option<u64>,
    /// No answer for so many seconds after the BMC did what it was asked.
    pub(crate) unanswered_seconds: Option<u64>,
    pub(crate) lie: bool,
}

/// The faults of all hosts.
#[derive(Debug)]
pub struct Faults {
    by_host: Mutex<BTreeMap<String, Vec<Fault>>>,
}

impl Faults {
    pub(crate) fn new(inventory: &[FleetHost]) -> Self {
        let by_host = inventory.iter().map(|host| (host.host_id.clone(), Vec::new())).collect();
        Self { by_host: Mutex::new(by_host) }
    }

    /// Adds a fault to a host. One of the same sort replaces the former, and one with
    /// zero times or milliseconds only ends it.
    ///
    /// # Errors
    /// [`Error::NoSuchHost`].
    pub fn set(&self, host_id: &str, fault: Fault) -> Result<(), Error> {
        self.change(host_id, |faults| {
            let sort = std::mem::discriminant(&fault);
            faults.retain(|other| std::mem::discriminant(other) != sort);
            if !is_used_up(&fault) {
                faults.push(fault);
            }
        })
    }

    /// Ends all faults of a host.
    ///
    /// # Errors
    /// [`Error::NoSuchHost`].
    pub fn clear(&self, host_id: &str) -> Result<(), Error> {
        self.change(host_id, Vec::clear)
    }

    /// The faults that a host still has.
    #[must_use]
    pub fn of(&self, host_id: &str) -> Vec<Fault> {
        let by_host = self.by_host.lock().unwrap_or_else(PoisonError::into_inner);
        by_host.get(host_id).cloned().unwrap_or_default()
    }

    fn change(&self, host_id: &str, change: impl FnOnce(&mut Vec<Fault>)) -> Result<(), Error> {
        let mut by_host = self.by_host.lock().unwrap_or_else(PoisonError::into_inner);
        let (first, last) = (by_host.keys().next().cloned(), by_host.keys().next_back().cloned());
        match by_host.get_mut(host_id) {
            Some(faults) => {
                change(faults);
                Ok(())
            }
            None => Err(Error::NoSuchHost {
                host: host_id.to_owned(),
                known: format!("{} to {}", first.unwrap_or_default(), last.unwrap_or_default()),
            }),
        }
    }

    /// Judges a request and uses up the faults that it meets. At most one of "busy", "unheard" and
    /// "unanswered" meets a request.
    pub(crate) fn judge(&self, host_id: &str, kind: RequestKind) -> Verdict {
        let mut by_host = self.by_host.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(faults) = by_host.get_mut(host_id) else { return Verdict::default() };
        let mut verdict = Verdict::default();
        for fault in faults.iter_mut() {
            let undisturbed =
                !verdict.busy && verdict.unheard_seconds.is_none() && verdict.unanswered_seconds.is_none();
            match fault {
                Fault::Busy503 { times } if undisturbed => {
                    use_up(times);
                    verdict.busy = true;
                }
                Fault::Timeout { times, seconds } if undisturbed => {
                    use_up(times);
                    verdict.unheard_seconds = Some(*seconds);
                }
                Fault::LostAnswer { times, seconds } if undisturbed && kind.changes() => {
                    use_up(times);
                    verdict.unanswered_seconds = Some(*seconds);
                }
                Fault::LiePower { times } if undisturbed && kind == RequestKind::ReadSystem => {
                    use_up(times);
                    verdict.lie = true;
                }
                Fault::Latency { ms } => verdict.latency_ms = *ms,
                Fault::Busy503 { .. }
                | Fault::Timeout { .. }
                | Fault::LostAnswer { .. }
                | Fault::LiePower { .. } => {}
            }
        }
        faults.retain(|fault| !is_used_up(fault));
        verdict
    }
}

fn use_up(times: &mut u32) {
    *times = times.saturating_sub(1);
}

fn is_used_up(fault: &Fault) -> bool {
    match fault {
        Fault::Busy503 { times }
        | Fault::Timeout { times, .. }
        | Fault::LostAnswer { times, .. }
        | Fault::LiePower { times } => *times == 0,
        Fault::Latency { ms } => *ms == 0,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::fleet::inventory::lay_out;

    #[test]
    fn faults_are_used_up_by_the_requests_they_meet() {
        let faults = Faults::new(&lay_out(2, "x"));
        faults.set("h-01", Fault::Busy503 { times: 2 }).unwrap();
        faults.set("h-01", Fault::LiePower { times: 1 }).unwrap();
        assert!(faults.judge("h-01", RequestKind::ReadSystem).busy);
        assert!(!faults.judge("h-02", RequestKind::ReadSystem).busy);
        assert!(faults.judge("h-01", RequestKind::Reset).busy);
        assert!(!faults.judge("h-01", RequestKind::Reset).lie, "only reads of the system lie");
        assert!(faults.judge("h-01", RequestKind::ReadSystem).lie);
        assert_eq!(faults.judge("h-01", RequestKind::ReadSystem), Verdict::default());
        assert!(faults.of("h-01").is_empty());
        assert!(faults.set("h-99", Fault::Latency { ms: 1 }).is_err());
    }
}
