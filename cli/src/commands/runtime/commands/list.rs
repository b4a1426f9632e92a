//! `commands list`.

use comfy_table::Cell;
use serde::Serialize;

use super::args::ListArgs;
use crate::error::CliError;
use crate::output::Out;
use crate::render::table;
use crate::target::Target;

/// A command as it is shown.
#[derive(Debug, Serialize)]
struct Row<'a> {
    command: &'a str,
}

/// Lists commands.
pub(super) async fn run(args: &ListArgs, target: &Target, out: Out) -> Result<(), CliError> {
    let commands = &target.api.register().await?.commands;
    let like = |command: &&String| args.like.as_ref().is_none_or(|like| command.contains(like.as_str()));
    let mut rows: Vec<Row> = commands.iter().filter(like).map(|command| Row { command }).collect();
    rows.sort_by_key(|row| row.command);
    out.list(
        &rows,
        |row| row.command,
        "There are no such commands.",
        drawn,
        |_| {
            "send one with: hostler commands send <command> <json>; sagas and failures have nouns of their own"
                .to_owned()
        },
    )
}

fn drawn(rows: &[Row]) -> String {
    let mut shown = table::plain(["COMMAND"]);
    for row in rows {
        shown.add_row([Cell::new(row.command)]);
    }
    table::text(&shown)
}
