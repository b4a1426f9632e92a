//! `cost`: what a million steps cost here and elsewhere, from measured calls and a dated list of prices; and what a deployment
//! costs that has nothing to do.

use std::collections::BTreeMap;

use clap::Args;
use serde::Deserialize;
use serde_json::json;

use crate::error::CliError;
use crate::output::Out;
use crate::render::table;

/// The prices, with their date and sources.
const PRICES: &str = include_str!("../../../prices.json");
/// What a step was measured to need, by `cargo hostler bench local`.
const MEASURED: &str = include_str!("../../../../docs/figures/local.json");
/// The steps of a provisioning saga.
const STEPS: f64 = 5.0;
/// The memory of our functions in GB.
const MEMORY_GB: f64 = 0.25;
/// What Step Functions Express counts for a small state machine, in GB.
const EXPRESS_GB: f64 = 0.0625;
/// The template of the data centre, whose resources cost something when they have nothing to do.
const TEMPLATE: &str = include_str!("../../../../template.yaml");
/// How many long polls Lambda has open on an idle queue, and for how many seconds each.
const POLLS: f64 = 5.0;
const POLL_SECONDS: f64 = 20.0;
/// A month of 30 days, in minutes.
const MONTH_MINUTES: f64 = 30.0 * 24.0 * 60.0;
/// How long a look at the queues takes, in seconds, generously.
const LOOK_SECONDS: f64 = 0.2;
/// How long a saga takes whose host boots at once, in seconds.
const SAGA_SECONDS: f64 = 8.0;

const ASSUMPTIONS: &str = "\
Assumptions
  A step is asking another service for something, waiting for its answer and recording it; a provisioning has five.
  The work that a step asks for costs the same everywhere and is left out; so are free tiers, storage, logs and the API.
  Hostler: everything that its functions do for a provisioning, read models, leases and the hosts' own streams
    included; each invocation by a queue costs two requests of polling. Measured at 20 sagas at a time, where batches are small.
  A month without work: what template.yaml has; on each idle queue Lambda keeps five polls of 20 s open, and a look at all
    queues takes a fifth of a second. Storage, its backups and logs are left out.
  Step Functions Standard: one transition for each step, one for waiting for its answer, one in five for the start.
  Step Functions Express: runs for at most five minutes and is billed while it waits; here 8 seconds.
  Lambda durable functions: an operation for the step and one for the callback, and 2 KB written.
  Temporal Cloud: an action for the activity, one for its timer or signal, one in five for the start; workers are yours.";

/// What `cost` takes.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  hostler cost --prices my-region.json")]
pub(crate) struct CostArgs {
    /// Other prices, in the form of cli/prices.json
    #[arg(long, value_name = "FILE")]
    prices: Option<std::path::PathBuf>,
}

#[derive(Debug, Deserialize)]
struct Prices {
    taken: String,
    region: String,
    prices: BTreeMap<String, Price>,
}

#[derive(Debug, Deserialize)]
struct Price {
    dollars: f64,
    unit: String,
    source: String,
}

impl Prices {
    fn of(&self, name: &str) -> Result<f64, CliError> {
        self.prices.get(name).map(|price| price.dollars).ok_or_else(|| {
            CliError::Usage(format!(
                "the price list has no {name}: cli/prices.json shows all that are needed"
            ))
        })
    }
}

#[derive(Debug, Deserialize)]
struct Measured {
    values: BTreeMap<String, f64>,
}

impl Measured {
    /// How much of something one step needs.
    fn of_a_step(&self, part: &str) -> f64 {
        self.values.get(&format!("saga step/{part}")).copied().unwrap_or_default()
    }
}

/// One line of our own bill.
struct Item {
    what: &'static str,
    amount: f64,
    dollars: f64,
}

