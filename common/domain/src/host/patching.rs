//! Changing the packages of a host in service. Only the saga that has cordoned the host does so, and what was installed before is on
//! record before anything is changed.

use std::collections::BTreeMap;

use hostler_core::failure::clip;
use hostler_core::saga::{Answers, SagaRef, StepOutcome, StepReply};
use hostler_core::{Category, Decision, mutants};
use hostler_events::host::{
    PackageChangeKind, PackageChangeStarted, PackagesInstalled, PackagesReport, PackagesRolledBack,
    RollBackFailed, RunOutcome,
};
use hostler_events::patching::{
    ChangePackages, FIXES_MAX, Fix, InstalledPackages, PackageChange, PackageFailed,
};
use hostler_events::signal::{ReportSignal, SignalHeader, SignalStatus};
use hostler_events::{HostEvent, Signal, StepCommand, StepId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::configuring::{category, cut};
use super::cordoning::refuse;
use super::{HostDecision, HostRefusal, HostState, Known, Move, StepFailure, deploying, replies};
use crate::support::after;

/// The fault of a host whose packages could not be rolled back.
pub const PATCHING_FAILED: &str = "patching-failed";
/// Who says so.
const SAID_BY: &str = "hostler";
/// For how long that holds: a week. It is said once, and stays true until the host is healed, so it must outlast a late message and
/// the longest toleration, which is a day.
const SAID_SECONDS: u32 = 7 * 86_400;
/// How often rolling back may fail for now before it counts as failed for good.
const ROLL_BACKS_MAX: u32 = 3;
/// How much of a name, a version, and of what is said of a failure is recorded.
const NAME_CHARS_MAX: usize = 120;
const MESSAGE_CHARS_MAX: usize = 300;

/// How far the patching under a cordon is. There is one at most.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Patch {
    /// The versions that packages had before this saga changed them.
    pub before: BTreeMap<String, String>,
    /// The change that goes on.
    pub running: Option<RunningChange>,
    /// What was installed, once that is over.
    pub installed: Option<InstalledPackages>,
    /// How often rolling back has failed.
    pub roll_backs_failed: u32,
    /// How it was undone, where it was.
    pub undone: Option<Undone>,
}

/// A change of packages that goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunningChange {
    /// The step whose end is waited for.
    pub step: StepId,
    /// What is done.
    pub change: PackageChangeKind,
    /// The versions that the packages are to have.
    pub to: Vec<Fix>,
}

/// How a patching was undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Undone {
    /// The packages have the versions that they had.
    RolledBack,
    /// They could not be brought back. The host stays out of traffic.
    InVain,
}

/// What a host's stream is told of its packages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PatchInput {
    /// It is about to be asked what it has.
    StartInstall,
    /// What it has of the packages that are to be changed, and what they are to be.
    Found {
        /// The versions that they have.
        before: Vec<Fix>,
        /// The versions that they are to have.
        to: Vec<Fix>,
        /// Whether its system asks for a reboot already.
        reboot_pending: bool,
    },
    /// Its packages are about to be rolled back.
    StartRollBack,
    /// A change has ended.
    Changed {
        /// How.
        report: PackagesReport,
    },
    /// Rolling back could not be begun.
    RollBackFailed {
        /// How it failed.
        failure: StepFailure,
    },
}

impl HostState {
    /// How far the patching of this saga is, which has cordoned the host.
    fn patch_of(&self, saga: &SagaRef) -> Option<&Patch> {
        self.cordon.as_ref().filter(|cordon| cordon.saga == *saga).map(|cordon| &cordon.patch)
    }

    /// Whether packages of the host may be changed for this saga: it has cordoned the host, which is in service, and has not
    /// turned back.
    #[must_use]
    pub fn awaits_packages_for(&self, saga: &SagaRef) -> bool {
        let patch = self.patch_of(saga).filter(|_| self.phase.allows(Move::ChangePackages));
        patch.is_some_and(|patch| patch.installed.is_none() && patch.undone.is_none())
    }

