//! Target groups of AWS, kept in memory.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use hostler_drivers::{LoadBalancer, TargetGroupLoadBalancer, TrafficServer};
use hostler_runtime::ports::{EntryFailure, TargetGroups};

use crate::contract::{Subject, holds};

const WEB: &str = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/web/1";
const GONE: &str = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/no-such-backend/1";

/// One target group, and what it answers instead of doing something.
#[derive(Default)]
struct Memory {
    registered: Mutex<BTreeSet<SocketAddr>>,
    failure: Option<EntryFailure>,
}

#[async_trait]
impl TargetGroups for Memory {
    async fn register(&self, group: &str, address: SocketAddr) -> Result<(), EntryFailure> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        if group != WEB {
            return Err(failure("TargetGroupNotFound", false));
        }
        self.registered.lock().unwrap().insert(address);
        Ok(())
    }

    async fn deregister(&self, group: &str, address: SocketAddr) -> Result<(), EntryFailure> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        if group == WEB {
            self.registered.lock().unwrap().remove(&address);
        }
        Ok(())
    }
}

fn failure(code: &str, retryable: bool) -> EntryFailure {
    EntryFailure { retryable, code: code.to_owned(), message: format!("it answers {code}") }
}

struct Elb {
    memory: Arc<Memory>,
    driver: TargetGroupLoadBalancer,
}

fn elb(failure: Option<EntryFailure>) -> Elb {
    let memory = Arc::new(Memory { failure, ..Memory::default() });
    let driver = TargetGroupLoadBalancer::new(memory.clone(), format!("{WEB},{GONE}").parse().unwrap());
    Elb { memory, driver }
}

impl Subject for Elb {
    fn driver(&self) -> &dyn LoadBalancer {
        &self.driver
    }

    fn server(&self, host: &str) -> TrafficServer {
        let address = host.replace("h-", "10.0.0.") + ":80";
        TrafficServer { backend: "web".to_owned(), host: host.to_owned(), address }
    }

    fn counts_requests(&self) -> bool {
        false
    }

    async fn takes_requests(&self, host: &str) -> bool {
        self.memory.registered.lock().unwrap().contains(&self.server(host).address.parse().unwrap())
    }

    async fn begin_request(&mut self, _: &str) {
        unreachable!("it counts no requests")
    }

    async fn end_request(&mut self, _: &str) -> bool {
        unreachable!("it counts no requests")
    }
}

#[tokio::test]
async fn target_groups_keep_the_contract() {
    holds(elb(None)).await;
}

/// A host could be registered in a target group that is not given any more, so that leaving is no success.
#[tokio::test]
async fn a_backend_without_a_target_group_is_refused_and_named() {
    let elb = elb(None);
    let server = TrafficServer { backend: "api".to_owned(), ..elb.server("h-1") };
    for error in [
        elb.driver.join(&server).await.unwrap_err(),
        elb.driver.drain(&server).await.unwrap_err(),
        elb.driver.leave(&server).await.unwrap_err(),
    ] {
        let said = error.to_string();
        assert!(!error.is_transient() && !error.is_outage(), "{said}");
        assert!(said.contains("target group api") && said.contains("parameter TargetGroups"), "{said}");
    }
}

#[tokio::test]
async fn a_host_whose_address_is_a_name_cannot_join_and_has_nothing_to_leave() {
    let elb = elb(None);
    let server = TrafficServer { address: "h-1.example.org:80".to_owned(), ..elb.server("h-1") };
    let error = elb.driver.join(&server).await.unwrap_err();
    assert!(!error.is_transient() && error.to_string().contains("label traffic.address"), "{error}");
    elb.driver.drain(&server).await.unwrap();
    elb.driver.leave(&server).await.unwrap();
}

#[tokio::test]
async fn what_may_work_later_is_an_outage_and_a_refusal_is_none() {
    for (code, retryable) in [("Throttling", true), ("AccessDenied", true), ("TooManyTargets", false)] {
        let elb = elb(Some(failure(code, retryable)));
        let server = elb.server("h-1");
        for error in [
            elb.driver.join(&server).await.unwrap_err(),
            elb.driver.drain(&server).await.unwrap_err(),
            elb.driver.leave(&server).await.unwrap_err(),
        ] {
            assert_eq!((error.is_transient(), error.is_outage()), (retryable, retryable), "{error}");
            assert!(error.to_string().contains(&format!("it answers {code}")), "{error}");
        }
    }
}
