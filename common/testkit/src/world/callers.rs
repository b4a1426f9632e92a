//! Calls from outside in virtual time: couriers, machines and people who call a URL back that they were given.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use hostler_runtime::ports::Clock;
use hostler_runtime::serving::http::Request;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::TestClock;

/// After how long a caller calls again that got no answer; longer with each try, up to five minutes.
const CALL_AGAIN_SECONDS: i64 = 10;
const CALL_AGAIN_SECONDS_MAX: i64 = 300;
const TRIES_MAX: u32 = 60;
/// After how long the network delivers a call once more, where it does.
const REPLAY: SignedDuration = SignedDuration::from_mins(5);

/// Whether the caller is still there.
type IsThere = Arc<dyn Fn() -> bool + Send + Sync>;

/// A call on its way.
#[derive(Clone)]
pub(super) struct Call {
    due_at: Timestamp,
    pub(super) request: Request,
    is_there: Option<IsThere>,
    tries: u32,
    /// Delivered by the network once more, whatever became of the caller.
    replay: bool,
}

/// The calls that will come. Shared by its clones, so that a stand-in for an outsider can have him call back later.
#[derive(Clone)]
pub struct Callers {
    clock: TestClock,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Callers {
    pub(super) fn new(clock: &TestClock) -> Self {
        Self { clock: clock.clone(), calls: Arc::default() }
    }

    /// Somebody calls a URL back that he was given, after so long; again until there is an answer.
    ///
    /// # Panics
    /// When that is longer than time is.
    pub fn call_back_in(&self, after: Duration, url: &str, body: &Value) {
        let after = SignedDuration::try_from(after).unwrap();
        self.call_in(after, callback(url, body), None);
    }

    /// As [`Self::call_back_in`], with a request of one's own. Whoever is not there any more when the call is due does not
    /// call.
    ///
    /// # Panics
    /// When that is longer than time is.
    pub fn call_if_there(
        &self,
        after: Duration,
        request: Request,
        is_there: impl Fn() -> bool + Send + Sync + 'static,
    ) {
        self.call_in(SignedDuration::try_from(after).unwrap(), request, Some(Arc::new(is_there)));
    }

    fn call_in(&self, after: SignedDuration, request: Request, is_there: Option<IsThere>) {
        let call = Call { due_at: self.clock.now() + after, request, is_there, tries: 0, replay: false };
        self.calls.lock().unwrap().push(call);
    }

    pub(super) fn next_at(&self) -> Option<Timestamp> {
        self.calls.lock().unwrap().iter().map(|call| call.due_at).min()
    }

    /// A call that is due, by somebody who is still there.
    pub(super) fn take(&self) -> Option<Call> {
        let now = self.clock.now();
        loop {
            let call = {
                let mut calls = self.calls.lock().unwrap();
                let at = calls.iter().position(|call| call.due_at <= now)?;
                calls.remove(at)
            };
            if call.replay || call.is_there.as_ref().is_none_or(|is_there| is_there()) {
                return Some(call);
            }
        }
    }

    /// The call got no answer: it is made again.
    pub(super) fn again(&self, mut call: Call) {
        call.tries += 1;
        assert!(call.tries < TRIES_MAX, "nobody ever answers {:?}", call.request);
        let seconds = (CALL_AGAIN_SECONDS * i64::from(call.tries)).min(CALL_AGAIN_SECONDS_MAX);
        call.due_at = self.clock.now() + SignedDuration::from_secs(seconds);
        self.calls.lock().unwrap().push(call);
    }

    /// The network delivers the call once more: at once, or later.
    pub(super) fn replay(&self, call: &Call, at_once: bool) {
        if !call.replay {
            let due_at = self.clock.now() + if at_once { SignedDuration::ZERO } else { REPLAY };
            self.calls.lock().unwrap().push(Call { due_at, replay: true, ..call.clone() });
        }
    }
}

/// The request by which a URL is called back.
pub(super) fn callback(url: &str, body: &Value) -> Request {
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    Request {
        method: "POST".to_owned(),
        path: path.find("/callbacks").map_or(path, |at| &path[at..]).to_owned(),
        query: pairs.map(|(name, text)| (name.to_owned(), text.replace("%23", "#"))).collect(),
        body: body.to_string(),
        ..Request::default()
    }
}
