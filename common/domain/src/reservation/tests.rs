//! Rules of reservations.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use super::*;
use crate::testing::{Run, id, saga_ref};

fn choose(step: &str, host: &str) -> ReservationInput {
    ReservationInput::Choose { saga: saga_ref("p-1"), step: id(step), host: id(host) }
}

fn lose(step: &str, host: &str) -> ReservationInput {
    ReservationInput::Lose { saga: saga_ref("p-1"), step: id(step), host: id(host) }
}

fn close(step: &str) -> ReservationInput {
    ReservationInput::Close { saga: saga_ref("p-1"), step: id(step) }
}

fn released(step: &str) -> ReservationInput {
    ReservationInput::Released { saga: saga_ref("p-1"), step: id(step), host: Some(id("h-1")) }
}

fn fail(step: &str) -> ReservationInput {
    let reason = "no host is free".to_owned();
    ReservationInput::Fail { saga: saga_ref("p-1"), step: id(step), category: Category::Transient, reason }
}

type Reservation = Run<ReservationDecider>;

#[test]
fn a_choice_is_recorded_once() {
    let mut run = Reservation::new();
    assert_eq!(run.names(&choose("s/1", "h-1")), ["reservation.candidate-chosen"]);
    assert!(run.ignores(&choose("s/1", "h-1")));
    assert_eq!(run.state.chosen, Some(id("h-1")));
}

#[test]
fn the_next_step_takes_the_choice_over_and_the_earlier_one_cannot_lose_it() {
    let mut run = Reservation::given([choose("s/1", "h-1")]);
    assert_eq!(run.names(&choose("s/2", "h-1")), ["reservation.candidate-chosen"]);
    assert!(run.ignores(&lose("s/1", "h-1")), "late: the second step may hold it by now");
    assert_eq!(run.state.chosen, Some(id("h-1")));
    assert_eq!(run.state.tried, [id("h-1")]);
}

#[test]
fn every_host_ever_tried_stays_known_for_the_release() {
    let run = Reservation::given([
        choose("s/1", "h-1"),
        lose("s/1", "h-1"),
        choose("s/1", "h-2"),
        lose("s/1", "h-2"),
        choose("s/2", "h-1"),
        close("r/1"),
    ]);
    assert_eq!(run.state.tried, [id("h-1"), id("h-2")]);
}

#[test]
fn the_number_of_hosts_tried_is_limited() {
    let mut run = Reservation::new();
    for n in 0..HOSTS_TRIED_MAX {
        run.when(&choose("s/1", &format!("h-{n}"))).unwrap();
        run.when(&lose("s/1", &format!("h-{n}"))).unwrap();
    }
    assert_eq!(run.when(&choose("s/1", "h-new")).unwrap_err().label(), "too-many-tried");
    assert_eq!(run.names(&choose("s/2", "h-3")), ["reservation.candidate-chosen"], "tried before");
}

#[test]
fn a_second_host_is_not_chosen_while_the_first_may_be_held() {
    let mut run = Reservation::given([choose("s/1", "h-1")]);
    let refusal = run.when(&choose("s/2", "h-2")).unwrap_err();
    assert_eq!(refusal.label(), "already-chosen");
    assert!(refusal.to_string().contains("h-1"), "{refusal}");
}

#[test]
fn a_lost_host_makes_room_for_another() {
    let mut run = Reservation::given([choose("s/1", "h-1")]);
    assert_eq!(run.names(&lose("s/1", "h-1")), ["reservation.candidate-lost"]);
    assert!(run.ignores(&lose("s/1", "h-1")), "lost already");
    run.when(&choose("s/1", "h-2")).unwrap();
    assert_eq!(run.state.lost, [id("h-1")]);
    assert!(run.ignores(&lose("s/1", "h-1")), "not the chosen one");
    run.when(&choose("s/2", "h-2")).unwrap();
    run.when(&lose("s/2", "h-2")).unwrap();
    assert_eq!(run.state.lost, [id("h-2")], "a new step begins with a clean list");
}

#[test]
fn after_the_close_nothing_is_chosen_lost_or_failed() {
    let mut run = Reservation::given([choose("s/1", "h-1")]);
    let closed = run.when(&close("r/1")).unwrap();
    assert_eq!(
        closed.events,
        [ReservationEvent::Closed(ReservationClosed {
            saga: saga_ref("p-1"),
            step: id("r/1"),
            host: Some(id("h-1")),
        })]
    );
    assert_eq!(run.when(&choose("s/2", "h-2")).unwrap_err().label(), "closed");
    assert_eq!(run.when(&choose("s/2", "h-1")).unwrap_err().label(), "closed");
    for late in [lose("s/1", "h-1"), fail("s/1"), close("r/1"), close("r/2")] {
        assert!(run.ignores(&late), "{late:?}");
    }
    assert_eq!(run.state.chosen, Some(id("h-1")), "still known, for a release that is tried again");
}

#[test]
fn every_release_is_answered() {
    let mut run = Reservation::given([choose("s/1", "h-1"), close("r/1")]);
    assert_eq!(run.names(&released("r/1")), ["reservation.released"]);
    assert_eq!(run.names(&released("r/2")), ["reservation.released"]);
    assert!(run.state.released);
}

#[test]
fn a_release_closes() {
    let mut run = Reservation::given([released("r/1")]);
    assert_eq!(run.when(&choose("s/1", "h-1")).unwrap_err().label(), "closed");
}

#[test]
fn a_failed_search_is_told_and_can_go_on() {
    let mut run = Reservation::given([choose("s/1", "h-1"), lose("s/1", "h-1")]);
    assert_eq!(run.names(&fail("s/1")), ["reservation.failed"]);
    assert_eq!(run.names(&choose("s/2", "h-1")), ["reservation.candidate-chosen"]);
}
