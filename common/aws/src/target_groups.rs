//! Target groups of Elastic Load Balancing, whose targets are IP addresses.

use std::net::SocketAddr;

use aws_sdk_elasticloadbalancingv2::Client;
use aws_sdk_elasticloadbalancingv2::types::TargetDescription;

use crate::error::AwsError;

const REGISTER: &str = "elasticloadbalancing:RegisterTargets";
const DEREGISTER: &str = "elasticloadbalancing:DeregisterTargets";
/// What the service says of a zone that it needs, or does not take.
const VALIDATION: &str = "ValidationError";
/// What it may say of a target that is not in the group (*API reference: DeregisterTargets, Errors*).
const NO_TARGET: &str = "InvalidTarget";
/// The zone of an address outside of the target group's VPC (*API reference: TargetDescription*).
const ALL_ZONES: &str = "all";

/// Registers addresses in target groups whose target type is `ip`. Each call may be repeated.
#[derive(Debug, Clone)]
pub struct TargetGroups {
    client: Client,
}

impl TargetGroups {
    /// Speaks by this client.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// Has the target group send requests to the address as soon as its health checks see it well. An address outside of the group's
    /// VPC needs the zone `all`, and one inside of it must not have it; only the service knows which is which.
    ///
    /// # Errors
    /// [`AwsError`]; its class is `Missing` where there is no such target group.
    pub async fn register(&self, group: &str, address: SocketAddr) -> Result<(), AwsError> {
        let register = async |zone| {
            let call = self.client.register_targets().target_group_arn(group).targets(target(address, zone));
            call.send().await.map(drop).map_err(|error| AwsError::new(REGISTER, named(group, address), error))
        };
        match register(None).await {
            Err(refused) if refused.code() == VALIDATION => {
                // Where neither is taken, the zone is not the reason, and the first answer tells it.
                register(Some(ALL_ZONES)).await.map_err(|error| match error.code() {
                    VALIDATION => refused,
                    _ => error,
                })
            }
            answered => answered,
        }
    }

    /// Has the target group send the address no new requests; those that it has go on for the group's deregistration delay. An
    /// address that is not in the group is fine. It is told with and without a zone, for it may be registered either way, and the
    /// service takes a target that it does not find for success.
    ///
    /// # Errors
    /// As [`register`](Self::register).
    pub async fn deregister(&self, group: &str, address: SocketAddr) -> Result<(), AwsError> {
        let (mut taken, mut refused) = (false, None);
        for zone in [None, Some(ALL_ZONES)] {
            let call =
                self.client.deregister_targets().target_group_arn(group).targets(target(address, zone));
            let answer = call.send().await.map(drop);
            match answer.map_err(|error| AwsError::new(DEREGISTER, named(group, address), error)) {
                Ok(()) => taken = true,
                Err(error) if error.code() == NO_TARGET => taken = true,
                Err(error) if error.code() == VALIDATION => refused = refused.or(Some(error)),
                Err(error) => return Err(error),
            }
        }
        match refused {
            Some(error) if !taken => Err(error),
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
