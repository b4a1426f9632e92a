//! A load balancer of AWS: each backend is a target group of that name, whose targets are IP addresses.
//!
//! Elastic Load Balancing tells nobody how many requests a target still has. A target that was deregistered is shown as draining until
//! the group's deregistration delay is over, also when it has none left, so that nothing is asked: a host leaves when its time is over.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;
use hostler_runtime::ports::{EntryFailure, TargetGroups};

use crate::error::{At, DriverError};
use crate::load_balancer::{LoadBalancer, TrafficServer, at};

const SERVICE: &str = "Elastic Load Balancing";

/// Why `TARGET_GROUPS` cannot be used; the function does not start.
#[derive(thiserror::Error)]
pub enum TargetGroupsError {
    /// An entry is no ARN of a target group.
    #[error(
        "the environment variable TARGET_GROUPS has {0:?}, and ARNs of target groups are expected, with commas between them: correct the \
         parameter TargetGroups"
    )]
    NoArn(String),
    /// Two target groups have one name, as in two regions.
    #[error(
        "the environment variable TARGET_GROUPS has two target groups {0:?}: leave one out of the parameter TargetGroups"
    )]
    Twice(String),
    /// Both are given, and a backend has one load balancer.
    #[error(
        "the environment variables HAPROXY_ADDRESS and TARGET_GROUPS are both set: leave one of the parameters HaproxyAddress and \
             TargetGroups empty"
    )]
    BesideHaproxy,
}

/// A `main` that returns an error prints it this way: as a sentence.
impl fmt::Debug for TargetGroupsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// The ARNs of target groups by their names, which are the names of backends. Read from ARNs with commas between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backends(BTreeMap<String, String>);

impl FromStr for Backends {
    type Err = TargetGroupsError;

    fn from_str(text: &str) -> Result<Self, TargetGroupsError> {
        let mut groups = BTreeMap::new();
        for arn in text.split(',').map(str::trim) {
            let name = name_in(arn).ok_or_else(|| TargetGroupsError::NoArn(arn.to_owned()))?;
            if groups.insert(name.to_owned(), arn.to_owned()).is_some() {
                return Err(TargetGroupsError::Twice(name.to_owned()));
            }
        }
        Ok(Self(groups))
    }
}

/// Of `arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/web/73e2d6bc24d8a067` it is `web`.
fn name_in(arn: &str) -> Option<&str> {
    let mut parts = arn.splitn(6, ':');
    let (arn, _partition, service) = (parts.next()?, parts.next()?, parts.next()?);
    let (_region, _account, resource) = (parts.next()?, parts.next()?, parts.next()?);
    let (name, id) = resource.strip_prefix("targetgroup/")?.split_once('/')?;
    let is_one = arn == "arn" && service == "elasticloadbalancing" && !name.is_empty() && !id.is_empty();
    is_one.then_some(name)
}

/// A [`LoadBalancer`] that registers hosts in target groups.
#[derive(Clone)]
pub struct TargetGroupLoadBalancer {
    targets: Arc<dyn TargetGroups>,
    backends: Backends,
}

impl TargetGroupLoadBalancer {
    /// Registers hosts in these target groups.
    #[must_use]
    pub fn new(targets: Arc<dyn TargetGroups>, backends: Backends) -> Self {
        Self { targets, backends }
    }

    /// The ARN of a backend. One that is not given is refused for leaving as well: the host may be registered where nobody looks.
    fn group(&self, server: &TrafficServer, at: &At) -> Result<&str, DriverError> {
        let group = self.backends.0.get(&server.backend).map(String::as_str);
        group.ok_or_else(|| {
            let reason = format!(
                "no target group {} is given: add its ARN to the parameter TargetGroups, or correct traffic.backend of the pool in the \
                 site's policies",
                server.backend
            );
            refused(at, reason)
        })
    }

    /// Deregisters a host. An address that is none has never joined.
    async fn take_out(&self, server: &TrafficServer, doing: &'static str) -> Result<(), DriverError> {
        let at = at(server, doing);
        let group = self.group(server, &at)?;
        let Ok(address) = server.address.parse::<SocketAddr>() else { return Ok(()) };
        self.targets.deregister(group, address).await.map_err(|failure| failed(&at, failure))
    }
}

#[async_trait]
impl LoadBalancer for TargetGroupLoadBalancer {
    async fn join(&self, server: &TrafficServer) -> Result<(), DriverError> {
        let at = at(server, "joining traffic");
        let group = self.group(server, &at)?;
        let address = server.address.parse::<SocketAddr>().map_err(|_| {
            let address = &server.address;
            refused(&at, format!("a target group takes IP addresses, and {address:?} is none: correct the host's label traffic.address, \
                                  as 10.0.0.7:80, or metrics.address"))
        })?;
        self.targets.register(group, address).await.map_err(|failure| failed(&at, failure))
    }

    /// In-flight requests go on for the target group's deregistration delay.
    async fn drain(&self, server: &TrafficServer) -> Result<(), DriverError> {
        self.take_out(server, "draining").await
    }

    async fn sessions(&self, _: &TrafficServer) -> Result<Option<u64>, DriverError> {
        Ok(None)
    }

    /// It is out with its draining; done once more, for somebody may have put it back.
    async fn leave(&self, server: &TrafficServer) -> Result<(), DriverError> {
        self.take_out(server, "leaving traffic").await
    }
}

fn failed(at: &At, failure: EntryFailure) -> DriverError {
    let reason = failure.message.clone();
    match failure.retryable {
        true => {
            let at = at.clone();
            DriverError::ServiceFailed { at, service: SERVICE, reason, source: Some(Box::new(failure)) }
        }
        false => refused(
            at,
            format!(
                "{reason}; correct the parameter TargetGroups, its target group, or where the host takes requests"
            ),
        ),
    }
}

fn refused(at: &At, reason: String) -> DriverError {
    DriverError::StepFailed { at: at.clone(), reason, transient: false }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;

    const WEB: &str =
        "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/web/73e2d6bc24d8a067";

    #[test]
    fn a_target_group_is_known_by_the_name_in_its_arn() {
        let api = "arn:aws-cn:elasticloadbalancing:cn-north-1:123456789012:targetgroup/api-v2/1";
        let backends: Backends = format!("{WEB}, {api}").parse().unwrap();
        let expected = [("api-v2".to_owned(), api.to_owned()), ("web".to_owned(), WEB.to_owned())];
        assert_eq!(backends.0, BTreeMap::from(expected));
    }

    #[test]
    fn what_is_no_target_group_is_named_with_its_parameter() {
        let balancer =
            "arn:aws:elasticloadbalancing:eu-central-1:123456789012:loadbalancer/app/web/50dc6c495c0c9188";
        for wrong in ["web", "", balancer, "arn:aws:sqs:eu-central-1:123456789012:targetgroup/web/1"] {
            let said = wrong.parse::<Backends>().unwrap_err().to_string();
            assert!(
                said.contains(&format!("{wrong:?}")) && said.contains("parameter TargetGroups"),
                "{said}"
            );
        }
        let said = format!("{WEB},{WEB}").parse::<Backends>().unwrap_err().to_string();
        assert!(said.contains("two target groups \"web\""), "{said}");
    }
}
