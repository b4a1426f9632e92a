//! `simulate`: a scenario is sent into the running system, and what the system does about it is reported.
//!
//! On the local cloud the hosts of its fleet break and have more to do. Elsewhere there is no fleet: alerts say so, and what they
//! lead to is done to real hosts, for which it takes a word.

mod args;
mod means;
mod play;
mod records;
mod report;
mod scenario;
mod site;
mod streams;
mod tidy;
mod vulnerabilities;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use comfy_table::Cell;
use hostler_localstack::fleet::FleetAdmin;
use jiff::Timestamp;

pub(crate) use args::SimulateArgs;
use args::{ListArgs, SimulateVerb};
use means::{Means, Signals};
use play::Play;
use report::Report;
use scenario::Scenario;
use streams::HeldBack;

use super::policies::followed;
use crate::api::View;
use crate::error::CliError;
use crate::output::Out;
use crate::render::table::{plain, text};
use crate::stop::Stop;
use crate::target::{Global, Target};

/// Does what the verb says, or plays a scenario.
pub(crate) async fn run(args: SimulateArgs, global: &Global, out: Out) -> Result<(), CliError> {
    match (&args.verb, &args.scenario) {
        (Some(SimulateVerb::List(args)), _) => list(args, global, out),
        (None, Some(name)) => simulate(name, &args, global, out).await,
        (None, None) => {
            Err(CliError::Usage("name a scenario: `hostler simulate list` lists them".to_owned()))
        }
    }
}

fn list(args: &ListArgs, global: &Global, out: Out) -> Result<(), CliError> {
    let mut rows = scenario::all(&global.application()?)?;
    rows.retain(|row| args.pool.as_ref().is_none_or(|pool| *pool == row.pool));
    out.list(
        &rows,
        |row| &row.scenario,
        "There are no such scenarios.",
        |rows| {
            let mut table = plain(["SCENARIO", "POOL", "HOSTS", "WITHIN", "WHAT HAPPENS"]);
            for row in rows {
                let (hosts, cells) = (row.hosts.to_string(), [&row.scenario, &row.pool]);
                let cells = cells.into_iter().chain([&hosts, &row.lasts, &row.title]);
                table.add_row(cells.map(Cell::new));
            }
            text(&table)
        },
        |_| String::new(),
    )
}

async fn simulate(name: &str, args: &SimulateArgs, global: &Global, out: Out) -> Result<(), CliError> {
    let scenario = scenario::find(&global.application()?, name)?;
    if global.stack.is_some() && !args.site_is_a_test {
        return Err(CliError::Usage(format!(
            "{name} disturbs what runs on the stack: say that it may with --site-is-a-test, or leave --stack away"
        )));
    }
    let target = Target::open(global).await?;
    let means = means(name, &scenario, args, global, &target).await?;
    let mut stop = Stop::listen()?;
    let mut play = Play {
        means,
        policy: followed(&target).await?.policy,
        lasts: args.lasts.unwrap_or(scenario.lasts),
        at_first: site::hosts(&target, &scenario.pool).await?,
        scenario: &scenario,
        target: &target,
        name,
        out,
        began: Instant::now(),
        began_at: Timestamp::now(),
        before: 0,
        broken: BTreeMap::new(),
        shared: None,
        loads: Vec::new(),
        away: BTreeSet::new(),
        records: BTreeMap::new(),
        published: None,
        signal_token: signal_token(args, &target),
        missed: Vec::new(),
        escalated: Vec::new(),
        touched: false,
        ended_at: Timestamp::now(),
    };
    let busy = site::left(&target, &scenario.pool, &play.at_first, &BTreeSet::new()).await?;
    if !busy.is_empty() {
        return Err(CliError::Usage(format!(
            "a scenario begins on a site at rest, and {}: wait, or see to it",
            busy.join("; ")
        )));
    }
    out.say(format!("{}: {}", out.bold(name), scenario.title))?;
    out.say(out.faint(format!("pool {}; {}", scenario.pool, play.by())))?;
    let wanted = args.hosts.unwrap_or(scenario.hosts);
    let work = async {
        play.prepare(usize::try_from(wanted).unwrap_or(usize::MAX)).await?;
        play.run().await
    };
    let (played, stopped) = tokio::select! {
        played = work => (played, false),
        () = stop.asked() => (Ok(()), true),
    };
    let seconds = play.began.elapsed().as_secs_f64();
    if stopped {
        out.say("stopped: what was broken is mended; stop again to leave it as it is then")?;
    }
    let tidied = tokio::select! {
        tidied = play.tidy_up() => tidied,
        () = stop.asked() => Ok(()),
    };
    played?;
    tidied?;
    let report = report_of(&play, seconds, stopped).await?;
    report.tell(out)?;
    report.verdict()
}

