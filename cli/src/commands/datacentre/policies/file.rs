//! A site's file: YAML, whose errors name the line and the field.

use std::fmt;
use std::path::Path;

use hostler_events::SitePolicy;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::error::CliError;

/// The largest file: a site of 250,000 components has some 60 kB.
const BYTES_MAX: u64 = 1024 * 1024;

/// Reads and checks a site's file.
///
/// # Errors
/// Everything that is wrong with it, each with its line and its field.
pub(crate) fn read(path: &Path) -> Result<SitePolicy, CliError> {
    let bytes = std::fs::metadata(path).map_err(CliError::file("read", path))?.len();
    if bytes > BYTES_MAX {
        let path = path.display();
        return Err(CliError::Usage(format!(
            "{path} has {bytes} bytes, and a site's file has {BYTES_MAX} at most"
        )));
    }
    let text = std::fs::read_to_string(path).map_err(CliError::file("read", path))?;
    parse(&text).map_err(|problems| {
        let lines: Vec<String> =
            problems.iter().map(|problem| format!("{}:{problem}", path.display())).collect();
        CliError::Usage(lines.join("\n"))
    })
}

/// Something that is wrong with a file.
#[derive(Debug, PartialEq, Eq)]
struct Problem {
    line: Option<usize>,
    field: String,
    problem: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        if !self.field.is_empty() {
            write!(f, " {}:", self.field)?;
        }
        write!(f, " {}", self.problem)
    }
}

fn parse(text: &str) -> Result<SitePolicy, Vec<Problem>> {
    let read: Result<SitePolicy, _> =
        serde_path_to_error::deserialize(yaml_serde::Deserializer::from_str(text));
    let policy = read.map_err(|error| {
        let field = error.path().to_string();
        let inner = error.into_inner();
        let line = inner.location().map(|location| location.line());
        vec![Problem {
            line,
            field: if field == "." { String::new() } else { field },
            problem: without_place(&inner),
        }]
    })?;
    policy.check().map_err(|problems| {
        let with_line = |error: hostler_events::site::SitePolicyError| Problem {
            line: line_of(text, &error.path),
            field: error.path.join("."),
            problem: error.problem,
        };
        problems.into_iter().map(with_line).collect::<Vec<_>>()
    })?;
    Ok(policy)
}

/// What is wrong, without the field and the place, which are told beside it.
fn without_place(error: &yaml_serde::Error) -> String {
    let text = error.to_string();
    let text = text.split(" at line ").next().unwrap_or_default();
    let text = text.replace("u32", "a whole number");
    match text.split_once(": ") {
        // `a.b: what is wrong`: the library's own path.
        Some((path, rest)) if !path.contains(' ') => rest.to_owned(),
        _ => text,
    }
}

/// The line of a field, or of the nearest one around it that is in the file.
fn line_of(text: &str, path: &[String]) -> Option<usize> {
    let (mut path, mut found) = (path, None);
    while found.is_none() && !path.is_empty() {
        let look = yaml_serde::Deserializer::from_str(text);
        let met = Follow { path }.deserialize(look).err();
        found = met.filter(|error| error.to_string().contains(HERE)).and_then(|error| error.location());
        path = &path[..path.len() - 1];
    }
    found.map(|location| location.line())
}

/// What says that the place is found: reading ends there with this error, and the library says where it was.
const HERE: &str = "the field is here";

/// Follows a path through a document.
struct Follow<'a> {
    path: &'a [String],
}

impl<'de> DeserializeSeed<'de> for Follow<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Follow<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some((first, rest)) = self.path.split_first() else { return self.scalar() };
        while let Some(key) = map.next_key::<String>()? {
            match key == *first {
                true => map.next_value_seed(Follow { path: rest })?,
                false => map.next_value::<IgnoredAny>().map(drop)?,
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Some((first, rest)) = self.path.split_first() else { return self.scalar() };
        for index in 0_usize.. {
            let more = match *first == index.to_string() {
                true => list.next_element_seed(Follow { path: rest })?.is_some(),
                false => list.next_element::<IgnoredAny>()?.is_some(),
            };
            if !more {
                break;
            }
        }
        Ok(())
    }

    fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<(), E> {
        self.scalar()
    }

    fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<(), E> {
        self.scalar()
    }

    fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<(), E> {
        self.scalar()
    }

    fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<(), E> {
        self.scalar()
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<(), E> {
        self.scalar()
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.scalar()
    }
}

impl Follow<'_> {
    /// Ends the reading, where this is the place.
    fn scalar<E: serde::de::Error>(self) -> Result<(), E> {
        if self.path.is_empty() { Err(E::custom(HERE)) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        parse(text).unwrap_err().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_misspelt_field_is_named_with_its_line_and_the_known_ones() {
        let said = problems("budget:\n  rack: 2\n  powerdomain: 3\n");
        assert_eq!(said.len(), 1);
        assert!(
            said[0].starts_with("3: budget.powerdomain: unknown field `powerdomain`, expected one of"),
            "{said:?}"
        );
    }

    #[test]
    fn a_wrong_kind_of_value_is_named_with_its_line() {
        let said = problems("budget:\n  rack: many\n");
        assert_eq!(said, ["2: budget.rack: invalid type: string \"many\", expected a whole number"]);
    }

    #[test]
    fn all_that_cannot_be_followed_is_named_at_once_each_with_its_line() {
        let said = problems(
            "faults:\n  unreachable:\n    tolerationSeconds: 60\n    runbook: reboot\nrunbooks:\n  restart:\n    rungs:\n      - rung: power-cycle\n      - rung: reimage\n        attempts: 99\n  idle:\n    rungs: []\n",
        );
        assert_eq!(
            said,
            [
                "4: faults.unreachable.runbook: there is no runbook reboot: name one of runbooks (idle, restart), or add it there",
                "12: runbooks.idle.rungs: it has no rung: give at least one",
                "10: runbooks.restart.rungs.1.attempts: it is 99: give 1 to 10",
            ]
        );
    }

    #[test]
    fn what_is_no_yaml_is_named_with_its_line() {
        let said = problems("budget:\n  rack: [1\npools: {}\n");
        assert!(said[0].starts_with("3: ") || said[0].starts_with("2: "), "{said:?}");
    }

    #[test]
    fn two_values_for_one_field_are_refused() {
        let said = problems("budget:\n  rack: 1\n  rack: 2\n");
        assert!(said[0].contains("duplicate"), "{said:?}");
    }

    #[test]
    fn the_files_of_all_sites_can_be_followed() {
        let sites = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra/sites");
        let files = std::fs::read_dir(sites).unwrap().map(|entry| entry.unwrap().path());
        let files: Vec<_> = files.filter(|path| path.extension().is_some_and(|of| of == "yaml")).collect();
        assert!(files.len() >= 2, "{files:?}");
        for file in files.iter().filter(|path| !path.to_string_lossy().contains(".private.")) {
            read(file).unwrap();
        }
    }

    #[test]
    fn an_empty_file_is_the_defaults() {
        assert_eq!(parse("{}").unwrap(), SitePolicy::default());
    }
}
