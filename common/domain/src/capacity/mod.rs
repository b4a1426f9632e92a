//! A request for capacity: the stream `request#<id>`, which starts one provisioning saga for each host.

use hostler_core::mutants;
use std::collections::BTreeSet;

use hostler_core::failure::clip;
use hostler_core::saga::SagaCommand;
use hostler_core::{Decider, Decision, SetTimer};
use hostler_events::commands::{HOSTS_PER_REQUEST_MAX, RequestHosts};
use hostler_events::provisioning::{
    ApprovalRequested, CapacityApproved, CapacityRejected, CapacityRequested,
};
use hostler_events::{
    CapacityEvent, ProvisioningId, ProvisioningOrder, ProvisioningPolicy, RequestId, TrafficPolicy,
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::provisioning;
use crate::support::OWNER_ID_BYTES_MAX;

#[cfg(test)]
mod tests;

/// Decides on `request#` streams.
#[derive(Debug, Clone, Copy)]
pub struct CapacityDecider;

/// What a request's stream is told.
#[derive(Debug, Clone, PartialEq)]
pub enum CapacityInput {
    /// Somebody asks for hosts.
    Request {
        /// What they ask for.
        command: RequestHosts,
        /// One new saga id for each host, made at the edge. Not used when the request was accepted before.
        provisionings: Vec<ProvisioningId>,
        /// The policy that the sagas keep from start to end.
        policy: Box<ProvisioningPolicy>,
        /// How hosts of the pool take requests, where the site's policies say so.
        traffic: Option<TrafficPolicy>,
        /// How many hosts are started without approval. Any number, where absent.
        approval_above: Option<u32>,
    },
    /// A person approves it.
    Approve {
        /// Why.
        reason: String,
    },
    /// A person rejects it.
    Reject {
        /// Why.
        reason: String,
    },
    /// A timer is due.
    Timer {
        /// The timer's name.
        name: String,
    },
}

/// The queue to which a request's timers are delivered.
pub const CAPACITY_TIMERS_TO: &str = "commands";
/// How long a request waits for approval.
pub const APPROVED_WITHIN: SignedDuration = SignedDuration::from_hours(24);

/// Why a request is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CapacityRefusal {
    /// A request for no hosts is a mistake: it never means all of them.
    #[error("request {request} asks for 0 hosts: ask for 1 to {HOSTS_PER_REQUEST_MAX}")]
    NoHosts {
        /// The request.
        request: RequestId,
    },
    /// More than one request may ask for.
    #[error(
        "request {request} asks for {count} hosts, and one request may ask for {HOSTS_PER_REQUEST_MAX} at most: split it into several requests, each with an id of its own"
    )]
    TooManyHosts {
        /// The request.
        request: RequestId,
        /// How many it asks for.
        count: u32,
    },
    /// The edge did not make one distinct saga id for each host. The caller did nothing wrong.
    #[error(
        "request {request} asks for {count} hosts, and {found} distinct provisioning ids were made for it: make one for each host"
    )]
    IdsMissing {
        /// The request.
        request: RequestId,
        /// How many hosts it asks for.
        count: u32,
        /// How many distinct ids came with it.
        found: usize,
    },
    /// The sagas' ids, which may be made from the request's, leave no room for step ids.
    #[error(
        "request {request} is too long a name: the ids of its provisionings have {bytes} bytes, and may have {OWNER_ID_BYTES_MAX}; choose a shorter one, such as a UUID"
    )]
    IdTooLong {
        /// The request.
        request: RequestId,
        /// How long the longest of its sagas' ids is.
        bytes: usize,
    },
    /// There is no such request.
    #[error("there is no such request: check its id")]
    Unknown,
    /// It does not wait for approval.
    #[error("request {request} is {approval}, and does not wait for approval (any more)")]
    NotAwaited {
        /// The request.
        request: RequestId,
        /// Its status.
        approval: &'static str,
    },
    /// A decision needs a reason.
    #[error("no reason was given for request {request}: it is recorded, so say why")]
    NoReason {
        /// The request.
        request: RequestId,
    },
    /// The id was used before for something else.
    #[error(
        "request {request} was accepted before with another {field} ({accepted}, now {asked}): send the same content again, or use a new request id"
    )]
    PayloadMismatch {
        /// The request.
        request: RequestId,
        /// The first field that differs.
        field: &'static str,
        /// What it was.
        accepted: String,
        /// What it is now.
        asked: String,
    },
}

