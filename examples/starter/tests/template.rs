//! The template is written from the register.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests may fail loudly, and their names say what they show"
)]

use std::fs;
use std::path::Path;

use hostler::testkit::template::Sam;
use starter::App;

const SAM: Sam =
    Sam { description: "The application starter.", binaries: "starter-", parameters: "", variables: &[] };

/// `WRITE=1 cargo test --test template` writes it again.
#[test]
fn the_template_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("template.yaml");
    let fresh = SAM.template::<App>();
    if std::env::var_os("WRITE").is_some() {
        fs::write(&path, &fresh).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == fresh, "template.yaml is older than the register: run this test with WRITE=1");
}
