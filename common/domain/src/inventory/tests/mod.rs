//! Rules of the inventory (DOMAIN: Inventory).
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod properties;

use hostler_core::Payload;
use hostler_events::inventory::{SourceEvent, SweepEvent, SweepInventory};
use serde_json::json;

use super::records::words_of;
use super::view::inventory;
use super::*;
use crate::testing::{Run, id};

type Host = Run<InventoryDecider>;
use InventorySource::{Agent, Cmdb, Reconcile, Redfish};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_799_999_000 + second).unwrap()
}

fn facts(facts: &[(Fact, &str)]) -> Facts {
    facts.iter().map(|(fact, said)| (*fact, (*said).to_owned())).collect()
}

/// What is told of an enrolled host of rack-1.
fn told(word: Word) -> InventoryInput {
    let expected = [
        (Fact::Presence, "present"),
        (Fact::Pool, "web"),
        (Fact::FaultDomain, "rack-1"),
        (Fact::Bmc, "https://bmc-1/s/1"),
        (Fact::MemoryGib, "256"),
    ];
    InventoryInput {
        host: id("h-1"),
        word,
        standing: Standing::Enrolled,
        expected: facts(&expected),
        vanish_sources: 2,
        policy_version: 7,
        lost: Some(BTreeSet::new()),
    }
}

fn unknown(word: Word) -> InventoryInput {
    InventoryInput { standing: Standing::NotEnrolled, expected: Facts::new(), ..told(word) }
}

fn says(source: InventorySource, second: i64, said: &[(Fact, &str)]) -> Word {
    let (observed_at, presence) = (at(second), Presence::Present);
    Word::Said { source, observed_at, presence, facts: facts(said), look: false }
}

fn gone(source: InventorySource, second: i64) -> Word {
    let (observed_at, presence) = (at(second), Presence::Gone);
    Word::Said { source, observed_at, presence, facts: Facts::new(), look: false }
}

fn status(host: &Host) -> String {
    inventory(&host.state).unwrap().status
}

/// Who is asked to be looked for.
fn looks(host: &Host) -> usize {
    host.commands.iter().filter(|command| matches!(command, InventoryCommand::LookForHost(_))).count()
}

#[test]
fn what_a_source_says_is_recorded_by_what_has_changed_only() {
    let mut host = Host::new();
    let first = [(Fact::Pool, "web"), (Fact::Serial, "CZ1")];
    assert_eq!(host.names(&told(says(Cmdb, 1, &first))), ["inventory.expected", "inventory.observed"]);
    let done = host.when(&told(says(Cmdb, 2, &[(Fact::Pool, "web"), (Fact::Serial, "CZ2")]))).unwrap();
    let [InventoryEvent::Observed(observed)] = &done.events[..] else { panic!("{done:?}") };
    assert_eq!(observed.changed, facts(&[(Fact::Serial, "CZ2")]));
    assert_eq!(host.state.sources[&Cmdb].facts, facts(&[(Fact::Pool, "web"), (Fact::Serial, "CZ2")]));
}

#[test]
fn an_older_word_of_a_source_than_its_newest_is_ignored() {
    let mut host = Host::given([told(says(Cmdb, 10, &[(Fact::Serial, "new")]))]);
    assert!(host.ignores(&told(says(Cmdb, 9, &[(Fact::Serial, "old")]))));
    assert!(host.ignores(&told(gone(Cmdb, 9))));
    // What says the same later is noted, so that a word from between is known to be old.
    host.when(&told(says(Cmdb, 30, &[(Fact::Serial, "new")]))).unwrap();
    assert!(host.ignores(&told(says(Cmdb, 20, &[(Fact::Serial, "between")]))));
    assert!(!host.ignores(&told(says(Redfish, 1, &[]))), "another source has a time of its own");
}

#[test]
fn a_look_that_finds_all_as_it_was_records_nothing() {
    let mut host = Host::given([told(says(Reconcile, 1, &[(Fact::Serial, "CZ1")]))]);
    assert!(host.ignores(&told(says(Reconcile, 500, &[(Fact::Serial, "CZ1")]))));
}

