//! Breakers at work: what the fleet knows of its dependencies, kept in `control` and looked at every few seconds.
//!
//! A healthy dependency costs one read every few seconds and no write. When `control` itself is away, calls are made: a
//! breaker must not be what stops the fleet.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hostler_core::Failure;
use hostler_core::breaker::{Admission, Breaker, CALLS_MIN, TARGET_CALLS_MIN, Window};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::ports::{Clock, Control, Ids};
use crate::state::control::update;

/// For how long what was read is taken for true.
const CACHED: SignedDuration = SignedDuration::from_secs(5);
/// The shortest that a message waits for a breaker.
const WAIT_MIN: Duration = Duration::from_secs(2);
/// The most dependencies that one process keeps in mind; beyond it the ones it has not called lately are forgotten.
const KEPT_MAX: usize = 1_000;

/// The key in `control` of a dependency's breaker.
#[must_use]
pub fn key(dependency: &str) -> String {
    format!("breaker/{dependency}")
}

/// The key in `control` of the list of dependencies whose breakers ever opened.
pub const INDEX: &str = "breakers";

/// The dependency is known to be away: it was not called.
#[derive(Debug, thiserror::Error)]
#[error("{dependency} is left alone until {until:.0}: {reason}; see and override it with hostler breakers")]
pub struct Open {
    /// Which one.
    pub dependency: String,
    /// Until when.
    pub until: Timestamp,
    /// How long that is.
    pub again_in: Duration,
    /// Why.
    pub reason: String,
    /// Whether it was called, and is left alone because of that.
    pub called: bool,
}

impl From<Open> for Failure {
    /// The message waits without using up attempts.
    fn from(open: Open) -> Self {
        Self::deferred(open.again_in, open)
    }
}

/// Why a call through a breaker came to nothing.
#[derive(Debug)]
pub enum Called<E> {
    /// It was not made.
    Open(Open),
    /// It failed.
    Failed(E),
}

/// The leave to call a dependency once. How the call ended is told with [`Breakers::tell`]; a probe that is never told of
/// is replaced after a minute.
#[derive(Debug)]
#[must_use = "tell how the call ended"]
pub struct Permit {
    dependency: String,
    probe: bool,
}

/// What is known here of one dependency.
struct Known {
    breaker: Breaker,
    revision: u64,
    read_at: Timestamp,
    window: Window,
}

/// The breakers of a function's dependencies.
#[derive(Clone)]
pub struct Breakers {
    control: Arc<dyn Control>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    known: Arc<Mutex<BTreeMap<String, Known>>>,
    off: bool,
}

