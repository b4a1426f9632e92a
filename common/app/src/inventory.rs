//! The inventory: how hosts and sources are shown.

use hostler_domain::inventory::view::{self, INVENTORY, SOURCES};
use hostler_domain::inventory::{SOURCE_TIMERS_TO, SourceDecider, SourceState};
use hostler_domain::{InventoryDecider, InventoryState, SweepDecider};
use hostler_runtime::register::{Entity, Shown, Viewed};

/// What is expected of hosts and what sources say of them, listed by status.
#[derive(Debug, Clone, Copy)]
pub struct Inventory;

impl Entity for Inventory {
    type Decider = InventoryDecider;
}

impl Viewed for Inventory {
    const VIEW: &'static str = INVENTORY;

    fn show(state: &InventoryState) -> Option<Shown> {
        let shown = view::inventory(state)?;
        Some(Shown::of(shown.status.clone(), &shown))
    }
}

/// The sources of inventory, listed by whether they are heard.
#[derive(Debug, Clone, Copy)]
pub struct Sources;

impl Entity for Sources {
    type Decider = SourceDecider;
    const TIMERS_TO: Option<&'static str> = Some(SOURCE_TIMERS_TO);
}

impl Viewed for Sources {
    const VIEW: &'static str = SOURCES;

    fn show(state: &SourceState) -> Option<Shown> {
        let shown = view::source(state)?;
        Some(Shown::of(shown.status.clone(), &shown))
    }
}

/// Looks at all hosts. Nobody looks at these: what they have found is in the inventory.
#[derive(Debug, Clone, Copy)]
pub struct Sweeps;

impl Entity for Sweeps {
    type Decider = SweepDecider;
}
