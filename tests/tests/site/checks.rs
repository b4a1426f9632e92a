//! What holds of every site at rest, whatever went wrong on the way.

use std::collections::{BTreeMap, BTreeSet};

use hostler_core::saga::{SagaDefinition, SagaStatus};
use hostler_core::{Decider, StreamId};
use hostler_domain::finding::Seen;
use hostler_domain::provisioning::host_of;
use hostler_domain::{
    Approval, BudgetDecider, CampaignDecider, CampaignRackDecider, CapacityDecider, Condition,
    Deprovisioning, FindingDecider, FindingState, HealthDecider, HostDecider, HostPhase, PackagesDecider,
    Provisioning, Recovery, ReservationDecider,
};
use hostler_drivers::PowerState;
use hostler_events::packages::FindingStatus;
use hostler_events::site::SITE;
use serde_json::Value;

use super::Site;
use super::systems::{Brings, CVE, FIXED, PACKAGE, VULNERABLE};

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
        self.check_campaigns();
        self.check_packages();
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

    /// No campaign waits for anything but a person's word, and no rack has a host that is patched for ever.
    fn check_campaigns(&self) {
        for stream in self.streams_of::<CampaignDecider>() {
            let state = self.fold::<CampaignDecider>(&stream).state;
            let is_held = state.held.as_ref().is_some_and(|held| held.rule == "approval");
            let waits = state.stop.is_some() || is_held;
            assert!(state.is_over() || waits, "{stream} waits for ever: {state:#?}");
        }
        for stream in self.streams_of::<CampaignRackDecider>() {
            let state = self.fold::<CampaignRackDecider>(&stream).state;
            assert_eq!(state.running, None, "{stream} waits for ever");
        }
    }

    /// Each host has on its disk what its events say, what is known of it is what is on its disk, and it has the finding exactly
    /// where it is vulnerable.
    fn check_packages(&self) {
        for host in self.hosts_with_packages() {
            let state = self.host(&host);
            let known = self.state::<PackagesDecider>(&host);
            let finding = self.finding_of(&host);
            if state.phase != HostPhase::InService {
                let status = finding.map_or(FindingStatus::Resolved, |finding| finding.status());
                let is_clean = state.phase != HostPhase::Available || status == FindingStatus::Resolved;
                assert!(is_clean, "{host} is free and clean, and has a finding");
                continue;
            }
            let installed = self.fleet.faults.installed(&host);
            assert!(!self.fleet.faults.is_broken(&host), "{host} is in service, and is not well");
            let version = installed.get(PACKAGE).map(String::as_str);
            let brought = Brings::to(&host);
            if !brought.is_vulnerable() {
                assert_eq!(
                    self.control_value(&format!("packages/{host}"))["changes"],
                    0,
                    "{host} is patched"
                );
                assert!(finding.is_none(), "{host} is not vulnerable: {finding:#?}");
                continue;
            }
            assert_eq!(version, Some(self.version_by_events(&host)), "{host}: what was done is on record");
            // Nothing is compared of a host that has never told what its system is.
            if known.ecosystem.is_empty() {
                continue;
            }
            let versions = known.installed.iter().map(|(name, is)| (name.clone(), is.version.clone()));
            assert_eq!(
                versions.collect::<BTreeMap<_, _>>(),
                installed,
                "{host}: what is known is what is so"
            );
            let seen = finding.map(|finding| finding.seen).unwrap_or_default();
            let is_vulnerable = version == Some(VULNERABLE);
            assert_eq!(seen == Seen::Present, is_vulnerable, "{host} has {version:?}, and is {seen:?}");
        }
        // By now each host was checked for drift and, where it had drifted, restored.
        for host in self.hosts_with_packages() {
            let state = self.host(&host);
            let row = self.control_value(&format!("configuration/{host}"));
            if state.phase == HostPhase::InService {
                let revision = row["revision"].to_string();
                assert_eq!(state.revision, Some(revision), "{host} has drifted: {:#?}", state.drift);
            }
        }
    }

    /// The hosts of which somebody has told what is installed, in the runs of seeds that patch.
    pub(super) fn hosts_with_packages(&self) -> Vec<String> {
        let hosts = if self.is_patched { self.streams_of::<PackagesDecider>() } else { Vec::new() };
        hosts.into_iter().map(|stream| stream.key().to_owned()).collect()
    }

    fn finding_of(&self, host: &str) -> Option<FindingState> {
        let rack = self.host(host).profile.unwrap().fault_domain;
        let stream: StreamId = format!("finding#{CVE}/{rack}/{host}").parse().unwrap();
        Some(self.fold::<FindingDecider>(&stream).state).filter(|state| state.finding.is_some())
    }

    /// The version of the package that a host has by what is recorded of it.
    fn version_by_events(&self, host: &str) -> &'static str {
        let stream = StreamId::new(HostDecider::CATEGORY, host).unwrap();
        let mut version = VULNERABLE;
        for event in self.store.commits(&stream).iter().flat_map(|commit| &commit.events) {
            match event.event_type.as_str() {
                "host.packages-installed" => version = FIXED,
                "host.packages-rolled-back" | "host.deploy-started" | "host.reimage-started" => {
                    version = VULNERABLE;
                }
                _ => {}
            }
        }
        version
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
