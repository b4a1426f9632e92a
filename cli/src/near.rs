//! The nearest name to one that does not exist.

use std::collections::BTreeSet;

use crate::error::CliError;

/// How many names an error lists at most.
const LISTED_MAX: usize = 12;

/// The known name that somebody probably meant.
pub(crate) fn nearest<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = wanted.to_lowercase();
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&wanted, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= 1 + name.chars().count().min(wanted.chars().count()) / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// `: did you mean web?`, or which ones there are.
pub(crate) fn hint<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    match nearest(wanted, known.iter().copied()) {
        Some(near) => format!("; did you mean {near}?"),
        None if known.is_empty() => "; there are none".to_owned(),
        None if known.len() <= LISTED_MAX => format!("; there are {}", known.join(", ")),
        None => {
            let more = known.len() - LISTED_MAX;
            format!("; there are {} and {more} more", known[..LISTED_MAX].join(", "))
        }
    }
}

/// Fails unless a name is one of the known ones.
///
/// # Errors
/// [`CliError::NotFound`] with the nearest name, or with all there are.
pub(crate) fn require<'a>(
    what: &'static str,
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Result<(), CliError> {
    let known: BTreeSet<&str> = known.into_iter().collect();
    if known.contains(name) {
        return Ok(());
    }
    Err(CliError::NotFound { what: what.into(), name: name.to_owned(), hint: hint(name, known), list: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_exist_is_an_error() {
        assert!(require("pool", "web", ["web", "lab"]).is_ok());
        let error = require("pool", "wbe", ["web", "lab", "web"]);
        let text = error.map_err(|error| (error.code(), error.to_string()));
        assert_eq!(text, Err((4, "there is no pool \"wbe\"; did you mean web?".to_owned())));
    }

    #[test]
    fn slips_are_found_and_strangers_are_not() {
        let known = ["h-01", "h-02", "broken.1", "in-service"];
        assert_eq!(nearest("brokn.1", known), Some("broken.1"));
        assert_eq!(nearest("In-Servce", known), Some("in-service"));
        assert_eq!(nearest("h-1", known), Some("h-01"));
        assert_eq!(nearest("available", known), None);
    }

    #[test]
    fn what_there_is_is_told_when_nothing_is_near() {
        assert_eq!(hint("wbe", ["web", "lab"]), "; did you mean web?");
        assert_eq!(hint("storage", ["web", "lab"]), "; there are web, lab");
        assert_eq!(hint("x", []), "; there are none");
        let many: Vec<String> = (0..20).map(|n| format!("pool-{n:03}")).collect();
        assert!(hint("something", many.iter().map(String::as_str)).ends_with("and 8 more"));
    }
}
