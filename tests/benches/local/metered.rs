//! What functions wrote of their calls, added up.

use std::collections::BTreeMap;
use std::path::Path;

use hostler_aws::meter::{Calls, Metered};
use hostler_bench::Figures;

/// How many lines there are so far.
pub fn lines(file: &Path) -> usize {
    std::fs::read_to_string(file).map_or(0, |text| text.lines().count())
}

/// The calls of some invocations.
#[derive(Debug, Default)]
pub struct Bill {
    invocations: BTreeMap<String, u64>,
    milliseconds: f64,
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
            *bill.invocations.entry(metered.function.clone()).or_default() += 1;
            bill.milliseconds += metered.milliseconds;
            let function = bill.by_function.entry(metered.function).or_default();
            for (kind, calls) in metered.calls {
                add(function, &kind, calls);
                add(&mut bill.calls, &kind, calls);
            }
        }
        bill
    }

    fn sum(&self, kinds: &[&str]) -> Calls {
        let mut sum = Calls::default();
        for (kind, calls) in &self.calls {
            if kinds.iter().any(|wanted| kind.starts_with(wanted)) {
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
        let invocations = self.invocations.values().sum::<u64>() as f64;
        figures.row(name("invocations"), format!("{:.2}", per(invocations)), "");
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
            ("queue requests", sent.units),
            ("messages", messages.units),
            ("events", self.sum(&["PutEvents"]).units),
            ("milliseconds", self.milliseconds),
        ] {
            figures.value(format!("{what}/{part}"), per(calls));
        }
    }

    /// Tells which function makes which calls.
    pub fn by_function(&self, figures: &mut Figures, count: f64) {
        for (function, calls) in &self.by_function {
            let calls: Vec<String> = calls
                .iter()
                .map(|(kind, calls)| format!("{kind} {:.1}", calls.calls as f64 / count))
                .collect();
            let invocations = self.invocations[function] as f64 / count;
            figures.row(
                format!("saga: {function}"),
                format!("{invocations:.1} invocations"),
                calls.join(", "),
            );
        }
    }
}

fn add(to: &mut BTreeMap<String, Calls>, kind: &str, calls: Calls) {
    let sum = to.entry(kind.to_owned()).or_default();
    sum.calls += calls.calls;
    sum.units += calls.units;
    sum.bytes += calls.bytes;
}
