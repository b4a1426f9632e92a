//! Enrolling a host, labelling it, and requalifying a quarantined one.

use hostler_core::Decision;
use hostler_events::commands::{EnrolHost, LabelHost};
use hostler_events::host::{HostEnrolled, HostLabelled, HostRequalified};
use hostler_events::{HostEvent, HostId, HostPolicy, Labels};
use jiff::Timestamp;

use super::state::OwnWork;
use super::{HostDecision, HostOutcome, HostProfile, HostRefusal, HostState, Known, Move, verifying};
use crate::support::OWNER_ID_BYTES_MAX;

/// How many labels a host may have.
pub const LABELS_MAX: usize = 50;
/// The longest key of a label, in characters.
pub const LABEL_KEY_CHARS_MAX: usize = 63;
/// The longest value of a label, in characters.
pub const LABEL_VALUE_CHARS_MAX: usize = 256;

pub(super) fn enrol(
    state: &HostState,
    command: &EnrolHost,
    policy: HostPolicy,
    now: Timestamp,
) -> HostOutcome {
    if let Some(profile) = &state.profile {
        // One that is lent is known by its own pool.
        let pool = state.home.clone().unwrap_or_else(|| profile.pool.clone());
        return same_host(&HostProfile { pool, ..profile.clone() }, command).map(|()| Decision::nothing());
    }
    if command.host.as_str().len() > OWNER_ID_BYTES_MAX {
        return Err(HostRefusal::HostIdTooLong { host: command.host.clone() });
    }
    check_bmc(command)?;
    check_labels(&command.host, &command.labels)?;
    let step = state.next_own_step(&command.host, OwnWork::Verify)?;
    let enrolled = HostEnrolled {
        host: command.host.clone(),
        pool: command.pool.clone(),
        sku: command.sku.clone(),
        fault_domain: command.fault_domain.clone(),
        bmc: command.bmc.clone(),
        labels: command.labels.clone(),
        policy,
        step: step.clone(),
    };
    let decision = Decision::events([HostEvent::Enrolled(enrolled)]);
    Ok(verifying::ask(&command.host, step, policy, now, decision))
}

/// A repeated enrolment is recognised by its labels as they were, or as they are now.
fn same_host(known: &HostProfile, asked: &EnrolHost) -> Result<(), HostRefusal> {
    const ADVICE: &str =
        "a host keeps what it was enrolled with; enrol it under another id if it is another one";
    let refuse = |field, enrolled: &dyn ToString, asked_for: &dyn ToString, advice| {
        Err(HostRefusal::EnrolledDifferently {
            host: asked.host.clone(),
            field,
            enrolled: enrolled.to_string(),
            asked: asked_for.to_string(),
            advice,
        })
    };
    if known.pool != asked.pool {
        return refuse("pool", &known.pool, &asked.pool, ADVICE);
    }
    if known.sku != asked.sku {
        return refuse("sku", &known.sku, &asked.sku, ADVICE);
    }
    if known.fault_domain != asked.fault_domain {
        return refuse("fault domain", &known.fault_domain, &asked.fault_domain, ADVICE);
    }
    if known.bmc != asked.bmc {
        return refuse("BMC address", &known.bmc.system_url, &asked.bmc.system_url, ADVICE);
    }
    if asked.labels != known.labels_enrolled && asked.labels != known.labels {
        let (before, now) = (format!("{:?}", known.labels), format!("{:?}", asked.labels));
        return refuse("set of labels", &before, &now, "change labels with label-host");
    }
    Ok(())
}

fn check_bmc(command: &EnrolHost) -> Result<(), HostRefusal> {
    let refuse = |why| Err(HostRefusal::BmcAddress { host: command.host.clone(), why });
    let url = command.bmc.system_url.as_str();
    let Some(rest) = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")) else {
        return refuse(
            "it must begin with https:// or http://, such as https://10.0.0.7/redfish/v1/Systems/1",
        );
    };
    if rest.split('/').next().is_some_and(|authority| authority.contains('@')) {
        return refuse(
            "it holds credentials, and they are never part of a contract: give them to the driver",
        );
    }
    Ok(())
}

fn check_labels(host: &HostId, labels: &Labels) -> Result<(), HostRefusal> {
    if labels.len() > LABELS_MAX {
        return Err(HostRefusal::TooManyLabels { host: host.clone(), count: labels.len() });
    }
    for (key, value) in labels {
        let key_length = key.chars().count();
        if key_length == 0 || key_length > LABEL_KEY_CHARS_MAX {
            let key = key.chars().take(LABEL_KEY_CHARS_MAX).collect();
            return Err(HostRefusal::LabelKey { host: host.clone(), key });
        }
        if value.chars().count() > LABEL_VALUE_CHARS_MAX {
            return Err(HostRefusal::LabelValue { host: host.clone(), key: key.clone() });
        }
    }
    Ok(())
}

/// Removes first and then sets, so that a key in both is set.
pub(super) fn label(known: Known<'_>, command: &LabelHost) -> HostOutcome {
    let mut labels = known.profile.labels.clone();
    for key in &command.remove {
        labels.remove(key);
    }
    labels.extend(command.set.clone());
    if labels == known.profile.labels {
        return Ok(Decision::nothing());
    }
    check_labels(&known.profile.host, &labels)?;
    Ok(Decision::events([HostEvent::Labelled(HostLabelled { host: known.host(), labels })]))
}

pub(super) fn requalify(known: Known<'_>) -> HostOutcome {
    if !known.state.phase.allows(Move::Requalify) {
        return Err(known.not_possible(&[Move::Requalify], "requalified"));
    }
    let step = known.next_own_step(OwnWork::Verify)?;
    let requalified = HostRequalified { host: known.host(), step: step.clone() };
    let decision: HostDecision = Decision::events([HostEvent::Requalified(requalified)]);
    Ok(verifying::ask(&known.profile.host, step, known.profile.policy, known.now, decision))
}
