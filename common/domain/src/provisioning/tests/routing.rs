//! Which events go to which saga.

use hostler_events::provisioning::CandidateChosen;

use super::*;

#[test]
fn the_bus_forwards_exactly_what_a_saga_listens_to() {
    for name in SAGA_EVENTS {
        let known = HostEvent::NAMES.contains(name) || ReservationEvent::NAMES.contains(name);
        assert!(known, "{name} is no event");
    }
    let mut heard: Vec<&str> = StepKind::FORWARD
        .into_iter()
        .chain(COMPENSATIONS)
        .flat_map(|kind| [success(kind, "s/1"), failure(kind, "s/1", Category::Unknown)])
        .chain([quarantined(HOST), released_by_host("s/1"), deferred("s/1", Timestamp::UNIX_EPOCH)])
        .map(|input| match input {
            ProvisioningInput::Host(event) => {
                assert!(!matches!(replies::of_host(&event), Reply::Nothing));
                assert_eq!(provisioning_of(&event), Some(&id("p-1")));
                event.type_name()
            }
            ProvisioningInput::Reservation(event) => {
                assert!(!matches!(replies::of_reservation(&event), Reply::Nothing));
                assert_eq!(provisioning_of_reservation(&event), &id("p-1"));
                event.type_name()
            }
            other => panic!("{other:?}"),
        })
        .collect();
    heard.sort_unstable();
    heard.dedup();
    let mut forwarded = SAGA_EVENTS.to_vec();
    forwarded.sort_unstable();
    assert_eq!(heard, forwarded);
}

#[test]
fn a_host_that_nobody_holds_concerns_no_saga() {
    let cleaned = HostCleaned { host: id(HOST), step: id("h-1/clean/1"), provisioning: None };
    assert_eq!(provisioning_of(&HostEvent::Cleaned(cleaned)), None);
}

#[test]
fn choices_of_hosts_are_not_for_the_saga() {
    let chosen = CandidateChosen { provisioning: id("p-1"), step: id("p-1/reserve-host/1"), host: id(HOST) };
    let mut saga = running(StepKind::ReserveHost);
    assert!(saga.ignores(&ProvisioningInput::Reservation(ReservationEvent::CandidateChosen(chosen))));
}
