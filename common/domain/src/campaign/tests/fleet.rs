//! A fleet in which a campaign runs: what `patch-fleet` does, with sagas that end by themselves.

use std::collections::BTreeSet;

use hostler_core::saga::SagaCommand;
use hostler_events::HostId;
use hostler_events::campaign::PatchEnd;

use super::super::rack::Hold;
use super::racks::{ended, start};
use super::*;

/// How long a host takes.
const PATCH_SECONDS: u32 = 480;

/// What is on its way.
#[derive(Debug, Clone, PartialEq)]
enum Message {
    Campaign(CampaignTimer),
    CampaignRack(FaultDomain, CampaignRackTimer),
    Fleet(PatchFleetCommand),
    Ended(FaultDomain, HostId),
}

/// How a host's saga ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fate {
    pub(super) end: PatchEnd,
    /// Whether anybody is told.
    pub(super) is_lost: bool,
    /// Whether what tells it comes twice.
    pub(super) comes_twice: bool,
}

pub(super) struct Fleet {
    pub(super) campaign: Campaign,
    pub(super) campaign_racks: BTreeMap<FaultDomain, Run<CampaignRackDecider>>,
    /// The hosts that have the vulnerability, and what becomes of them.
    vulnerable: BTreeMap<FaultDomain, BTreeMap<HostId, Fate>>,
    over: BTreeMap<HostId, PatchEnd>,
    pub(super) disturbed: BTreeSet<HostId>,
    pub(super) started: Vec<HostId>,
    pub(super) most: usize,
    facts: FleetFacts,
    budget: usize,
    messages: Vec<(Timestamp, Message)>,
    seen: (usize, usize),
    pub(super) now: Timestamp,
}

impl Fleet {
    /// A fleet whose hosts end like this, where so many may be disturbed at once.
    pub(super) fn new(fates: &[Vec<Fate>], budget: usize, policy: CampaignsPolicy) -> Self {
        let campaign = Campaign::new();
        let racks = fates.iter().enumerate().map(|(rack, fates)| {
            let hosts = fates.iter().enumerate().map(|(n, fate)| (id(&format!("h-{rack}-{n}")), *fate));
            (id(&format!("r-{rack}")), hosts.collect())
        });
        Self {
            now: campaign.now,
            campaign,
            campaign_racks: BTreeMap::new(),
            vulnerable: racks.collect(),
            over: BTreeMap::new(),
            disturbed: BTreeSet::new(),
            started: Vec::new(),
            most: 0,
            facts: FleetFacts { policy, ..fleet_of(0, 0) },
            budget,
            messages: Vec::new(),
            seen: (0, 0),
        }
    }

    /// What a person or a source says now.
    pub(super) fn tell(&mut self, input: &CampaignInput) -> bool {
        self.campaign.now = self.now;
        let told = self.campaign.when(input).is_ok();
        let (commands, timers) = self.seen;
        let commands: Vec<CampaignCommand> = self.campaign.commands[commands..].to_vec();
        let timers: Vec<SetTimer> = self.campaign.timers[timers..].to_vec();
        self.seen = (self.campaign.commands.len(), self.campaign.timers.len());
        for timer in timers {
            let of = CampaignTimer::read(&timer.name).unwrap();
            self.messages.push((timer.due_at, Message::Campaign(of)));
        }
        self.send(commands);
        told
    }

    fn send(&mut self, commands: Vec<CampaignCommand>) {
        for command in commands {
            match command {
                CampaignCommand::Fleet(command) => self.messages.push((self.now, Message::Fleet(command))),
                CampaignCommand::Saga(SagaCommand::Start(_)) => {}
                CampaignCommand::Saga(other) => panic!("{other:?}"),
            }
        }
    }

    fn tell_rack(&mut self, rack: &FaultDomain, input: &CampaignRackInput) {
        let campaign_rack = self.campaign_racks.entry(rack.clone()).or_insert_with(Run::new);
        campaign_rack.now = self.now;
        let decision = campaign_rack.when(input).unwrap();
        for timer in decision.timers {
            let of = CampaignRackTimer::read(&timer.name).unwrap();
            self.messages.push((timer.due_at, Message::CampaignRack(rack.clone(), of)));
        }
        self.send(decision.commands);
    }

