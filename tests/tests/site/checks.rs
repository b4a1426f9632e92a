//! What holds of every site at rest, whatever went wrong on the way.

use std::collections::BTreeSet;

use hostler_core::saga::SagaStatus;
use hostler_core::triage::FailureDecider;
use hostler_core::{Decider, StreamId};
use hostler_domain::provisioning::host_of;
use hostler_domain::views::{self, HOSTS, PROVISIONINGS, REQUESTS, host_group};
use hostler_domain::{
    Approval, CapacityDecider, HostDecider, HostPhase, ProvisioningSaga, ReservationDecider,
};
use hostler_drivers::PowerState;
use hostler_runtime::operations::triage;
use hostler_runtime::operations::triage::FAILURES;
use hostler_runtime::state::history::Fold;
use serde_json::{Value, json};

use super::Site;

impl Site {
    /// At rest, complete, nothing leaked, no dead letters, and no step done twice.
    pub fn check(&self) {
        let letters: Vec<_> = self.dead.iter().map(|(queue, letter)| (queue, &letter.attributes)).collect();
        assert!(letters.is_empty(), "dead letters: {letters:#?}");
        let mut queues = self.queues.names();
        // What nobody works off first: all else waits for it.
        queues.sort_by_key(|queue| !queue.ends_with("-dlq"));
        for queue in queues {
            assert_eq!(self.queues.peek(&queue), [], "{queue} has what is still on its way");
        }
        assert!(self.outbox.is_empty(), "the outbox has what is still on its way");
        self.check_streams();
        self.check_publication();
        self.check_sagas();
        self.check_hosts();
        self.check_views();
        self.check_effects();
    }

    /// Versions have no gaps, and no cause committed twice.
    fn check_streams(&self) {
        for stream in self.store.streams() {
            let mut causes = BTreeSet::new();
            for (number, commit) in self.store.commits(&stream).iter().enumerate() {
                assert_eq!(commit.version.0, number as u64 + 1, "{stream} has a gap");
                assert!(
                    causes.insert(commit.causation_id.clone()),
                    "{stream}: {} twice",
                    commit.causation_id
                );
            }
        }
    }

    /// Every event, command and timer that a commit holds was published.
    fn check_publication(&self) {
        let published: BTreeSet<_> = self.bus.published().iter().map(|event| event.event_id).collect();
        let sent: BTreeSet<(String, String)> = self
            .sent
            .lock()
            .unwrap()
            .iter()
            .filter_map(|(queue, body)| {
                // What cannot be read is a dead letter on its way.
                let body: Value = serde_json::from_str(body).ok()?;
                let id = body.get("commandId").or(body.get("timerId")).and_then(Value::as_str);
                Some((queue.clone(), id.unwrap_or_default().to_owned()))
            })
            .collect();
        for commit in self.store.outbox_since(0) {
            let stream = &commit.stream;
            for event in &commit.events {
                assert!(published.contains(&event.event_id), "{stream}: {} is lost", event.event_type);
            }
            for command in &commit.commands {
                let as_sent = (command.queue.clone(), command.command_id.to_string());
                assert!(sent.contains(&as_sent), "{stream}: {} is lost", command.command_type);
            }
            for timer in &commit.timers {
                for queue in ["timers", timer.deliver_to.as_str()] {
                    let as_sent = (queue.to_owned(), timer.timer_id.to_string());
                    assert!(sent.contains(&as_sent), "{stream}: timer {} is not on {queue}", timer.name);
                }
            }
        }
    }

    /// Every saga that was asked for has ended, and holds a host only if that is where it ended.
    fn check_sagas(&self) {
        for stream in self.streams_of::<CapacityDecider>() {
            let request = self.fold::<CapacityDecider>(&stream).state;
            let approved = request.approval == Approval::Given;
            for saga in request.order.unwrap().provisionings.into_iter().filter(|_| approved) {
                assert_ne!(
                    self.status(saga.as_str()),
                    "not-started",
                    "{saga} was asked for and never started"
                );
            }
        }
        for (saga, state) in self.sagas() {
            let reservation: StreamId = format!("reservation#{saga}").parse().unwrap();
            let reservation = self.fold::<ReservationDecider>(&reservation).state;
            match &state.status {
                SagaStatus::Completed => {
                    let host = self.host(host_of(&state).unwrap().as_str());
                    assert_eq!(host.phase, HostPhase::InService, "{saga} is completed");
                    assert_eq!(host.reservation.unwrap().id(), saga);
                    assert_eq!(reservation.chosen, host_of(&state), "{saga}");
                }
                SagaStatus::Compensated { .. } => {
                    assert!(reservation.closed && reservation.released, "{saga}: {reservation:?}");
                }
                SagaStatus::Stuck { .. } => {}
                SagaStatus::NotStarted | SagaStatus::Running | SagaStatus::Compensating { .. } => {
                    panic!("{saga} waits for ever: {state:#?}")
                }
            }
        }
    }

