//! Mutants: the table has each mutation point, its tests exist, and no manifest asks for the feature that has them.

use std::collections::BTreeSet;

use crate::repository::{Findings, files, sources};
use hostler_tests::workspace;

#[path = "../mutants/table.rs"]
#[allow(dead_code, reason = "what a mutant breaks is told by the test of mutants only")]
mod table;

use table::{MUTANTS, SEEDS};

/// Who may name the feature: where it is declared and read, and the test that has it on.
const NAMED_IN: [&str; 3] =
    ["common/core/src/mutants.rs", "tests/tests/mutants/main.rs", "tests/tests/tidy/mutants.rs"];

#[test]
fn every_mutation_point_is_in_the_table_and_the_other_way_round() {
    let mut findings = Findings::of("each mutant has one point in the product, and one row in its table");
    let mut named = BTreeSet::new();
    for file in sources().iter().filter(|file| !file.is_test()) {
        for part in file.text.split("mutants::on(").skip(1) {
            let name = part.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next());
            let Some(name) = name else {
                findings.add(&file.path, "a mutation point without its name");
                continue;
            };
            findings.unless(named.insert(name), &file.path, format!("{name} has another point already"));
            let is_known = MUTANTS.iter().any(|mutant| mutant.name == name);
            findings.unless(is_known, &file.path, format!("{name} is not in tests/tests/mutants/table.rs"));
        }
    }
    let mut rows = BTreeSet::new();
    for mutant in MUTANTS {
        findings.unless(rows.insert(mutant.name), mutant.name, "has two rows");
        findings.unless(named.contains(mutant.name), mutant.name, "has no point in the product");
    }
    assert!(named.len() >= 35, "{} mutation points: is the product read at all?", named.len());
    findings.none();
}

#[test]
fn every_mutant_names_a_test_that_exists() {
    let mut findings = Findings::of("a mutant is noticed by a test of the package that its row names");
    for mutant in MUTANTS {
        let package = workspace().packages.iter().find(|package| package.name == mutant.suite.package);
        let Some(package) = package else {
            findings.add(mutant.name, format!("there is no package {}", mutant.suite.package));
            continue;
        };
        let folder = package.manifest_path.parent().unwrap();
        let test = format!("fn {}(", mutant.test.rsplit("::").next().unwrap());
        let is_there = |path: &str| workspace().workspace_root.join(path).starts_with(folder);
        let found = sources().iter().any(|file| is_there(&file.path) && file.text.contains(&test));
        findings.unless(found, mutant.name, format!("{} has no test {}", mutant.suite.package, mutant.test));
    }
    assert!(MUTANTS.iter().any(|mutant| mutant.suite == SEEDS));
    findings.none();
}

#[test]
fn nothing_that_is_deployed_has_mutation_points() {
    let mut findings =
        Findings::of("no manifest and no script asks for the feature `mutants` of hostler-core");
    let asks = |feature: &str| feature == "mutants" || feature.ends_with("/mutants");
    for package in &workspace().packages {
        for dependency in &package.dependencies {
            let asked = dependency.features.iter().any(|feature| asks(feature));
            findings.unless(!asked, &package.name, format!("asks it of {}", dependency.name));
        }
        for (name, features) in &package.features {
            findings.unless(
                !features.iter().any(|feature| asks(feature)),
                &package.name,
                format!("by {name}"),
            );
        }
    }
    let others = ["toml", "yaml", "yml", "sh", "py", "rs", "json", "mk"].map(files);
    let scripts = [".ci/run", ".ci/endpoints", ".cargo/config.toml"]
        .map(|path| (path.to_owned(), crate::repository::read(path)));
    let all = others.iter().flatten().map(|file| (file.path.clone(), file.text.clone())).chain(scripts);
    for (path, text) in all.filter(|(path, _)| !NAMED_IN.contains(&path.as_str())) {
        for words in
            [concat!("core/", "mutants"), concat!("--all-", "features"), concat!("HOSTLER_", "MUTANT")]
        {
            findings.unless(!text.contains(words), &path, format!("has {words}"));
        }
    }
    findings.none();
}
