//! Days on which hosts are changed by hand, by chance: each is checked by the site's schedule, and its role is applied again by
//! autonomy. Beside it: nobody repairs anything, and a loop that looks at every host as often and repairs at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use hostler_drivers::configuration::ConfigurationRow;
use hostler_drivers::{ApplyRole, Configuration, ControlState, PlainConfiguration};
use hostler_testkit::clock::Random;
use hostler_testkit::seeds::in_one_thread;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::model::{DataCentre, Happening, POOLS, Size, policies};
use crate::report::percentile;
use crate::site::Site;

/// Of a hundred hosts, so many are changed by hand each day.
const DRIFTS_PERCENT_A_DAY: i64 = 5;
const DAY_SECONDS: i64 = 86_400;
/// How often hosts are checked: once a day, and every four hours.
const CHECK_SECONDS: [i64; 2] = [DAY_SECONDS, 14_400];
/// What a host has that was changed by hand. The functions have given it the first one.
const BY_HAND: u64 = 99;

fn checked_policies(size: Size, check_seconds: Option<i64>) -> Value {
    let mut all = policies(size);
    all["configuration"] = json!({ "checkSeconds": check_seconds, "autonomy": "auto" });
    for number in 0..POOLS {
        all["pools"][format!("pool-{number}")]["autonomy"] = json!("auto");
    }
    all
}

/// What is seen of hosts that are changed by hand.
#[derive(Default)]
pub struct Drifting {
    /// Since when hosts are not as their roles say.
    since: BTreeMap<String, Timestamp>,
    /// When checks have found that.
    found: BTreeMap<String, Timestamp>,
    /// Each time that a host was not as its role says: from when, and to when.
    spans: Vec<(Timestamp, Timestamp)>,
    /// From what a check has found to the end of the repair, in seconds.
    repaired_in: Vec<f64>,
    /// How many checks have found nothing, and something.
    checks: [u64; 2],
}

impl Drifting {
    fn drifts(&mut self, host: &str, at: Timestamp) {
        self.since.entry(host.to_owned()).or_insert(at);
    }

    /// Something was recorded of a host. Nobody does anything but check and restore it.
    pub fn host_event(&mut self, host: &str, event: &str, at: Timestamp) {
        match event {
            "host.configuration-checked" => {
                assert!(!self.since.contains_key(host), "{host} was changed, and a check finds nothing");
                self.checks[0] += 1;
            }
            "host.configuration-drifted" => {
                assert!(self.since.contains_key(host), "{host} was not changed, and a check finds that");
                self.checks[1] += 1;
                self.found.insert(host.to_owned(), at);
            }
            "host.configuration-restored" => {
                let since = self.since.remove(host).expect("only what has drifted is restored");
                let found = self.found.remove(host).expect("a check has found it");
                self.spans.push((since, at));
                self.repaired_in.push(at.duration_since(found).as_secs_f64());
            }
            "host.configuration-check-started"
            | "host.configuration-check-scheduled"
            | "host.configuration-restore-started" => {}
            _ => panic!("{host} is in service and well, and there is {event}"),
        }
    }

    /// The part of the hosts' time in which they were as their roles say.
    fn compliance(&self, hosts: usize, from: Timestamp, until: Timestamp) -> f64 {
        let open = self.since.values().map(|since| (*since, until));
        share(hosts, from, until, self.spans.iter().copied().chain(open))
    }
}

/// In a hundred of the time of so many hosts, what is not in these spans.
fn share(
    hosts: usize,
    from: Timestamp,
    until: Timestamp,
    spans: impl Iterator<Item = (Timestamp, Timestamp)>,
) -> f64 {
    let lost: f64 = spans.map(|(since, to)| to.min(until).duration_since(since).as_secs_f64()).sum();
    100.0 * (1.0 - lost / (until.duration_since(from).as_secs_f64() * hosts as f64))
}

/// Somebody brings another revision onto a host.
pub async fn changed_by_hand(site: &Site, drifting: &mut Drifting, host: &str, at: Timestamp) {
    let configuration = PlainConfiguration::new(ControlState(Arc::new(site.control.clone())));
    let role = configuration.row(host).await.unwrap().role.unwrap();
    let revision = Some(BY_HAND.to_string());
    let order = ApplyRole { host: host.to_owned(), role, revision, ..ApplyRole::default() };
    configuration.apply_role(&order).await.unwrap();
    drifting.drifts(host, at);
}

/// The first change of each host by hand, where nobody repairs it; and where a loop looks at all hosts as often as the schedule
/// does, takes no time for that, and repairs at once.
fn others(
    changes: &[(Timestamp, usize)],
    from: Timestamp,
    until: Timestamp,
    check_seconds: i64,
) -> [Vec<(Timestamp, Timestamp)>; 2] {
    let (mut first, mut polled) = (BTreeMap::new(), BTreeMap::new());
    for (at, number) in changes {
        first.entry(*number).or_insert((*at, until));
        let passes = at.duration_since(from).as_secs() / check_seconds + 1;
        let pass = from + SignedDuration::from_secs(passes * check_seconds);
        polled.entry((*number, passes)).or_insert((*at, pass));
    }
    [first.into_values().collect(), polled.into_values().collect()]
}

