//! A scenario as it is played: step by step, and everything mended at its end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use hostler_domain::Phase;
use hostler_events::SitePolicy;
use hostler_events::signal::{Direction, SignalStatus};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::means::Means;
use super::records::Records;
use super::scenario::{Break, Scenario, Step, Until};
use super::site;
use super::vulnerabilities::Published;
use crate::api::{Accepted, HostRow, PoolRow, Said};
use crate::commands::runtime::breakers;
use crate::error::CliError;
use crate::follow;
use crate::output::Out;
use crate::render::time;
use crate::target::Target;

/// The status of an incident that is a person's.
pub(super) const ESCALATED: &str = "escalated";
/// How often it is looked whether what is waited for is so.
pub(super) const PAUSE: Duration = Duration::from_millis(500);
/// How long it may take until hosts are known that have a vulnerability. Later none will be.
const FOUND_WITHIN: Duration = Duration::from_secs(90);
/// How long hosts may take into service before a scenario begins.
const PREPARED_WITHIN: Duration = Duration::from_secs(300);
/// How much longer than the scenario a dependency stays away if this process dies.
const AWAY_LONGER: Duration = Duration::from_secs(60);

/// A host that was broken.
#[derive(Debug, Clone)]
pub(super) struct Broken {
    /// When: a scenario may break a host more than once.
    pub(super) at: Vec<Timestamp>,
    /// Whether it still is.
    pub(super) now: bool,
}

/// A scenario that is being played.
pub(super) struct Play<'a> {
    pub(super) target: &'a Target,
    pub(super) scenario: &'a Scenario,
    pub(super) name: &'a str,
    pub(super) means: Means,
    pub(super) policy: SitePolicy,
    pub(super) lasts: Duration,
    pub(super) out: Out,
    pub(super) began: Instant,
    pub(super) began_at: Timestamp,
    /// The pool's hosts before anything was done.
    pub(super) at_first: Vec<HostRow>,
    /// How many hosts serve when it begins.
    pub(super) before: usize,
    /// What broke.
    pub(super) broken: BTreeMap<String, Broken>,
    /// What the hosts that broke last share, where they do.
    pub(super) shared: Option<String>,
    /// When the load changed.
    pub(super) loads: Vec<Timestamp>,
    /// Dependencies that are away.
    pub(super) away: BTreeSet<String>,
    /// What the CMDB was made to say.
    pub(super) records: Records,
    /// The vulnerability that was published.
    pub(super) published: Option<Published>,
    /// With what signals are sent.
    pub(super) signal_token: Option<String>,
    /// What was waited for in vain.
    pub(super) missed: Vec<String>,
    /// Which hosts' incidents became a person's, and why.
    pub(super) escalated: Vec<String>,
    /// Whether anything was done that has to be undone.
    pub(super) touched: bool,
    /// When it was over, and what is mended and given back afterwards began.
    pub(super) ended_at: Timestamp,
}

