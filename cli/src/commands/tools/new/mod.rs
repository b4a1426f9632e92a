//! `new`: a small application that runs, in a folder of its own.

mod files;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use crate::error::CliError;
use crate::output::Out;

const EXAMPLES: &str = "\
Examples:
  hostler new shop                    in the folder shop, which must not exist
  hostler new ../shop --hostler-path .   on the runtime in this checkout";
/// The longest name in characters: the functions' names begin with it, and AWS allows them 64.
const NAME_CHARS_MAX: usize = 30;
/// The facade's folder in a checkout of hostler.
const FACADE: &str = "common/hostler";
/// Where this program was built; on another machine there is no such folder.
const BUILT_IN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
/// Names that a crate cannot have beside the others that it uses, or at all.
const RESERVED: [&str; 57] = [
    "abstract", "alloc", "as", "async", "await", "become", "box", "break", "const", "continue", "core",
    "crate", "do", "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "hostler", "if",
    "impl", "in", "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref",
    "return", "self", "static", "std", "struct", "super", "test", "tokio", "trait", "true", "try", "type",
    "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

/// What `new` takes.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct NewArgs {
    /// The new folder; its last part is the application's name
    #[arg(value_name = "NAME")]
    folder: PathBuf,
    /// A checkout of hostler that the application depends on [default: the one that this program was built from; else
    /// the published version]
    #[arg(long, value_name = "FOLDER")]
    hostler_path: Option<PathBuf>,
}

/// A path as TOML writes it: as JSON does.
fn quoted(path: &Path) -> String {
    serde_json::Value::from(path.display().to_string()).to_string()
}

/// Makes it.
pub(crate) fn run(args: &NewArgs, out: Out) -> Result<(), CliError> {
    let name = name_of(&args.folder)?;
    let checkout = checkout(args.hostler_path.as_deref())?;
    let hostler = match &checkout {
        Some(root) => format!("path = {}", quoted(&root.join(FACADE))),
        None => format!("version = {:?}", env!("CARGO_PKG_VERSION")),
    };
    let files = files::files(&name, &hostler);
    begin(&args.folder)?;
    if let Err(error) = fill(&args.folder, &files, checkout.as_deref()) {
        // Half an application would only be in the way of the next attempt.
        let _ = std::fs::remove_dir_all(&args.folder);
        return Err(error);
    }
    let folder = args.folder.display();
    if out.json {
        let paths: Vec<&String> = files.iter().map(|(path, _)| path).collect();
        return out.document(&json!({ "application": name, "folder": args.folder, "files": paths }));
    }
    out.line(format!("Made the application {name} in {folder}: {} files. Try:", files.len()))?;
    out.line(format!("  cd {folder} && cargo test               everything in memory"))?;
    out.line(format!(
        "  cargo hostler --app {folder} up --demo  the functions on a local AWS endpoint, and two orders"
    ))
}

/// The application's name.
fn name_of(folder: &Path) -> Result<String, CliError> {
    let wrong = |name: &str, why: &str| {
        CliError::Usage(format!(
            "{name:?} cannot be the name of an application: {why}; give one such as shop or tea-shop"
        ))
    };
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let part = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    let begins = name.starts_with(|first: char| first.is_ascii_lowercase());
    if !begins || !name.split('-').all(part) {
        return Err(wrong(
            &name,
            "it has lower-case letters, digits, and single hyphens between them, and begins with a letter",
        ));
    }
    if name.len() > NAME_CHARS_MAX {
        return Err(wrong(&name, &format!("it has at most {NAME_CHARS_MAX} characters")));
    }
    if RESERVED.contains(&name.as_str()) {
        return Err(wrong(&name, "Rust, or a crate that it uses, has this name"));
    }
    Ok(name)
}

/// The checkout that the application depends on, if it is to depend on one.
fn checkout(named: Option<&Path>) -> Result<Option<PathBuf>, CliError> {
    let found = |folder: &Path| {
        let folder = std::fs::canonicalize(folder).ok()?;
        folder.join(FACADE).join("Cargo.toml").is_file().then_some(folder)
    };
    match named {
        None => Ok(found(Path::new(BUILT_IN))),
        Some(folder) => found(folder).map(Some).ok_or_else(|| {
            CliError::Usage(format!(
                "{} is no checkout of hostler: there is no {FACADE}/Cargo.toml in it",
                folder.display()
            ))
        }),
    }
}

/// Makes the folder, which must be new.
fn begin(folder: &Path) -> Result<(), CliError> {
    if let Some(parent) = folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent).map_err(CliError::file("write", parent))?;
    }
    std::fs::create_dir(folder).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            CliError::Usage(format!("{} exists already: give a folder that does not", folder.display()))
        }
        _ => CliError::file("write", folder)(error),
    })
}

fn fill(folder: &Path, files: &[(String, String)], checkout: Option<&Path>) -> Result<(), CliError> {
    for (path, text) in files {
        let path = folder.join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(CliError::file("write", parent))?;
        }
        std::fs::write(&path, text).map_err(CliError::file("write", &path))?;
    }
    if let Some(lock) = checkout.map(|root| root.join("Cargo.lock")).filter(|lock| lock.is_file()) {
        // The versions that the checkout was tested with.
        std::fs::copy(&lock, folder.join("Cargo.lock")).map_err(CliError::file("read", &lock))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::output::Format;

    fn new(folder: &Path, hostler_path: Option<&Path>) -> Result<(), CliError> {
        let args = NewArgs { folder: folder.to_owned(), hostler_path: hostler_path.map(Path::to_owned) };
        run(&args, Out::new(Format::Json))
    }

    #[test]
    fn an_application_is_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("made/tea-shop");
        new(&folder, None).unwrap();
        let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        assert!(
            manifest.contains("name = \"tea-shop\"") && manifest.contains("common/hostler\""),
            "{manifest}"
        );
        assert!(folder.join("Cargo.lock").is_file() && folder.join("template.yaml").is_file());
        std::fs::write(folder.join("template.yaml"), "mine").unwrap();
        let error = new(&folder, None).unwrap_err();
        assert_eq!(error.code(), 2);
        assert!(
            error.to_string().ends_with("tea-shop exists already: give a folder that does not"),
            "{error}"
        );
        assert_eq!(std::fs::read_to_string(folder.join("template.yaml")).unwrap(), "mine");
    }

    #[test]
    fn names_that_cannot_be_are_refused_before_anything_is_made() {
        let dir = tempfile::tempdir().unwrap();
        for (name, says) in [
            ("Shop", "lower-case"),
            ("tea_shop", "lower-case"),
            ("tea--shop", "single hyphens"),
            ("shop-", "single hyphens"),
            ("1shop", "begins with a letter"),
            ("a-name-of-more-than-thirty-characters", "at most 30"),
            ("hostler", "a crate that it uses"),
            ("match", "Rust"),
        ] {
            let error = new(&dir.path().join(name), None).unwrap_err();
            assert_eq!(error.code(), 2, "{name}");
            assert!(error.to_string().contains(says), "{name}: {error}");
            assert!(!dir.path().join(name).exists(), "{name}");
        }
        assert!(new(Path::new(".."), None).unwrap_err().to_string().contains("tea-shop"));
    }

    #[test]
    fn what_is_no_checkout_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let error = new(&dir.path().join("shop"), Some(dir.path())).unwrap_err();
        assert!(error.to_string().contains("is no checkout of hostler"), "{error}");
        assert!(!dir.path().join("shop").exists());
    }
}
