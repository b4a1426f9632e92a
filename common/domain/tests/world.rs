//! All deciders together: messages in any order, lost callbacks, failures, crashes and repeats. Whatever
//! happens, every saga ends, and no host stays held for a saga that is over.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use std::collections::BTreeMap;

use hostler_core::saga::{
    Operation, Outgoing, SagaCommand, SagaInput, SagaRef, SagaStatus as Status, StartSaga, StepReply,
};
use hostler_core::{Actor, Category, Decider};
use hostler_domain::provisioning::host_of;
use hostler_domain::{
    Candidate, HostDecider, HostFacts, HostInput, HostPhase, HostState, ProvisioningSaga, ProvisioningState,
    ReservationDecider, ReservationInput, ReservationRefusal, ReservationState, StepFailure, candidate_order,
};
use hostler_events::commands::{BootOutcome, DeployImage, EnrolHost, ReserveHost, UndeployHost};
use hostler_events::host::{BmcAddress, PowerState};
use hostler_events::{
    ConfigureCommand, DeployCommand, HostId, HostPolicy, Labels, MonitorCommand, ProvisioningOrder,
    ProvisioningPolicy, StepCommand, StepId,
};
use jiff::Timestamp;
use proptest::prelude::*;

/// Something on its way. Any of them may arrive next.
#[derive(Debug, Clone)]
enum Message {
    Command(StepCommand),
    HostTimer(HostId, String),
    SagaTimer(SagaRef, String),
    Callback(HostId, StepId, BootOutcome),
    Cancel(SagaRef),
}

/// How things go wrong, in percent.
#[derive(Debug, Clone, Copy)]
struct Faults {
    repeat: u64,
    crash: u64,
    fail: u64,
    lost_callback: u64,
    /// How much more likely messages are to arrive before timers do.
    patience: u64,
}

struct World {
    random: u64,
    faults: Faults,
    pending: Vec<Message>,
    hosts: BTreeMap<HostId, HostState>,
    sagas: BTreeMap<SagaRef, ProvisioningState>,
    reservations: BTreeMap<SagaRef, ReservationState>,
}

/// The function died here; its message will be seen again.
struct Crash;

fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(text: impl AsRef<str>) -> T {
    text.as_ref().parse().unwrap()
}

fn saga(n: usize) -> SagaRef {
    id(format!("provisioning#p-{n}"))
}

/// Decides and folds; refusals are outcomes, and change nothing.
fn apply<D: Decider>(
    state: &mut D::State,
    input: &D::Input,
) -> Result<hostler_core::Decision<D::Event, D::Command>, D::Refusal> {
    let decision = D::decide(state, input, Timestamp::UNIX_EPOCH)?;
    for event in &decision.events {
        *state = D::evolve(std::mem::take(state), event);
    }
    Ok(decision)
}

impl World {
    fn new(seed: u64, faults: Faults, hosts: usize, sagas: usize) -> Self {
        let mut world = Self {
            random: seed | 1,
            faults,
            pending: Vec::new(),
            hosts: BTreeMap::new(),
            sagas: BTreeMap::new(),
            reservations: BTreeMap::new(),
        };
        for n in 0..hosts {
            let host: HostId = id(format!("h-{n}"));
            let command = EnrolHost {
                host: host.clone(),
                pool: id("web"),
                sku: id("cpu"),
                fault_domain: id(format!("rack-{}", n % 2)),
                bmc: BmcAddress { system_url: "https://bmc/redfish/v1/Systems/1".into() },
                labels: Labels::new(),
            };
            world.hosts.insert(host.clone(), HostState::default());
            world.tell(&host, &HostInput::Enrol { command, policy: HostPolicy::default() });
        }
        for n in 0..sagas {
            let order = ProvisioningOrder {
                request: id("r-1"),
                take_from: Vec::new(),
                pool: id("web"),
                role: id("web-server"),
                image: id("debian-13"),
                sku: None,
                traffic: None,
                policy: ProvisioningPolicy::default(),
            };
            let order = serde_json::to_value(order).unwrap();
            let start = StartSaga { saga: saga(n), order, parent: None };
            world.pending.push(Message::Command(SagaCommand::Start(start).into()));
            if n % 3 == 0 {
                world.pending.push(Message::Cancel(saga(n)));
            }
        }
        world
    }

    fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random >> 8
    }

    fn happens(&mut self, percent: u64) -> bool {
        self.random() % 100 < percent
    }

    /// Where the function may die.
    fn survive(&mut self) -> Result<(), Crash> {
        if self.happens(self.faults.crash) { Err(Crash) } else { Ok(()) }
    }

    fn tell(&mut self, host: &HostId, input: &HostInput) -> bool {
        let state = self.hosts.get_mut(host).unwrap();
        let Ok(decision) = apply::<HostDecider>(state, input) else { return false };
        self.pending.extend(decision.commands.into_iter().map(Message::Command));
        self.pending.extend(decision.timers.into_iter().map(|t| Message::HostTimer(host.clone(), t.name)));
        true
    }

    fn tell_saga(&mut self, saga: &SagaRef, input: &SagaInput<ProvisioningOrder>) {
        let state = self.sagas.entry(saga.clone()).or_default();
        let Ok(decision) = apply::<ProvisioningSaga>(state, input) else { return };
        self.pending.extend(decision.commands.into_iter().map(|command| {
            let Outgoing::Step(command) = command else { panic!("no children here") };
            Message::Command(command)
        }));
        self.pending.extend(decision.timers.into_iter().map(|t| Message::SagaTimer(saga.clone(), t.name)));
    }

    fn tell_reservation(
        &mut self,
        saga: &SagaRef,
        input: &ReservationInput,
    ) -> Result<(), ReservationRefusal> {
        let state = self.reservations.entry(saga.clone()).or_default();
        let decision = apply::<ReservationDecider>(state, input)?;
        self.pending.extend(decision.commands.into_iter().map(|command| Message::Command(command.into())));
        Ok(())
    }

    fn run(&mut self) {
        for _ in 0..20_000 {
            if self.pending.is_empty() {
                return;
            }
            let mut at = self.random() as usize % self.pending.len();
            for _ in 0..self.faults.patience {
                if matches!(self.pending[at], Message::HostTimer(..) | Message::SagaTimer(..)) {
                    at = self.random() as usize % self.pending.len();
                }
            }
            let message = self.pending.swap_remove(at);
            if self.happens(self.faults.repeat) {
                self.pending.push(message.clone());
            }
            if let Err(Crash) = self.deliver(&message) {
                self.pending.push(message);
            }
        }
        panic!("messages without end");
    }

    fn deliver(&mut self, message: &Message) -> Result<(), Crash> {
        match message {
            Message::Command(command) => return self.command(command),
            Message::HostTimer(host, name) => {
                self.tell(host, &HostInput::Timer { name: name.clone() });
            }
            Message::SagaTimer(saga, name) => {
                self.tell_saga(saga, &SagaInput::Timer { name: name.clone() });
            }
            Message::Callback(host, step, outcome) => {
                let report = HostInput::BootReported { step: step.clone(), outcome: *outcome, reason: None };
                self.tell(host, &report);
            }
            Message::Cancel(saga) => {
                let (operation, actor) = (Operation::Cancel, Actor("test".into()));
                self.tell_saga(saga, &SagaInput::Operate { operation, actor, reason: "test".into() });
            }
        }
        Ok(())
    }

    fn command(&mut self, command: &StepCommand) -> Result<(), Crash> {
        let failed = self.happens(self.faults.fail);
        let category = if self.happens(30) { Category::Business } else { Category::Transient };
        let reason = || "driver failed".to_owned();
        let uncertain = self.happens(50);
        let failure = || StepFailure { category, reason: reason(), uncertain };
        match command {
            StepCommand::Saga(SagaCommand::Start(start)) => {
                let order = serde_json::from_value(start.order.clone()).unwrap();
                let input = SagaInput::Start { saga: start.saga.clone(), order, parent: None };
                self.tell_saga(&start.saga, &input);
            }
            StepCommand::Saga(SagaCommand::Answer(StepReply { saga, answers, outcome })) => {
                let (answers, outcome) = (answers.clone(), outcome.clone());
                self.tell_saga(saga, &SagaInput::Answer { answers, outcome });
            }
            StepCommand::Saga(SagaCommand::AnswerChild(_) | SagaCommand::Compensate(_)) => {
                panic!("no children here")
            }
            StepCommand::Deploy(
                DeployCommand::PowerCycleHost(_)
                | DeployCommand::FinishPowerCycle(_)
                | DeployCommand::ReimageHost(_),
            )
            | StepCommand::Monitor(MonitorCommand::CheckHost(_))
            | StepCommand::Service(_)
            | StepCommand::Recover(_)
            | StepCommand::Patch(_)
            | StepCommand::Assess(_) => panic!("no host is repaired here"),
            StepCommand::Traffic(_) => panic!("no pool has traffic here"),
            StepCommand::Configure(ConfigureCommand::CheckRole(_) | ConfigureCommand::RestoreRole(_)) => {
                panic!("no host is looked at for drift here")
            }
            StepCommand::Configure(ConfigureCommand::ReadRoleRun(_)) => panic!("no commit asks for it"),
            StepCommand::Deploy(DeployCommand::ReserveHost(c)) => return self.reserve(c),
            StepCommand::Deploy(DeployCommand::ReleaseReservation(c)) => {
                return self.release(&c.saga, &c.step);
            }
            StepCommand::Deploy(DeployCommand::VerifyHost(c)) => {
                let step = c.step.clone();
                let facts = HostFacts { power_state: PowerState::Off, hardware: Default::default() };
                let input = if failed {
                    HostInput::FailVerification { step, category, reason: reason() }
                } else {
                    HostInput::RecordFacts { step, facts }
                };
                self.tell(&c.host, &input);
            }
            StepCommand::Deploy(DeployCommand::CleanHost(c)) => {
                if self.hosts[&c.host].waits_for(&c.step) {
                    if failed {
                        let step = c.step.clone();
                        self.tell(&c.host, &HostInput::FailCleaning { step, category, reason: reason() });
                    } else {
                        self.boots(&c.host, &c.step);
                    }
                }
            }
            StepCommand::Deploy(DeployCommand::FinishCleaning(c)) => {
                self.tell(&c.host, &HostInput::RecordCleaned { step: c.step.clone() });
            }
            StepCommand::Deploy(DeployCommand::DeployImage(c)) => {
                return self.deploy(c, failed.then(failure));
            }
            StepCommand::Deploy(DeployCommand::FinishDeploy(c)) => {
                let (saga, step) = (c.saga.clone(), c.step.clone());
                self.tell(&c.host, &HostInput::RecordDeployed { saga, step });
            }
            StepCommand::Configure(ConfigureCommand::ApplyRole(c)) => {
                let (saga, step) = (c.saga.clone(), c.step.clone());
                let input = if failed {
                    HostInput::FailStep { saga, step, failure: failure() }
                } else {
                    let (role, revision, changed) = (c.role.clone(), "r-1".to_owned(), true);
                    HostInput::RecordConfiguration { saga, step, role, revision, changed }
                };
                self.tell(&c.host, &input);
            }
            StepCommand::Monitor(MonitorCommand::RegisterMonitoring(c)) => {
                let (saga, step) = (c.saga.clone(), c.step.clone());
                let input = if failed {
                    HostInput::FailStep { saga, step, failure: failure() }
                } else {
                    HostInput::RecordMonitoring { saga, step }
                };
                self.tell(&c.host, &input);
            }
            StepCommand::Monitor(MonitorCommand::DeregisterMonitoring(c)) => {
                let (saga, step) = (c.saga.clone(), c.step.clone());
                self.tell(&c.host, &HostInput::RecordDeregistered { saga, step });
            }
            StepCommand::Deploy(DeployCommand::UndeployHost(c)) => {
                return self.undeploy(c, failed.then(failure));
            }
        }
        Ok(())
    }

    fn deploy(&mut self, c: &DeployImage, failed: Option<StepFailure>) -> Result<(), Crash> {
        let (saga, step) = (c.saga.clone(), c.step.clone());
        let start = HostInput::StartDeploy { saga: saga.clone(), step: step.clone(), image: c.image.clone() };
        let begun = self.tell(&c.host, &start);
        self.survive()?;
        if !begun || !self.hosts[&c.host].waits_for(&step) {
            return Ok(());
        }
        if let Some(failure) = failed {
            self.tell(&c.host, &HostInput::FailStep { saga, step, failure });
        } else {
            self.boots(&c.host, &step);
        }
        Ok(())
    }

    fn undeploy(&mut self, c: &UndeployHost, failed: Option<StepFailure>) -> Result<(), Crash> {
        let (saga, step) = (c.saga.clone(), c.step.clone());
        let start = HostInput::StartUndeploy { saga: saga.clone(), step: step.clone() };
        self.tell(&c.host, &start);
        self.survive()?;
        let outcome = match failed {
            Some(failure) => HostInput::FailStep { saga, step, failure },
            None => HostInput::RecordUndeployed { saga, step },
        };
        self.tell(&c.host, &outcome);
        Ok(())
    }

    fn boots(&mut self, host: &HostId, step: &StepId) {
        if self.happens(self.faults.lost_callback) {
            return;
        }
        let failed = self.happens(self.faults.fail);
        let outcome = if failed { BootOutcome::Failed } else { BootOutcome::Succeeded };
        self.pending.push(Message::Callback(host.clone(), step.clone(), outcome));
    }

    fn reserve(&mut self, command: &ReserveHost) -> Result<(), Crash> {
        let (saga, step) = (command.saga.clone(), command.step.clone());
        let candidates: Vec<Candidate> = self
            .hosts
            .iter()
            .filter(|(_, state)| state.is_available())
            .map(|(host, _)| Candidate { host: host.clone(), fault_domain: id("rack-0"), sku: id("cpu") })
            .collect();
        let chosen = self.reservations.get(&saga).and_then(|state| state.chosen.clone());
        let order = candidate_order(&saga, None, &candidates, &BTreeMap::new());
        for host in chosen.into_iter().chain(order) {
            let choose =
                ReservationInput::Choose { saga: saga.clone(), step: step.clone(), host: host.clone() };
            let host = match self.tell_reservation(&saga, &choose) {
                Ok(()) => host,
                Err(ReservationRefusal::AlreadyChosen { chosen, .. }) => chosen,
                Err(ReservationRefusal::Closed { .. } | ReservationRefusal::TooManyTried { .. }) => {
                    return Ok(());
                }
            };
            self.survive()?;
            let reserve = HostInput::Reserve { saga: saga.clone(), step: step.clone(), lent_to: None };
            if self.tell(&host, &reserve) {
                return Ok(());
            }
            self.survive()?;
            let lose = ReservationInput::Lose { saga: saga.clone(), step: step.clone(), host };
            let _refused = self.tell_reservation(&saga, &lose);
        }
        let reason = "no host is free".to_owned();
        let category = Category::Transient;
        let fail = ReservationInput::Fail { saga: saga.clone(), step, category, reason };
        let _refused = self.tell_reservation(&saga, &fail);
        Ok(())
    }

    fn release(&mut self, saga: &SagaRef, step: &StepId) -> Result<(), Crash> {
        let (saga, step) = (saga.clone(), step.clone());
        let close = ReservationInput::Close { saga: saga.clone(), step: step.clone() };
        let _refused = self.tell_reservation(&saga, &close);
        self.survive()?;
        let reservation = self.reservations[&saga].clone();
        for host in &reservation.tried {
            self.tell(host, &HostInput::Release { saga: saga.clone(), step: step.clone() });
            self.survive()?;
        }
        let host = reservation.chosen;
        let released = ReservationInput::Released { saga: saga.clone(), step, host };
        let _refused = self.tell_reservation(&saga, &released);
        Ok(())
    }

    /// Everything has arrived: nobody waits, and every host is where it belongs.
    fn check(&self) {
        for (name, saga) in &self.sagas {
            let over = ["completed", "compensated", "stuck"].contains(&saga.status.name());
            assert!(over, "{name} still waits: {:?}", saga.status);
            if saga.status == Status::Completed {
                let host = &self.hosts[host_of(saga).as_ref().unwrap()];
                assert_eq!(host.phase, HostPhase::InService, "the host of {name}");
                assert!(host.is_held_by(name), "{name} is completed without its host");
            }
        }
        for (name, host) in &self.hosts {
            let waits = matches!(host.phase, HostPhase::Verifying { .. } | HostPhase::Cleaning { .. });
            assert!(!waits, "{name} still waits: {:?}", host.phase);
            if let Some(holder) = &host.reservation {
                let saga = &self.sagas[holder];
                let its_own = host_of(saga).as_ref() == Some(name);
                let stuck = matches!(saga.status, Status::Stuck { .. });
                let completed = saga.status == Status::Completed && its_own;
                assert!(stuck || completed, "{name} is held by {holder}, which is {}", saga.status.name());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, ..ProptestConfig::default() })]

    #[test]
    fn every_saga_ends_and_no_host_is_forgotten(
        seed in any::<u64>(),
        (hosts, sagas) in (1usize..6, 1usize..6),
        (repeat, crash, fail) in (0u64..25, 0u64..20, 0u64..25),
        (lost_callback, patience) in (0u64..20, 0u64..8),
    ) {
        let faults = Faults { repeat, crash, fail, lost_callback, patience };
        let mut world = World::new(seed, faults, hosts, sagas);
        world.run();
        world.check();
    }
}

#[test]
fn without_faults_every_saga_that_has_a_host_completes() {
    let faults = Faults { repeat: 0, crash: 0, fail: 0, lost_callback: 0, patience: 200 };
    let mut world = World::new(7, faults, 4, 3);
    world.pending.retain(|message| !matches!(message, Message::Cancel(_)));
    // Hosts first: a saga that finds none gives up after some tries.
    let starts: Vec<Message> = {
        let is_start = |m: &Message| matches!(m, Message::Command(StepCommand::Saga(SagaCommand::Start(_))));
        let (starts, rest) = world.pending.drain(..).partition(is_start);
        world.pending = rest;
        starts
    };
    world.run();
    world.pending = starts;
    world.run();
    world.check();
    let completed = world.sagas.values().filter(|saga| saga.status == Status::Completed).count();
    assert_eq!(completed, 3, "{:?}", world.sagas.values().map(|s| &s.status).collect::<Vec<_>>());
}
