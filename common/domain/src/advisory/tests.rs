//! How urgent vulnerabilities are, and what follows from it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use std::cmp::Ordering;

use hostler_events::advisory::Affected;

use super::*;
use crate::views::{self, AdvisoryView};

const NETWORK: &str = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H";

fn at(hour: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hour)
}

fn record(hour: i64, cvss: &[&str]) -> AdvisoryInput {
    let record = AdvisoryRecord {
        id: "DSA-1-1".to_owned(),
        aliases: Vec::new(),
        summary: "a bug".to_owned(),
        modified_at: at(hour),
        withdrawn_at: None,
        cvss: cvss.iter().map(|vector| (*vector).to_owned()).collect(),
        affected: ["Debian:12", "PyPI"]
            .map(|ecosystem| Affected {
                ecosystem: ecosystem.to_owned(),
                package: "openssl".to_owned(),
                purl: None,
                ranges: Vec::new(),
                versions: vec!["1.0".to_owned()],
            })
            .to_vec(),
    };
    AdvisoryInput::Record { advisory: "CVE-2026-1".parse().unwrap(), record: Box::new(record), epss: None }
}

fn prioritise() -> AdvisoryInput {
    AdvisoryInput::Prioritise { table: Box::default() }
}

fn exploited() -> AdvisoryInput {
    AdvisoryInput::Refresh { exploited_since: Some("2026-11-28".to_owned()), epss: None }
}

fn scored(score: f64, date: &str) -> AdvisoryInput {
    AdvisoryInput::Refresh { exploited_since: None, epss: Some(EpssScore { score, date: date.to_owned() }) }
}

fn tell(state: AdvisoryState, input: &AdvisoryInput, hour: i64) -> (AdvisoryState, AdvisoryDecision) {
    let decision = AdvisoryDecider::decide(&state, input, at(hour)).unwrap();
    (decision.events.iter().fold(state, AdvisoryDecider::evolve), decision)
}

fn told(inputs: &[(AdvisoryInput, i64)]) -> AdvisoryState {
    inputs.iter().fold(AdvisoryState::default(), |state, (input, hour)| tell(state, input, *hour).0)
}

fn decided(state: &AdvisoryState) -> AdvisoryPrioritised {
    state.decision.clone().unwrap()
}

/// DOMAIN C: the decision table, and its deadlines.
#[test]
fn what_attackers_can_automate_has_its_deadline_from_the_table() {
    let state = told(&[(record(0, &[NETWORK]), 0), (prioritise(), 1)]);
    let is = decided(&state);
    assert!(is.facts.automatable && is.facts.total_impact && !is.facts.known_exploited);
    assert_eq!((is.priority, is.deadline), (Priority::Attend, Some(at(1 + 14 * 24))));
    assert_eq!((is.unexposed, is.unexposed_deadline), (Priority::TrackStar, Some(at(1 + 60 * 24))));
    assert_eq!((is.table, is.emergency, is.facts.cvss), (1, false, Some(9.8)));
}

/// New facts make a new decision; a deadline never moves back.
#[test]
fn new_facts_lead_to_a_new_decision_and_no_deadline_moves_back() {
    let state = told(&[(record(0, &[NETWORK]), 0), (prioritise(), 0)]);
    let (state, decision) = tell(state, &exploited(), 24);
    assert!(matches!(decision.commands[..], [FindingsCommand::PrioritiseAdvisory(_)]));
    let (state, _) = tell(state, &prioritise(), 24);
    let is = decided(&state);
    assert_eq!((is.revision, is.priority, is.deadline, is.emergency), (2, Priority::Act, Some(at(96)), true));
    // Thirteen days later there would have been three more days.
    let late =
        told(&[(record(0, &[NETWORK]), 0), (prioritise(), 0), (exploited(), 312), (prioritise(), 312)]);
    assert_eq!(decided(&late).deadline, Some(at(14 * 24)));
    // The same again decides nothing.
    assert_eq!(tell(state.clone(), &exploited(), 30).1, Decision::nothing());
    assert_eq!(tell(state, &prioritise(), 30).1, Decision::nothing());
}

