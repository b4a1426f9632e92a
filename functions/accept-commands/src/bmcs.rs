//! One BMC belongs to one host: whoever enrols a host claims its BMC first.
//!
//! Claims are values in `control`, by the name of the BMC, each put on the condition that nobody else was faster. A claim is
//! void when its host was retired, or was not enrolled within some minutes: its sender died in between, or was refused.

use hostler_core::mutants;
use std::sync::Arc;

use async_trait::async_trait;
use hostler_app::Hosts;
use hostler_core::ids::check_new_key;
use hostler_core::{Decider, Failure, StreamId, StreamVersion};
use hostler_domain::{HostDecider, HostInput, HostPhase, bmc_place};
use hostler_events::commands::{EnrolHost, RequalifyHost};
use hostler_events::host::BmcAddress;
use hostler_events::{HostId, HostPolicy};
use hostler_runtime::ports::{Control, PortError};
use hostler_runtime::register::{Accept, Accepted, Asked, Rejected, operate};
use hostler_runtime::state::control::update;
use hostler_runtime::state::shell::{Cause, Shell};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// How long a claim holds whose host is not enrolled: far longer than an invocation.
const UNUSED_MAX: SignedDuration = SignedDuration::from_mins(5);
/// The longest name of a BMC in bytes, below DynamoDB's limit for keys.
const PLACE_BYTES_MAX: usize = 1_000;

/// Enrols hosts, each with a BMC of its own.
#[derive(Clone)]
pub(crate) struct Bmcs {
    pub(crate) control: Arc<dyn Control>,
    /// Deadlines and attempts of new hosts.
    pub(crate) policy: HostPolicy,
}

/// Whose a BMC is.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Claim {
    host: Option<HostId>,
    claimed_at: Option<Timestamp>,
}

#[async_trait]
impl Accept<EnrolHost> for Bmcs {
    async fn accept(&self, shell: &Shell, cause: &Cause, command: EnrolHost) -> Result<Accepted, Rejected> {
        let (host, bmc) = (command.host.clone(), command.bmc.clone());
        let input = HostInput::Enrol { command, policy: self.policy };
        let known = shell.load::<HostDecider>(&stream(&host)?).await.map_err(Failure::from)?;
        let is_new = known.version == StreamVersion::EMPTY;
        // What will be refused claims nothing.
        let is_refused = (is_new && check_new_key(HostDecider::CATEGORY, host.as_str()).is_err())
            || HostDecider::decide(&known.state, &input, shell.now()).is_err();
        if !is_refused {
            self.claim(shell, &host, &bmc).await?;
        }
        let asked = Asked::new(input);
        operate::<Hosts>(shell, cause, host.as_str(), asked.telling("host", host.as_str())).await
    }
}

/// A host that was retired has given its BMC up, and claims it again when it comes back.
#[async_trait]
impl Accept<RequalifyHost> for Bmcs {
    async fn accept(
        &self,
        shell: &Shell,
        cause: &Cause,
        command: RequalifyHost,
    ) -> Result<Accepted, Rejected> {
        let host = command.host;
        let known = shell.load::<HostDecider>(&stream(&host)?).await.map_err(Failure::from)?;
        if let Some(profile) = &known.state.profile {
            self.claim(shell, &host, &profile.bmc).await?;
        }
        let asked = Asked::new(HostInput::Requalify).telling("host", host.as_str());
        operate::<Hosts>(shell, cause, host.as_str(), asked).await
    }
}

impl Bmcs {
    async fn claim(&self, shell: &Shell, host: &HostId, bmc: &BmcAddress) -> Result<(), Rejected> {
        // What is no address is refused by the host's decider.
        let Some(place) = bmc_place(bmc) else { return Ok(()) };
        if place.len() > PLACE_BYTES_MAX {
            let reason =
                format!("the BMC's address is longer than {PLACE_BYTES_MAX} bytes: give a shorter one");
            return Err(Failure::invalid(reason).into());
        }
        let key = format!("bmc#{place}");
        let void = match self.holder(&key).await? {
            Claim { host: Some(holder), claimed_at } if holder != *host => {
                is_void(shell, &holder, claimed_at).await?.then_some(holder)
            }
            _ => None,
        };
        let mine = Claim { host: Some(host.clone()), claimed_at: Some(shell.now()) };
        let change = |claim: &mut Claim| {
            let is_free = claim.host.is_none() || claim.host.as_ref() == Some(host) || claim.host == void;
            if is_free {
                *claim = mine.clone();
            }
            is_free
        };
        let claim = update(&*self.control, &key, change).await.map_err(failure)?;
        match claim.host {
            Some(holder) if holder != *host && !mutants::on("accept-commands.shares-a-bmc") => {
                Err(Rejected::Refused {
                    status: 409,
                    code: "bmc-taken",
                    reason: format!(
                        "the BMC {} belongs to the host {holder}: give {host} the address of its own BMC, or retire {holder} first",
                        bmc.system_url
                    ),
                })
            }
            _ => Ok(()),
        }
    }

    async fn holder(&self, key: &str) -> Result<Claim, Rejected> {
        let (claim, _) = hostler_runtime::state::control::read(&*self.control, key).await.map_err(failure)?;
        Ok(claim)
    }
}

fn failure(error: PortError) -> Rejected {
    Failure::from(error).into()
}

fn stream(host: &HostId) -> Result<StreamId, Failure> {
    StreamId::new(HostDecider::CATEGORY, host.as_str()).map_err(Failure::invalid)
}

/// Whether whoever made a claim has no use for it any more.
async fn is_void(shell: &Shell, holder: &HostId, claimed_at: Option<Timestamp>) -> Result<bool, Failure> {
    let host = shell.load::<HostDecider>(&stream(holder)?).await?;
    if host.state.profile.is_some() {
        return Ok(matches!(host.state.phase, HostPhase::Retired { .. }));
    }
    Ok(claimed_at.is_none_or(|at| shell.now().duration_since(at) > UNUSED_MAX))
}