impl Breakers {
    /// Breakers that the whole fleet shares.
    pub fn new(control: Arc<dyn Control>, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Self {
        Self { control, clock, ids, known: Arc::default(), off: false }
    }

    /// Breakers that never open, to see what they are good for.
    #[must_use]
    pub fn switched_off(self) -> Self {
        Self { off: true, ..self }
    }

    /// Calls a dependency, unless it is left alone; `is_outage` says of an error whether the dependency did not do its
    /// part, and not that it said no.
    ///
    /// # Errors
    /// [`Called`].
    pub async fn call<T, E: std::fmt::Display>(
        &self,
        dependency: &str,
        is_outage: impl Fn(&E) -> bool,
        call: impl AsyncFnOnce() -> Result<T, E>,
    ) -> Result<T, Called<E>> {
        self.call_through(&[dependency], is_outage, call).await
    }

    /// Makes one call that needs several dependencies, such as all BMCs and this one, the most general one first. That one
    /// of them is left alone says nothing of the others. A failure counts for each of them.
    ///
    /// # Errors
    /// [`Called`].
    pub async fn call_through<T, E: std::fmt::Display>(
        &self,
        dependencies: &[impl AsRef<str>],
        is_outage: impl Fn(&E) -> bool,
        call: impl AsyncFnOnce() -> Result<T, E>,
    ) -> Result<T, Called<E>> {
        let mut permits = Vec::with_capacity(dependencies.len());
        for dependency in dependencies {
            permits.push(self.admit(dependency.as_ref()).await.map_err(Called::Open)?);
        }
        let result = call().await;
        let outage = result.as_ref().err().filter(|error| is_outage(error)).map(ToString::to_string);
        let mut opened = None;
        for permit in permits.into_iter().rev() {
            // The most general one has the last word.
            opened = self.tell(permit, outage.as_deref()).await.or(opened);
        }
        match opened {
            // Whoever finds the dependency away waits for it like all the others.
            Some(open) => Err(Called::Open(open)),
            None => result.map_err(Called::Failed),
        }
    }

    /// Asks for leave to call a dependency once. `bmc/h-1` is a target among those of `bmc`: fewer calls say something of
    /// it.
    ///
    /// # Errors
    /// [`Open`] while it is left alone.
    pub async fn admit(&self, dependency: &str) -> Result<Permit, Open> {
        let permit = |probe| Permit { dependency: dependency.to_owned(), probe };
        if self.off {
            return Ok(permit(false));
        }
        let now = self.clock.now();
        let (breaker, revision) = self.look(dependency, now).await;
        match breaker.admit(now) {
            Admission::Call => Ok(permit(false)),
            Admission::Wait { until } => Err(open(dependency, &breaker, until, now)),
            Admission::Probe => {
                let probing = breaker.probing(now);
                if self.write(dependency, &probing, revision).await {
                    tracing::info!(dependency, "the breaker lets one call through");
                    return Ok(permit(true));
                }
                // Somebody else was elected, or nobody can be.
                let until = now.saturating_add(CACHED).unwrap_or(Timestamp::MAX);
                Err(open(dependency, &breaker, until, now))
            }
        }
    }

    /// Tells how a call ended: failed means that the dependency did not do its part, not that it said no. Says when the
    /// dependency is left alone because of it.
    pub async fn tell(&self, permit: Permit, failure: Option<&str>) -> Option<Open> {
        if self.off {
            return None;
        }
        let Permit { dependency, probe } = permit;
        let now = self.clock.now();
        let (sick, baseline, breaker, revision) = {
            let mut all = self.locked();
            let known = all.get_mut(&dependency)?;
            let sick = known.window.record(now, failure.is_some());
            (sick, known.window.baseline(), known.breaker.clone(), known.revision)
        };
        match failure {
            None if probe => {
                if self.write(&dependency, &breaker.closed(now), revision).await {
                    tracing::info!(dependency, breakers_closed = 1, "the breaker is closed");
                }
                if let Some(known) = self.locked().get_mut(&dependency) {
                    known.window.clear();
                }
            }
            // While it is open, calls that were under way say nothing new.
            Some(reason) if probe || (sick && !breaker.is_open(now)) => {
                // The low half of a UUIDv7 is random.
                let random = self.ids.next().as_u64_pair().1;
                let opened = breaker.opened(now, baseline, reason, random);
                if self.write(&dependency, &opened, revision).await {
                    tracing::error!(dependency, reason, baseline, breakers_opened = 1, "the breaker is open");
                    self.note(&dependency).await;
                    if let Admission::Wait { until } = opened.admit(now) {
                        return Some(Open { called: true, ..open(&dependency, &opened, until, now) });
                    }
                }
            }
            _ => {}
        }
        None
    }

    /// The breaker as it was seen a moment ago; closed where nothing is to be seen.
    async fn look(&self, dependency: &str, now: Timestamp) -> (Breaker, u64) {
        let fresh = self.locked().get(dependency).and_then(|known| {
            (now.duration_since(known.read_at) < CACHED).then(|| (known.breaker.clone(), known.revision))
        });
        if let Some(fresh) = fresh {
            return fresh;
        }
        let (breaker, revision) = match self.control.get(&key(dependency)).await {
            Ok(Some(entry)) => match serde_json::from_value(entry.value) {
                Ok(breaker) => (breaker, entry.revision),
                Err(error) => {
                    tracing::error!(dependency, %error, "the breaker cannot be read, and is taken for closed");
                    (Breaker::default(), entry.revision)
                }
            },
            Ok(None) => (Breaker::default(), 0),
            Err(error) => {
                tracing::warn!(dependency, error = %error, "the breaker cannot be read, and is taken for closed");
                (Breaker::default(), 0)
            }
        };
        self.keep(dependency, breaker.clone(), revision, now);
        (breaker, revision)
    }

    fn keep(&self, dependency: &str, breaker: Breaker, revision: u64, now: Timestamp) {
        let mut all = self.locked();
        if all.len() >= KEPT_MAX && !all.contains_key(dependency) {
            let oldest = all.iter().min_by_key(|(_, known)| known.read_at).map(|(name, _)| name.clone());
            oldest.and_then(|name| all.remove(&name));
        }
        let known = all.entry(dependency.to_owned()).or_insert_with(|| Known {
            window: Window::new(calls_min(dependency), breaker.baseline),
            breaker: Breaker::default(),
            revision: 0,
            read_at: now,
        });
        if known.breaker.is_open(now) && !breaker.is_open(now) {
            // What was seen before it closed says nothing of the time after.
            known.window.clear();
        }
        (known.breaker, known.revision, known.read_at) = (breaker, revision, now);
    }

    /// Says whether the change was ours to make. A change that is not made is made by the next one who has a reason to.
    async fn write(&self, dependency: &str, breaker: &Breaker, revision: u64) -> bool {
        let now = self.clock.now();
        match self.control.put(&key(dependency), &json!(breaker), revision).await {
            Ok(true) => {
                self.keep(dependency, breaker.clone(), revision + 1, now);
                true
            }
            Ok(false) => {
                // Somebody knows better: look again.
                if let Some(known) = self.locked().get_mut(dependency) {
                    known.read_at = Timestamp::MIN;
                }
                false
            }
            Err(error) => {
                tracing::warn!(dependency, error = %error, "the breaker was not changed");
                if let Some(known) = self.locked().get_mut(dependency) {
                    known.read_at = Timestamp::MIN;
                }
                false
            }
        }
    }

    /// Has operators find it; a list that cannot be written now is written the next time.
    async fn note(&self, dependency: &str) {
        let now = self.clock.now();
        let note = |names: &mut BTreeMap<String, Timestamp>| {
            names.insert(dependency.to_owned(), now);
            if names.len() > KEPT_MAX {
                let oldest = names.iter().min_by_key(|(_, at)| **at).map(|(name, _)| name.clone());
                oldest.and_then(|name| names.remove(&name));
            }
            true
        };
        if let Err(error) = update(&*self.control, INDEX, note).await {
            tracing::warn!(dependency, error = %error, "the list of breakers lacks this one");
        }
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn calls_min(dependency: &str) -> u32 {
    if dependency.contains('/') { TARGET_CALLS_MIN } else { CALLS_MIN }
}

fn open(dependency: &str, breaker: &Breaker, until: Timestamp, now: Timestamp) -> Open {
    let again_in = Duration::try_from(until.duration_since(now)).unwrap_or(WAIT_MIN).max(WAIT_MIN);
    let forced = breaker.forced.as_ref().filter(|forced| forced.until > now);
    let reason = match forced {
        Some(forced) => format!("{} wants it so: {}", forced.actor, forced.reason),
        None => breaker.reason.clone().unwrap_or_else(|| "its calls failed".to_owned()),
    };
    Open { dependency: dependency.to_owned(), until, again_in, reason, called: false }
}