    /// No host waits, none is held by a saga that is over, and machines are as their host's phase says.
    fn check_hosts(&self) {
        for stream in self.streams_of::<HostDecider>() {
            let (host, state) = (stream.key(), self.host(stream.key()));
            if let Some(holder) = &state.reservation {
                let saga = self.saga(holder.id());
                let completed = saga.status == SagaStatus::Completed && state.phase == HostPhase::InService;
                let stuck = matches!(saga.status, SagaStatus::Stuck { .. });
                let its_own = host_of(&saga).is_some_and(|own| own.as_str() == host);
                assert!(its_own && (completed || stuck), "{host} is held by {holder}: {saga:#?}");
                if stuck {
                    continue;
                }
            }
            let bmc = self.fleet.bmc(host).state();
            let watched = self.control_value(&format!("monitoring/{host}"))["watched"].is_object();
            match state.phase {
                HostPhase::Available => {
                    assert_eq!((bmc.power, bmc.image), (PowerState::Off, None), "{host} is free");
                    assert!(!watched, "{host} is free, and watched");
                }
                HostPhase::InService => {
                    assert_eq!(bmc.power, PowerState::On, "{host} is in service");
                    assert!(watched, "{host} is in service, and not watched");
                }
                HostPhase::Quarantined { .. } => {}
                _ => panic!("{host} waits for ever: {state:#?}"),
            }
        }
    }

    /// Each row is the fold of its stream, and each stream has its row.
    fn check_views(&self) {
        self.check_view::<HostDecider>(HOSTS, |state| {
            views::host(state).map(|view| (host_group(&view.pool, &view.phase), json!(view)))
        });
        self.check_view::<ProvisioningSaga>(PROVISIONINGS, |state| {
            views::provisioning(state).map(|view| (view.request.to_string(), json!(view)))
        });
        self.check_view::<CapacityDecider>(REQUESTS, |state| {
            views::request(state).map(|view| (view.pool.to_string(), json!(view)))
        });
        let failures = self.streams_of::<FailureDecider>();
        assert_eq!(self.views.rows(FAILURES).len(), failures.len(), "failures");
        for stream in failures {
            let row = triage::row(&self.fold::<FailureDecider>(&stream));
            let stored = self.views.rows(FAILURES).into_iter().find(|row| row.key == stream.key());
            assert_eq!(stored, row, "{stream}");
        }
    }

    fn check_view<D: Decider>(&self, view: &str, shown: impl Fn(&D::State) -> Option<(String, Value)>) {
        let streams = self.streams_of::<D>();
        let rows = self.views.rows(view);
        assert_eq!(rows.len(), streams.len(), "{view}");
        for (stream, row) in streams.iter().zip(rows) {
            let fold: Fold<D> = self.fold(stream);
            let (group, body) = shown(&fold.state).unwrap();
            assert_eq!((row.key.as_str(), row.version), (stream.key(), fold.version), "{view}");
            assert_eq!((row.group, row.body), (group, body), "{view}/{}", row.key);
            assert_eq!(Some(row.updated_at), fold.updated_at, "{view}/{}", row.key);
        }
    }

    /// No step did its work on the outside world twice.
    fn check_effects(&self) {
        let inserted = self.fleet.bmcs.inserted.lock().unwrap().clone();
        assert!(all_different(&inserted), "an image was inserted twice for one step: {inserted:#?}");
        assert!(
            all_different(&self.fleet.boots),
            "a host was booted twice for one step: {:#?}",
            self.fleet.boots
        );
    }

    pub fn streams_of<D: Decider>(&self) -> Vec<StreamId> {
        self.store.streams().into_iter().filter(|stream| stream.category() == D::CATEGORY).collect()
    }

    /// What a plain driver keeps of a host; null when nothing.
    pub fn control_value(&self, key: &str) -> Value {
        self.control.entries().get(key).map(|entry| entry.value.clone()).unwrap_or_default()
    }
}

fn all_different(items: &[String]) -> bool {
    items.iter().collect::<BTreeSet<_>>().len() == items.len()
}