    /// The change of packages that goes on for this step of this saga.
    #[must_use]
    pub fn package_change(&self, saga: &SagaRef, step: &StepId) -> Option<&RunningChange> {
        let patch = self.patch_of(saga).filter(|_| self.phase.allows(Move::ChangePackages))?;
        patch.running.as_ref().filter(|running| running.step == *step)
    }

    /// Whether this saga has changed packages and could not bring them back, so that the host serves nobody until it is repaired.
    pub(super) fn is_left_broken_by(&self, saga: &SagaRef) -> bool {
        self.patch_of(saga).is_some_and(|patch| patch.undone == Some(Undone::InVain))
    }
}

pub(super) fn told(known: Known<'_>, saga: &SagaRef, step: &StepId, told: &PatchInput) -> HostDecision {
    match told {
        PatchInput::StartInstall => start_install(known, saga, step),
        PatchInput::Found { before, to, reboot_pending } => {
            found(known, saga, step, (before, to), *reboot_pending)
        }
        PatchInput::StartRollBack => start_roll_back(known, saga, step),
        PatchInput::Changed { report } => match known.state.package_change(saga, step) {
            Some(running) => changed(known, saga, running, report),
            None => Decision::nothing(),
        },
        PatchInput::RollBackFailed { failure } => roll_back_failed(known, saga, step, failure),
    }
}

/// Nothing is recorded before it is known what is installed. An attempt that comes after the installation is answered.
fn start_install(known: Known<'_>, saga: &SagaRef, step: &StepId) -> HostDecision {
    let patch = known.state.patch_of(saga).filter(|_| known.state.phase.allows(Move::ChangePackages));
    let Some(patch) = patch.filter(|patch| patch.undone.is_none()) else {
        let refusal =
            HostRefusal::NotCordoned { host: known.host(), saga: saga.clone(), phase: known.phase() };
        return refuse(known, saga, step, &refusal);
    };
    match &patch.installed {
        Some(installed) => Decision::nothing().command(replies::succeeded(saga, step, installed)),
        None => Decision::nothing(),
    }
}

/// What is installed is recorded in the commit that has it changed. A host that has none of the packages is left alone.
fn found(
    known: Known<'_>,
    saga: &SagaRef,
    step: &StepId,
    (before, to): (&[Fix], &[Fix]),
    reboot_pending: bool,
) -> HostDecision {
    if !known.state.awaits_packages_for(saga) {
        return Decision::nothing();
    }
    if to.is_empty() {
        return installed(known, saga, step, (&[], &[]), reboot_pending);
    }
    let change = ChangePackages { saga: saga.clone(), step: step.clone(), host: known.host() };
    let (before, to) = (limited(before), limited(to));
    Decision::events([started(known, saga, step, PackageChangeKind::Install, before, to)])
        .command(change.into())
}

fn limited(fixes: &[Fix]) -> Vec<Fix> {
    fixes.iter().take(FIXES_MAX).cloned().collect()
}

fn started(
    known: Known<'_>,
    saga: &SagaRef,
    step: &StepId,
    change: PackageChangeKind,
    before: Vec<Fix>,
    to: Vec<Fix>,
) -> HostEvent {
    let (host, saga, step) = (known.host(), saga.clone(), step.clone());
    HostEvent::PackageChangeStarted(PackageChangeStarted { host, saga, step, change, before, to })
}

fn installed(
    known: Known<'_>,
    saga: &SagaRef,
    step: &StepId,
    (changed, failed): (&[PackageChange], &[PackageFailed]),
    reboot_pending: bool,
) -> HostDecision {
    let changed: Vec<_> = changed.iter().take(FIXES_MAX).map(cut_change).collect();
    let failed = failed.iter().take(FIXES_MAX).map(|failed| PackageFailed {
        package: cut(&failed.package, NAME_CHARS_MAX),
        reason: cut(&failed.reason, MESSAGE_CHARS_MAX),
    });
    let failed: Vec<_> = failed.collect();
    let missing = failed.iter().map(|failed| failed.package.clone()).collect();
    let output = InstalledPackages { changed: changed.clone(), missing, reboot_pending };
    let installed = PackagesInstalled {
        host: known.host(),
        saga: saga.clone(),
        step: step.clone(),
        changed,
        failed,
        reboot_pending,
    };
    // This answers whichever attempt the saga waits for by now.
    let answer = done_by_any_attempt(saga, step, &output);
    let mut decision = Decision::events([HostEvent::PackagesInstalled(installed)]);
    decision.commands.extend(answer);
    decision
}

