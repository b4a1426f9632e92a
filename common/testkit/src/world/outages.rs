//! Dependencies that are away for a while, for the in-memory stand-ins of an application's own ports.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hostler_runtime::effects::steps::StepError;
use hostler_runtime::ports::Clock;
use jiff::{SignedDuration, Timestamp};

/// What is away, and for how long. Shared by its clones.
#[derive(Clone)]
pub struct Outages {
    clock: Arc<dyn Clock>,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    away_until: BTreeMap<String, Timestamp>,
    answers_to_lose: BTreeMap<String, u32>,
    calls: BTreeMap<String, u32>,
}

impl Outages {
    /// Nothing is away.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, inner: Arc::default() }
    }

    /// A dependency is away from now on, for so long.
    ///
    /// # Panics
    /// When that is longer than time is.
    pub fn take_away(&self, dependency: &str, time: Duration) {
        let until = self.clock.now() + SignedDuration::try_from(time).unwrap();
        self.inner.lock().unwrap().away_until.insert(dependency.to_owned(), until);
    }

    /// The next answers of a dependency are lost: the call is carried out, and the caller hears of an outage.
    pub fn lose_answers(&self, dependency: &str, answers: u32) {
        self.inner.lock().unwrap().answers_to_lose.insert(dependency.to_owned(), answers);
    }

    /// How often a dependency was called, those calls included that came to nothing.
    #[must_use]
    pub fn calls(&self, dependency: &str) -> u32 {
        self.inner.lock().unwrap().calls.get(dependency).copied().unwrap_or_default()
    }

    /// Makes a call to a dependency, if it is not away.
    ///
    /// # Errors
    /// [`StepError::unavailable`] while it is away, or where the answer is lost; else those of the call.
    pub async fn call<T>(
        &self,
        dependency: &str,
        call: impl Future<Output = Result<T, StepError>>,
    ) -> Result<T, StepError> {
        {
            let mut inner = self.inner.lock().unwrap();
            *inner.calls.entry(dependency.to_owned()).or_default() += 1;
            if inner.away_until.get(dependency).is_some_and(|until| self.clock.now() < *until) {
                return Err(StepError::unavailable(format!("{dependency} does not answer")));
            }
        }
        let answer = call.await?;
        let mut inner = self.inner.lock().unwrap();
        match inner.answers_to_lose.get_mut(dependency) {
            Some(left @ 1..) => {
                *left -= 1;
                Err(StepError::unavailable(format!("the answer of {dependency} was lost")))
            }
            Some(0) | None => Ok(answer),
        }
    }
}
