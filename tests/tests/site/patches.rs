//! What must hold of campaigns and the hosts that they patch, after every commit.

use std::collections::{BTreeMap, BTreeSet};

use hostler_core::saga::{SagaDefinition, SagaRef};
use hostler_core::{Commit, Decider, Payload, StreamId};
use hostler_domain::campaign::{Stage, Stop};
use hostler_domain::{BudgetDecider, BudgetState, CampaignDecider, CampaignState, FindingDecider};
use hostler_domain::{CampaignRackDecider, HostDecider, Patching};
use hostler_events::budget::{BudgetEvent, Disruption};
use hostler_events::campaign::{CampaignEvent, CampaignRackEvent, RackHostStarted, WaveStarted};
use hostler_events::host::{HostCordoned, PackageChangeKind, PackageChangeStarted};
use hostler_events::packages::{FindingDetected, FindingEvent};
use hostler_events::patching::Fix;
use hostler_events::{CampaignId, FaultDomain, HostEvent, HostId};
use hostler_testkit::world::Invariants;
use jiff::{SignedDuration, Timestamp};

use super::systems::{Brings, FIXED, PACKAGE, VULNERABLE};

/// Whether a campaign goes on is looked at right before each host. Whoever has looked is over by then, the clocks' skew included.
const LOOKED_BEFORE: SignedDuration = SignedDuration::from_secs(40);

/// The disruption budget holds, whoever claims it. Of a rack one host is patched at a time, as many of a wave as it has there, and
/// none once its campaign is stopped. Errors halt a wave, a canary is small, and each wave soaks. What has no vulnerable package is
/// left as it is. A patching that has ended leaves no cordon, and what is rolled back is what was there.
#[derive(Default)]
pub struct PatchesHold {
    budget: BudgetState,
    /// Until when what was claimed is held.
    claims: BTreeMap<SagaRef, Timestamp>,
    campaigns: BTreeMap<CampaignId, Seen>,
    campaign_racks: BTreeMap<StreamId, CampaignRack>,
    /// The hosts that patchings have cordoned.
    cordoned: BTreeSet<(SagaRef, HostId)>,
    /// Where hosts stand.
    racks: BTreeMap<HostId, FaultDomain>,
    /// The patchings that wait for an operator: their racks go on.
    stuck: BTreeSet<SagaRef>,
}

/// A campaign, and since when no host may be begun for it.
#[derive(Default)]
struct Seen {
    state: CampaignState,
    stopped_at: Option<Timestamp>,
}

/// A rack in a campaign, by its events alone.
#[derive(Default)]
struct CampaignRack {
    hosts: u32,
    begun: u32,
    running: Option<HostId>,
}

fn events<E: Payload>(commit: &Commit) -> impl Iterator<Item = E> {
    commit
        .events
        .iter()
        .map(|event| E::from_data(&event.event_type, event.schema_version, &event.data).unwrap())
}

impl Invariants for PatchesHold {
    fn commit(&mut self, commit: &Commit) {
        match commit.stream.category() {
            BudgetDecider::CATEGORY => self.budget(commit),
            CampaignDecider::CATEGORY => self.campaign(commit),
            CampaignRackDecider::CATEGORY => self.campaign_rack(commit),
            HostDecider::CATEGORY => self.host(commit),
            Patching::KIND => self.patching(commit),
            FindingDecider::CATEGORY => events(commit).for_each(|event| found(&event)),
            _ => {}
        }
    }
}

/// A host without the package has no finding, and neither has one with the version that has the fix.
fn found(event: &FindingEvent) {
    if let FindingEvent::Detected(FindingDetected { finding, found, .. }) = event {
        assert!(Brings::to(found.host.as_str()).is_vulnerable(), "{finding}: its host is not vulnerable");
    }
}

impl PatchesHold {
    fn budget(&mut self, commit: &Commit) {
        for event in events(commit) {
            if let BudgetEvent::Granted(granted) = &event {
                self.claims.insert(granted.saga.clone(), granted.until);
            }
            self.budget = BudgetDecider::evolve(std::mem::take(&mut self.budget), &event);
        }
        let BudgetState { holders, limits, .. } = &self.budget;
        let most = |of: &dyn Fn(&Disruption) -> String| {
            let mut counts = BTreeMap::<String, u32>::new();
            holders.iter().for_each(|holder| *counts.entry(of(&holder.disruption)).or_default() += 1);
            counts.into_values().max().unwrap_or_default()
        };
        let counts = [
            (most(&|_| String::new()), limits.site),
            (most(&|of| of.pool.to_string()), limits.pool),
            (most(&|of| of.rack.to_string()), limits.rack),
            (most(&|of| of.host.to_string()), 1),
        ];
        assert!(counts.iter().all(|(held, limit)| held <= limit), "the budget is exceeded: {holders:#?}");
    }

    fn campaign(&mut self, commit: &Commit) {
        let id: CampaignId = commit.stream.key().parse().unwrap();
        let seen = self.campaigns.entry(id).or_default();
        for event in events(commit) {
            if let CampaignEvent::WaveStarted(started) = &event {
                check_wave(&seen.state, started);
            }
            seen.state = CampaignDecider::evolve(std::mem::take(&mut seen.state), &event);
        }
        let Seen { state, stopped_at } = seen;
        let is_halted = matches!(state.stop, Some(Stop::Halted(_) | Stop::Paused { .. }));
        if let (Stage::Running, Some(wave)) = (state.stage, state.wave()) {
            let errors = state.failed() - wave.errors_from;
            assert!(errors <= wave.errors_max || is_halted, "{errors} errors halt nothing: {state:#?}");
        }
        *stopped_at = (is_halted || state.is_over()).then(|| stopped_at.unwrap_or(commit.recorded_at));
    }