fn done_by_any_attempt(saga: &SagaRef, step: &StepId, output: &InstalledPackages) -> Option<StepCommand> {
    let answers = Answers::any_attempt_of(step)?;
    // A plain record with text keys, for which this cannot fail.
    let output = serde_json::to_value(output).unwrap_or_default();
    let outcome = StepOutcome::Succeeded { output };
    Some(StepReply { saga: saga.clone(), answers, outcome }.into())
}

/// A saga that turns back always has its answer, and has nothing installed after it. What is rolled back is what was on record
/// before the first change.
fn start_roll_back(known: Known<'_>, saga: &SagaRef, step: &StepId) -> HostDecision {
    let answer = || Decision::nothing().command(replies::done(saga, step));
    let Some(patch) = known.state.patch_of(saga) else { return answer() };
    if patch.undone.is_some() {
        return answer();
    }
    if patch.before.is_empty() || mutants::on("host.rolls-nothing-back") {
        return rolled_back(known, saga, step, &[]);
    }
    let to = patch
        .before
        .iter()
        .map(|(package, version)| Fix { package: package.clone(), version: version.clone() });
    let (change, to) = (PackageChangeKind::RollBack, to.collect());
    Decision::events([started(known, saga, step, change, Vec::new(), to)])
}

fn rolled_back(known: Known<'_>, saga: &SagaRef, step: &StepId, changed: &[PackageChange]) -> HostDecision {
    let (host, saga_ref, step_id) = (known.host(), saga.clone(), step.clone());
    let changed = changed.iter().take(FIXES_MAX).map(cut_change).collect();
    let back = PackagesRolledBack { host, saga: saga_ref, step: step_id, changed };
    let mut decision = Decision::events([HostEvent::PackagesRolledBack(back)]);
    decision.commands.extend(replies::done_by_any_attempt(saga, step));
    decision
}

/// The runner's word about this step, or the plain driver's. What was installed in part is no failure: whether the host is healthy
/// on it is seen next, and a scan says what is left open.
pub(super) fn changed(
    known: Known<'_>,
    saga: &SagaRef,
    running: &RunningChange,
    report: &PackagesReport,
) -> HostDecision {
    let step = &running.step;
    let in_part = report.outcome == RunOutcome::Failed && !report.changed.is_empty();
    let failure = match category(report.outcome) {
        None => None,
        Some(_) if in_part && running.change == PackageChangeKind::Install => None,
        Some(category) => Some(StepFailure { category, reason: clip(&report.message), uncertain: true }),
    };
    match (running.change, failure) {
        (PackageChangeKind::Install, None) => {
            installed(known, saga, step, (&report.changed, &report.failed), report.reboot_pending)
        }
        (PackageChangeKind::Install, Some(failure)) => deploying::fail_step(known, saga, step, &failure),
        (PackageChangeKind::RollBack, None) => rolled_back(known, saga, step, &report.changed),
        (PackageChangeKind::RollBack, Some(failure)) => roll_back_failed(known, saga, step, &failure),
    }
}

