//! Seeds in which a vulnerability is published: campaigns patch it, hosts drift from their roles, and operators have their say.

use std::time::Duration;

use hostler_runtime::ports::Clock;
use hostler_testkit::clock::Random;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::Site;
use super::systems::{self, CVE, FIXED, Systems};

const MINUTE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);
/// The campaign that the advisory leads to, and one that an operator creates later.
const CAMPAIGNS: [&str; 2] = ["CVE-2026-12345.1", "by-hand"];
/// Every so often hosts are checked for drift, until the policies end that.
const CHECK_SECONDS: u32 = 7_200;

/// Whether a vulnerability is published in the run of this seed: in two of five.
pub fn is_patched(seed: u64) -> bool {
    matches!(seed % 5, 2 | 4)
}

/// What happens in the run of a seed.
#[derive(Debug, Clone, Copy)]
pub struct Story {
    /// Campaigns wait for a person's word.
    needs_approval: bool,
    /// Campaigns wait for their window.
    has_window: bool,
    /// No host is well with the fix.
    breaks: bool,
    /// It becomes known that the vulnerability is exploited, so that it is an emergency.
    is_exploited: bool,
}

impl Story {
    fn of(random: &mut Random) -> Self {
        Self {
            needs_approval: random.percent(25),
            has_window: random.percent(25),
            breaks: random.percent(25),
            is_exploited: random.percent(50),
        }
    }
}

/// What the plain drivers do with a host: installing packages fails on one in ten, and rolling them back on one in ten.
pub fn labels(random: &mut Random, labels: &mut Value) {
    let mut fails = |label: &str, how: &[&str]| {
        if random.percent(10) {
            labels[label] = json!(how[usize::try_from(random.below(how.len() as u64)).unwrap()]);
        }
    };
    fails("simulate.install", &["fail", "fail-once", "fail-transient"]);
    fails("simulate.roll-back", &["fail", "fail-once"]);
}

impl Site {
    /// Everything that happens beside what is planned for other seeds. The policies of the pool may have traffic.
    pub(super) fn plan_patching(&mut self, seed: u64, hosts: u32, pool: &Value) {
        let mut random = Random::new(seed ^ 0x9a7c);
        let story = Story::of(&mut random);
        let mut systems = Systems::new(&self.control, &self.clock, &self.callers);
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        for number in 0..hosts {
            let host = format!("h-{number}");
            self.post_later(minutes(130), minutes(60), "check-configuration", &json!({ "host": host }));
            if random.percent(30) {
                systems.change_by_hand(minutes(140 + random.below(180)), host.clone());
                self.post_later(minutes(200), minutes(150), "check-configuration", &json!({ "host": host }));
            }
        }
        self.fleet.runs(systems);
        if story.breaks {
            self.fleet.faults.bad_versions.lock().unwrap().insert(FIXED.to_owned());
        }
        self.post_later(Duration::ZERO, SECOND, "apply-policies", &story.policies(pool, Some(CHECK_SECONDS)));
        // Nothing goes wrong any more by then.
        self.post_later(minutes(390), SECOND, "apply-policies", &story.policies(pool, None));
        let published = minutes(140 + random.below(40));
        self.callers.call_if_there(published, systems::advisory(), || true);
        self.plan_words(&mut random, story, published, hosts);
    }

    /// What operators do about it, whether that is possible then or not.
    fn plan_words(&mut self, random: &mut Random, story: Story, published: Duration, hosts: u32) {
        let mut say = |after: u64, within: u64, command: &str, body: &Value| {
            let at = published + Duration::from_secs(60 * after);
            self.post_later(at, Duration::from_secs(60 * within), command, body);
        };
        if story.is_exploited {
            let epss = json!({ "score": 0.9, "date": "2026-01-01" });
            let body = json!({ "advisory": CVE, "exploitedSince": "2026-01-01", "epss": epss });
            say(2, 60, "refresh-advisory", &body);
        }
        let word = |campaign: &str| json!({ "campaign": campaign, "reason": "a person says so" });
        let [first, second] = CAMPAIGNS;
        for after in [20, 60, 110] {
            if story.needs_approval {
                say(after, 10, "approve-campaign", &word(first));
            }
            if random.percent(50) {
                say(after, 20, "pause-campaign", &word(first));
            }
            // What is paused or halted goes on.
            say(after + 25, 20, "resume-campaign", &word(first));
        }
        if random.percent(30) {
            say(30, 120, "reject-campaign", &word(first));
        }
        let create = json!({ "campaign": second, "advisory": CVE, "emergency": random.percent(50), "reason": "what was left" });
        say(170, 10, "create-campaign", &create);
        say(190, 60, "resume-campaign", &word(second));
        for _ in 0..3 {
            let number = random.below(hosts.into());
            let until = self.clock_in(published + 300 * MINUTE);
            let finding = format!("{CVE}/rack-{}/h-{number}", number % 7);
            let body = json!({ "finding": finding, "owner": "ada", "reason": "its appliance cannot", "until": until });
            self.post_later(published + 5 * MINUTE, 20 * MINUTE, "except-finding", &body);
        }
    }

    fn clock_in(&self, after: Duration) -> Timestamp {
        self.clock.now() + SignedDuration::try_from(after).unwrap()
    }

    /// At the end each host is scanned, and checked for drift, so that what is known is what is so.
    pub(super) async fn look_at_each_host(&mut self) {
        let hosts = self.hosts_with_packages();
        for host in &hosts {
            self.post("rescan-host", json!({ "host": host })).await;
            self.post("check-configuration", json!({ "host": host })).await;
        }
        self.run().await;
    }
}

impl Story {
    fn policies(self, pool: &Value, check_seconds: Option<u32>) -> Value {
        let windows = json!([{ "start": "03:20", "minutes": 100, "cutoffMinutes": 20 }]);
        // Hosts that could not be cleaned are in quarantine until a person has looked at them, and count as unhealthy: in the end
        // the budget has room beside them.
        let (pool_limit, rack_limit) = if check_seconds.is_some() { (4, 2) } else { (20, 9) };
        let policy = json!({
            "budget": {
                "site": 5, "poolPercent": 50, "pool": pool_limit, "rack": rack_limit, "powerDomain": 9,
                "starts": 500, "brakePercent": 60,
            },
            "faults": { "patching-failed": { "tolerationSeconds": 0, "runbook": "reinstall" } },
            "runbooks": { "reinstall": { "autonomy": "auto", "rungs": [{ "rung": "reimage", "attempts": 2 }] } },
            "pools": { "web": pool },
            "patching": { "healthyMinutes": 5 },
            "campaigns": {
                "autonomy": if self.needs_approval { "approve" } else { "auto" },
                "canaryPercent": 5, "soakSeconds": 240, "waves": [30, 100], "errors": 1, "errorsPercent": 10,
                "windows": if self.has_window { windows } else { json!([]) },
                "emergency": { "canaryPercent": 5, "soakSeconds": 120, "waves": [50, 100] },
            },
            "vulnerabilities": { "deadlines": { "actDays": 1, "attendDays": 1, "trackStarDays": 1 } },
            "configuration": { "checkSeconds": check_seconds, "autonomy": "auto" },
        });
        let reason = if check_seconds.is_some() { "the first" } else { "no more checks" };
        json!({ "policies": "site", "policy": policy, "reason": reason })
    }
}