/// What it may be played by here.
async fn means(
    name: &str,
    scenario: &Scenario,
    args: &SimulateArgs,
    global: &Global,
    target: &Target,
) -> Result<Means, CliError> {
    if args.signals {
        let token = signal_token(args, target).ok_or_else(|| {
            CliError::Usage(
                "alerts are sent with the stack's SignalToken: give it with --signal-token".to_owned(),
            )
        })?;
        return Ok(Means::Signals(Box::new(Signals {
            api: target.api.clone(),
            token,
            scenario: name.to_owned(),
            run: Timestamp::now().as_millisecond().to_string(),
            demand: None,
            firing: BTreeMap::new(),
        })));
    }
    if global.stack.is_some() {
        return Err(CliError::Usage(
            "there is no fleet on a stack whose hosts could be broken: have alerts say so with --signals"
                .to_owned(),
        ));
    }
    let admin: FleetAdmin = super::fleet(target)?;
    if target.local()?.monitoring.is_none() {
        return Err(CliError::Usage(
            "no Prometheus watches the hosts of this local cloud, so that nobody would notice: have alerts say so with --signals, or install it (`hostler doctor` says how)".to_owned(),
        ));
    }
    let loads = admin.loads().await?;
    let demand = loads.into_iter().find(|load| load.pool == scenario.pool.as_str());
    Ok(Means::Fleet { admin, demand: demand.and_then(|load| load.demand) })
}

/// With what signals are sent, where it is known.
fn signal_token(args: &SimulateArgs, target: &Target) -> Option<String> {
    args.signal_token.clone().or_else(|| target.local().ok().and_then(|local| local.signal_token.clone()))
}

/// Reads what the streams say of it.
async fn report_of(play: &Play<'_>, seconds: f64, stopped: bool) -> Result<Report, CliError> {
    let (target, pool) = (play.target, play.scenario.pool.as_str());
    let mut held_back = HeldBack::new();
    let commits = streams::commits(target, View::Pool, pool).await?;
    let mut reactions = streams::of_pool(pool, &commits, (&play.loads, play.ended_at), &mut held_back);
    let mut repairs = 0;
    for (host, broke) in play.broke() {
        let health = streams::commits(target, View::Incident, host.as_str()).await?;
        let commits = streams::commits(target, View::Host, host.as_str()).await?;
        let of_host = streams::of_host((&health, &commits), (broke, play.ended_at), &mut held_back);
        repairs += of_host.iter().map(|reaction| reaction.repairs).sum::<usize>();
        reactions.extend(of_host);
    }
    reactions.extend(play.patches().await?);
    reactions.sort_by_key(|reaction| (reaction.caused_at, reaction.detected_at));
    Ok(Report {
        scenario: play.name.to_owned(),
        by: play.by(),
        began_at: play.began_at,
        seconds,
        stopped,
        reactions,
        held_back,
        budget: streams::budget(target, play.began_at).await?,
        campaign: play.patched().await?,
        repairs,
        repairs_max: play.scenario.repairs_max,
        escalated: play.escalated.clone(),
        missed: play.missed.clone(),
        left: play.left().await?,
    })
}