    fn campaign_rack(&mut self, commit: &Commit) {
        for event in events(commit) {
            let campaign_rack = self.campaign_racks.entry(commit.stream.clone()).or_default();
            match event {
                CampaignRackEvent::WaveBegun(begun) => {
                    (campaign_rack.hosts, campaign_rack.begun) = (begun.hosts, 0)
                }
                CampaignRackEvent::HostStarted(RackHostStarted { campaign, host, .. }) => {
                    let rack = &commit.stream;
                    assert_eq!(
                        campaign_rack.running, None,
                        "{rack}: two hosts of a rack at a time, {host} is one"
                    );
                    campaign_rack.begun += 1;
                    assert!(
                        campaign_rack.begun <= campaign_rack.hosts,
                        "{rack}: {host} is one more than the wave has"
                    );
                    campaign_rack.running = Some(host.clone());
                    let stopped_at = self.campaigns[&campaign].stopped_at;
                    let late = stopped_at.map(|stopped_at| commit.recorded_at.duration_since(stopped_at));
                    let is_late = late.is_some_and(|late| late > LOOKED_BEFORE);
                    assert!(
                        !is_late,
                        "{rack}: {host} is begun for a campaign that was stopped {late:?} before"
                    );
                }
                CampaignRackEvent::HostEnded(ended) => {
                    campaign_rack.running = campaign_rack.running.take().filter(|host| *host != ended.host);
                }
                CampaignRackEvent::Held(_) | CampaignRackEvent::WaveEnded(_) => {}
            }
        }
    }

    fn host(&mut self, commit: &Commit) {
        for event in events(commit) {
            match event {
                HostEvent::Enrolled(enrolled) => {
                    self.racks.insert(enrolled.host, enrolled.fault_domain);
                }
                HostEvent::Cordoned(HostCordoned { host, saga, .. }) if saga.kind() == Patching::KIND => {
                    self.cordon(host, saga, commit.recorded_at);
                }
                HostEvent::Uncordoned(uncordoned) => {
                    self.cordoned.remove(&(uncordoned.saga, uncordoned.host));
                }
                HostEvent::PackageChangeStarted(started) => changes(&started),
                _ => {}
            }
        }
    }

    fn cordon(&mut self, host: HostId, saga: SagaRef, at: Timestamp) {
        // Where the stream lags for a day, a claim is void by then.
        let until = self.claims.get(&saga).copied();
        let is_claimed = until.is_some_and(|until| self.budget.is_held_by(&saga) || until < at);
        assert!(is_claimed, "{saga} cordons {host} without a part of the budget");
        assert!(Brings::to(host.as_str()).is_vulnerable(), "{host} is not vulnerable, and {saga} cordons it");
        let campaign =
            |saga: &SagaRef, host: &HostId| saga.id().strip_suffix(host.as_str()).map(str::to_owned);
        let others = self.cordoned.iter().filter(|(other, of)| {
            let same_rack =
                self.racks[of] == self.racks[&host] && campaign(other, of) == campaign(&saga, &host);
            same_rack && !self.stuck.contains(other)
        });
        let others: Vec<_> = others.collect();
        assert!(others.is_empty(), "{host} is patched beside {others:?} of its rack");
        self.cordoned.insert((saga, host));
    }

    fn patching(&mut self, commit: &Commit) {
        let saga = SagaRef::new(Patching::KIND, commit.stream.key()).unwrap();
        for event in &commit.events {
            match event.event_type.as_str() {
                "saga.stuck" => {
                    self.stuck.insert(saga.clone());
                }
                "saga.completed" | "saga.compensated" => {
                    let left = self.cordoned.iter().find(|(of, _)| *of == saga);
                    assert_eq!(left, None, "a host is left cordoned");
                }
                _ => {}
            }
        }
    }
}

/// The first wave is a canary, each is a part of what is left, and comes after the soak of the one before.
fn check_wave(before: &CampaignState, started: &WaveStarted) {
    let WaveStarted { campaign, wave, percent, left, hosts, started_at, .. } = started;
    assert!(*hosts <= (left * percent).div_ceil(100).max(1), "{campaign}: {started:#?}");
    let shares: u32 = started.racks.iter().map(|share| share.hosts).sum();
    assert_eq!(shares, *hosts, "{campaign}: {started:#?}");
    match before.wave() {
        None => assert_eq!((*wave, *percent), (1, 5), "{campaign} begins with a canary"),
        Some(last) => {
            // After a wave of all that was left nothing soaks.
            let soak = if last.percent == 100 { 0 } else { last.soak_seconds };
            let soaked = started_at.duration_since(last.completed_at.unwrap()).as_secs();
            assert!(soaked >= i64::from(soak), "{campaign}: wave {wave} comes after {soaked} s");
        }
    }
}

/// What is installed is the fix, and what is rolled back is what was there before.
fn changes(started: &PackageChangeStarted) {
    let PackageChangeStarted { host, change, before, to, .. } = started;
    let is = |fixes: &[Fix], version: &str| {
        let mut versions = fixes.iter().map(|fix| (fix.package.as_str(), fix.version.as_str()));
        versions.next() == Some((PACKAGE, version)) && versions.next().is_none()
    };
    let is_right = match change {
        PackageChangeKind::Install => is(before, VULNERABLE) && is(to, FIXED),
        PackageChangeKind::RollBack => is(to, VULNERABLE),
    };
    assert!(is_right, "{host}: {started:#?}");
}
