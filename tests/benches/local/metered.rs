//! What functions wrote of their calls, added up.

use std::collections::BTreeMap;
use std::path::Path;

use hostler_aws::meter::{Calls, Metered};
use hostler_bench::Figures;

/// How many lines there are so far.
pub fn lines(file: &Path) -> usize {
    std::fs::read_to_string(file).map_or(0, |text| text.lines().count())
}

/// What the plain drivers keep in place of a configuration service and a monitoring system: the work itself, which is no
/// part of what its orchestration costs.
const WORK: [&str; 2] = ["control configuration", "control monitoring"];
/// The functions that a queue invokes: somebody polls for them.
const POLLED: [&str; 5] = ["run-sagas", "deploy-host", "configure-host", "monitor-host", "project-views"];

/// The calls of some invocations.
#[derive(Debug, Default)]
pub struct Bill {
    invocations: BTreeMap<String, u64>,
    milliseconds: BTreeMap<String, f64>,
    /// For how much of that calls were under way.
    waited: BTreeMap<String, f64>,
    calls: BTreeMap<String, Calls>,
    by_function: BTreeMap<String, BTreeMap<String, Calls>>,
}

impl Bill {
    /// What was written from this line on.
    pub fn read(file: &Path, from: usize) -> Self {
        let mut bill = Self::default();
        let text = std::fs::read_to_string(file).unwrap();
        for line in text.lines().skip(from) {
            let metered: Metered = serde_json::from_str(line).unwrap();
            // What people ask is no part of the work that they ask about.
            if metered.function == "answer-queries" {
                continue;
            }
            *bill.invocations.entry(metered.function.clone()).or_default() += 1;
            *bill.milliseconds.entry(metered.function.clone()).or_default() += metered.milliseconds;
            *bill.waited.entry(metered.function.clone()).or_default() += metered.waited;
            let function = bill.by_function.entry(metered.function).or_default();
            for (kind, calls) in metered.calls {
                add(function, &kind, calls);
                add(&mut bill.calls, &kind, calls);
            }
        }
        bill
    }

    /// All calls of some kinds, without those that are the work itself.
    pub fn sum(&self, kinds: &[&str]) -> Calls {
        let mut sum = Calls::default();
        for (kind, calls) in &self.calls {
            let is_work = WORK.iter().any(|work| kind.ends_with(work));
            if kinds.iter().any(|wanted| kind.starts_with(wanted)) && !is_work {
                sum.calls += calls.calls;
                sum.units += calls.units;
                sum.bytes += calls.bytes;
            }
        }
        sum
    }

    /// Tells what one of `count` units of work came to.
    pub fn tell(&self, figures: &mut Figures, what: &str, count: f64) {
        let writes = self.sum(&["PutItem", "UpdateItem", "DeleteItem"]);
        let reads = self.sum(&["Query", "GetItem"]);
        let per = |calls: f64| calls / count;
        let name = |of: &str| format!("{what}: {of}");
        let units =
            |calls: &Calls| format!("{:.2} calls, {:.2} units", per(calls.calls as f64), per(calls.units));
        figures.row(name("writes"), units(&writes), "");
        figures.row(name("reads"), units(&reads), "");
        let invocations = self.invocations() as f64;
        let polled = POLLED.iter().filter_map(|function| self.invocations.get(*function)).sum::<u64>() as f64;
        figures.row(
            name("invocations"),
            format!("{:.2}", per(invocations)),
            format!("{:.2} by queues", per(polled)),
        );
        let sent = self.sum(&["SendMessageBatch"]);
        let messages = self.sum(&["messages sent"]);
        figures.row(
            name("queue requests"),
            format!("{:.2} for {:.2} messages", per(sent.units), per(messages.units)),
            "",
        );
        figures.row(name("events published"), format!("{:.2}", per(self.sum(&["PutEvents"]).units)), "");
        for (part, calls) in [
            ("writes", writes.units),
            ("reads", reads.units),
            ("invocations", invocations),
            ("polled", polled),
            ("queue requests", sent.units),
            ("messages", messages.units),
            ("events", self.sum(&["PutEvents"]).units),
            ("milliseconds", self.milliseconds.values().sum()),
        ] {
            figures.value(format!("{what}/{part}"), per(calls));
        }
    }

    /// How many invocations there were.
    pub fn invocations(&self) -> u64 {
        self.invocations.values().sum()
    }

    /// Tells which function makes which calls, and how much of its time is its own.
    pub fn by_function(&self, figures: &mut Figures, count: f64) {
        for (function, calls) in &self.by_function {
            let calls: Vec<String> = calls
                .iter()
                .map(|(kind, calls)| {
                    let (number, units) = (calls.calls as f64 / count, calls.units / count);
                    match kind.split(' ').next() {
                        Some("PutItem" | "Query" | "GetItem") if (number - units).abs() > 0.05 => {
                            format!("{kind} {number:.1} ({units:.1} units)")
                        }
                        _ => format!("{kind} {number:.1}"),
                    }
                })
                .collect();
            let invocations = self.invocations[function] as f64;
            let (took, waited) = (self.milliseconds[function], self.waited[function]);
            figures.row(
                format!("saga: {function}"),
                format!(
                    "{:.1} invocations of {:.1} ms, {:.1} ms its own",
                    invocations / count,
                    took / invocations,
                    (took - waited) / invocations
                ),
                calls.join(", "),
            );
        }
    }

    /// How much of the functions' time they waited for no call. What deploy-host waits for is the machines as well.
    pub fn own(&self) -> f64 {
        let sum = |of: &BTreeMap<String, f64>| -> f64 {
            of.iter().filter(|(function, _)| *function != "deploy-host").map(|(_, time)| time).sum()
        };
        (sum(&self.milliseconds) - sum(&self.waited)) / sum(&self.milliseconds)
    }
}

fn add(to: &mut BTreeMap<String, Calls>, kind: &str, calls: Calls) {
    let sum = to.entry(kind.to_owned()).or_default();
    sum.calls += calls.calls;
    sum.units += calls.units;
    sum.bytes += calls.bytes;
}
