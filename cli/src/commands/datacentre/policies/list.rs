//! `policies list`.

use comfy_table::Cell;
use serde::Serialize;
use serde_json::Value;

use super::args::ListArgs;
use super::followed;
use crate::error::CliError;
use crate::output::Out;
use crate::render::table::{plain, text};
use crate::target::Target;

/// One field of the policies.
#[derive(Debug, PartialEq, Serialize)]
struct Field {
    field: String,
    value: Value,
}

/// Lists the policies' fields.
pub(super) async fn run(args: &ListArgs, target: &Target, out: Out) -> Result<(), CliError> {
    let followed = followed(target).await?;
    let policy =
        serde_json::to_value(&followed.policy).map_err(CliError::failed("the policies do not serialise"))?;
    let mut fields = Vec::new();
    for (section, value) in policy.as_object().into_iter().flatten() {
        if args.section.as_ref().is_none_or(|wanted| wanted == section) {
            flatten(section.clone(), value, &mut fields);
        }
    }
    let version = followed.policy_version;
    out.list(
        &fields,
        |field| &field.field,
        "There is nothing in this section: nothing is done about it.",
        |fields| {
            let mut table = plain(["FIELD", "VALUE"]);
            for Field { field, value } in fields {
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                table.add_row([Cell::new(field), Cell::new(value)]);
            }
            text(&table)
        },
        |_| match version {
            0 => "nothing was applied: these are the defaults, by which nothing is done to a host".to_owned(),
            version => format!("version {version}"),
        },
    )
}

fn flatten(field: String, value: &Value, fields: &mut Vec<Field>) {
    match value {
        Value::Object(inner) => {
            for (name, value) in inner {
                flatten(format!("{field}.{name}"), value, fields);
            }
        }
        Value::Array(inner) => {
            for (index, value) in inner.iter().enumerate() {
                flatten(format!("{field}.{index}"), value, fields);
            }
        }
        value => fields.push(Field { field, value: value.clone() }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_value_has_a_line_and_its_whole_path() {
        let mut fields = Vec::new();
        flatten(
            "runbooks".to_owned(),
            &json!({ "restart": { "rungs": [{ "rung": "reimage" }] } }),
            &mut fields,
        );
        let field = "runbooks.restart.rungs.0.rung".to_owned();
        assert_eq!(fields, [Field { field, value: json!("reimage") }]);
    }
}
