//! Leases in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use hostler_core::CausationId;
use hostler_runtime::effects::leases::{Claim, Claimed, Leases};
use hostler_runtime::ports::PortError;
use jiff::Timestamp;
use uuid::Uuid;

use crate::faults::{Fault, FaultPlan, injected};

/// A row of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Whose it is.
    pub owner: Uuid,
    /// The hash of what is done.
    pub payload_hash: String,
    /// Until when its owner may be at it.
    pub lease_until: Timestamp,
    /// When it is void.
    pub expires_at: Timestamp,
    /// The result; absent while it is being done.
    pub result: Option<String>,
    /// The cause by which it will be recorded on a stream.
    pub settled_by: Option<CausationId>,
}

/// Leases in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryLeases {
    records: Arc<Mutex<BTreeMap<String, Record>>>,
    faults: FaultPlan,
}

impl MemoryLeases {
    /// The fault switch.
    #[must_use]
    pub fn faults(&self) -> &FaultPlan {
        &self.faults
    }

    /// All rows.
    #[must_use]
    pub fn records(&self) -> BTreeMap<String, Record> {
        self.records.lock().unwrap().clone()
    }

    /// Carries out a call as far as the fault lets it.
    fn call<T>(
        &self,
        action: &'static str,
        key: &str,
        carry_out: impl FnOnce(&mut BTreeMap<String, Record>) -> T,
    ) -> Result<T, PortError> {
        let fault = self.faults.on_write(1);
        let unavailable = |fault: &Fault| PortError::Unavailable {
            table: "idempotency",
            action,
            key: key.to_owned(),
            source: injected(fault),
        };
        if !matches!(fault, Fault::None | Fault::LoseAnswer) {
            return Err(unavailable(&fault));
        }
        let done = carry_out(&mut self.records.lock().unwrap());
        if fault == Fault::LoseAnswer { Err(unavailable(&fault)) } else { Ok(done) }
    }
}

/// Whether a claim takes the place of what is there.
fn gives_way(there: &Record, claim: &Claim) -> bool {
    let expired = there.expires_at.as_second() < claim.now.as_second();
    let ran_out = there.result.is_none() && there.lease_until.as_millisecond() < claim.now.as_millisecond();
    expired || (ran_out && there.payload_hash == claim.payload_hash) || is_settled(there, claim)
}

fn is_settled(there: &Record, claim: &Claim) -> bool {
    there.result.is_none() && there.settled_by.as_ref().is_some_and(|cause| claim.settled.contains(cause))
}

#[async_trait]
impl Leases for MemoryLeases {
    async fn claim(&self, claim: &Claim) -> Result<Claimed, PortError> {
        self.call("claim", &claim.key, |records| {
            if let Some(there) = records.get(&claim.key)
                && !gives_way(there, claim)
            {
                let payload_hash = Some(there.payload_hash.clone());
                return match &there.result {
                    Some(result) => Claimed::Done { result: result.clone(), payload_hash },
                    None if there.owner == claim.owner => Claimed::Ours,
                    None => Claimed::Busy {
                        until: Some(there.lease_until),
                        payload_hash,
                        settled_by: there.settled_by.clone(),
                    },
                };
            }
            let record = Record {
                owner: claim.owner,
                payload_hash: claim.payload_hash.clone(),
                lease_until: claim.lease_until,
                expires_at: claim.expires_at,
                result: None,
                settled_by: claim.settled_by.clone(),
            };
            let before = records.insert(claim.key.clone(), record);
            let is_known = before.is_none_or(|before| is_settled(&before, claim));
            if claim.settled_by.is_some() && is_known { Claimed::Next } else { Claimed::Ours }
        })
    }

    async fn complete(
        &self,
        key: &str,
        owner: Uuid,
        result: &str,
        expires_at: Timestamp,
    ) -> Result<bool, PortError> {
        self.call("complete", key, |records| {
            let Some(there) = records.get_mut(key).filter(|there| there.owner == owner) else { return false };
            (there.result, there.expires_at) = (Some(result.to_owned()), expires_at);
            true
        })
    }

    async fn release(&self, claim: &Claim) -> Result<bool, PortError> {
        let key = claim.key.as_str();
        self.call("release", key, |records| {
            let ours = |there: &&mut Record| there.owner == claim.owner && there.result.is_none();
            let Some(there) = records.get_mut(key).filter(ours) else { return false };
            if claim.settled_by.is_some() {
                (there.lease_until, there.settled_by) = (Timestamp::UNIX_EPOCH, None);
            } else {
                records.remove(key);
            }
            true
        })
    }
}
