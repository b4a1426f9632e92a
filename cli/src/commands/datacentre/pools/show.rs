//! `pools show`.

use std::fmt::Write;

use hostler_domain::views::PoolView;
use hostler_events::pool::{
    LimitApplied, MetricReading, MetricSaid, PoolCounts, PoolHostsReclaimed, ScalingDirection,
};

use super::args::ShowArgs;
use crate::api::View;
use crate::entity::{Thing, show};
use crate::error::CliError;
use crate::output::Out;
use crate::render::time;
use crate::target::Target;

/// Shows a pool: in words, and then what has happened. In the past, and as JSON, it is shown field by field.
pub(super) async fn run(args: &ShowArgs, target: &Target, out: Out) -> Result<(), CliError> {
    let thing = Thing::Of(View::Pool, args.pool.as_str());
    if out.json || !args.shown.is_plain() {
        return show(thing, &args.shown, target, out).await;
    }
    let pool: PoolView = target.api.document(View::Pool, args.pool.as_str(), &[]).await?;
    out.line(in_words(&pool))?;
    show(thing, &args.shown.clone().only_timeline(), target, out).await
}

fn in_words(pool: &PoolView) -> String {
    let mut text = format!("pool {} is {}\n", pool.pool, pool.status);
    let mut line = |name: &str, what: String| {
        // Writing to a text does not fail.
        let _ = writeln!(text, "{name:>12}  {what}");
    };
    if let Some(desired) = pool.desired {
        line("desired", format!("{desired} hosts, since its last decision"));
    }
    if let Some(seen) = &pool.seen {
        line("hosts", counts(seen.counts, seen.at));
        for said in &seen.per_metric {
            line("metric", metric(said));
        }
    }
    if let Some(decision) = &pool.decision {
        let verb = verb(decision.direction);
        let limits: Vec<String> = decision.limits.iter().map(limit).collect();
        let limits =
            if limits.is_empty() { String::new() } else { format!("; less, by {}", limits.join(", ")) };
        let (number, at, chosen) = (decision.number, time::moment(decision.decided_at), decision.chosen);
        let (asked, version) = (decision.recommended, decision.policy_version);
        let lends = decision.lends_to.as_ref().map_or_else(String::new, |to| format!(", for pool {to}"));
        line(
            "decision",
            format!(
                "{number} at {at}: {verb} to {chosen} hosts; {asked} were asked for{limits}{lends} (policies {version})"
            ),
        );
    }
    for provisioning in &pool.in_flight {
        line("in flight", format!("{provisioning}: hostler provisionings show {provisioning}"));
    }
    for host in &pool.leaving {
        line("leaving", format!("{host}: hostler hosts show {host}"));
    }
    for PoolHostsReclaimed { from, hosts, asked_at, .. } in &pool.reclaimed {
        let at = time::moment(*asked_at);
        line(
            "reclaimed",
            format!("{hosts} hosts of pool {from}, asked for at {at}: hostler pools show {from}"),
        );
    }
    if let Some(held) = &pool.held {
        let (verb, rule, limit, value) = (verb(held.direction), &held.rule, held.limit, held.value);
        let (since, lifts) = (time::moment(held.since), &held.lifts);
        line(
            "held back",
            format!(
                "does not {verb}, by the rule {rule} (limit {limit}, value {value}) since {since}: {lifts}"
            ),
        );
        if let Some(until) = held.until {
            line("", format!("it is looked at again at {}", time::moment(until)));
        }
    }
    if let Some(proposal) = &pool.proposal {
        let (number, verb, chosen) = (proposal.number, verb(proposal.direction), proposal.chosen);
        let until = time::moment(proposal.approve_by);
        let command = format!("hostler pools approve {} --number {number} --reason …", pool.pool);
        line(
            "proposal",
            format!("{number}: {verb} to {chosen} hosts; waits for approval until {until}: {command}"),
        );
    }
    text
}