/// It is tried again as long as that may help. After that the saga goes on without it: the host stays out of traffic, and what is
/// done about it is the word of its runbook. A saga that waited for an operator would keep the host cordoned meanwhile.
fn roll_back_failed(known: Known<'_>, saga: &SagaRef, step: &StepId, failure: &StepFailure) -> HostDecision {
    let Some(patch) = known.state.patch_of(saga).filter(|patch| patch.undone.is_none()) else {
        return Decision::nothing();
    };
    let is_transient = match failure.category {
        Category::Transient | Category::Unknown => true,
        Category::Validation | Category::Business => false,
    };
    if is_transient && patch.roll_backs_failed.saturating_add(1) < ROLL_BACKS_MAX {
        return deploying::fail_step(known, saga, step, failure);
    }
    let reason = clip(&failure.reason);
    let failed =
        RollBackFailed { host: known.host(), saga: saga.clone(), step: step.clone(), reason: reason.clone() };
    let mut decision = Decision::events([HostEvent::RollBackFailed(failed)]);
    decision.commands.extend(replies::done_by_any_attempt(saga, step));
    decision.commands.extend(signal(known, saga, &reason));
    decision
}

/// What the host's health is told.
fn signal(known: Known<'_>, saga: &SagaRef, reason: &str) -> Option<StepCommand> {
    let header = SignalHeader {
        source: SAID_BY.to_owned(),
        fingerprint: format!("{PATCHING_FAILED}:{saga}"),
        status: SignalStatus::Firing,
        starts_at: known.now,
        observed_at: known.now,
        expires_at: after(known.now, SAID_SECONDS),
    };
    let summary = clip(&format!("{saga} could not roll its packages back: {reason}"));
    let (severity, labels) = ("critical".to_owned(), BTreeMap::new());
    let signal = Signal { header, fault: PATCHING_FAILED.parse().ok()?, severity, summary, labels };
    Some(ReportSignal { host: known.host(), signal }.into())
}

fn cut_change(change: &PackageChange) -> PackageChange {
    PackageChange {
        package: cut(&change.package, NAME_CHARS_MAX),
        from: cut(&change.from, NAME_CHARS_MAX),
        to: cut(&change.to, NAME_CHARS_MAX),
    }
}

/// The saga gives the step its time from now on.
pub(super) fn at_work(saga: &SagaRef, step: &StepId, now: Timestamp) -> HostDecision {
    let reply = StepReply::deferred(saga.clone(), step.clone(), now, "the packages are being changed");
    Decision::nothing().command(reply.into())
}

pub(super) fn change_started(state: &mut HostState, e: &PackageChangeStarted) {
    let Some(cordon) = state.cordon.as_mut().filter(|cordon| cordon.saga == e.saga) else { return };
    for Fix { package, version } in &e.before {
        // What a second attempt finds may be the first one's work.
        let before = cordon.patch.before.entry(package.clone()).or_insert_with(|| version.clone());
        if mutants::on("host.forgets-the-versions-before") {
            before.clone_from(version);
        }
    }
    let (step, change, to) = (e.step.clone(), e.change, e.to.clone());
    cordon.patch.running = Some(RunningChange { step, change, to });
}

pub(super) fn packages_installed(state: &mut HostState, e: &PackagesInstalled) {
    let Some(cordon) = state.cordon.as_mut().filter(|cordon| cordon.saga == e.saga) else { return };
    cordon.patch.running = None;
    let (changed, reboot_pending) = (e.changed.clone(), e.reboot_pending);
    let missing = e.failed.iter().map(|failed| failed.package.clone()).collect();
    cordon.patch.installed = Some(InstalledPackages { changed, missing, reboot_pending });
}

pub(super) fn undone(state: &mut HostState, saga: &SagaRef, how: Undone) {
    let Some(cordon) = state.cordon.as_mut().filter(|cordon| cordon.saga == *saga) else { return };
    cordon.patch.running = None;
    cordon.patch.undone = Some(how);
}

/// A change that has failed is over; the next attempt begins another one.
pub(super) fn step_failed(state: &mut HostState, step: &StepId) {
    let Some(cordon) = state.cordon.as_mut() else { return };
    let Some(running) = cordon.patch.running.take_if(|running| running.step == *step) else { return };
    if running.change == PackageChangeKind::RollBack {
        cordon.patch.roll_backs_failed = cordon.patch.roll_backs_failed.saturating_add(1);
    }
}