/// What a month costs in which nothing is asked for: what stands ready is billed.
fn idle(prices: &Prices, template: &str) -> Result<Vec<Item>, CliError> {
    let count = |line: &str| template.lines().filter(|other| other.trim() == line).count() as f64;
    // Each mapping of a queue limits its consumers, and each polls.
    let polls = count("ScalingConfig:") * POLLS * MONTH_MINUTES * 60.0 / POLL_SECONDS;
    let mappings = template.split("MAPPINGS: !Sub").nth(1).unwrap_or_default();
    let watched = mappings.lines().skip(2).take_while(|line| line.contains("${")).count() as f64;
    let looks = MONTH_MINUTES;
    let amounts = [
        ("polls of queues, millions", polls / 1e6, "queueRequests"),
        ("looks at queues, millions", looks * watched / 1e6, "queueRequests"),
        ("invocations of watch-flow, millions", looks / 1e6, "invocations"),
        ("its GB-seconds, millions", looks * LOOK_SECONDS * MEMORY_GB / 1e6, "gigabyteSeconds"),
        // Of each queue its stream, and twice the note of all.
        ("its read units, millions", looks * (watched + 2.0) / 1e6, "readUnits"),
        ("alarms", count("Type: AWS::CloudWatch::Alarm"), "alarms"),
        ("secrets", count("Type: AWS::SecretsManager::Secret"), "secrets"),
    ];
    let item = |(what, amount, price)| Ok(Item { what, amount, dollars: amount * prices.of(price)? });
    amounts.into_iter().map(item).collect()
}

/// Prints the bill.
pub(crate) fn run(args: CostArgs, out: Out) -> Result<(), CliError> {
    let text = match &args.prices {
        Some(file) => std::fs::read_to_string(file)
            .map_err(CliError::failed(format!("{} cannot be read", file.display())))?,
        None => PRICES.to_owned(),
    };
    let prices: Prices =
        serde_json::from_str(&text).map_err(CliError::failed("the price list does not read"))?;
    let measured: Measured =
        serde_json::from_str(MEASURED).map_err(CliError::failed("the measured figures do not read"))?;
    let items = ours(&prices, &measured)?;
    let total: f64 = items.iter().map(|item| item.dollars).sum();
    let idle = idle(&prices, TEMPLATE)?;
    let mut systems = vec![("Hostler", total)];
    systems.extend(others(&prices)?);
    systems.sort_by(|a, b| a.1.total_cmp(&b.1));
    if out.json {
        let items: BTreeMap<_, _> = items
            .iter()
            .map(|item| (item.what, json!({ "aStep": item.amount, "dollars": item.dollars })))
            .collect();
        let idle: BTreeMap<_, _> = idle
            .iter()
            .map(|item| (item.what, json!({ "amount": item.amount, "dollars": item.dollars })))
            .collect();
        let systems: BTreeMap<_, _> = systems.into_iter().collect();
        return out.document(&json!({
            "dollarsPerMillionSteps": systems, "hostler": items, "idleMonth": idle, "pricesTaken": prices.taken, "region": prices.region,
        }));
    }
    out.line(format!("Dollars for a million steps, {}, prices of {}\n", prices.region, prices.taken))?;
    let mut compared = table::plain(["SYSTEM", "DOLLARS", "BESIDE HOSTLER"]);
    for (system, dollars) in &systems {
        let beside = match system {
            &"Hostler" => String::new(),
            _ if *dollars < total => format!("{:.1} × cheaper", total / dollars),
            _ => format!("{:.1} × dearer", dollars / total),
        };
        compared.add_row([(*system).to_owned(), format!("{dollars:.2}"), beside]);
    }
    out.line(table::text(&compared))?;
    out.line("\nWhere Hostler's go\n")?;
    let mut bill = table::plain(["WHAT", "A STEP", "DOLLARS"]);
    for item in &items {
        bill.add_row([item.what.to_owned(), format!("{:.2}", item.amount), format!("{:.2}", item.dollars)]);
    }
    out.line(table::text(&bill))?;
    let total: f64 = idle.iter().map(|item| item.dollars).sum();
    out.line(format!("\nA month in which nothing happens: {total:.2} dollars\n"))?;
    let mut bill = table::plain(["WHAT", "A MONTH", "DOLLARS"]);
    for item in &idle {
        bill.add_row([item.what.to_owned(), format!("{:.2}", item.amount), format!("{:.2}", item.dollars)]);
    }
    out.line(table::text(&bill))?;
    out.line(format!("\n{ASSUMPTIONS}\n\nSources"))?;
    for price in prices.prices.values() {
        out.line(format!("  ${} for a {}: {}", price.dollars, price.unit, price.source))?;
    }
    Ok(())
}

