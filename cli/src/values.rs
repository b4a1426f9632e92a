//! What arguments may say: counts, lengths of time, moments, labels, reasons, files. Each refusal says what is right.

use std::fmt::Display;
use std::io::Read;
use std::ops::RangeInclusive;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use jiff::{SignedDuration, Timestamp};

use crate::error::CliError;

/// The longest key of a label in characters.
const LABEL_KEY_CHARS_MAX: usize = 63;
/// The longest value of a label in characters.
const LABEL_VALUE_CHARS_MAX: usize = 256;
/// The longest reason in characters.
const REASON_CHARS_MAX: usize = 500;
/// What the plain drivers know to simulate.
const SIMULATED: [&str; 4] =
    ["simulate.configure", "simulate.monitor", "simulate.install", "simulate.roll-back"];
/// What fits one event or message.
const MESSAGE_BYTES_MAX: u64 = 250_000;
/// The longest that `slow:<seconds>` may ask for.
const SLOW_SECONDS_MAX: u64 = 600;

/// Reads a whole number of a range.
pub(crate) fn count<T>(range: RangeInclusive<T>) -> impl Fn(&str) -> Result<T, String> + Clone
where
    T: FromStr + PartialOrd + Display + Clone,
{
    move |text| {
        let read = text.parse().ok().filter(|number| range.contains(number));
        read.ok_or_else(|| format!("give a whole number from {} to {}", range.start(), range.end()))
    }
}

/// Reads a number from 0 to a most.
pub(crate) fn amount(most: f64) -> impl Fn(&str) -> Result<f64, String> + Clone {
    move |text| {
        let read = text.parse().ok().filter(|number| (0.0..=most).contains(number));
        read.ok_or_else(|| format!("give a number from 0 to {most}, such as 1.5"))
    }
}

/// Reads `30s`, `5m`, `1h 30m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let read: Result<SignedDuration, _> = text.parse();
    read.ok()
        .and_then(|duration| Duration::try_from(duration).ok())
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "give a length of time such as 30s, 5m or 1h".to_owned())
}

/// Reads a moment such as `2026-01-31T12:00:00Z`, or how long ago it was, such as `15m`.
pub(crate) fn moment(text: &str) -> Result<Timestamp, String> {
    let ago = || Timestamp::now().checked_sub(duration(text).ok()?).ok();
    text.parse().ok().or_else(ago).ok_or_else(|| {
        "give a moment such as 2026-01-31T12:00:00Z, or how long ago it was, such as 15m".to_owned()
    })
}

/// The text of a file, or of standard input where the file is `-`.
///
/// # Errors
/// When it cannot be read, or does not fit one message.
pub(crate) fn text_of(file: &Path) -> Result<String, CliError> {
    let failed = || CliError::file("read", file);
    let mut text = String::new();
    if file.as_os_str() == "-" {
        std::io::stdin().lock().take(MESSAGE_BYTES_MAX + 1).read_to_string(&mut text).map_err(failed())?;
    } else {
        let file = std::fs::File::open(file).map_err(failed())?;
        file.take(MESSAGE_BYTES_MAX + 1).read_to_string(&mut text).map_err(failed())?;
    }
    if text.len() as u64 > MESSAGE_BYTES_MAX {
        return Err(CliError::Usage(format!(
            "{} is larger than the {MESSAGE_BYTES_MAX} bytes that fit one message: send a reference instead of the bulk",
            file.display()
        )));
    }
    Ok(text)
}

/// Why an operator does something; it is recorded.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub(crate) struct Reason {
    /// Why; it is recorded
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    pub(crate) reason: String,
}

fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    match text.chars().count() {
        0 => Err("say why: it is recorded".to_owned()),
        1..=REASON_CHARS_MAX => Ok(text.to_owned()),
        _ => Err(format!("give at most {REASON_CHARS_MAX} characters")),
    }
}

/// A label `key=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Label {
    pub(crate) key: String,
    pub(crate) value: String,
}

impl FromStr for Label {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (key, value) = text.split_once('=').ok_or("give key=value, such as owner=infra")?;
        check_key(key)?;
        let shown = |c: char| !c.is_control();
        if value.chars().count() > LABEL_VALUE_CHARS_MAX || !value.chars().all(shown) {
            return Err(format!(
                "a label's value has at most {LABEL_VALUE_CHARS_MAX} characters, on one line"
            ));
        }
        if key.starts_with("simulate.") {
            check_simulation(key, value)?;
        }
        Ok(Self { key: key.to_owned(), value: value.to_owned() })
    }
}