#[test]
fn drift_names_what_is_expected_and_what_is_said_once_and_ends_when_either_changes() {
    let mut host = Host::new();
    let names = host.names(&told(says(Cmdb, 1, &[(Fact::FaultDomain, "rack-2"), (Fact::Pool, "web")])));
    assert_eq!(names, ["inventory.expected", "inventory.observed", "inventory.drift-detected"]);
    let InventoryEvent::DriftDetected(drift) = host.events.last().unwrap().clone() else { panic!() };
    assert_eq!(
        (drift.source, drift.fact, &*drift.expected, &*drift.actual),
        (Cmdb, Fact::FaultDomain, "rack-1", "rack-2")
    );
    assert_eq!(status(&host), "drifted");
    assert_eq!(host.names(&told(says(Cmdb, 2, &[(Fact::FaultDomain, "rack-2")]))), ["inventory.observed"]);
    assert_eq!(
        host.names(&told(says(Cmdb, 3, &[(Fact::FaultDomain, "rack-1")]))),
        ["inventory.observed", "inventory.drift-resolved"]
    );
    assert_eq!(status(&host), "as-expected");
    // The site changes its mind: the CMDB is wrong without a word of its own.
    let mut moved = told(Word::NotLooked);
    moved.expected.insert(Fact::FaultDomain, "rack-9".to_owned());
    assert_eq!(host.names(&moved), ["inventory.expected", "inventory.drift-detected"]);
}

#[test]
fn two_spellings_of_one_thing_are_no_drift() {
    let said = [(Fact::Bmc, "HTTPS://BMC-1:443/s/1/"), (Fact::MemoryGib, "256.0"), (Fact::Pool, "Web ")];
    let host = Host::given([told(says(Cmdb, 1, &said))]);
    assert_eq!(status(&host), "as-expected");
    let host = Host::given([told(says(Reconcile, 1, &[(Fact::MemoryGib, "192")]))]);
    assert_eq!(status(&host), "drifted", "a module of its memory is gone");
}

#[test]
fn what_a_source_leaves_out_is_no_drift() {
    assert_eq!(status(&Host::given([told(says(Redfish, 1, &[]))])), "as-expected");
}

#[test]
fn nothing_is_expected_of_a_host_that_is_retired() {
    let mut host = Host::given([told(says(Cmdb, 1, &[(Fact::FaultDomain, "rack-2")]))]);
    let retired = InventoryInput { standing: Standing::Retired, ..unknown(says(Cmdb, 2, &[])) };
    let names = host.names(&retired);
    assert_eq!(names, ["inventory.expected", "inventory.observed", "inventory.drift-resolved"]);
}

#[test]
fn a_host_that_nobody_has_enrolled_appears_once_and_is_enrolled_by_nobody() {
    let mut host = Host::new();
    let done = host.when(&unknown(says(Cmdb, 1, &[(Fact::Pool, "web")]))).unwrap();
    let names: Vec<&str> = done.events.iter().map(Payload::type_name).collect();
    assert_eq!(names, ["inventory.observed", "inventory.host-appeared"]);
    assert!(done.commands.is_empty());
    assert_eq!(status(&host), "appeared");
    assert_eq!(host.names(&unknown(says(Redfish, 2, &[]))), ["inventory.observed"], "once");
    host.when(&told(says(Cmdb, 3, &[]))).unwrap();
    assert_eq!(status(&host), "as-expected", "somebody has enrolled it");
}

/// Two sources say that the host is gone.
fn said_to_be_gone() -> Host {
    Host::given([
        told(says(Reconcile, 1, &[])),
        told(says(Cmdb, 2, &[])),
        told(gone(Cmdb, 10)),
        told(gone(Redfish, 11)),
    ])
}

#[test]
fn a_host_is_gone_when_two_sources_say_so_and_it_is_looked_for_and_not_found() {
    let mut host = Host::given([told(says(Reconcile, 1, &[])), told(gone(Cmdb, 10))]);
    assert_eq!((status(&host).as_str(), looks(&host)), ("doubted", 0), "one word is a doubt");
    assert!(host.ignores(&told(Word::NoAnswer)), "that nobody answers says nothing, nor beside one word");
    host.when(&told(gone(Redfish, 11))).unwrap();
    assert_eq!((status(&host).as_str(), looks(&host)), ("doubted", 1), "two have it looked for");
    let names = host.names(&told(Word::NoAnswer));
    let vanished = ["inventory.observed", "inventory.drift-detected", "inventory.host-vanished"];
    assert_eq!(names, vanished);
    assert_eq!(status(&host), "vanished");
    let InventoryEvent::HostVanished(vanished) = host.events.last().unwrap().clone() else { panic!() };
    assert_eq!(vanished.words, [(Redfish, at(11)), (Cmdb, at(10))].into());
    assert!(host.ignores(&told(Word::NoAnswer)), "it is gone once");
}