fn ours(prices: &Prices, measured: &Measured) -> Result<Vec<Item>, CliError> {
    let (invocations, events) = (measured.of_a_step("invocations"), measured.of_a_step("events"));
    let seconds = measured.of_a_step("milliseconds") / 1e3 * MEMORY_GB;
    let polled = 2.0 * measured.of_a_step("polled");
    let requests = measured.of_a_step("queue requests") + polled;
    let amounts = [
        ("write units", measured.of_a_step("writes"), "writeUnits"),
        ("read units", measured.of_a_step("reads"), "readUnits"),
        ("queue requests", requests, "queueRequests"),
        ("events on the bus", events, "busEvents"),
        ("invocations", invocations, "invocations"),
        ("GB-seconds", seconds, "gigabyteSeconds"),
    ];
    let item = |(what, amount, price)| Ok(Item { what, amount, dollars: amount * prices.of(price)? });
    amounts.into_iter().map(item).collect()
}

fn others(prices: &Prices) -> Result<Vec<(&'static str, f64)>, CliError> {
    let express = prices.of("expressRequests")? / STEPS
        + SAGA_SECONDS * EXPRESS_GB / STEPS * prices.of("expressGigabyteSeconds")?;
    let durable = 2.0 * prices.of("durableOperations")? + 2.0 * prices.of("durableGigabytes")?;
    Ok(vec![
        ("Step Functions Standard", (2.0 + 1.0 / STEPS) * prices.of("stateTransitions")?),
        ("Step Functions Express", express),
        ("Lambda durable functions", durable),
        ("Temporal Cloud", (2.0 + 1.0 / STEPS) * prices.of("temporalActions")?),
    ])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;

    #[test]
    fn the_bill_is_the_sum_of_measured_amounts_at_the_listed_prices() {
        let prices: Prices = serde_json::from_str(PRICES).unwrap();
        let amounts = [
            ("writes", 2.0),
            ("reads", 2.0),
            ("polled", 1.0),
            ("queue requests", 2.0),
            ("invocations", 1.0),
            ("events", 1.0),
            ("milliseconds", 4.0),
        ];
        let values = amounts.map(|(part, amount)| (format!("saga step/{part}"), amount)).into();
        let bill = ours(&prices, &Measured { values }).unwrap();
        let total: f64 = bill.iter().map(|item| item.dollars).sum();
        // 2 × 0.625 + 2 × 0.125 + 4 × 0.40 + 1 × 1.00 + 1 × 0.20 + 0.001 GB-s × 16.6667
        assert!((total - 4.316_666_7).abs() < 1e-6, "{total}");
    }

    #[test]
    fn a_month_without_work_is_billed_by_what_the_template_has() {
        let prices: Prices = serde_json::from_str(PRICES).unwrap();
        let template = "A:\n  ScalingConfig:\nB:\n  ScalingConfig:\n  MAPPINGS: !Sub |-\n    {\n      \"a\": \"${A}\",\n      \
                        \"b\": \"${B}\"\n    }\nC:\n  Type: AWS::CloudWatch::Alarm\nD:\n  Type: AWS::SecretsManager::Secret\n";
        let bill = idle(&prices, template).unwrap();
        // Two queues: each 5 × 3 polls a minute, and one look; 43,200 minutes.
        assert!((bill[0].amount - 1.296).abs() < 1e-9 && (bill[1].amount - 0.0864).abs() < 1e-9);
        assert_eq!((bill[5].amount, bill[6].amount), (1.0, 1.0));
        let total: f64 = bill.iter().map(|item| item.dollars).sum();
        // 1.3824 × 0.40 + 0.0432 × 0.20 + 0.00216 × 16.6667 + 0.1728 × 0.125 + 0.10 + 0.40
        assert!((total - 1.119_2).abs() < 1e-4, "{total}");
        let own = idle(&prices, TEMPLATE).unwrap();
        assert!(own.iter().all(|item| item.amount > 0.0), "the template has all of that");
    }

    #[test]
    fn what_was_measured_last_has_all_that_the_bill_needs() {
        let measured: Measured = serde_json::from_str(MEASURED).unwrap();
        let parts = ["writes", "reads", "invocations", "polled", "events", "milliseconds", "queue requests"];
        for part in parts {
            assert!(measured.of_a_step(part) > 0.0, "{part}");
        }
    }
}
