//! What all forms need: texts and times from outside, made safe, and the one form of a signal.

use std::collections::BTreeMap;

use hostler_core::failure::printable;
use hostler_events::signal::{FaultClass, ReportSignal, ReportThreshold, Signal, SignalHeader, SignalStatus};
use hostler_events::{HostId, InventoryCommand};
use jiff::fmt::rfc2822::DateTimeParser;
use jiff::fmt::strtime;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// How long a signal may be acted on after it was last known to be so.
pub(super) const SHELF_LIFE: SignedDuration = SignedDuration::from_mins(15);
/// How far another system's clock may be ahead of ours.
pub(super) const AHEAD_MAX: SignedDuration = SignedDuration::from_mins(5);
/// How much of a text is kept.
const TEXT_CHARS_MAX: usize = 500;
/// How much of a label is kept.
const LABEL_CHARS_MAX: usize = 200;
/// How many labels are kept.
const LABELS_MAX: usize = 32;
/// The longest fingerprint.
const FINGERPRINT_BYTES_MAX: usize = 600;
/// The longest class of faults that is made of a name.
const CLASS_CHARS_MAX: usize = 100;

/// What one item of a body says.
pub(super) enum Said {
    /// Something of a host.
    Host(Box<ReportSignal>),
    /// Something of a pool.
    Pool(Box<ReportThreshold>),
    /// Something of the inventory.
    Inventory(Box<InventoryCommand>),
    /// Nothing to act on.
    Nothing,
}

/// Who says something, of what, and when.
pub(super) struct Claim {
    pub(super) source: &'static str,
    pub(super) fingerprint: String,
    pub(super) status: SignalStatus,
    pub(super) starts_at: Timestamp,
    pub(super) observed_at: Timestamp,
}

impl Claim {
    /// The header, where the fingerprint is one.
    pub(super) fn header(self, shelf_life: SignedDuration) -> Result<SignalHeader, String> {
        let Self { source, fingerprint, status, starts_at, observed_at } = self;
        let fits = (1..=FINGERPRINT_BYTES_MAX).contains(&fingerprint.len());
        if !fits || fingerprint.chars().any(char::is_control) {
            return Err(format!(
                "its fingerprint {:?} is empty, longer than {FINGERPRINT_BYTES_MAX} bytes, or has control characters: send the one that its system gave it",
                short(&fingerprint, 60)
            ));
        }
        let expires_at = observed_at.saturating_add(shelf_life).unwrap_or(Timestamp::MAX);
        let source = source.to_owned();
        Ok(SignalHeader { source, fingerprint, status, starts_at, observed_at, expires_at })
    }

    /// What is said of a host.
    pub(super) fn of_host(self, host: &str, fault: &str, about: About<'_>) -> Result<Said, String> {
        let host = HostId::new(host).map_err(|error| error.to_string())?;
        let fault = FaultClass::new(fault).map_err(|error| error.to_string())?;
        let signal = Signal {
            header: self.header(about.shelf_life)?,
            fault,
            severity: short(about.severity, LABEL_CHARS_MAX),
            summary: short(about.summary, TEXT_CHARS_MAX),
            labels: about.labels,
        };
        Ok(Said::Host(Box::new(ReportSignal { host, signal })))
    }
}

/// What a signal says for people, and how long it is worth something.
pub(super) struct About<'a> {
    pub(super) severity: &'a str,
    pub(super) summary: &'a str,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) shelf_life: SignedDuration,
}

impl<'a> About<'a> {
    pub(super) fn new(severity: &'a str, summary: &'a str) -> Self {
        Self { severity, summary, labels: BTreeMap::new(), shelf_life: SHELF_LIFE }
    }

    /// With these labels: the first 32, none longer than 200 characters.
    pub(super) fn labelled<'l>(mut self, labels: impl Iterator<Item = (&'l str, &'l str)>) -> Self {
        let cut = |(name, text): (&str, &str)| (short(name, LABEL_CHARS_MAX), short(text, LABEL_CHARS_MAX));
        self.labels = labels.take(LABELS_MAX).map(cut).collect();
        self
    }
}

/// A text of an object, where it is one and not empty.
pub(super) fn text<'a>(of: &'a Value, field: &str) -> Option<&'a str> {
    of.get(field)?.as_str().filter(|text| !text.is_empty())
}

/// The fields of an object that are texts.
pub(super) fn texts(of: &Value) -> impl Iterator<Item = (&str, &str)> {
    let fields = of.as_object().into_iter().flatten();
    fields.filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))
}

/// A text from outside as it may be shown: its first characters, on one line, and none that controls a terminal.
pub(super) fn short(text: &str, chars_max: usize) -> String {
    let mut cut: String = text.chars().take(chars_max).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    printable(&cut).replace(['\n', '\t'], " ")
}