fn counts(counts: PoolCounts, at: jiff::Timestamp) -> String {
    let PoolCounts { in_service, in_flight, free, leaving, not_ready, hosts, lendable } = counts;
    let lendable =
        if lendable == 0 { String::new() } else { format!(", {lendable} free in pools of lower priority") };
    format!(
        "{in_service} in service, {in_flight} in flight, {free} free, {leaving} leaving, {not_ready} unhealthy, of {hosts}{lendable}; at {}",
        time::moment(at)
    )
}

fn metric(said: &MetricSaid) -> String {
    let says = match said.says {
        MetricReading::Above => "is above its threshold",
        MetricReading::Below => "is below its threshold",
        MetricReading::Quiet => "is quiet",
        MetricReading::Missing => "is missing: nothing that still holds is known of it",
    };
    let value = match (said.value, said.threshold) {
        (Some(value), Some(threshold)) => format!(" ({value} of {threshold})"),
        (Some(_) | None, _) => String::new(),
    };
    let asks = said.asks.map_or_else(String::new, |asks| format!(", and asks for {asks} hosts"));
    format!("{} {says}{value}{asks}", said.metric)
}

fn limit(limit: &LimitApplied) -> String {
    format!("{} ({} of {})", limit.rule, limit.limit, limit.value)
}

fn verb(direction: ScalingDirection) -> &'static str {
    match direction {
        ScalingDirection::Out => "grow",
        ScalingDirection::In => "shrink",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use hostler_app::Pools;
    use hostler_domain::PoolState;
    use hostler_runtime::register::Viewed;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pool_says_what_it_has_what_it_wants_and_what_holds_it_back() {
        let counts =
            json!({ "inService": 4, "inFlight": 1, "free": 9, "leaving": 0, "notReady": 0, "hosts": 24 });
        let metrics = json!([
            { "metric": "load", "says": "above", "value": 1.6, "threshold": 0.8, "asks": 8 },
            { "metric": "queue", "says": "missing" },
        ]);
        let state: PoolState = serde_json::from_value(json!({
            "pool": "web", "decisions": 1,
            "last": {
                "pool": "web", "number": 1, "direction": "out", "decidedAt": "2026-01-31T12:00:00Z", "inputs": counts,
                "perMetric": metrics, "recommended": 8, "chosen": 6, "policyVersion": 2,
                "limits": [{ "rule": "growth", "limit": 2, "value": 4 }],
            },
            "inFlight": { "scale-web-1.1": { "number": 1, "since": "2026-01-31T12:00:00Z" } },
            "held": {
                "pool": "web", "direction": "out", "rule": "spare", "limit": 0, "value": 2, "lifts": "more must be free",
                "since": "2026-01-31T12:01:00Z", "until": "2026-01-31T12:01:30Z", "inputs": counts,
                "perMetric": metrics, "policyVersion": 2,
            },
        }))
        .unwrap();
        let shown = Pools::show(&state).unwrap();
        assert_eq!(shown.group, "held-back");
        let text = in_words(&serde_json::from_value(shown.body).unwrap());
        assert_eq!(
            text,
            "pool web is held-back\n\
             \x20    desired  6 hosts, since its last decision\n\
             \x20      hosts  4 in service, 1 in flight, 9 free, 0 leaving, 0 unhealthy, of 24; at 2026-01-31 12:01:00 UTC\n\
             \x20     metric  load is above its threshold (1.6 of 0.8), and asks for 8 hosts\n\
             \x20     metric  queue is missing: nothing that still holds is known of it\n\
             \x20   decision  1 at 2026-01-31 12:00:00 UTC: grow to 6 hosts; 8 were asked for; less, by growth (2 of 4) (policies 2)\n\
             \x20  in flight  scale-web-1.1: hostler provisionings show scale-web-1.1\n\
             \x20  held back  does not grow, by the rule spare (limit 0, value 2) since 2026-01-31 12:01:00 UTC: more must be free\n\
             \x20             it is looked at again at 2026-01-31 12:01:30 UTC\n"
        );
    }
}
