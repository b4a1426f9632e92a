//! The contract of the port.

use hostler_drivers::{LoadBalancer, TrafficServer};

/// A load balancer, and a way to see what it does.
pub(crate) trait Subject {
    /// The driver.
    fn driver(&self) -> &dyn LoadBalancer;

    /// A host that answers requests, in a backend that is there.
    fn server(&self, host: &str) -> TrafficServer;

    /// Whether it counts the requests that a host has, and cuts them off when the host leaves.
    fn counts_requests(&self) -> bool;

    /// Whether a new request can reach this host.
    async fn takes_requests(&self, host: &str) -> bool;

    /// Has the host begin a request that does not end by itself. No other host is in traffic. Asked only where requests are counted.
    async fn begin_request(&mut self, host: &str);

    /// Lets that request end; says whether it was answered, and not cut off.
    async fn end_request(&mut self, host: &str) -> bool;
}

/// All that every load balancer promises.
pub(crate) async fn holds(mut subject: impl Subject) {
    a_host_takes_requests_from_joining_to_draining(&subject).await;
    what_is_so_already_is_left_alone(&subject).await;
    if subject.counts_requests() {
        a_drained_host_ends_the_requests_that_it_has(&mut subject).await;
        a_host_that_leaves_is_rid_of_what_does_not_end(&mut subject).await;
    }
    a_backend_that_is_not_there_is_named(&subject).await;
}

/// What is said of a host that has no requests.
fn none(subject: &impl Subject) -> Option<u64> {
    subject.counts_requests().then_some(0)
}

async fn a_host_takes_requests_from_joining_to_draining(subject: &impl Subject) {
    let (one, two) = (subject.server("h-1"), subject.server("h-2"));
    assert!(!subject.takes_requests("h-1").await);
    subject.driver().join(&one).await.unwrap();
    subject.driver().join(&two).await.unwrap();
    assert!(subject.takes_requests("h-1").await && subject.takes_requests("h-2").await);
    subject.driver().drain(&one).await.unwrap();
    assert!(!subject.takes_requests("h-1").await && subject.takes_requests("h-2").await);
    // Whoever thought better of it.
    subject.driver().join(&one).await.unwrap();
    assert!(subject.takes_requests("h-1").await);
    for server in [&one, &two] {
        subject.driver().drain(server).await.unwrap();
        assert_eq!(subject.driver().sessions(server).await.unwrap(), none(subject));
        subject.driver().leave(server).await.unwrap();
    }
    assert!(!subject.takes_requests("h-1").await && !subject.takes_requests("h-2").await);
}

async fn what_is_so_already_is_left_alone(subject: &impl Subject) {
    let one = subject.server("h-1");
    subject.driver().drain(&one).await.unwrap();
    subject.driver().leave(&one).await.unwrap();
    let sessions = subject.driver().sessions(&one).await.unwrap();
    assert_eq!(sessions, none(subject), "of a host that is not in the backend");
    for _ in 0..2 {
        subject.driver().join(&one).await.unwrap();
        assert!(subject.takes_requests("h-1").await);
    }
    for _ in 0..2 {
        subject.driver().drain(&one).await.unwrap();
    }
    for _ in 0..2 {
        subject.driver().leave(&one).await.unwrap();
        assert!(!subject.takes_requests("h-1").await);
    }
}

async fn a_drained_host_ends_the_requests_that_it_has(subject: &mut impl Subject) {
    let one = subject.server("h-1");
    subject.driver().join(&one).await.unwrap();
    subject.begin_request("h-1").await;
    assert!(subject.driver().sessions(&one).await.unwrap() > Some(0));
    subject.driver().drain(&one).await.unwrap();
    assert!(subject.driver().sessions(&one).await.unwrap() > Some(0), "it is not over");
    assert!(subject.end_request("h-1").await, "draining cuts nothing off");
    assert_eq!(subject.driver().sessions(&one).await.unwrap(), Some(0));
    subject.driver().leave(&one).await.unwrap();
}

async fn a_host_that_leaves_is_rid_of_what_does_not_end(subject: &mut impl Subject) {
    let one = subject.server("h-1");
    subject.driver().join(&one).await.unwrap();
    subject.begin_request("h-1").await;
    subject.driver().drain(&one).await.unwrap();
    // What was cut off may take a moment to be gone, and then the answer is to call again.
    for _ in 0..20 {
        match subject.driver().leave(&one).await {
            Ok(()) => break,
            Err(error) => assert!(error.is_transient(), "{error}"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    subject.driver().leave(&one).await.unwrap();
    assert_eq!(subject.driver().sessions(&one).await.unwrap(), Some(0));
    assert!(!subject.end_request("h-1").await);
}

/// The plain one has every backend.
async fn a_backend_that_is_not_there_is_named(subject: &impl Subject) {
    let nowhere = TrafficServer { backend: "no-such-backend".to_owned(), ..subject.server("h-1") };
    if let Err(error) = subject.driver().join(&nowhere).await {
        assert!(!error.is_transient() && !error.is_outage(), "{error}");
        assert!(error.to_string().contains("no-such-backend"), "{error}");
    }
    // Nobody has to be taken out of a backend that is gone.
    subject.driver().drain(&nowhere).await.unwrap();
    assert_eq!(subject.driver().sessions(&nowhere).await.unwrap(), none(subject));
    subject.driver().leave(&nowhere).await.unwrap();
}
