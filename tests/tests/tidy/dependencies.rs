//! Directions of dependencies: the runtime's side and the application's side meet only where they are wired.

use cargo_metadata::{DependencyKind, Package};
use hostler_tests::{root, workspace};

use crate::repository::{Findings, folders, function_library, sources};

/// What each crate of `common/` and beside it may import of the workspace.
const ALLOWED: [(&str, &[&str]); 15] = [
    ("hostler-core", &[]),
    ("hostler-runtime", &["hostler-core"]),
    ("hostler-aws", &["hostler-core", "hostler-runtime"]),
    ("hostler-testkit", &["hostler-core", "hostler-runtime"]),
    ("hostler-bench", &["hostler-core", "hostler-runtime"]),
    ("hostler-events", &["hostler-core"]),
    ("hostler", &["hostler-core", "hostler-runtime", "hostler-aws", "hostler-testkit"]),
    // What a stranger has: the facade, and nothing else.
    ("hostler-example-orders", &["hostler"]),
    ("hostler-example-starter", &["hostler"]),
    // The register is where the two sides meet.
    ("hostler-app", &["hostler-core", "hostler-runtime", "hostler-aws", "hostler-events", "hostler-domain"]),
    ("hostler-domain", &["hostler-core", "hostler-events"]),
    ("hostler-drivers", &["hostler-core", "hostler-runtime", "hostler-events"]),
    ("hostler-localstack", &[]),
    ("hostler-cli", MEETING_PLACE),
    ("hostler-tests", MEETING_PLACE),
];

/// What functions, the command line and the tests may import: both sides.
const MEETING_PLACE: &[&str] = &[
    "hostler-app",
    "hostler-core",
    "hostler-runtime",
    "hostler-aws",
    "hostler-events",
    "hostler-domain",
    "hostler-drivers",
    "hostler-localstack",
];

fn is_function(package: &Package) -> bool {
    package.manifest_path.as_str().contains("/functions/")
}

/// The crates of the workspace that a crate imports, and whether only in its tests.
fn imports(package: &Package) -> impl Iterator<Item = (&str, bool)> {
    package
        .dependencies
        .iter()
        .filter(|dependency| dependency.path.is_some())
        .map(|dependency| (dependency.name.as_str(), dependency.kind == DependencyKind::Development))
}

#[test]
fn dependencies_point_in_one_direction() {
    let mut findings = Findings::of(
        "core ← runtime ← aws and core ← events ← domain, drivers; the two sides meet only in common/app, functions/*, cli and tests",
    );
    for package in &workspace().packages {
        let name = package.name.as_str();
        let allowed = match ALLOWED.iter().find(|(of, _)| *of == name) {
            Some((_, allowed)) => allowed,
            None if is_function(package) => MEETING_PLACE,
            None => {
                findings.add(name, "a crate without a place: say in dependencies.rs what it may import");
                continue;
            }
        };
        for (import, in_tests) in imports(package) {
            let of_tests = in_tests && (import == "hostler-testkit" || name == "hostler-tests");
            // A crate's own tests may ask for more of its features.
            let itself = in_tests && import == name;
            findings.unless(
                allowed.contains(&import) || of_tests || itself,
                name,
                format!("imports {import}"),
            );
        }
    }
    findings.none();
}

#[test]
fn functions_do_not_import_each_other() {
    let functions = folders("functions");
    let mut findings = Findings::of("functions never depend on each other; what two need lives in common/");
    for package in workspace().packages.iter().filter(|package| is_function(package)) {
        for (import, _) in imports(package) {
            findings.unless(!functions.contains(import), &package.name, format!("imports {import}"));
        }
    }
    findings.none();
}

#[test]
fn the_testkit_is_only_for_tests() {
    let mut findings = Findings::of("hostler-testkit is only ever a dev-dependency, and knows no domain");
    for package in &workspace().packages {
        for (import, in_tests) in imports(package) {
            findings.unless(
                // The facade hands it on, as a feature.
                import != "hostler-testkit" || in_tests || package.name == "hostler",
                &package.name,
                "imports it into production code",
            );
            let side =
                ["hostler-domain", "hostler-events", "hostler-drivers"].contains(&package.name.as_str());
            findings.unless(
                import != "hostler-testkit" || !side,
                &package.name,
                "its side does not see the runtime's",
            );
        }
    }
    findings.none();
}

#[test]
fn pure_rooms_do_no_io() {
    const IO: [&str; 12] = [
        "tokio", "futures", "async", "aws", "lambda", "reqwest", "hyper", "tower", "rand", "tracing", "nix",
        "axum",
    ];
    let mut findings =
        Findings::of("core, events and domain are pure: no I/O, no async, no randomness, no SDK");
    for package in &workspace().packages {
        if !["hostler-core", "hostler-events", "hostler-domain"].contains(&package.name.as_str()) {
            continue;
        }
        for dependency in package.dependencies.iter().filter(|of| of.kind == DependencyKind::Normal) {
            let io = IO.iter().any(|prefix| dependency.name.starts_with(prefix));
            findings.unless(!io, &package.name, format!("imports {}", dependency.name));
        }
    }
    findings.none();
}

#[test]
fn the_runtime_has_no_sdk() {
    let mut findings = Findings::of("common/aws is the only room of common/ where SDK types appear");
    for package in &workspace().packages {
        if !["hostler-runtime", "hostler-testkit", "hostler-drivers"].contains(&package.name.as_str()) {
            continue;
        }
        for dependency in &package.dependencies {
            // aws-lc-rs is a library of cryptography, and knows nothing of AWS.
            let sdk = dependency.name.starts_with("aws-") && dependency.name != "aws-lc-rs";
            findings.unless(!sdk, &package.name, format!("imports {}", dependency.name));
        }
    }
    findings.none();
}

#[test]
fn a_functions_library_sees_ports_only() {
    let mut findings = Findings::of("only a function's main.rs names hostler_aws; its library sees ports");
    for folder in folders("functions") {
        for file in function_library(&folder) {
            for (number, line) in file.lines() {
                let place = format!("{}:{number}", file.path);
                findings.unless(!line.contains(concat!("hostler", "_aws")), place, line.trim());
            }
        }
    }
    findings.none();
}

#[test]
fn what_is_imported_is_used() {
    let mut findings = Findings::of(
        "a dependency is named in the crate's src/, a dev-dependency anywhere in the crate; remove it, or move it",
    );
    for package in &workspace().packages {
        let folder = package.manifest_path.parent().unwrap();
        let folder = folder.strip_prefix(root().to_str().unwrap()).unwrap().as_str();
        for dependency in &package.dependencies {
            let part = match dependency.kind {
                DependencyKind::Development => format!("{folder}/"),
                _ => format!("{folder}/src/"),
            };
            // The one package here whose library has another name.
            let name =
                if dependency.name == "md-5" { "md5".to_owned() } else { dependency.name.replace('-', "_") };
            let used = sources().iter().any(|file| file.path.starts_with(&part) && names(&file.text, &name));
            findings.unless(used, format!("{folder}/Cargo.toml"), format!("{} is not used", dependency.name));
        }
    }
    findings.none();
}

/// Whether a text has a name as a word of its own.
fn names(text: &str, name: &str) -> bool {
    let part_of_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.match_indices(name).any(|(at, _)| {
        !part_of_word(text[..at].chars().next_back()) && !part_of_word(text[at + name.len()..].chars().next())
    })
}
