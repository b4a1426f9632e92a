//! Logs as JSON lines, one object each, and which invocations write them.

use std::sync::atomic::{AtomicBool, Ordering};

use tracing::level_filters::LevelFilter;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::{FilterExt, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, Filter, SubscriberExt};
use tracing_subscriber::{Layer, Registry};

/// Whether the invocation that runs now is one of the sample. A Lambda process handles one at a time.
static LOUD: AtomicBool = AtomicBool::new(true);

/// Which share of the invocations writes everything: the others write warnings and errors only.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogSample(f64);

/// A share that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("LOG_SAMPLE is {0:?}: give the share of invocations that log everything, from 0 to 1, such as 0.01")]
pub struct NoShare(String);

impl Default for LogSample {
    fn default() -> Self {
        Self(1.0)
    }
}

impl std::str::FromStr for LogSample {
    type Err = NoShare;

    fn from_str(text: &str) -> Result<Self, NoShare> {
        let share = text.trim().parse().ok().filter(|share| (0.0..=1.0).contains(share));
        share.map(Self).ok_or_else(|| NoShare(text.to_owned()))
    }
}

impl LogSample {
    /// Begins an invocation: its id, which is random, tells whether it is one of the sample.
    pub fn begin(self, request_id: &str) {
        LOUD.store(self.takes(request_id), Ordering::Relaxed);
    }

    /// Whether an invocation is one of the sample; the same each time it is asked.
    #[must_use]
    pub fn takes(self, request_id: &str) -> bool {
        if self.0 >= 1.0 {
            return true;
        }
        // FNV-1a, with its high bits mixed down: ids may differ in few places.
        let hash = request_id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let mixed = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        (mixed as f64) < self.0 * 4_294_967_296.0
    }
}

/// Lets warnings by, and everything else of the sampled invocations.
struct Sampled;

impl<S: Subscriber> Filter<S> for Sampled {
    fn enabled(&self, meta: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        // Spans stay: what is logged within them carries their fields.
        meta.is_span() || *meta.level() <= LevelFilter::WARN || LOUD.load(Ordering::Relaxed)
    }
}

/// What writes the log. Fields of the event stand at the top of each line, those of the spans it happened in under
/// `spans`, outermost first.
pub fn subscriber<W>(filter: Targets, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(true)
        .with_ansi(false)
        .with_writer(writer);
    Registry::default().with(lines.with_filter(filter.and(Sampled)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use std::io;
    use std::sync::{Arc, Mutex};

    use uuid::Uuid;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_share_of_the_invocations_logs_everything_and_the_others_warnings() {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = subscriber("info".parse().unwrap(), move || writer.clone());
        let none: LogSample = "0".parse().unwrap();
        tracing::subscriber::with_default(subscriber, || {
            for (sample, name) in [(none, "silent"), (LogSample::default(), "loud")] {
                sample.begin("r-1");
                let _span = tracing::info_span!("invocation", name).entered();
                tracing::info!("said in passing");
                tracing::warn!("said aloud");
            }
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let said: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let said: Vec<_> = said.iter().map(|line| line["message"].as_str().unwrap()).collect();
        assert_eq!(said, ["said aloud", "said in passing", "said aloud"]);
    }

    #[test]
    fn the_sample_is_the_share_that_was_asked_for() {
        let sample: LogSample = "0.1".parse().unwrap();
        let taken = (0..10_000).filter(|_| sample.takes(&Uuid::now_v7().to_string())).count();
        assert!((800..1_200).contains(&taken), "{taken}");
        for wrong in ["", "2", "-0.1", "ten"] {
            assert!(wrong.parse::<LogSample>().unwrap_err().to_string().contains("from 0 to 1"));
        }
    }
}
