//! A request for capacity: the stream `request#<id>`, which starts one provisioning saga for each host.

use std::collections::BTreeSet;

use hostler_core::{Decider, Decision};
use hostler_events::commands::{HOSTS_PER_REQUEST_MAX, RequestHosts, StartProvisioning};
use hostler_events::provisioning::CapacityRequested;
use hostler_events::{CapacityEvent, ProvisioningId, ProvisioningPolicy, RequestId, StepCommand};
use jiff::Timestamp;

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
        policy: ProvisioningPolicy,
    },
}

/// Why a request is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CapacityRefusal {
    /// An empty request is a mistake: nothing means nothing, never everything.
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
    /// The edge did not make one distinct saga id for each host; nothing that the asker did.
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
            Self::PayloadMismatch { .. } => "payload-mismatch",
        }
    }
}

impl Decider for CapacityDecider {
    const CATEGORY: &'static str = "request";
    const STATE_VERSION: u32 = 1;
    type State = Option<CapacityRequested>;
    type Input = CapacityInput;
    type Event = CapacityEvent;
    type Command = StepCommand;
    type Refusal = CapacityRefusal;

    fn decide(
        state: &Self::State,
        input: &Self::Input,
        _now: Timestamp,
    ) -> Result<Decision<Self::Event, Self::Command>, Self::Refusal> {
        let CapacityInput::Request { command, provisionings, policy } = input;
        match state {
            Some(accepted) => same_content(accepted, command).map(|()| Decision::nothing()),
            None => accept(command, provisionings, *policy),
        }
    }

    fn evolve(_: Self::State, event: &Self::Event) -> Self::State {
        match event {
            CapacityEvent::Requested(requested) => Some(requested.clone()),
        }
    }
}

fn accept(
    command: &RequestHosts,
    provisionings: &[ProvisioningId],
    policy: ProvisioningPolicy,
) -> Result<Decision<CapacityEvent, StepCommand>, CapacityRefusal> {
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
    let mut decision = Decision::events([CapacityEvent::Requested(CapacityRequested {
        request: request.clone(),
        pool: pool.clone(),
        role: role.clone(),
        image: image.clone(),
        sku: sku.clone(),
        provisionings: provisionings.to_vec(),
    })]);
    for provisioning in provisionings {
        decision = decision.command(StepCommand::StartProvisioning(StartProvisioning {
            provisioning: provisioning.clone(),
            request: request.clone(),
            pool: pool.clone(),
            role: role.clone(),
            image: image.clone(),
            sku: sku.clone(),
            policy,
        }));
    }
    Ok(decision)
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
