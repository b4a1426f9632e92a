//! Compares what sources say of hosts with what is expected of them, and looks at hosts itself now and then.
//!
//! It changes nothing on any host. Without `inventory` in the site's policies it records nothing.

mod adopt;
mod looking;
mod sweeping;

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use hostler_app::FollowedPolicies;
use hostler_core::{Category, Decider, Failure, Incoming, StreamId, TimerFired};
use hostler_domain::inventory::records::words_of;
use hostler_domain::inventory::{Word, expected_of};
use hostler_domain::{HostDecider, HostState, InventoryDecider, InventoryInput, SourceDecider, SourceInput};
use hostler_drivers::{BmcLogin, Bmcs};
use hostler_events::inventory::{InventoryPolicy, ObserveHost, ObserveRecord, Presence};
use hostler_events::{HostId, InventoryCommand, InventorySource};
use hostler_runtime::effects::breakers::Breakers;
use hostler_runtime::messages::batch::Handler;
use hostler_runtime::ports::Views;
use hostler_runtime::state::shell::{Cause, Shell};
use jiff::Timestamp;

pub use adopt::adopt;

/// Keeps the inventory.
pub struct WatchInventory {
    /// Where the inventory is kept.
    pub shell: Shell,
    /// Where hosts are listed.
    pub views: Arc<dyn Views>,
    /// What leaves BMCs alone that are away.
    pub breakers: Breakers,
    /// What is recorded, and how long sources may be silent.
    pub policies: FollowedPolicies,
    /// Where hosts are looked at.
    pub bmcs: Arc<dyn Bmcs>,
    /// How BMCs let it in.
    pub bmc_login: BmcLogin,
}

/// The policies that are followed, and their version, which decisions name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Followed<'a> {
    of: &'a InventoryPolicy,
    version: u64,
}

#[async_trait]
impl Handler for WatchInventory {
    async fn handle(&self, message: &Incoming) -> Result<(), Failure> {
        let policies = self.policies.now().await?;
        let Some(policy) = &policies.policy.inventory else {
            tracing::debug!("the policies keep no inventory: add inventory");
            return Ok(());
        };
        let policy = Followed { of: policy, version: policies.policy_version };
        let cause = &Cause::of(message);
        // What a timer or a schedule sets in motion follows from no message before.
        if let Incoming::Timer(timer) = message {
            return self.wake(&cause.afresh(), timer, policy).await;
        }
        match message.command::<InventoryCommand>()? {
            InventoryCommand::ObserveHost(said) => self.observe(cause, said, policy).await,
            InventoryCommand::ObserveRecord(record) => self.observe_record(cause, &record, policy).await,
            InventoryCommand::HearSource(heard) => {
                self.hear(cause, heard.source, heard.received_at, policy).await
            }
            InventoryCommand::LookForHost(look) => self.look_for(cause, &look.host, policy).await,
            InventoryCommand::SweepInventory(sweep) => self.sweep(&cause.afresh(), sweep).await,
        }
    }
}

impl WatchInventory {
    async fn observe(&self, cause: &Cause, said: ObserveHost, policy: Followed<'_>) -> Result<(), Failure> {
        let ObserveHost { host, source, observed_at, received_at, presence, facts, look } = said;
        let word = Word::Said { source, observed_at, presence, facts, look };
        let state = self.host(&host).await?;
        self.tell(cause, &host, &state, word, policy).await?;
        self.hear(&part(cause, "heard")?, source, received_at, policy).await
    }

    /// A record is about one host, or about two where it was renamed.
    async fn observe_record(
        &self,
        cause: &Cause,
        record: &ObserveRecord,
        policy: Followed<'_>,
    ) -> Result<(), Failure> {
        // Whatever is wrong with the record: its source is there.
        self.hear(&part(cause, "heard")?, InventorySource::Cmdb, record.received_at, policy).await?;
        for (host, word) in words_of(record, policy.of).map_err(Failure::invalid)? {
            let state = self.host(&host).await?;
            self.tell(cause, &host, &state, word, policy).await?;
        }
        Ok(())
    }