#[test]
fn a_host_that_its_bmc_does_not_know_is_gone_only_beside_two_words() {
    let mut host = Host::given([told(says(Cmdb, 1, &[])), told(gone(Reconcile, 5))]);
    assert_eq!(status(&host), "drifted");
    host.when(&told(gone(Cmdb, 10))).unwrap();
    host.when(&told(gone(Redfish, 11))).unwrap();
    assert_eq!((status(&host).as_str(), looks(&host)), ("doubted", 1), "the look was before the words");
    host.when(&told(gone(Reconcile, 12))).unwrap();
    assert_eq!(status(&host), "vanished");
}

#[test]
fn a_host_that_somebody_has_seen_since_is_not_gone() {
    for word in [says(Reconcile, 12, &[]), says(Agent, 12, &[]), says(Cmdb, 12, &[])] {
        let mut host = said_to_be_gone();
        host.when(&told(word.clone())).unwrap();
        host.when(&told(gone(Reconcile, 13))).unwrap();
        assert_ne!(status(&host), "vanished", "{word:?}");
    }
    let mut host = said_to_be_gone();
    host.when(&told(says(Agent, 10, &[]))).unwrap();
    host.when(&told(gone(Reconcile, 13))).unwrap();
    assert_eq!(status(&host), "doubted", "the agent has seen it after the CMDB's word: one is left");
}

#[test]
fn the_word_of_a_source_that_nobody_hears_does_not_count() {
    let lost = |word| InventoryInput { lost: Some([Cmdb].into()), ..told(word) };
    let mut host = said_to_be_gone();
    host.when(&lost(gone(Reconcile, 13))).unwrap();
    assert_eq!(status(&host), "doubted");
    let unasked = InventoryInput { lost: None, ..told(says(Agent, 1, &[])) };
    host.when(&unasked).unwrap();
    assert_eq!(status(&host), "doubted", "nobody has looked which sources are missed");
    host.when(&told(gone(Reconcile, 14))).unwrap();
    assert_eq!(status(&host), "vanished", "the CMDB is heard again, and its word stands");
}

#[test]
fn a_host_that_was_gone_and_is_told_of_again_appears() {
    let mut host = said_to_be_gone();
    host.when(&told(Word::NoAnswer)).unwrap();
    let later = host.now.as_second() - at(0).as_second() + 60;
    let names = host.names(&told(says(Redfish, later, &[])));
    assert!(names.contains(&"inventory.host-appeared"), "{names:?}");
    assert_ne!(status(&host), "vanished");
}

#[test]
fn a_change_that_only_a_look_tells_has_the_host_looked_at_once() {
    let mut host = Host::new();
    let changed = |second| Word::Said {
        source: Redfish,
        observed_at: at(second),
        presence: Presence::Present,
        facts: Facts::new(),
        look: true,
    };
    host.when(&told(changed(1))).unwrap();
    host.when(&told(changed(1))).unwrap();
    assert_eq!(looks(&host), 1, "a repeat is the same change");
    host.when(&told(changed(2))).unwrap();
    assert_eq!(looks(&host), 2);
}

type Source = Run<SourceDecider>;

fn heard(source: &Source, seconds_ago: i64) -> SourceInput {
    let at = source.now.checked_sub(jiff::SignedDuration::from_secs(seconds_ago)).unwrap();
    SourceInput::Heard { source: Cmdb, at, silent_seconds: 600 }
}

fn wakes(source: &mut Source) -> Vec<SourceEvent> {
    let timer = source.timers.last().unwrap().clone();
    source.now = timer.due_at;
    source
        .when(&SourceInput::Timer { name: timer.name, silent_seconds: Some(600), policy_version: 7 })
        .unwrap()
        .events
}

