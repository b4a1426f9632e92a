//! Events of the inventory and of its sources, in a line each.

use hostler_events::InventoryEvent;
use hostler_events::inventory::{Facts, Presence, SourceEvent, Standing};

use super::describe::{Line, Mark};

/// An event of a host in the inventory.
pub(crate) fn inventory(event: &InventoryEvent) -> Line {
    match event {
        InventoryEvent::Expected(e) => {
            let what = match e.standing {
                Standing::NotEnrolled => "it is not enrolled".to_owned(),
                Standing::Enrolled => format!("expected: {}", told(&e.facts)),
                Standing::Retired => "it is retired: nothing is expected of it".to_owned(),
            };
            Line::new(Mark::Other, what)
        }
        InventoryEvent::Observed(e) => {
            let source = e.source.name();
            let what = match e.presence {
                Presence::Gone => format!("{source} says that it is gone"),
                Presence::Present if e.changed.is_empty() => format!("{source} says that it is there"),
                Presence::Present => format!("{source} says: {}", told(&e.changed)),
            };
            Line::new(Mark::Other, what)
        }
        InventoryEvent::DriftDetected(e) => {
            let (source, fact) = (e.source.name(), e.fact.name());
            let what = format!("{fact} is {} by {source}, and {} is expected", e.actual, e.expected);
            Line::new(Mark::Failed, what)
        }
        InventoryEvent::DriftResolved(e) => {
            Line::new(Mark::Done, format!("{} is as expected again, by {}", e.fact.name(), e.source.name()))
        }
        InventoryEvent::HostAppeared(e) => Line::new(
            Mark::Begun,
            format!("{} tells of it, and it was not known to be there", e.source.name()),
        ),
        InventoryEvent::HostVanished(e) => {
            let words: Vec<&str> = e.words.keys().map(|source| source.name()).collect();
            let what = format!("it is gone: {} say so, and it was not found", words.join(" and "));
            Line::new(Mark::Failed, what)
        }
    }
}

/// An event of a source.
pub(crate) fn source(event: &SourceEvent) -> Line {
    match event {
        SourceEvent::Heard(_) => Line::new(Mark::Other, "it is heard"),
        SourceEvent::Lost(e) => Line::new(Mark::Failed, format!("it says nothing since {}", e.silent_since)),
        SourceEvent::Restored(_) => Line::new(Mark::Done, "it is heard again, and all hosts are looked at"),
    }
}

fn told(facts: &Facts) -> String {
    let facts = facts.iter().map(|(fact, said)| format!("{} {said}", fact.name()));
    facts.collect::<Vec<_>>().join(", ")
}