    /// Whether anything is left to happen. What happens next does.
    pub(super) fn step(&mut self) -> bool {
        let next = self.messages.iter().enumerate().min_by_key(|(_, (due, _))| *due).map(|(n, _)| n);
        let Some(next) = next else { return false };
        let (due, message) = self.messages.remove(next);
        self.now = self.now.max(due);
        self.handle(message);
        true
    }

    fn handle(&mut self, message: Message) {
        match message {
            Message::Campaign(CampaignTimer::Look) | Message::Fleet(PatchFleetCommand::LookAtCampaign(_)) => {
                self.look()
            }
            Message::Campaign(CampaignTimer::Running(wave)) => {
                self.tell(&CampaignInput::StillRunning { wave });
            }
            Message::Campaign(CampaignTimer::Deadline(deadline)) => {
                self.tell(&CampaignInput::DeadlinePassed { deadline });
            }
            Message::Fleet(PatchFleetCommand::ReportRack(told)) => {
                self.tell(&CampaignInput::Report(told.report));
            }
            Message::Fleet(PatchFleetCommand::RunRack(run)) => {
                let rack = run.rack.clone();
                self.tell_rack(&rack, &CampaignRackInput::Run(run));
                self.next(&rack, false);
            }
            Message::CampaignRack(rack, CampaignRackTimer::Look(since)) => {
                let held = self.campaign_racks[&rack].state.held.clone();
                if held.is_some_and(|held| held.since == since) {
                    self.next(&rack, true);
                }
            }
            Message::CampaignRack(rack, CampaignRackTimer::Running(host)) | Message::Ended(rack, host) => {
                self.look_for_end(&rack, &host);
            }
        }
    }

    fn look(&mut self) {
        let left = self.vulnerable.iter().map(|(rack, hosts)| {
            let left = hosts.keys().filter(|host| self.over.get(*host) != Some(&PatchEnd::Patched));
            (rack.clone(), u32::try_from(left.count()).unwrap())
        });
        self.facts.racks = left.filter(|(_, hosts)| *hosts > 0).collect();
        let input = CampaignInput::Look { fleet: Box::new(self.facts.clone()) };
        self.tell(&input);
    }

    fn look_for_end(&mut self, rack: &FaultDomain, host: &HostId) {
        match self.over.get(host).copied() {
            None => self.tell_rack(rack, &CampaignRackInput::StillRunning { host: host.clone() }),
            Some(end) => {
                self.disturbed.remove(host);
                self.tell_rack(rack, &ended(host.as_str(), end));
                self.next(rack, false);
            }
        }
    }

    fn next(&mut self, rack: &FaultDomain, after_wait: bool) {
        let campaign_rack = &self.campaign_racks[rack].state;
        if !campaign_rack.is_free() {
            return;
        }
        if !self.campaign.state.runs(campaign_rack.wave) {
            return self.tell_rack(rack, &CampaignRackInput::Stopped);
        }
        let hosts = self.vulnerable[rack].keys();
        let mut hosts = hosts
            .filter(|host| campaign_rack.may_begin(host) && self.over.get(*host) != Some(&PatchEnd::Patched));
        let Some(host) = hosts.next().cloned() else {
            return self.tell_rack(rack, &CampaignRackInput::Exhausted);
        };
        if self.disturbed.len() >= self.budget {
            let (rule, lifts) = ("budget-site".to_owned(), "one must end".to_owned());
            let hold = Hold { rule, limit: 0, value: 0, lifts, until: None, after_wait };
            return self.tell_rack(rack, &CampaignRackInput::Hold(hold));
        }
        self.tell_rack(rack, &start(host.as_str()));
        self.begin(rack, host);
    }

    fn begin(&mut self, rack: &FaultDomain, host: HostId) {
        assert!(!self.started.contains(&host), "{host} is patched twice");
        self.started.push(host.clone());
        self.disturbed.insert(host.clone());
        self.most = self.most.max(self.disturbed.len());
        let Fate { end, is_lost, comes_twice } = self.vulnerable[rack][&host];
        let due = after(self.now, PATCH_SECONDS);
        for _ in 0..u32::from(!is_lost) * (1 + u32::from(comes_twice)) {
            self.messages.push((due, Message::Ended(rack.clone(), host.clone())));
        }
        // Nobody is told before it is so.
        self.over.insert(host, end);
    }
}
