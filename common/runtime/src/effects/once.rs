//! Effects on the outside world, each of them once.
//!
//! Deciders need none of this: their stream knows what they have done. An effect outside has no stream, so it is done
//! under a lease: whoever holds it does the effect and records its result; everybody else gets that result, or waits.
//! A worker that dies leaves a lease that runs out with its invocation. A worker that comes back too late cannot
//! overwrite what a newer one has recorded, and hands devices that can tell a [`Fence`] that is older than the newer one's.

use hostler_core::mutants;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use hostler_core::{Category, Failure};
use jiff::{SignedDuration, Timestamp};
use md5::{Digest, Md5};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::effects::deadline::time_left;
use crate::effects::leases::{Claim, Claimed, Leases};
use crate::ports::{Clock, Ids, PortError};

/// How long a result is kept: longer than any message that may ask for it again. A message lives 14 days at most, on its
/// queue and then among dead letters; a day more is for retries that begin on the last.
pub const KEPT: SignedDuration = SignedDuration::from_hours(15 * 24);
/// How far the clocks of two workers may be apart, and how long work may go on after its invocation stopped waiting for it:
/// a lease is held this much longer than there is time.
const SKEW: SignedDuration = SignedDuration::from_secs(5);
/// What a lease lasts where nobody said how much time is left.
const LEASE_DEFAULT: Duration = Duration::from_secs(30);
/// The longest that somebody else's lease is waited for before looking again: most are given back within a second, long
/// before they run out.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// A number that is greater for whoever takes over a lease that ran out, for devices that can refuse a late holder.
/// After a lease that was given back it may be smaller: the next holder's clock may be behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fence(pub u64);

impl Fence {
    /// A lease is taken over only when it ran out by the taker's clock, which was later than when it was taken; so the
    /// moments of taking ascend, whosever clock they were read on.
    pub(crate) fn at(now: Timestamp) -> Self {
        Self(u64::try_from(now.as_millisecond()).unwrap_or(0))
    }
}

