//! Whether a host is there: who says that it is gone, who has seen it since, and when that is believed.

use std::collections::BTreeMap;

use hostler_core::mutants;
use hostler_events::inventory::{HostVanished, Presence, Standing};
use hostler_events::{InventoryEvent, InventorySource};
use jiff::Timestamp;

use super::{InventoryInput, InventoryState, Observed, Story};

impl InventoryState {
    /// Who has seen the host last, and what was seen.
    pub(super) fn newest_presence(&self) -> Option<(InventorySource, &Observed)> {
        let present = self.sources.iter().filter(|(_, observed)| observed.presence == Presence::Present);
        present.max_by_key(|(_, observed)| observed.observed_at).map(|(source, observed)| (*source, observed))
    }

    /// Who says that the host is gone, and when: those who do so since it was last seen by anybody. Our own look is no such
    /// word.
    #[must_use]
    pub fn words(&self) -> BTreeMap<InventorySource, Timestamp> {
        self.sources
            .iter()
            .filter(|(source, observed)| {
                (**source != InventorySource::Reconcile || mutants::on("inventory.not-observed-is-absent"))
                    && observed.presence == Presence::Gone
                    && self.seen_at.is_none_or(|seen_at| observed.observed_at > seen_at)
            })
            .map(|(source, observed)| (*source, observed.observed_at))
            .collect()
    }
}

impl Story {
    /// The words that count now: not those of sources that are themselves missed.
    fn words_that_count(&self, input: &InventoryInput) -> BTreeMap<InventorySource, Timestamp> {
        let mut words = self.state.words();
        let is_heard =
            |source: &InventorySource| input.lost.as_ref().is_some_and(|lost| !lost.contains(source));
        words.retain(|source, _| is_heard(source) || mutants::on("inventory.believes-who-is-silent"));
        words
    }

    /// Whether so many say that the host is gone that it is to be looked for.
    pub(super) fn is_said_to_be_gone(&self, input: &InventoryInput) -> bool {
        let is_expected = self.state.standing == Standing::Enrolled && self.state.vanished_at.is_none();
        is_expected && is_enough(self.words_that_count(input).len(), input)
    }

    /// Whether a look at the host would tell whether it is gone: enough say so, and it was not looked for since.
    pub(super) fn needs_a_look(&self, input: &InventoryInput) -> bool {
        self.is_said_to_be_gone(input) && self.not_found_at(input).is_none()
    }

    /// When the host was looked for and not found, where that was after so many words as it takes.
    fn not_found_at(&self, input: &InventoryInput) -> Option<Timestamp> {
        let look = self.state.sources.get(&InventorySource::Reconcile)?;
        let before_it =
            self.words_that_count(input).into_values().filter(|said_at| *said_at <= look.observed_at).count();
        (look.presence == Presence::Gone && is_enough(before_it, input)).then_some(look.observed_at)
    }

    /// Declares a host gone where there is nothing left to doubt.
    pub(super) fn vanish(&mut self, input: &InventoryInput, now: Timestamp) {
        if !self.is_said_to_be_gone(input) {
            return;
        }
        let Some(looked_at) = self.not_found_at(input) else { return };
        let (host, words) = (input.host.clone(), self.words_that_count(input));
        self.tell(InventoryEvent::HostVanished(HostVanished {
            host,
            words,
            limit: input.vanish_sources,
            policy_version: input.policy_version,
            looked_at,
            at: now,
        }));
    }
}

fn is_enough(words: usize, input: &InventoryInput) -> bool {
    // The policies ask for two at least; nobody is gone by one word.
    words >= usize::try_from(input.vanish_sources).unwrap_or(usize::MAX).max(2)
}