impl CapacityRefusal {
    /// The static label for metrics and answers.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::NoHosts { .. } => "no-hosts",
            Self::TooManyHosts { .. } => "too-many-hosts",
            Self::IdsMissing { .. } => "ids-missing",
            Self::IdTooLong { .. } => "id-too-long",
            Self::Unknown => "unknown-request",
            Self::NotAwaited { .. } => "not-awaited",
            Self::NoReason { .. } => "no-reason",
            Self::PayloadMismatch { .. } => "payload-mismatch",
        }
    }
}

/// Whether a request is approved.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Approval {
    /// It needs none, or was approved.
    #[default]
    Given,
    /// It waits for approval.
    Awaited {
        /// The policy that its sagas will keep.
        policy: ProvisioningPolicy,
        /// How its hosts will take requests.
        #[serde(default)]
        traffic: Option<TrafficPolicy>,
        /// How many hosts are started without approval.
        approval_above: u32,
        /// When it is rejected if nobody has approved it.
        deadline_at: Timestamp,
    },
    /// It will not be carried out.
    Rejected {
        /// Why.
        reason: String,
    },
}

const APPROVED: &str = "approved";
const AWAITS_APPROVAL: &str = "awaits-approval";
const REJECTED: &str = "rejected";

impl Approval {
    /// The names in views and messages.
    pub const NAMES: [&'static str; 3] = [APPROVED, AWAITS_APPROVAL, REJECTED];

    /// The name in views and messages.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Given => APPROVED,
            Self::Awaited { .. } => AWAITS_APPROVAL,
            Self::Rejected { .. } => REJECTED,
        }
    }
}

/// What is known of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CapacityState {
    /// What was asked for; absent until it was.
    pub order: Option<CapacityRequested>,
    /// Whether it is carried out.
    pub approval: Approval,
}

impl Decider for CapacityDecider {
    const CATEGORY: &'static str = "request";
    const STATE_VERSION: u32 = 2;
    type State = CapacityState;
    type Input = CapacityInput;
    type Event = CapacityEvent;
    type Command = SagaCommand;
    type Refusal = CapacityRefusal;

    fn decide(
        state: &Self::State,
        input: &Self::Input,
        now: Timestamp,
    ) -> Result<CapacityDecision, CapacityRefusal> {
        match (input, &state.order) {
            (CapacityInput::Request { command, .. }, Some(accepted)) => {
                same_content(accepted, command).map(|()| Decision::nothing())
            }
            (CapacityInput::Request { command, provisionings, policy, traffic, approval_above }, None) => {
                let kept = Kept { policy: **policy, traffic: traffic.clone() };
                let order = accept(command, provisionings)?;
                match approval_above.filter(|most| command.count > *most) {
                    Some(most) => Ok(ask_for_approval(order, kept, most, now)),
                    None => Ok(carry_out(Decision::nothing(), order, kept)),
                }
            }
            (CapacityInput::Approve { reason }, Some(order)) => {
                let kept = awaited(state, order, reason)?;
                let (request, reason) = (order.request.clone(), reason.clone());
                let approved = CapacityEvent::Approved(CapacityApproved { request, reason });
                Ok(carry_out(Decision::events([approved]), order.clone(), kept))
            }
            (CapacityInput::Reject { reason }, Some(order)) => {
                awaited(state, order, reason)?;
                Ok(reject(order, reason))
            }
            (CapacityInput::Timer { name }, Some(order)) => match &state.approval {
                Approval::Awaited { .. } if *name == timer_name(&order.request) => {
                    Ok(reject(order, &format!("nobody approved it within {} h", APPROVED_WITHIN.as_hours())))
                }
                Approval::Awaited { .. } | Approval::Given | Approval::Rejected { .. } => {
                    Ok(Decision::nothing())
                }
            },
            (CapacityInput::Timer { .. }, None) => Ok(Decision::nothing()),
            (CapacityInput::Approve { .. } | CapacityInput::Reject { .. }, None) => {
                Err(CapacityRefusal::Unknown)
            }
        }
    }

    fn evolve(mut state: Self::State, event: &Self::Event) -> Self::State {
        match event {
            CapacityEvent::Requested(order) => {
                state.order = Some(order.clone());
                state.approval = Approval::Given;
            }
            CapacityEvent::ApprovalRequested(asked) => {
                state.order = Some(asked.order.clone());
                state.approval = Approval::Awaited {
                    policy: asked.policy,
                    traffic: asked.traffic.clone(),
                    approval_above: asked.approval_above,
                    deadline_at: asked.deadline_at,
                };
            }
            CapacityEvent::Approved(_) => state.approval = Approval::Given,
            CapacityEvent::Rejected(rejected) => {
                state.approval = Approval::Rejected { reason: rejected.reason.clone() };
            }
        }
        state
    }
}