    /// Puts a word on record, beside what the site expects of the host now.
    async fn tell(
        &self,
        cause: &Cause,
        host: &HostId,
        state: &HostState,
        word: Word,
        policy: Followed<'_>,
    ) -> Result<(), Failure> {
        let stream = StreamId::new(InventoryDecider::CATEGORY, host.as_str()).map_err(Failure::invalid)?;
        let fold = self.shell.load::<InventoryDecider>(&stream).await?;
        let says_gone = match &word {
            Word::Said { presence, .. } => *presence == Presence::Gone,
            Word::NoAnswer => true,
            Word::NotLooked => false,
        };
        let lost = if says_gone || fold.state.is_doubted() { Some(self.lost(policy).await?) } else { None };
        let (standing, expected) = expected_of(state);
        let (vanish_sources, policy_version) = (policy.of.vanish.sources, policy.version);
        let input = InventoryInput {
            host: host.clone(),
            word,
            standing,
            expected,
            vanish_sources,
            policy_version,
            lost,
        };
        let done = self.shell.execute_from(&stream, fold, cause, &input).await?;
        tracing::info!(%stream, outcome = ?done.outcome, events = done.events.len(), "inventory told");
        Ok(())
    }

    /// What the site knows of a host.
    async fn host(&self, host: &HostId) -> Result<HostState, Failure> {
        let stream = StreamId::new(HostDecider::CATEGORY, host.as_str()).map_err(Failure::invalid)?;
        Ok(self.shell.load::<HostDecider>(&stream).await?.state)
    }

    /// Notes that a source is there, where it would be missed.
    async fn hear(
        &self,
        cause: &Cause,
        source: InventorySource,
        at: Timestamp,
        policy: Followed<'_>,
    ) -> Result<(), Failure> {
        let Some(of_source) = policy.of.sources.get(&source) else { return Ok(()) };
        let input = SourceInput::Heard { source, at, silent_seconds: of_source.silent_seconds };
        // A source that is back has all hosts looked at, whatever led to its word.
        self.shell.execute::<SourceDecider>(&source_stream(source)?, &cause.afresh(), &input).await?;
        Ok(())
    }

    async fn wake(&self, cause: &Cause, timer: &TimerFired, policy: Followed<'_>) -> Result<(), Failure> {
        let source = InventorySource::ALL.into_iter().find(|source| timer.stream.key() == source.name());
        let Some(source) = source.filter(|_| timer.stream.category() == SourceDecider::CATEGORY) else {
            let reason = format!("the timer {} of {} means nothing here", timer.name, timer.stream);
            return Err(Failure::terminal(Category::Validation, reason));
        };
        let silent_seconds = policy.of.sources.get(&source).map(|of_source| of_source.silent_seconds);
        let input =
            SourceInput::Timer { name: timer.name.clone(), silent_seconds, policy_version: policy.version };
        let done = self.shell.execute::<SourceDecider>(&timer.stream, cause, &input).await?;
        if !done.events.is_empty() {
            tracing::warn!(source = source.name(), subscriptions_lost = 1, "the source says nothing");
        }
        Ok(())
    }

    /// The sources that are missed now.
    async fn lost(&self, policy: Followed<'_>) -> Result<BTreeSet<InventorySource>, Failure> {
        let mut lost = BTreeSet::new();
        for source in policy.of.sources.keys() {
            if self.shell.load::<SourceDecider>(&source_stream(*source)?).await?.state.lost_since.is_some() {
                lost.insert(*source);
            }
        }
        Ok(lost)
    }
}

fn source_stream(source: InventorySource) -> Result<StreamId, Failure> {
    StreamId::new(SourceDecider::CATEGORY, source.name()).map_err(Failure::invalid)
}

fn part(cause: &Cause, name: &str) -> Result<Cause, Failure> {
    cause.part(name).map_err(Failure::invalid)
}