/// The time in a field: none where it is absent, empty, or before the year 2, by which systems say that they know none.
///
/// # Errors
/// What is wrong with it: it does not read, or is further ahead than clocks may be.
pub(super) fn time(of: &Value, field: &str, received_at: Timestamp) -> Result<Option<Timestamp>, String> {
    let said = match of.get(field) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) if text.is_empty() => return Ok(None),
        Some(Value::String(text)) => text.as_str(),
        Some(other) => return Err(format!("{field} is {}, and no time", short(&other.to_string(), 40))),
    };
    let Some(at) = parsed(said) else {
        let said = short(said, 40);
        return Err(format!("{field} is {said:?}, and no time: send one such as 2026-01-31T11:00:00Z"));
    };
    if at.to_zoned(jiff::tz::TimeZone::UTC).year() <= 1 {
        return Ok(None);
    }
    if at.duration_since(received_at) > AHEAD_MAX {
        return Err(format!(
            "{field} is {at}, and it came at {received_at}: have its sender's clock set by NTP"
        ));
    }
    Ok(Some(at))
}

/// RFC 3339, the same with an offset without its colon as CloudWatch has it, and RFC 2822 as AWS Health has it.
fn parsed(text: &str) -> Option<Timestamp> {
    // The weekday of a date is not believed: AWS's own samples have wrong ones.
    const MAIL: DateTimeParser = DateTimeParser::new().relaxed_weekday(true);
    text.parse()
        .ok()
        .or_else(|| strtime::parse("%Y-%m-%dT%H:%M:%S%.f%z", text).ok()?.to_timestamp().ok())
        .or_else(|| MAIL.parse_timestamp(text).ok())
}

/// A name as a class of faults: `HostDown` is `host-down`. None where nothing of it is left.
pub(super) fn class_of(name: &str) -> Option<String> {
    let mut class = String::new();
    let mut chars = name.chars().take(CLASS_CHARS_MAX).peekable();
    let mut before = ' ';
    while let Some(c) = chars.next() {
        let next_is_lower = chars.peek().is_some_and(char::is_ascii_lowercase);
        let begins_word = c.is_ascii_uppercase()
            && (before.is_ascii_lowercase()
                || before.is_ascii_digit()
                || (before.is_ascii_uppercase() && next_is_lower));
        let is_part = c.is_ascii_alphanumeric();
        if (begins_word || !is_part) && !class.is_empty() && !class.ends_with('-') {
            class.push('-');
        }
        if is_part {
            class.push(c.to_ascii_lowercase());
        }
        before = c;
    }
    class.truncate(class.trim_end_matches('-').len());
    (!class.is_empty()).then_some(class)
}

/// The host of an alert that does not name it otherwise: what Prometheus scraped, without its port.
pub(super) fn host_of_instance(instance: &str) -> &str {
    match instance.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => instance,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use serde_json::json;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn times_read_as_each_vendor_writes_them() {
        let now = at("2026-01-31T11:00:00Z");
        for (said, is) in [
            ("2019-10-02T17:04:40Z", "2019-10-02T17:04:40Z"),
            ("2019-10-02T19:04:40+02:00", "2019-10-02T17:04:40Z"),
            ("2019-10-02T17:04:40.985+0000", "2019-10-02T17:04:40.985Z"),
            ("2019-10-02T17:04:40+0000", "2019-10-02T17:04:40Z"),
            ("Wed, 02 Oct 2019 17:04:40 GMT", "2019-10-02T17:04:40Z"),
            ("Sat, 02 Oct 2019 17:04:40 GMT", "2019-10-02T17:04:40Z"),
            ("2026-01-31T11:05:00Z", "2026-01-31T11:05:00Z"),
        ] {
            assert_eq!(time(&json!({ "t": said }), "t", now), Ok(Some(at(is))), "{said}");
        }
        for none in
            [json!({}), json!({ "t": null }), json!({ "t": "" }), json!({ "t": "0001-01-01T00:00:00Z" })]
        {
            assert_eq!(time(&none, "t", now), Ok(None), "{none}");
        }
        for wrong in [json!("soon"), json!(7), json!({}), json!("2026-13-31T11:00:00Z"), json!("\u{1b}[2J")] {
            let said = time(&json!({ "t": wrong }), "t", now).unwrap_err();
            assert!(said.contains("no time") && !said.contains('\u{1b}'), "{said}");
        }
        for ahead in ["2026-01-31T11:05:01Z", "9999-12-30T22:00:00Z"] {
            let said = time(&json!({ "t": ahead }), "t", now).unwrap_err();
            assert!(said.contains("clock"), "{said}");
        }
    }

    #[test]
    fn names_become_classes() {
        for (name, class) in [
            ("HostDown", Some("host-down")),
            ("KubeAPIDown", Some("kube-api-down")),
            ("node disk: full!", Some("node-disk-full")),
            ("AWS_EC2_INSTANCE_RETIREMENT", Some("aws-ec2-instance-retirement")),
            ("disk0Failed", Some("disk0-failed")),
            ("unreachable", Some("unreachable")),
            ("…", None),
            ("", None),
        ] {
            assert_eq!(class_of(name).as_deref(), class, "{name}");
        }
    }

    #[test]
    fn an_instance_is_its_host_without_the_port() {
        let names = ["h-01:9100", "h-01", "rack:h-01", "h-01:"].map(host_of_instance);
        assert_eq!(names, ["h-01", "h-01", "rack:h-01", "h-01:"]);
    }
}