#[test]
fn a_source_is_noted_now_and_then_and_missed_after_its_silence() {
    let mut source = Source::new();
    let first = heard(&source, 0);
    assert_eq!(source.names(&first), ["source.heard"]);
    for _ in 0..100 {
        let again = heard(&source, 0);
        assert!(source.ignores(&again), "it says something each second");
    }
    source.now += jiff::SignedDuration::from_secs(60);
    let again = heard(&source, 0);
    assert_eq!(source.names(&again), ["source.heard"]);
    let early = SourceInput::Timer {
        name: source.timers[0].name.clone(),
        silent_seconds: Some(600),
        policy_version: 7,
    };
    assert!(source.ignores(&early), "an earlier timer means nothing any more");
    let events = wakes(&mut source);
    let [SourceEvent::Lost(lost)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(lost.at.duration_since(lost.silent_since).as_secs(), 751);
}

#[test]
fn a_source_that_is_heard_again_has_all_hosts_looked_at() {
    let mut source = Source::new();
    let first = heard(&source, 0);
    source.when(&first).unwrap();
    wakes(&mut source);
    let old = heard(&source, 601);
    assert!(source.ignores(&old), "what waited on its way is no sign of life");
    let back = heard(&source, 1);
    let done = source.when(&back).unwrap();
    assert!(matches!(&done.events[..], [SourceEvent::Restored(_)]));
    assert!(matches!(
        &done.commands[..],
        [InventoryCommand::SweepInventory(SweepInventory { after: None, .. })]
    ));
    assert_eq!(wakes(&mut source).len(), 1, "and is missed again");
}

#[test]
fn a_source_that_the_policies_do_not_miss_is_not_lost() {
    let mut source = Source::new();
    let first = heard(&source, 0);
    source.when(&first).unwrap();
    let timer = source.timers[0].clone();
    source.now = timer.due_at;
    assert!(source.ignores(&SourceInput::Timer {
        name: timer.name.clone(),
        silent_seconds: None,
        policy_version: 7
    }));
    let longer = SourceInput::Timer { name: timer.name, silent_seconds: Some(6_000), policy_version: 7 };
    let done = source.when(&longer).unwrap();
    assert_eq!((done.events.len(), done.timers.len()), (0, 1), "it may be silent for longer by now");
}

#[test]
fn a_sweep_asks_for_each_page_once() {
    let mut sweep = Run::<SweepDecider>::new();
    let page = |after: Option<&str>, hosts: &[&str], more| SweepInput {
        order: SweepInventory { sweep: id("2026-01-31T12:00:00Z"), after: after.map(id) },
        page: SweepPage { hosts: hosts.iter().map(|host| id(host)).collect(), more },
    };
    assert_eq!(sweep.names(&page(None, &["h-1", "h-2"], true)), ["sweep.started", "sweep.paged"]);
    assert_eq!(sweep.commands.len(), 3, "two looks, and the next page");
    assert!(sweep.ignores(&page(None, &["h-1", "h-2"], true)));
    assert_eq!(sweep.names(&page(Some("h-2"), &["h-3"], false)), ["sweep.paged", "sweep.completed"]);
    assert!(sweep.ignores(&page(Some("h-3"), &[], false)));
    let SweepEvent::Completed(done) = sweep.events.last().unwrap().clone() else { panic!() };
    assert_eq!(done.hosts, 3);
    let mut empty = Run::<SweepDecider>::new();
    assert_eq!(empty.names(&page(None, &[], false)), ["sweep.started", "sweep.completed"]);
}

fn policy() -> InventoryPolicy {
    serde_json::from_value(json!({ "records": { "public.hosts": {
        "host": "hostname", "facts": { "pool": "pool", "faultDomain": "rack", "memoryGib": "memory_gib" },
    } } }))
    .unwrap()
}

fn record(change: &str, before: serde_json::Value, after: serde_json::Value) -> ObserveRecord {
    serde_json::from_value(json!({
        "table": "public.hosts", "change": change, "before": before, "after": after,
        "observedAt": at(1), "receivedAt": at(2),
    }))
    .unwrap()
}

use hostler_events::InventoryPolicy;
use hostler_events::inventory::ObserveRecord;

#[test]
fn the_policies_say_which_columns_of_a_record_mean_what() {
    let row = json!({ "hostname": "h-1", "pool": " web ", "rack": null, "memory_gib": 256, "secret": "x" });
    let words = words_of(&record("written", json!(null), row.clone()), &policy()).unwrap();
    assert_eq!(words, [(id("h-1"), says(Cmdb, 1, &[(Fact::Pool, "web"), (Fact::MemoryGib, "256")]))]);
    let words = words_of(&record("deleted", row.clone(), json!(null)), &policy()).unwrap();
    assert_eq!(words, [(id("h-1"), gone(Cmdb, 1))]);
    let elsewhere = ObserveRecord { table: "public.users".to_owned(), ..record("written", json!(null), row) };
    assert_eq!(words_of(&elsewhere, &policy()), Ok(Vec::new()), "other tables are about no host");
}

#[test]
fn a_record_that_is_renamed_is_about_both_hosts() {
    let of = |host: &str| json!({ "hostname": host });
    let words = words_of(&record("written", of("h-1"), of("h-2")), &policy()).unwrap();
    assert_eq!(words, [(id("h-2"), says(Cmdb, 1, &[])), (id("h-1"), gone(Cmdb, 1))]);
}

#[test]
fn a_record_that_names_no_host_says_what_to_do() {
    for (record, says) in [
        (record("deleted", json!({ "id": 7 }), json!(null)), "REPLICA IDENTITY FULL"),
        (record("written", json!(null), json!({ "hostname": "no host!" })), "names no host"),
        (record("written", json!(null), json!(null)), "have the connector send `after`"),
    ] {
        let error = words_of(&record, &policy()).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}
