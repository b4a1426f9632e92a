//! The forms in which systems say something, one file for each. All of it is pure: a body and a time in, signals out.

mod alertmanager;
mod auto_scaling;
mod cloudwatch;
mod debezium;
mod health;
mod heartbeat;
mod inspector;
mod item;
mod osv;
mod packages;
mod redfish;
mod run_command;
mod threshold;

use std::fmt::Write;

use hostler_events::InventoryCommand;
use hostler_events::findings::{RecordAdvisory, RecordPackages};
use hostler_events::host::ReadRoleRun;
use hostler_events::signal::{ReportSignal, ReportThreshold, SignalForm, TakeSignals};
use jiff::Timestamp;
use serde_json::Value;

use item::{Said, short};

/// How many characters are told of what was not understood.
const REASON_CHARS_MAX: usize = 1_800;

/// What a body came to. Each thing that it says is in exactly one of these.
#[derive(Debug, Default, PartialEq)]
pub struct Reading {
    /// What it says of hosts.
    pub signals: Vec<ReportSignal>,
    /// What it says of pools.
    pub thresholds: Vec<ReportThreshold>,
    /// What it says of vulnerabilities.
    pub advisories: Vec<RecordAdvisory>,
    /// What it says of the packages of hosts.
    pub packages: Vec<RecordPackages>,
    /// What it says of runs of roles.
    pub runs: Vec<ReadRoleRun>,
    /// What it says of the inventory.
    pub inventory: Vec<InventoryCommand>,
    /// What follows beside that from its having come at all: its source is there, or its host is.
    pub beside: Vec<InventoryCommand>,
    /// How many things were understood, and are nothing to act on.
    pub quiet: usize,
    /// What was not understood.
    pub not_understood: Vec<NotUnderstood>,
}

/// Something in a body that was not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {reason}")]
pub struct NotUnderstood {
    /// Where it is in the body, and what it calls itself.
    pub place: String,
    /// What is missing or wrong, and what to do about it.
    pub reason: String,
}

impl Reading {
    /// The number of things that the body says.
    #[must_use]
    pub fn len(&self) -> usize {
        let told = self.signals.len() + self.thresholds.len() + self.advisories.len() + self.packages.len();
        told + self.runs.len() + self.inventory.len() + self.quiet + self.not_understood.len()
    }

    /// Whether the body says nothing at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Why the body is not done with; none where all of it was understood.
    #[must_use]
    pub fn complaint(&self) -> Option<String> {
        if self.not_understood.is_empty() {
            return None;
        }
        let (left, all) = (self.not_understood.len(), self.len());
        let mut text = format!("{left} of {all} signals were not understood");
        for (told, what) in self.not_understood.iter().enumerate() {
            let next = format!("; {what}");
            if text.chars().count() + next.chars().count() > REASON_CHARS_MAX {
                // Writing to a text does not fail.
                let _ = write!(text, "; and {} more", left - told);
                break;
            }
            text += &next;
        }
        Some(text)
    }

    fn take(&mut self, place: impl FnOnce() -> String, said: Result<Said, String>) {
        match said {
            Ok(Said::Host(signal)) => self.signals.push(*signal),
            Ok(Said::Pool(threshold)) => self.thresholds.push(*threshold),
            Ok(Said::Inventory(command)) => self.inventory.push(*command),
            Ok(Said::Nothing) => self.quiet += 1,
            Err(reason) => self.not_understood.push(NotUnderstood { place: place(), reason }),
        }
    }

    fn misread(place: &str, reason: impl Into<String>) -> Self {
        let not_understood = vec![NotUnderstood { place: place.to_owned(), reason: reason.into() }];
        Self { not_understood, ..Self::default() }
    }
}

/// Reads a body in its form.
#[must_use]
pub fn read(taken: &TakeSignals) -> Reading {
    let TakeSignals { form, received_at, body } = taken;
    if !body.is_object() {
        return Reading::misread("the body", "it is no object: send the form as its vendor documents it");
    }
    match form {
        SignalForm::Alertmanager => alertmanager::read(body, *received_at),
        SignalForm::Redfish => redfish::read(body, *received_at),
        SignalForm::Heartbeat => heartbeat::read(body, *received_at),
        SignalForm::Osv => osv::read(body, *received_at),
        SignalForm::Packages => packages::read(body, *received_at),
        SignalForm::Debezium => debezium::read(body, *received_at),
        SignalForm::EventBridge => event_bridge(body, *received_at),
    }
}

/// The field of a body that lists what it says, where its form has one: by it a large body is taken apart.
#[must_use]
pub fn list_of(form: SignalForm) -> Option<&'static str> {
    match form {
        SignalForm::Alertmanager => Some(alertmanager::LIST),
        SignalForm::Redfish => Some(redfish::LIST),
        // Half a list of packages would be another list.
        SignalForm::Heartbeat
        | SignalForm::EventBridge
        | SignalForm::Osv
        | SignalForm::Debezium
        | SignalForm::Packages => None,
    }
}

fn event_bridge(body: &Value, received_at: Timestamp) -> Reading {
    let text = |field: &str| body[field].as_str().unwrap_or_default();
    let (source, kind) = (text("source"), text("detail-type"));
    match (source, kind) {
        ("aws.cloudwatch", cloudwatch::KIND) => cloudwatch::read(body, received_at),
        ("aws.health", health::KIND) => health::read(body, received_at),
        ("aws.inspector2", inspector::KIND) => inspector::read(body, received_at),
        ("aws.ssm", run_command::KIND) => run_command::read(body),
        ("aws.autoscaling", auto_scaling::TERMINATES | auto_scaling::LAUNCHES) => {
            auto_scaling::read(body, received_at)
        }
        _ => {
            let (source, kind) = (short(source, 60), short(kind, 60));
            Reading::misread(
                "the event",
                format!(
                    "{kind:?} of {source:?} is no signal: have the rule match alarms of CloudWatch, AWS Health, Auto Scaling, findings of Inspector or invocations of Run Command only"
                ),
            )
        }
    }
}
