//! Target groups of Elastic Load Balancing, whose targets are IP addresses.

use std::net::SocketAddr;

use async_trait::async_trait;
use aws_sdk_elasticloadbalancingv2::Client;
use aws_sdk_elasticloadbalancingv2::types::TargetDescription;
use hostler_runtime::ports::{EntryFailure, TargetGroups};

use crate::error::AwsError;

const REGISTER: &str = "elasticloadbalancing:RegisterTargets";
const DEREGISTER: &str = "elasticloadbalancing:DeregisterTargets";
/// What the service says of a zone that it needs, or does not take.
const VALIDATION: &str = "ValidationError";
/// What it may say of a target that is not in the group (*API reference: DeregisterTargets, Errors*).
const NO_TARGET: &str = "InvalidTarget";
const NO_GROUP: &str = "TargetGroupNotFound";
/// The zone of an address outside of the target group's VPC (*API reference: TargetDescription*).
const ALL_ZONES: &str = "all";

/// Target groups whose target type is `ip`.
#[derive(Debug, Clone)]
pub struct ElbTargetGroups {
    client: Client,
}

impl ElbTargetGroups {
    /// Speaks by this client.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    async fn register_in(
        &self,
        group: &str,
        address: SocketAddr,
        zone: Option<&str>,
    ) -> Result<(), AwsError> {
        let call = self.client.register_targets().target_group_arn(group).targets(target(address, zone));
        call.send().await.map(drop).map_err(|error| AwsError::new(REGISTER, named(group, address), error))
    }

    async fn deregister_in(
        &self,
        group: &str,
        address: SocketAddr,
        zone: Option<&str>,
    ) -> Result<(), AwsError> {
        let call = self.client.deregister_targets().target_group_arn(group).targets(target(address, zone));
        call.send().await.map(drop).map_err(|error| AwsError::new(DEREGISTER, named(group, address), error))
    }
}

#[async_trait]
impl TargetGroups for ElbTargetGroups {
    /// An address outside of the group's VPC needs the zone `all`, and one inside of it must not have it. Only the service knows which
    /// is which.
    async fn register(&self, group: &str, address: SocketAddr) -> Result<(), EntryFailure> {
        let Err(refused) = self.register_in(group, address, None).await else { return Ok(()) };
        if refused.code() != VALIDATION {
            return Err(EntryFailure::from(&refused));
        }
        let Err(error) = self.register_in(group, address, Some(ALL_ZONES)).await else { return Ok(()) };
        // Where neither is taken, the zone is not the reason, and the first answer tells it.
        Err(EntryFailure::from(if error.code() == VALIDATION { &refused } else { &error }))
    }

    /// It is told with and without a zone, for the address may be registered either way, and the service takes a target that it
    /// does not find for success.
    async fn deregister(&self, group: &str, address: SocketAddr) -> Result<(), EntryFailure> {
        let mut refused = Vec::new();
        for zone in [None, Some(ALL_ZONES)] {
            match self.deregister_in(group, address, zone).await {
                Ok(()) => {}
                Err(error) if error.code() == NO_GROUP => return Ok(()),
                Err(error) if error.code() == NO_TARGET => {}
                Err(error) if error.code() == VALIDATION => refused.push(error),
                Err(error) => return Err(EntryFailure::from(&error)),
            }
        }
        match refused.as_slice() {
            [first, _second] => Err(EntryFailure::from(first)),
            _ => Ok(()),
        }
    }
}

/// The port is always said: without it a target is not found when it is deregistered.
fn target(address: SocketAddr, zone: Option<&str>) -> TargetDescription {
    TargetDescription::builder()
        .id(address.ip().to_string())
        .port(i32::from(address.port()))
        .set_availability_zone(zone.map(str::to_owned))
        .build()
}

fn named(group: &str, address: SocketAddr) -> String {
    format!("target group {group} (target {address})")
}
