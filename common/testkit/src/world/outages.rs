//! Dependencies that are away for a while, for the in-memory stand-ins of an application's own ports.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hostler_runtime::effects::steps::StepError;
use hostler_runtime::ports::Clock;
use jiff::SignedDuration;

use super::switch::{Switch, WorkedOn};

/// What is away, and for how long. Shared by its clones. In chaos calls fail by chance as well, and whoever makes them
/// stands still or dies.
#[derive(Clone)]
pub struct Outages {
    switch: Switch,
    answers_to_lose: Arc<Mutex<BTreeMap<String, u32>>>,
}

impl Outages {
    pub(super) fn new(switch: &Switch) -> Self {
        Self { switch: switch.clone(), answers_to_lose: Arc::default() }
    }

    /// A dependency is away from now on, for so long. The event store is one, too: [`super::STORE`].
    ///
    /// # Panics
    /// When that is longer than time is.
    pub fn take_away(&self, dependency: &str, time: Duration) {
        self.take_away_in(Duration::ZERO, dependency, time);
    }

    /// A dependency will be away, for so long.
    ///
    /// # Panics
    /// When that is longer than time is.
    pub fn take_away_in(&self, after: Duration, dependency: &str, time: Duration) {
        let from = self.switch.clock.now() + SignedDuration::try_from(after).unwrap();
        let until = from + SignedDuration::try_from(time).unwrap();
        self.switch.take_down(dependency, from, until);
    }

    /// The next answers of a dependency are lost: the call is carried out, and the caller hears of an outage.
    pub fn lose_answers(&self, dependency: &str, answers: u32) {
        self.answers_to_lose.lock().unwrap().insert(dependency.to_owned(), answers);
    }

    /// How often a dependency was called, those calls included that came to nothing.
    #[must_use]
    pub fn calls(&self, dependency: &str) -> u64 {
        self.switch.calls().get(dependency).map_or(0, |(calls, _)| *calls)
    }

    /// Says that something outside is worked on until what is returned is dropped. In chaos two live invocations that work
    /// on it at a time are noticed.
    pub async fn work_on(&self, what: &str) -> WorkedOn {
        self.switch.work_on(what).await
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
        let unavailable = |why: &str| Err(StepError::unavailable(format!("{dependency} {why}")));
        if self.switch.call_fails(dependency) {
            return unavailable("does not answer");
        }
        let answer = self.switch.write("call", dependency, call, || unavailable("gave no answer")).await?;
        match self.answers_to_lose.lock().unwrap().get_mut(dependency) {
            Some(left @ 1..) => {
                *left -= 1;
                unavailable("gave an answer that was lost")
            }
            Some(0) | None => Ok(answer),
        }
    }
}
