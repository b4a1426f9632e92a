//! Where output goes: tables for people, JSON and ids for programs.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use hostler_core::failure::printable;
use serde::Serialize;

use crate::error::CliError;

/// In which form a command answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Tables and lines for people
    #[default]
    Table,
    /// JSON: one document, or one a line where something is followed; errors, too
    Json,
    /// Only the ids, one a line; for lists
    Ids,
}

/// What follows the escape character where we paint.
const PAINTS: [&str; 5] = ["[0m", "[1m", "[2m", "[31m", "[32m"];

/// The command's standard output.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Out {
    /// Programs read it: JSON only.
    pub(crate) json: bool,
    /// Only ids.
    pub(crate) ids: bool,
    /// People look at it as it is written.
    pub(crate) terminal: bool,
    /// Colours are welcome.
    pub(crate) colour: bool,
}

impl Out {
    /// What standard output is.
    pub(crate) fn new(format: Format) -> Self {
        let (json, ids) = (format == Format::Json, format == Format::Ids);
        let terminal = io::stdout().is_terminal() && format == Format::Table;
        let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { json, ids, terminal, colour }
    }

    /// Writes a line.
    pub(crate) fn line(&self, text: impl Display) -> Result<(), CliError> {
        written(writeln!(io::stdout().lock(), "{}", self.clean(&text.to_string())))
    }

    /// Writes a line for people; programs don't get it.
    pub(crate) fn say(&self, text: impl Display) -> Result<(), CliError> {
        if self.json { Ok(()) } else { self.line(text) }
    }

    /// Writes a list: as JSON, as ids, or as a table with a line that sums it up; `none` where it is empty.
    pub(crate) fn list<T: Serialize>(
        &self,
        rows: &[T],
        id: impl Fn(&T) -> &str,
        none: &str,
        table: impl FnOnce(&[T]) -> String,
        sum: impl FnOnce(&[T]) -> String,
    ) -> Result<(), CliError> {
        if self.json {
            return self.document(&rows);
        }
        if self.ids {
            return rows.iter().try_for_each(|row| self.line(id(row)));
        }
        if rows.is_empty() {
            return self.line(none);
        }
        self.line(table(rows))?;
        let sum = sum(rows);
        if sum.is_empty() { Ok(()) } else { self.line(format!("\n{}", self.faint(sum))) }
    }

    /// Writes a JSON document on one line.
    pub(crate) fn json_line(&self, document: &impl Serialize) -> Result<(), CliError> {
        let text = serde_json::to_string(document)
            .map_err(CliError::failed("the output cannot be written as JSON"))?;
        self.line(text)
    }

    /// Writes the one JSON document of a command.
    pub(crate) fn document(&self, document: &impl Serialize) -> Result<(), CliError> {
        let text = serde_json::to_string_pretty(document)
            .map_err(CliError::failed("the output cannot be written as JSON"))?;
        self.line(text)
    }

    /// Bold, where colours are welcome.
    pub(crate) fn bold(&self, text: impl Display) -> String {
        self.paint("1", text)
    }

    /// Faint.
    pub(crate) fn faint(&self, text: impl Display) -> String {
        self.paint("2", text)
    }

    /// Green.
    pub(crate) fn good(&self, text: impl Display) -> String {
        self.paint("32", text)
    }

    /// Red.
    pub(crate) fn bad(&self, text: impl Display) -> String {
        self.paint("31", text)
    }

    /// What others have said, without what a terminal would obey. Our own colours stay.
    fn clean(&self, text: &str) -> String {
        let mut parts = text.split('\u{1b}');
        let mut clean = printable(parts.next().unwrap_or_default());
        for part in parts {
            let is_ours = self.colour && PAINTS.iter().any(|paint| part.starts_with(paint));
            clean.push(if is_ours { '\u{1b}' } else { char::REPLACEMENT_CHARACTER });
            clean.push_str(&printable(part));
        }
        clean
    }

    fn paint(&self, code: &str, text: impl Display) -> String {
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_string() }
    }
}

fn written(result: io::Result<()>) -> Result<(), CliError> {
    result.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => CliError::OutputClosed,
        _ => CliError::File { action: "write", path: "standard output".into(), source: error },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_say_does_not_steer_the_terminal() {
        let out = |colour| Out { json: false, ids: false, terminal: colour, colour };
        let evil = "host\u{1b}[2J\u{1b}]0;title\u{7}\u{9b}31m\tok\n";
        for colour in [true, false] {
            let clean = out(colour).clean(evil);
            assert_eq!(clean, "host\u{fffd}[2J\u{fffd}]0;title\u{fffd}\u{fffd}31m\tok\n");
        }
        let painted = out(true).bad("down");
        assert_eq!(out(true).clean(&painted), painted, "our own colours stay");
    }
}
