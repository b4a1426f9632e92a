//! `functions list`.

use comfy_table::Cell;
use serde::Serialize;

use super::args::ListArgs;
use super::functions;
use super::samples::Samples;
use crate::error::CliError;
use crate::near::require;
use crate::output::Out;
use crate::render::table;
use crate::target::Target;

/// A function as it is shown.
#[derive(Debug, Serialize)]
struct Row {
    function: String,
    deployed: String,
    samples: Vec<String>,
}

/// Lists functions.
pub(super) fn run(args: &ListArgs, target: &Target, samples: &Samples, out: Out) -> Result<(), CliError> {
    let functions = functions(target);
    if let Some(function) = &args.function {
        require("function", function, functions.keys().map(String::as_str))?;
    }
    let rows = functions.into_iter().map(|(function, deployed)| {
        let samples = samples.names(&function).into_iter().map(str::to_owned).collect();
        Row { function, deployed, samples }
    });
    let wanted = |row: &Row| {
        args.function.as_ref().is_none_or(|function| *function == row.function)
            && (!args.sampled || !row.samples.is_empty())
    };
    let rows: Vec<Row> = rows.filter(wanted).collect();
    out.list(
        &rows,
        |row| &row.function,
        "There are no such functions.",
        drawn,
        |_| "invoke one with: hostler functions invoke <function> --sample <sample>".to_owned(),
    )
}

fn drawn(rows: &[Row]) -> String {
    let mut shown = table::plain(["FUNCTION", "SAMPLES"]);
    for row in rows {
        shown.add_row([Cell::new(&row.function), Cell::new(row.samples.join(" "))]);
    }
    table::text(&shown)
}