/// What has no deadline has no campaign.
#[test]
fn an_advisory_that_is_withdrawn_has_no_deadline_even_where_it_is_known_to_be_exploited() {
    let mut withdrawn = record(3, &[NETWORK]);
    let AdvisoryInput::Record { record: of, .. } = &mut withdrawn else { panic!("no record") };
    of.withdrawn_at = Some(at(3));
    let before = [(record(0, &[NETWORK]), 0), (exploited(), 1), (prioritise(), 1)];
    assert_eq!(decided(&told(&before)).priority, Priority::Act);
    let is = decided(&told(&[&before[..], &[(withdrawn, 3), (prioritise(), 3)]].concat()));
    assert_eq!((is.priority, is.unexposed, is.emergency), (Priority::Track, Priority::Track, false));
    assert_eq!((is.deadline, is.unexposed_deadline), (None, None));
}

#[test]
fn an_older_record_or_the_same_again_changes_nothing() {
    let state = told(&[(record(5, &[NETWORK]), 5)]);
    for (hour, cvss) in [(4, &[][..]), (5, &[][..]), (9, &[NETWORK][..])] {
        assert_eq!(tell(state.clone(), &record(hour, cvss), 9).1, Decision::nothing(), "{hour}");
    }
    assert_eq!(tell(state, &record(9, &[]), 9).1.events.len(), 1);
}

#[test]
fn scores_and_dates_that_are_none_are_refused_and_an_older_score_changes_nothing() {
    let state = told(&[(record(0, &[]), 0), (scored(0.5, "2026-11-27"), 1)]);
    assert_eq!(tell(state.clone(), &scored(0.1, "2026-11-26"), 2).1, Decision::nothing());
    for wrong in [scored(1.5, "2026-11-28"), scored(f64::NAN, "2026-11-28"), scored(0.5, "tomorrow")] {
        assert!(AdvisoryDecider::decide(&state, &wrong, at(2)).is_err(), "{wrong:?}");
    }
    let unknown = AdvisoryDecider::decide(&AdvisoryState::default(), &exploited(), at(0)).unwrap_err();
    assert_eq!(unknown.label(), "unknown-advisory");
}

/// The fleet is looked through page by page, and once more a little later; a newer decision ends that.
#[test]
fn the_fleet_is_looked_through_page_by_page() {
    let (state, decision) = tell(told(&[(record(0, &[]), 0)]), &prioritise(), 0);
    assert!(matches!(&decision.commands[..], [FindingsCommand::AssessFleet(of)] if of.after.is_none()));
    assert_eq!(again_of(&decision.timers[0].name), Some(1));
    let hosts: Vec<HostId> = (0..60).map(|n| format!("h-{n}").parse().unwrap()).collect();
    let page = |revision, next: Option<&str>| AdvisoryInput::Page {
        revision,
        hosts: hosts.clone(),
        next: next.map(str::to_owned),
    };
    let (_, decision) = tell(state.clone(), &page(1, Some("h-59")), 0);
    assert!(decision.events.is_empty());
    assert_eq!(decision.commands.len(), 4);
    let Some(FindingsCommand::AssessFleet(next)) = decision.commands.last() else { panic!("no next page") };
    assert_eq!(next.after.as_deref(), Some("h-59"));
    assert_eq!(tell(state.clone(), &page(1, None), 0).1.commands.len(), 3);
    assert_eq!(tell(state.clone(), &page(0, None), 0).1, Decision::nothing());
    assert_eq!(tell(state.clone(), &AdvisoryInput::Again { revision: 1 }, 0).1.commands.len(), 1);
    assert_eq!(tell(state, &AdvisoryInput::Again { revision: 0 }, 0).1, Decision::nothing());
}

/// DOMAIN C: ties by EPSS, then CVSS.
#[test]
fn what_is_as_urgent_is_ordered_by_epss_and_then_by_cvss() {
    let view = |epss: Option<f64>, cvss: &[&str]| -> AdvisoryView {
        let state = told(&[(record(0, cvss), 0), (prioritise(), 0)]);
        let state = epss.map_or(state.clone(), |score| tell(state, &scored(score, "2026-11-28"), 1).0);
        views::advisory(&state).unwrap()
    };
    let local = "CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:L/A:L";
    let mild = "CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:U/C:L/I:L/A:L";
    assert_eq!(view(Some(0.9), &[local]).order(&view(Some(0.1), &[mild])), Ordering::Less);
    assert_eq!(view(None, &[mild]).order(&view(None, &[local])), Ordering::Less);
    assert_eq!(view(None, &[NETWORK]).order(&view(Some(0.9), &[mild])), Ordering::Less);
}

/// What is not compared says so.
#[test]
fn ecosystems_that_are_not_compared_are_named() {
    let view = views::advisory(&told(&[(record(0, &[]), 0)])).unwrap();
    assert_eq!(view.not_compared.into_iter().collect::<Vec<_>>(), ["PyPI"]);
}