/// One change of labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LabelChange {
    /// Sets a label.
    Set(Label),
    /// Removes the label of this key.
    Remove(String),
}

impl FromStr for LabelChange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_suffix('-').filter(|_| !text.contains('=')) {
            Some(key) => check_key(key).map(|()| Self::Remove(key.to_owned())),
            None if text.contains('=') => text.parse().map(Self::Set),
            None => Err("give key=value to set a label, or key- to remove one".to_owned()),
        }
    }
}

fn check_key(key: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '/' | '-');
    if key.is_empty() || key.len() > LABEL_KEY_CHARS_MAX || !key.chars().all(allowed) {
        return Err(format!(
            "a label's key has 1 to {LABEL_KEY_CHARS_MAX} letters, digits, and . _ / -, such as simulate.configure"
        ));
    }
    Ok(())
}

fn check_simulation(key: &str, value: &str) -> Result<(), String> {
    if !SIMULATED.contains(&key) {
        return Err(format!("the drivers simulate by the labels {}", SIMULATED.join(" and ")));
    }
    let slow = value.strip_prefix("slow:").and_then(|seconds| seconds.parse::<u64>().ok());
    let known = ["fail", "fail-once", "fail-transient"].contains(&value);
    if known || slow.is_some_and(|seconds| seconds <= SLOW_SECONDS_MAX) {
        return Ok(());
    }
    Err(format!("{key} is fail, fail-once, fail-transient or slow:<seconds up to {SLOW_SECONDS_MAX}>"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn counts_say_their_range_and_no_parsers_words() {
        let times = count(1..=5_u32);
        assert_eq!(times("3"), Ok(3));
        for wrong in ["0", "6", "many", "", "-1"] {
            assert_eq!(times(wrong).unwrap_err(), "give a whole number from 1 to 5", "{wrong}");
        }
    }

    #[test]
    fn lengths_of_time_are_read() {
        assert_eq!(duration("90s").unwrap(), Duration::from_secs(90));
        assert_eq!(duration("1h 30m").unwrap(), Duration::from_secs(5_400));
        assert!(duration("0s").is_err() && duration("-1s").is_err() && duration("soon").is_err());
    }

    #[test]
    fn moments_are_given_or_counted_back() {
        assert_eq!(moment("2026-01-31T12:00:00Z").unwrap().to_string(), "2026-01-31T12:00:00Z");
        assert!(moment("15m").unwrap() < Timestamp::now());
        let refused = moment("yesterday").unwrap_err();
        assert!(refused.contains("such as 15m") && !refused.contains("parse"), "{refused}");
    }

    #[test]
    fn label_changes_are_read() {
        let set = |key: &str, value: &str| {
            Ok(LabelChange::Set(Label { key: key.to_owned(), value: value.to_owned() }))
        };
        assert_eq!("a=b=c".parse(), set("a", "b=c"));
        assert_eq!("a=".parse(), set("a", ""));
        assert_eq!("a=b-".parse(), set("a", "b-"));
        assert_eq!("a-b-".parse(), Ok(LabelChange::Remove("a-b".to_owned())));
        assert_eq!("simulate.configure=slow:5".parse(), set("simulate.configure", "slow:5"));
    }

    #[test]
    fn bad_labels_are_told_what_is_right() {
        let told = |text: &str| text.parse::<LabelChange>().unwrap_err();
        assert!(told("nonsense").contains("key- to remove"));
        for wrong in ["", "-", "=b", "a b=c", "ä=c"] {
            assert!(!told(wrong).is_empty(), "{wrong}");
        }
        assert!(told("simulate.configure=explode").contains("fail-once"));
        assert!(told("simulate.configure=slow:601").contains("600"));
        assert!(told("simulate.boot=fail").contains("simulate.monitor"));
        assert!(told(&format!("a={}", "x".repeat(257))).contains("256"));
    }

    #[test]
    fn a_reason_is_said() {
        assert!(reason("  ").unwrap_err().contains("say why"));
        assert_eq!(reason(" planned "), Ok("planned".to_owned()));
        assert!(reason(&"x".repeat(501)).is_err());
    }
}