/// Who is changed when, by chance.
fn changes(hosts: &[usize], days: i64, from: Timestamp) -> Vec<(Timestamp, usize)> {
    let mut random = Random::new(23);
    let count = hosts.len() as u64 * (days * DRIFTS_PERCENT_A_DAY).cast_unsigned() / 100;
    let seconds = (days * DAY_SECONDS).cast_unsigned();
    let one = |_| {
        let at = from + SignedDuration::from_secs(random.below(seconds).cast_signed());
        (at, hosts[random.below(hosts.len() as u64) as usize])
    };
    let mut changes: Vec<(Timestamp, usize)> = (0..count).map(one).collect();
    changes.sort_unstable();
    changes
}

async fn some_days(check_seconds: i64) {
    let (began, size) = (Instant::now(), Size::wanted());
    let days = if size.hosts() < 1_000 { 2 } else { 7 };
    let mut centre = DataCentre::with(size, checked_policies(size, Some(check_seconds))).await;
    centre.watch.drifting = Some(Drifting::default());
    let hosts = centre.hosts_where(|_| true);
    // The schedule of a host begins with its first check.
    for part in hosts.chunks(100) {
        for number in part {
            let host = centre.places[*number].host.clone();
            centre.site.accepted("check-configuration", json!({ "host": host })).await;
        }
        centre.pass(60).await;
    }
    centre.pass(check_seconds).await;
    println!("built in {:.1} s", began.elapsed().as_secs_f64());
    let before = (centre.watch.commits, centre.watch.messages, centre.dollars());
    let (from, seconds) = (centre.now(), days * DAY_SECONDS);
    let until = from + SignedDuration::from_secs(seconds);
    let changes = changes(&hosts, days, from);
    changes.iter().for_each(|(at, number)| centre.plan(*at, Happening::IsChanged(*number)));
    centre.pass(seconds).await;
    let seen = centre.watch.drifting.as_ref().unwrap();
    let ours = seen.compliance(hosts.len(), from, until);
    let (found, repairs, open) = (seen.checks, seen.repaired_in.len(), seen.since.len());
    let cost =
        (centre.watch.commits - before.0, centre.watch.messages - before.1, centre.dollars() - before.2);
    // Hosts hear with their next check that there are to be no more.
    let policy = checked_policies(size, None);
    let over = json!({ "policies": "site", "policy": policy, "reason": "the days are over" });
    centre.site.accepted("apply-policies", over).await;
    centre.pass(check_seconds + 3_600).await;
    centre.site.world.run().await;
    centre.watch.look(&mut centre.site);
    centre
        .report(&format!("{days} days of changes by hand, checked every {} h", check_seconds / 3_600), began);
    let drifting = centre.watch.drifting.as_ref().unwrap();
    println!(
        "  changes by hand: {}, found {} in these days, repaired {repairs}, open at their end {open}",
        changes.len(),
        found[1]
    );
    println!("  checks that have found nothing: {} of {}", found[0], found[0] + found[1]);
    let lasted = |(since, to): &(Timestamp, Timestamp)| to.duration_since(*since).as_secs_f64() / 3_600.0;
    let (mut lasted, mut repaired_in): (Vec<f64>, _) =
        (drifting.spans.iter().map(lasted).collect(), drifting.repaired_in.clone());
    for percent in [50.0, 99.0] {
        println!(
            "  {percent} % of changes were repaired within {:.1} h, {:.1} s after they were found",
            percentile(&mut lasted, percent),
            percentile(&mut repaired_in, percent),
        );
    }
    let (commits, messages, dollars) = cost;
    println!("  these days: {commits} commits, {messages} messages, {dollars:.4} dollars");
    let [nobody, polled] = others(&changes, from, until, check_seconds);
    let of = |spans: Vec<(Timestamp, Timestamp)>| share(hosts.len(), from, until, spans.into_iter());
    let (nobody, polled) = (of(nobody), of(polled));
    println!(
        "  hosts as their roles say, % of their time: {ours:.2}; by a loop {polled:.2}; without repair {nobody:.2}"
    );
    assert!(ours > nobody, "repairs help");
    assert!(centre.watch.hops_most < 10, "each check begins a chain of causes of its own");
    check(&centre, drifting, &hosts);
}

/// After the last check of each, all hosts are as their roles say.
fn check(centre: &DataCentre, drifting: &Drifting, hosts: &[usize]) {
    assert!(drifting.since.is_empty(), "never found: {:?}", drifting.since);
    let entries = centre.site.control.entries();
    for number in hosts {
        let key = PlainConfiguration::<ControlState>::key(&centre.places[*number].host);
        let row: ConfigurationRow = serde_json::from_value(entries[&key].value.clone()).unwrap();
        assert!(row.revision < BY_HAND, "{key}: {row:?}");
    }
    assert_eq!(centre.watch.count("host.configuration-run-failed"), 0);
}

#[test]
fn drift() {
    in_one_thread(async {
        for check_seconds in CHECK_SECONDS {
            some_days(check_seconds).await;
        }
    });
}