impl Play<'_> {
    /// Says what happens, with the time since the beginning.
    pub(super) fn say(&self, what: &str) -> Result<(), CliError> {
        let at = time::span(self.began.elapsed());
        self.out.say(format!("{at:>10}  {what}"))
    }

    /// Brings so many hosts into service as the scenario needs.
    pub(super) async fn prepare(&mut self, wanted: usize) -> Result<(), CliError> {
        let pool = &self.scenario.pool;
        let serving = site::in_phase(&self.at_first, Phase::InService).count();
        let missing = wanted.saturating_sub(serving);
        let free = site::in_phase(&self.at_first, Phase::Available).count();
        if missing > free {
            return Err(CliError::Usage(format!(
                "{} needs {wanted} hosts of {pool} in service: {serving} are, and {free} more are free; give fewer with --hosts",
                self.name
            )));
        }
        if missing > 0 {
            let Some(policy) = self.policy.pools.get(pool) else {
                return Err(CliError::Usage(format!(
                    "the policies do not say what hosts of {pool} are: bring {missing} more into service, or apply policies with pools.{pool}"
                )));
            };
            self.touched = true;
            self.say(&format!("{missing} more hosts of {pool} come into service first"))?;
            let request = format!("simulate-{}", self.began_at.as_millisecond());
            let body = json!({
                "request": request, "pool": pool, "role": policy.role, "image": policy.image, "count": missing,
            });
            let accepted: Accepted =
                self.target.api.command(Said("simulate"), "request-hosts", &body).await?;
            let ids = &accepted.provisionings;
            let rows =
                follow::provisionings(&self.target.api, &request, ids, PREPARED_WITHIN, |_| Ok(())).await?;
            if let Some(row) = rows.iter().find(|row| row.status != "completed") {
                let (id, status) = (&row.provisioning, &row.status);
                return Err(CliError::Outcome(format!(
                    "{id} is {status}, so that the scenario did not begin: `hostler provisionings show {id}` says why"
                )));
            }
        }
        // A view is a moment behind.
        let (begun, mut serving) = (Instant::now(), 0);
        while serving < wanted && begun.elapsed() < Duration::from_secs(10) {
            serving = site::in_service(self.target, pool).await?;
            tokio::time::sleep(PAUSE).await;
        }
        self.before = serving;
        self.began = Instant::now();
        self.began_at = Timestamp::now();
        self.say(&format!("it begins: {serving} hosts of {pool} are in service"))
    }

    /// Does what the scenario says, step by step.
    pub(super) async fn run(&mut self) -> Result<(), CliError> {
        self.touched = true;
        for step in &self.scenario.steps {
            match step {
                Step::Load(each) => self.load(*each).await?,
                Step::Break(what) => self.break_hosts(*what).await?,
                Step::Mend => {
                    let mended = self.mend().await?;
                    self.say(&format!("mended: {}", mended.join(", ")))?;
                }
                Step::Away(dependency) => self.away(dependency).await?,
                Step::Back(dependency) => self.back(dependency).await?,
                Step::Record(record) => self.record(*record).await?,
                Step::Publish(package) => self.publish(package).await?,
                Step::Exploit => self.exploit().await?,
                Step::Pause(length) => self.pause(*length).await?,
                Step::Wait(until) => {
                    if !self.wait(*until).await? {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// By what it is played, in words.
    pub(super) fn by(&self) -> &'static str {
        match self.scenario.disturbs_hosts() {
            true => self.means.said(),
            false => "it is played by what others say: no host is broken",
        }
    }

    /// Sends a signal in a form, as its system would.
    pub(super) async fn signal(&self, form: &str, body: &Value) -> Result<(), CliError> {
        let Some(token) = &self.signal_token else {
            let why = "signals are sent with the stack's SignalToken: give it with --signal-token";
            return Err(CliError::Usage(why.to_owned()));
        };
        self.target.api.signal(form, token, body).await
    }

    async fn load(&mut self, each: f64) -> Result<(), CliError> {
        let pool = self.scenario.pool.as_str();
        let demand = each * f64::from(u32::try_from(self.before).unwrap_or(u32::MAX));
        self.loads.push(Timestamp::now());
        self.means.load(pool, demand).await?;
        self.say(&format!("{pool} has to do what {demand} hosts can do"))
    }

    async fn break_hosts(&mut self, what: Break) -> Result<(), CliError> {
        let hosts = site::hosts(self.target, &self.scenario.pool).await?;
        let before: BTreeSet<&str> = self.broken.keys().map(String::as_str).collect();
        let (hosts, shared) = site::place(what.place, &hosts, &before, &self.policy)?;
        if hosts.is_empty() {
            return self.say("what broke before does not serve any more, and nothing else breaks");
        }
        self.shared = shared;
        for host in &hosts {
            // On record before it is done: what was broken is mended whatever happens.
            let broken =
                self.broken.entry(host.host.clone()).or_insert(Broken { at: Vec::new(), now: false });
            broken.at.push(Timestamp::now());
            broken.now = true;
            self.means.break_host(host, what.fault).await?;
        }
        let names: Vec<&str> = hosts.iter().map(|host| host.host.as_str()).collect();
        let shared = self.shared.as_ref().map(|shared| format!(" of {shared}")).unwrap_or_default();
        self.say(&format!("broken ({}{shared}): {}", what.fault.name(), names.join(", ")))
    }

    /// Mends what is broken, and says what that is.
    pub(super) async fn mend(&mut self) -> Result<Vec<String>, CliError> {
        let broken: Vec<String> =
            self.broken.iter().filter(|(_, broken)| broken.now).map(|(host, _)| host.clone()).collect();
        for host in &broken {
            self.means.mend_host(host).await?;
            if let Some(broken) = self.broken.get_mut(host) {
                broken.now = false;
            }
        }
        Ok(broken)
    }

    pub(super) fn why(&self) -> String {
        format!("hostler simulate {}", self.name)
    }

    async fn away(&mut self, dependency: &str) -> Result<(), CliError> {
        self.away.insert(dependency.to_owned());
        breakers::open_for(self.target, dependency, self.lasts + AWAY_LONGER, &self.why()).await?;
        self.say(&format!("{dependency} is not asked any more"))
    }

    pub(super) async fn back(&mut self, dependency: &str) -> Result<(), CliError> {
        breakers::let_go(self.target, dependency, &self.why()).await?;
        self.away.remove(dependency);
        self.say(&format!("{dependency} is asked again"))
    }

    async fn pause(&mut self, length: Duration) -> Result<(), CliError> {
        let begun = Instant::now();
        while let Some(left) = length.checked_sub(begun.elapsed()).filter(|left| !left.is_zero()) {
            self.look().await?;
            tokio::time::sleep(PAUSE.min(left)).await;
        }
        Ok(())
    }

    /// Whether it came to be so in the time that is left.
    async fn wait(&mut self, until: Until) -> Result<bool, CliError> {
        let begun = Instant::now();
        while !self.holds(until).await? {
            let is_in_vain = until == Until::Found && begun.elapsed() >= FOUND_WITHIN;
            if is_in_vain || self.began.elapsed() >= self.lasts {
                let waited = time::span(begun.elapsed());
                let hint = if until == Until::Found {
                    ". Hosts must have told of the package: `hostler up --plain` has none"
                } else {
                    ""
                };
                self.missed.push(format!("{until}: not after {waited}{hint}"));
                self.say(&format!("not so within the time of the scenario: {until}"))?;
                return Ok(false);
            }
            self.look().await?;
            tokio::time::sleep(PAUSE).await;
        }
        self.say(&format!("{until} (after {})", time::span(begun.elapsed())))?;
        Ok(true)
    }

    async fn look(&mut self) -> Result<(), CliError> {
        self.follow().await?;
        if self.loads.is_empty() {
            return Ok(());
        }
        let serving = site::in_service(self.target, &self.scenario.pool).await?;
        self.means.look(self.scenario.pool.as_str(), serving).await
    }

    async fn holds(&self, until: Until) -> Result<bool, CliError> {
        let (target, pool) = (self.target, &self.scenario.pool);
        let hosts: BTreeSet<&str> = self.broken.keys().map(String::as_str).collect();
        match until {
            Until::AsRecorded => self.is_as_recorded().await,
            Until::Found => self.is_found().await,
            Until::Patched => self.is_patched().await,
            Until::Served => {
                let serving = site::in_service(target, pool).await?;
                let row = site::pool(target, pool).await?;
                Ok(serving > self.before && row.is_some_and(|row| rests(&row) && !is_above(&row)))
            }
            Until::AsBefore => {
                let serving = site::in_service(target, pool).await?;
                let row = site::pool(target, pool).await?;
                Ok(serving <= self.before && row.is_none_or(|row| rests(&row)))
            }
            Until::Detected => {
                let incidents = site::incidents(target, &hosts).await?;
                let known = |host: &str, at: Timestamp| {
                    incidents
                        .iter()
                        .any(|incident| incident.host.as_str() == host && incident.detected_at >= at)
                };
                Ok(self
                    .broken
                    .iter()
                    .all(|(host, broken)| broken.at.last().is_none_or(|at| known(host, *at))))
            }
            Until::CommonIncident => {
                let common = site::common_incidents(target).await?;
                Ok(self.shared.as_ref().is_some_and(|shared| common.iter().any(|of| of.domain == *shared)))
            }
            Until::Closed => {
                let incidents = site::incidents(target, &hosts).await?;
                let over = |host: &str, at: Timestamp| {
                    incidents.iter().any(|incident| {
                        let it_is = incident.host.as_str() == host && incident.detected_at >= at;
                        // What became a person's goes no further by itself.
                        it_is && (incident.closed_at.is_some() || incident.status == ESCALATED)
                    })
                };
                let all = self
                    .broken
                    .iter()
                    .all(|(host, broken)| broken.at.last().is_none_or(|at| over(host, *at)));
                Ok(all && site::common_incidents(target).await?.is_empty())
            }
        }
    }
}

/// Whether none of its hosts is on its way.
fn rests(row: &PoolRow) -> bool {
    row.pool.in_flight.is_empty() && row.pool.leaving.is_empty()
}

/// Whether one of its metrics is above its threshold.
fn is_above(row: &PoolRow) -> bool {
    row.pool
        .signals
        .iter()
        .any(|edge| edge.direction == Direction::Above && edge.header.status == SignalStatus::Firing)
}
