//! The files of a new application: those of `examples/starter`, which the workspace compiles and tests, under another name.

/// Embeds files of the starter by their paths.
macro_rules! starter {
    ($($path:literal),+ $(,)?) => {
        &[$(($path, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/starter/", $path)))),+]
    };
}

/// The name that stands in them.
const NAME: &str = "starter";

/// The files of the starter that a new application gets: all but its manifest, which is one of a workspace's member.
pub(super) const STARTER: &[(&str, &str)] = starter![
    "README.md",
    "infra/demo.json",
    "src/bin/starter-accept-commands.rs",
    "src/bin/starter-answer-queries.rs",
    "src/bin/starter-fire-timers.rs",
    "src/bin/starter-manage-stock.rs",
    "src/bin/starter-project-views.rs",
    "src/bin/starter-relay-outbox.rs",
    "src/bin/starter-run-sagas.rs",
    "src/bin/starter-take-payments.rs",
    "src/bin/starter-triage-failures.rs",
    "src/bin/starter-watch-flow.rs",
    "src/lib.rs",
    "src/order.rs",
    "src/payment.rs",
    "src/stock.rs",
    "template.yaml",
    "tests/orders.rs",
    "tests/template.rs",
];

const MANIFEST: &str = include_str!("manifest.toml");
const IGNORED: &str = "/target\n/.hostler\n";

/// The files of an application of this name, by their paths; `hostler` is how its manifest names the runtime.
pub(super) fn files(name: &str, hostler: &str) -> Vec<(String, String)> {
    let manifest = MANIFEST
        .replace("{name}", name)
        .replace("{rust}", env!("CARGO_PKG_RUST_VERSION"))
        .replace("{hostler}", hostler);
    let own = [("Cargo.toml".to_owned(), manifest), (".gitignore".to_owned(), IGNORED.to_owned())];
    let renamed = STARTER.iter().map(|(path, text)| (path.replace(NAME, name), renamed(text, name)));
    own.into_iter().chain(renamed).collect()
}

/// A text under another name: where it names the crate, the name as Rust writes it.
fn renamed(text: &str, name: &str) -> String {
    let path = format!("{NAME}::");
    text.replace(&path, &format!("{}::", name.replace('-', "_"))).replace(NAME, name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    fn below(folder: &Path, prefix: &str, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() {
                below(&entry.path(), &format!("{name}/"), found);
            } else {
                found.insert(name);
            }
        }
    }

    #[test]
    fn the_whole_starter_is_taken() {
        let mut found = BTreeSet::new();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("examples/starter");
        below(&folder, "", &mut found);
        found.remove("Cargo.toml");
        let taken: BTreeSet<String> = STARTER.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(taken, found);
    }

    #[test]
    fn nothing_of_the_old_name_is_left() {
        let files = files("tea-shop", "version = \"1\"");
        let text = |path: &str| &files.iter().find(|(of, _)| of == path).unwrap().1;
        for (path, text) in &files {
            assert!(!path.contains(NAME) && !text.contains(NAME), "{path}");
            assert!(!text.contains("{name}") && !text.contains("{hostler}"), "{path}");
        }
        assert!(text("src/bin/tea-shop-run-sagas.rs").contains("use tea_shop::App;"));
        assert!(text("src/lib.rs").contains("SOURCE: &'static str = \"tea-shop\""));
        assert!(text("template.yaml").contains("CodeUri: target/lambda/tea-shop-run-sagas/"));
        assert!(text("Cargo.toml").contains("hostler = { version = \"1\", features = [\"testkit\"] }"));
    }
}
