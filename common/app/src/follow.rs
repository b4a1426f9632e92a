//! The policies that a function follows, as they were last applied.

use std::sync::{Arc, Mutex, PoisonError};

use hostler_core::{Decider, Failure, StreamId};
use hostler_domain::{PolicyDecider, PolicyState};
use hostler_events::site::SITE;
use hostler_runtime::state::shell::Shell;
use jiff::{SignedDuration, Timestamp};

/// For how long policies are followed before they are read again.
const FRESH_SECONDS: i64 = 10;

/// What was read last, and when.
type Known = Option<(Timestamp, Arc<PolicyState>)>;

/// Reads the site's policies, and remembers them for ten seconds: a change is followed without a new deployment, and a
/// thousand decisions in that time read it once.
#[derive(Clone)]
pub struct FollowedPolicies {
    shell: Shell,
    known: Arc<Mutex<Known>>,
}

impl FollowedPolicies {
    /// Reads by this shell.
    #[must_use]
    pub fn new(shell: Shell) -> Self {
        Self { shell, known: Arc::default() }
    }

    /// What holds now. Before anything was applied these are the defaults, by which nothing is done to a host.
    ///
    /// # Errors
    /// Those of the event store.
    pub async fn now(&self) -> Result<Arc<PolicyState>, Failure> {
        let now = self.shell.now();
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((read_at, policies)) = known
            && now.duration_since(read_at) < SignedDuration::from_secs(FRESH_SECONDS)
        {
            return Ok(policies);
        }
        let stream = StreamId::new(PolicyDecider::CATEGORY, SITE).map_err(Failure::invalid)?;
        let policies = Arc::new(self.shell.load::<PolicyDecider>(&stream).await?.state);
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, Arc::clone(&policies)));
        Ok(policies)
    }
}
