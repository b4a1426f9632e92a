//! What holds of every site at rest, whatever went wrong on the way.

use std::collections::BTreeSet;

use hostler_core::StreamId;
use hostler_core::saga::{SagaDefinition, SagaStatus};
use hostler_domain::provisioning::host_of;
use hostler_domain::{
    Approval, BudgetDecider, CapacityDecider, Condition, Deprovisioning, HealthDecider, HostDecider,
    HostPhase, Provisioning, Recovery, ReservationDecider,
};
use hostler_drivers::PowerState;
use hostler_events::site::SITE;
use serde_json::Value;

use super::Site;

impl Site {
    /// At rest, complete, nothing leaked, no dead letters, and no step done twice.
    pub fn check(&self) {
        self.check_no_failures();
        self.check_at_rest();
    }

    /// The same, however many dead letters there were on the way.
    pub fn check_at_rest(&self) {
        self.world.check();
        self.check_sagas();
        self.check_hosts();
        self.check_health();
        self.check_effects();
    }

    /// Every saga that was asked for has ended, and holds a host only if that is where it ended: a host that came into
    /// service may have been given back since.
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
                    let serves = host.phase == HostPhase::InService;
                    let holds = host.reservation.as_ref().is_some_and(|holder| holder.id() == saga);
                    let given_back = host.released.iter().any(|before| before.id() == saga);
                    assert!(if holds { serves } else { given_back }, "{saga} is completed: {host:#?}");
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
            if let Some(holder) =
                state.reservation.as_ref().filter(|holder| holder.kind() == Deprovisioning::KIND)
            {
                let status = self.world.status::<Deprovisioning>(holder.id());
                assert_eq!(status, "stuck", "{host} is held by {holder}");
                continue;
            }
            assert_eq!(state.cordon, None, "{host} is cordoned for ever");
            if let Some(holder) = state.reservation.as_ref().filter(|holder| holder.kind() == Recovery::KIND)
            {
                let status = self.world.status::<Recovery>(holder.id());
                assert_eq!((status, state.phase.name()), ("completed", "in-service"), "{host}: {holder}");
            } else if let Some(holder) = &state.reservation {
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
            let gets_requests = self.control_value(&format!("traffic/web/{host}"))["state"] == "in";
            let watched = self.control_value(&format!("monitoring/{host}"))["watched"].is_object();
            match state.phase {
                HostPhase::Available => {
                    assert_eq!((bmc.power, bmc.image), (PowerState::Off, None), "{host} is free");
                    assert!(!watched, "{host} is free, and watched");
                    assert!(!gets_requests, "{host} is free, and gets requests");
                }
                HostPhase::InService => {
                    assert_eq!(bmc.power, PowerState::On, "{host} is in service");
                    assert!(watched, "{host} is in service, and not watched");
                    assert_eq!(gets_requests, state.is_in_traffic(), "{host} is in service: {state:#?}");
                }
                _ => assert!(state.phase.step().is_none(), "{host} waits for ever: {state:#?}"),
            }
        }
    }

    /// No host is acted on for ever, and nobody holds a part of the disruption budget.
    fn check_health(&self) {
        for stream in self.streams_of::<HealthDecider>() {
            let health = self.fold::<HealthDecider>(&stream).state;
            let rests = matches!(health.condition, Condition::Healthy | Condition::Escalated { .. });
            assert!(rests, "{stream} waits for ever: {health:#?}");
        }
        for id in self.world.sagas::<Recovery>() {
            let status = self.world.status::<Recovery>(&id);
            assert!(matches!(status, "completed" | "compensated"), "{id} is {status}");
        }
        assert_eq!(self.state::<BudgetDecider>(SITE).holders, [], "the budget is given back");
    }

    /// No step did its work on the outside world twice.
    fn check_effects(&self) {
        let inserted = self.fleet.bmcs.inserted.lock().unwrap().clone();
        assert!(all_different(&inserted), "an image was inserted twice for one step: {inserted:#?}");
        let boots = self.fleet.boots();
        assert!(all_different(&boots), "a host was booted twice for one step: {boots:#?}");
    }

    /// What a plain driver keeps of a host; null when nothing.
    pub fn control_value(&self, key: &str) -> Value {
        self.control.entries().get(key).map(|entry| entry.value.clone()).unwrap_or_default()
    }
}

fn all_different(items: &[String]) -> bool {
    items.iter().collect::<BTreeSet<_>>().len() == items.len()
}
