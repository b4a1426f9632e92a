//! Looks at a host by its BMC: what it is, and whether it is there.

use hostler_core::Failure;
use hostler_domain::inventory::Word;
use hostler_drivers::{DriverError, SystemFacts};
use hostler_events::inventory::{Fact, Facts, Presence};
use hostler_events::{HostId, InventorySource};
use hostler_runtime::effects::breakers::Called;
use hostler_runtime::state::shell::Cause;

use crate::{Followed, WatchInventory};

impl WatchInventory {
    /// Looks for a host where it was enrolled. One that is not enrolled is looked for nowhere.
    pub(crate) async fn look_for(
        &self,
        cause: &Cause,
        host: &HostId,
        policy: Followed<'_>,
    ) -> Result<(), Failure> {
        let state = self.host(host).await?;
        let word = match &state.profile {
            Some(profile) => self.look(host, &profile.bmc.system_url).await,
            None => return Ok(()),
        };
        self.tell(cause, host, &state, word, policy).await
    }

    /// A BMC that does not answer says nothing of its host. Only that the system is not there is said by its BMC itself.
    async fn look(&self, host: &HostId, system_url: &str) -> Word {
        let observed_at = self.shell.now();
        let said = |presence, facts| Word::Said {
            source: InventorySource::Reconcile,
            observed_at,
            presence,
            facts,
            look: false,
        };
        let dependencies = ["bmc".to_owned(), format!("bmc/{host}")];
        let inspect = async || self.bmcs.connect(&self.bmc_login.at(system_url))?.inspect().await;
        match self.breakers.call_through(&dependencies, DriverError::is_outage, inspect).await {
            Ok(facts) => said(Presence::Present, facts_of(facts)),
            Err(Called::Failed(error @ DriverError::NotFound { .. })) => {
                tracing::warn!(%host, %error, "the BMC does not know the host");
                said(Presence::Gone, Facts::new())
            }
            Err(Called::Failed(error @ DriverError::Unreachable { .. })) => {
                tracing::info!(%host, %error, "nobody answers at the host's BMC");
                Word::NoAnswer
            }
            Err(Called::Failed(error)) => {
                tracing::info!(%host, %error, "the host could not be looked at");
                Word::NotLooked
            }
            Err(Called::Open(open)) => {
                tracing::info!(%host, %open, "the host could not be looked at");
                Word::NotLooked
            }
        }
    }
}

/// What a BMC says of the hardware. Of what it leaves out it says nothing.
fn facts_of(facts: SystemFacts) -> Facts {
    let known = [
        (Fact::Manufacturer, facts.manufacturer),
        (Fact::Model, facts.model),
        (Fact::Serial, facts.serial),
        (Fact::Processors, facts.processors.map(|count| count.to_string())),
        (Fact::MemoryGib, facts.memory_gib.map(|gib| gib.to_string())),
    ];
    known.into_iter().filter_map(|(fact, said)| Some((fact, said?))).collect()
}