type CapacityDecision = Decision<CapacityEvent, SagaCommand>;

fn timer_name(request: &RequestId) -> String {
    format!("approval:{request}")
}

/// The policy of a request that waits for approval.
fn awaited(state: &CapacityState, order: &CapacityRequested, reason: &str) -> Result<Kept, CapacityRefusal> {
    let request = order.request.clone();
    match &state.approval {
        Approval::Awaited { .. } if reason.trim().is_empty() => Err(CapacityRefusal::NoReason { request }),
        Approval::Awaited { policy, traffic, .. } => Ok(Kept { policy: *policy, traffic: traffic.clone() }),
        decided @ (Approval::Given | Approval::Rejected { .. }) => {
            Err(CapacityRefusal::NotAwaited { request, approval: decided.name() })
        }
    }
}

/// What sagas keep from start to end.
struct Kept {
    policy: ProvisioningPolicy,
    traffic: Option<TrafficPolicy>,
}

fn ask_for_approval(
    order: CapacityRequested,
    Kept { policy, traffic }: Kept,
    approval_above: u32,
    now: Timestamp,
) -> CapacityDecision {
    let deadline_at = now.saturating_add(APPROVED_WITHIN).unwrap_or(Timestamp::MAX);
    let name = timer_name(&order.request);
    let asked = ApprovalRequested { order, policy, traffic, approval_above, deadline_at };
    Decision::events([CapacityEvent::ApprovalRequested(asked)]).timer(SetTimer {
        name,
        due_at: deadline_at,
        deliver_to: CAPACITY_TIMERS_TO,
    })
}

fn reject(order: &CapacityRequested, reason: &str) -> CapacityDecision {
    let (request, reason) = (order.request.clone(), clip(reason));
    Decision::events([CapacityEvent::Rejected(CapacityRejected { request, reason })])
}

/// One saga for each host.
fn carry_out(
    decision: CapacityDecision,
    asked: CapacityRequested,
    Kept { policy, traffic }: Kept,
) -> CapacityDecision {
    let mut decision = decision.event(CapacityEvent::Requested(asked.clone()));
    let CapacityRequested { request, pool, role, image, sku, provisionings } = asked;
    let order = ProvisioningOrder { request, pool, take_from: Vec::new(), role, image, sku, traffic, policy };
    let starts = provisioning::starts(&order, &provisionings);
    for start in starts.skip(usize::from(mutants::on("capacity.one-host-short"))) {
        decision = decision.command(start.into());
    }
    decision
}

/// What is asked for, if it can be.
fn accept(
    command: &RequestHosts,
    provisionings: &[ProvisioningId],
) -> Result<CapacityRequested, CapacityRefusal> {
    let RequestHosts { request, pool, role, image, sku, count } = command;
    let (request, count) = (request.clone(), *count);
    if count == 0 {
        return Err(CapacityRefusal::NoHosts { request });
    }
    if count > HOSTS_PER_REQUEST_MAX {
        return Err(CapacityRefusal::TooManyHosts { request, count });
    }
    let found = provisionings.iter().collect::<BTreeSet<_>>().len();
    if u32::try_from(found) != Ok(count) || found != provisionings.len() {
        return Err(CapacityRefusal::IdsMissing { request, count, found });
    }
    let bytes = provisionings.iter().map(|id| id.as_str().len()).max().unwrap_or(0);
    if bytes > OWNER_ID_BYTES_MAX {
        return Err(CapacityRefusal::IdTooLong { request, bytes });
    }
    Ok(CapacityRequested {
        request,
        pool: pool.clone(),
        role: role.clone(),
        image: image.clone(),
        sku: sku.clone(),
        provisionings: provisionings.to_vec(),
    })
}

fn same_content(accepted: &CapacityRequested, asked: &RequestHosts) -> Result<(), CapacityRefusal> {
    let sku = |sku: &Option<_>| sku.as_ref().map_or_else(|| "any".to_owned(), ToString::to_string);
    let fields = [
        ("pool", accepted.pool.to_string(), asked.pool.to_string()),
        ("role", accepted.role.to_string(), asked.role.to_string()),
        ("image", accepted.image.to_string(), asked.image.to_string()),
        ("sku", sku(&accepted.sku), sku(&asked.sku)),
        ("count", accepted.provisionings.len().to_string(), asked.count.to_string()),
    ];
    match fields.into_iter().find(|(_, before, now)| before != now) {
        None => Ok(()),
        Some((field, accepted, now)) => Err(CapacityRefusal::PayloadMismatch {
            request: asked.request.clone(),
            field,
            accepted,
            asked: now,
        }),
    }
}
