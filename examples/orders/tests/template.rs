//! The template is written from the register.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests may fail loudly, and their names say what they show"
)]

use std::fs;
use std::path::Path;

use hostler::testkit::template::Sam;
use orders::Shop;

const SAM: Sam = Sam {
    description: "A shop - the example of the crate hostler. See docs/tutorial.md.",
    binaries: "orders-",
    parameters: r#"  CallbackKey:
    Type: String
    NoEcho: true
    MinLength: 32
    Description: The secret that the courier's tokens are derived from. Make one with openssl rand -hex 32.
  CallbackUrl:
    Type: String
    Default: ""
    Description: Where the courier calls back, when that is not the HTTP API's own address.

Conditions:
  HasCallbackUrl: !Not [!Equals [!Ref CallbackUrl, ""]]
"#,
    variables: &[
        ("accept-commands", "CALLBACK_KEY", "!Ref CallbackKey"),
        ("ship-parcels", "CALLBACK_KEY", "!Ref CallbackKey"),
        (
            "ship-parcels",
            "CALLBACK_URL",
            "!If [HasCallbackUrl, !Ref CallbackUrl, !Sub \"https://${HttpApi}.execute-api.${AWS::Region}.${AWS::URLSuffix}/callbacks\"]",
        ),
    ],
};

/// `WRITE=1 cargo test -p hostler-example-orders --test template` writes it again.
#[test]
fn the_template_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("template.yaml");
    let fresh = SAM.template::<Shop>();
    if std::env::var_os("WRITE").is_some() {
        fs::write(&path, &fresh).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == fresh, "template.yaml is older than the register: run this test with WRITE=1");
}