/// Why an effect did not come to a result.
#[derive(Debug, thiserror::Error)]
pub enum OnceError<E> {
    /// It was tried, and failed. It may be tried again.
    #[error("{0}")]
    Effect(E),
    /// It was not tried.
    #[error(transparent)]
    NotTried(#[from] NotTried),
}

/// Why an effect was not tried, or its result not recorded.
#[derive(Debug, thiserror::Error)]
pub enum NotTried {
    /// The invocation is over.
    #[error("no time was left to do {key}")]
    NoTime {
        /// The key.
        key: String,
    },
    /// Somebody else is at it.
    #[error("{key} is being done by another worker")]
    InProgress {
        /// The key.
        key: String,
        /// How long to wait before looking again.
        again_in: Duration,
    },
    /// The same key stands for something else already.
    #[error(
        "payload mismatch: {key} was used for something else before; give the new work a key of its own, or repeat what was asked the first time"
    )]
    PayloadMismatch {
        /// The key.
        key: String,
    },
    /// The table of leases did not answer.
    #[error(transparent)]
    Port(#[from] PortError),
    /// A recorded result, or one to record, is not of the form that is expected.
    #[error("the result of {key} cannot be written or read as JSON: {source}")]
    Json {
        /// The key.
        key: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

impl From<NotTried> for Failure {
    fn from(error: NotTried) -> Self {
        match error {
            NotTried::NoTime { .. } => Self::deferred(Duration::from_secs(1), error),
            NotTried::InProgress { again_in, .. } => Self::deferred(again_in, error),
            NotTried::PayloadMismatch { .. } => Self::terminal(Category::Validation, error),
            NotTried::Port(source) => source.into(),
            NotTried::Json { .. } => Self::terminal(Category::Unknown, error),
        }
    }
}

/// Does effects once.
#[derive(Clone)]
pub struct Once {
    pub(crate) leases: Arc<dyn Leases>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
}

impl Once {
    /// Effects under these leases.
    pub fn new(leases: Arc<dyn Leases>, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Self {
        Self { leases, clock, ids }
    }

    /// Does an effect and records its result under `key`, or gives the result that is recorded there. `payload` is
    /// what the effect is to do.
    ///
    /// After an effect that failed the lease is given back. When the result cannot be recorded, it is given all
    /// the same: the effect was done, and its lease keeps others away until the invocation ends.
    ///
    /// # Errors
    /// [`OnceError`].
    pub async fn run<T, E>(
        &self,
        key: &str,
        payload: &Value,
        effect: impl AsyncFnOnce(Fence) -> Result<T, E>,
    ) -> Result<T, OnceError<E>>
    where
        T: Serialize + DeserializeOwned,
    {
        let claim = self.claim_of(key, payload)?;
        match self.leases.claim(&claim).await.map_err(NotTried::Port)? {
            Claimed::Ours | Claimed::Next => {}
            Claimed::Busy { .. } if mutants::on("once.takes-a-live-lease") => {}
            Claimed::Busy { payload_hash, .. } | Claimed::Done { payload_hash, .. }
                if payload_hash.as_ref().is_some_and(|hash| *hash != claim.payload_hash)
                    && !mutants::on("once.takes-any-payload") =>
            {
                return Err(NotTried::PayloadMismatch { key: key.to_owned() }.into());
            }
            Claimed::Busy { until, .. } => return Err(busy(&claim, until).into()),
            Claimed::Done { result, .. } => {
                tracing::info!(key, "done before: its recorded result stands");
                let json = |source| NotTried::Json { key: key.to_owned(), source };
                return Ok(serde_json::from_str(&result).map_err(json)?);
            }
        }
        match effect(Fence::at(claim.now)).await {
            Ok(result) => {
                self.record(&claim, &result).await;
                Ok(result)
            }
            Err(error) => {
                self.give_back(&claim).await;
                Err(OnceError::Effect(error))
            }
        }
    }

    pub(crate) fn claim_of(&self, key: &str, payload: &Value) -> Result<Claim, NotTried> {
        let lease = time_left().unwrap_or(LEASE_DEFAULT);
        if lease.is_zero() {
            return Err(NotTried::NoTime { key: key.to_owned() });
        }
        let now = self.clock.now();
        let lease = SignedDuration::try_from(lease).unwrap_or(SignedDuration::MAX);
        Ok(Claim {
            key: key.to_owned(),
            payload_hash: payload_hash(payload),
            owner: self.ids.next(),
            now,
            lease_until: match mutants::on("once.lease-ends-at-once") {
                true => now,
                false => now.saturating_add(lease.saturating_add(SKEW)).unwrap_or(Timestamp::MAX),
            },
            expires_at: match mutants::on("once.forgets-within-the-hour") {
                true => now.saturating_add(SignedDuration::from_hours(1)).unwrap_or(Timestamp::MAX),
                false => now.saturating_add(KEPT).unwrap_or(Timestamp::MAX),
            },
            settled_by: None,
            settled: Vec::new(),
        })
    }

    async fn record(&self, claim: &Claim, result: &impl Serialize) {
        if mutants::on("once.records-nothing") {
            return;
        }
        let key = claim.key.as_str();
        let result = match serde_json::to_string(result) {
            Ok(result) => result,
            Err(error) => {
                tracing::error!(key, %error, "the result has no JSON form: a repeat will do the effect again");
                return;
            }
        };
        match self.leases.complete(key, claim.owner, &result, claim.expires_at).await {
            Ok(true) => {}
            Ok(false) => tracing::warn!(key, "the lease had passed to another worker, whose result stands"),
            Err(error) => {
                tracing::warn!(key, error = %error, "the result was not recorded: a repeat may do the effect again");
            }
        }
    }

    pub(crate) async fn give_back(&self, claim: &Claim) {
        if mutants::on("once.keeps-the-lease") {
            return;
        }
        if let Err(error) = self.leases.release(claim).await {
            tracing::warn!(key = claim.key, error = %error, "the lease was not given back, and runs out by itself");
        }
    }
}

pub(crate) fn busy(claim: &Claim, until: Option<Timestamp>) -> NotTried {
    let left = until.map(|until| until.duration_since(claim.now));
    let left = left.and_then(|left| Duration::try_from(left).ok()).unwrap_or(WAIT_MAX);
    // One second more, for a lease is over only after its last moment.
    let again_in = left.saturating_add(Duration::from_secs(1)).min(WAIT_MAX);
    NotTried::InProgress { key: claim.key.clone(), again_in }
}

/// The hash of a payload, as Powertools for Python computes it: MD5 over Python's JSON with sorted keys.
#[must_use]
pub fn payload_hash(payload: &Value) -> String {
    let mut json = String::new();
    python_json(payload, &mut json);
    Md5::digest(json.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The key of an effect, as Powertools for Python forms it: `<prefix>#<hash of what identifies the effect>`.
#[must_use]
pub fn powertools_key(prefix: &str, identity: &Value) -> String {
    format!("{prefix}#{}", payload_hash(identity))
}

/// JSON as Python's `json.dumps(…, sort_keys=True)` writes it. Whole numbers beyond 64 bits are floats here, and whole there.
fn python_json(value: &Value, out: &mut String) {
    match value {
        Value::Null | Value::Bool(_) => out.push_str(&value.to_string()),
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(float) => python_float(float, out),
            None => out.push_str(&number.to_string()),
        },
        Value::String(text) => python_text(text, out),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                python_json(item, out);
            }
            out.push(']');
        }
        Value::Object(fields) => {
            let mut names: Vec<&String> = fields.keys().collect();
            names.sort();
            out.push('{');
            for (index, name) in names.into_iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                python_text(name, out);
                out.push_str(": ");
                python_json(&fields[name.as_str()], out);
            }
            out.push('}');
        }
    }
}

/// The shortest digits that read as this float, as Python's `repr` places them: with an exponent below 0.0001 and from 1e16
/// on.
fn python_float(float: f64, out: &mut String) {
    let shortest = format!("{float:e}");
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..16).contains(&exponent) || mutants::on("once.hashes-floats-without-exponent") {
        let fixed = float.to_string();
        out.push_str(&fixed);
        out.push_str(if fixed.contains('.') { "" } else { ".0" });
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        let _ = write!(out, "{mantissa}e{sign}{:02}", exponent.unsigned_abs());
    }
}

fn python_text(text: &str, out: &mut String) {
    let quoted = Value::from(text).to_string();
    for c in quoted.chars() {
        if c.is_ascii() && (c != '\u{7f}' || mutants::on("once.hashes-delete-as-it-is")) {
            out.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = write!(out, "\\u{unit:04x}");
        }
    }
}
