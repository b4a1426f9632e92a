//! Files that are made, and compared with what is committed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::{env, fs};

use serde_json::{Map, Value};

const COMMAND: &str = "HOSTLER_BLESS=1 cargo test -p hostler-events --test contracts";

/// A folder of the crate.
pub(crate) fn path(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)
}

/// The JSON files of a folder.
pub(crate) fn names(folder: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(path(folder)).unwrap_or_else(|error| panic!("events/{folder}: {error}"));
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".json"))
        .collect()
}

/// Compares a folder's files with what they are made from, or writes them when told to.
pub(crate) fn compare_or_bless(folder: &str, made: &BTreeMap<String, Value>, advice: &str) {
    let bless = env::var_os("HOSTLER_BLESS").is_some();
    let mut differing = Vec::new();
    for (name, value) in made {
        let file = path(folder).join(name);
        let text = pretty(value);
        if bless {
            fs::create_dir_all(path(folder)).unwrap();
            fs::write(&file, text).unwrap();
        } else if fs::read_to_string(&file).unwrap_or_default() != text {
            differing.push(format!("events/{folder}/{name}"));
        }
    }
    assert!(
        differing.is_empty(),
        "not what the code makes: {}\n{advice}\nTo write the files: {COMMAND}",
        differing.join(", ")
    );
}

/// Compares the lines of a macro's list in a source file with what they should be, or writes them when told to; says whether
/// it wrote.
pub(crate) fn list_or_bless(file: &str, list: &str, lines: impl Iterator<Item = String>) -> bool {
    // Two tests write lists of one file.
    static LISTS: Mutex<()> = Mutex::new(());
    let _alone = LISTS.lock().unwrap();
    let text = fs::read_to_string(path(file)).unwrap();
    let opening = format!("\n{list} {{\n");
    let begin = text.find(&opening).unwrap_or_else(|| panic!("events/{file} has no {list}")) + opening.len();
    let end = begin + text[begin..].find("}\n").unwrap();
    let wanted: String = lines.map(|line| line + "\n").collect();
    if env::var_os("HOSTLER_BLESS").is_some() {
        fs::write(path(file), format!("{}{wanted}{}", &text[..begin], &text[end..])).unwrap();
        return true;
    }
    assert_eq!(text[begin..end], wanted, "{list} of events/{file} is out of date; to write it: {COMMAND}");
    false
}

/// JSON as it is committed: indented, keys in order, whatever map serde_json was built with.
fn pretty(value: &Value) -> String {
    let mut text = serde_json::to_string_pretty(&sorted(value)).unwrap();
    text.push('\n');
    text
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields: BTreeMap<_, _> =
                fields.iter().map(|(name, value)| (name.clone(), sorted(value))).collect();
            Value::Object(fields.into_iter().collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}
