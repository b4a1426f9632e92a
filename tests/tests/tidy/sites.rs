//! Sites' files fit the template and the policies they set, and samconfig.toml is made from them.

use std::collections::BTreeMap;

use hostler_events::{HostPolicy, ProvisioningPolicy};
use hostler_localstack::site_parameters;
use hostler_runtime::operations::triage::body_hash;
use hostler_tests::root;

use crate::repository::read;
use crate::stack::template;

/// The site of the local cloud, which `cargo hostler up` deploys, and not SAM.
const LOCAL: &str = "local";
const COMMAND: &str = "HOSTLER_BLESS=1 cargo test -p hostler-tests --test tidy samconfig";

/// The names of all sites, in order.
fn sites() -> Vec<String> {
    let files = std::fs::read_dir(root().join("infra/sites")).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    let sites = paths.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    let mut names: Vec<String> =
        sites.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

/// The parameters of a site, with the release that they make: where one of them changes, so does that.
fn parameters(site: &str) -> BTreeMap<String, String> {
    let mut parameters = site_parameters(&root(), site).unwrap();
    let all: String = parameters.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    parameters.entry("Release".to_owned()).or_insert_with(|| body_hash(&all)[..12].to_owned());
    parameters
}

fn samconfig() -> String {
    let mut text = format!(
        "# How `sam deploy` deploys template.yaml. Written from infra/sites; `{COMMAND}`\n\
         # writes it again. Secrets are in infra/sites/<site>.private.yaml, which stays out of the repository.\n\
         version = 0.1\n"
    );
    let mut environment = |name: &str, stack: &str| {
        text.push_str(&format!(
            "\n[{name}.deploy.parameters]\nstack_name = \"{stack}\"\nresolve_s3 = true\ncapabilities = \"CAPABILITY_IAM\"\n"
        ));
        if name == "default" {
            return;
        }
        // A text of JSON is one of TOML.
        let quoted = |(name, value): (&String, &String)| format!("{name} = {}", serde_json::json!(value));
        let parameters: Vec<String> = parameters(name).iter().map(quoted).collect();
        text.push_str(&format!(
            "parameter_overrides = [\n  {{ {} }},\n  \"file://infra/sites/{name}.private.yaml\",\n]\n",
            parameters.join(", ")
        ));
    };
    environment("default", "hostler");
    for site in sites().iter().filter(|site| *site != LOCAL) {
        environment(site, &format!("hostler-{site}"));
    }
    text
}

#[test]
fn samconfig_is_made_from_the_sites() {
    let fresh = samconfig();
    if std::env::var_os("HOSTLER_BLESS").is_some() {
        std::fs::write(root().join("samconfig.toml"), &fresh).unwrap();
    }
    assert!(read("samconfig.toml") == fresh, "samconfig.toml is older than infra/sites: {COMMAND}");
    let ignored = read(".gitignore");
    assert!(ignored.lines().any(|line| line == "/infra/sites/*.private.yaml"), "secrets could be committed");
}

#[test]
fn every_site_sets_parameters_that_exist_and_policies_that_read() {
    for name in sites() {
        let parameters = site_parameters(&root(), &name).unwrap();
        for (parameter, value) in &parameters {
            let known = &template().body["Parameters"][parameter];
            assert!(
                known.is_object(),
                "infra/sites/{name}.json sets {parameter}, which is no parameter of template.yaml"
            );
            assert!(known["NoEcho"] != true, "infra/sites/{name}.json has the secret {parameter}");
            if let Some(allowed) = known["AllowedValues"].as_array() {
                let text = |value: &serde_json::Value| value.to_string().trim_matches('"').to_owned();
                let fits = allowed.iter().any(|allowed| text(allowed) == *value);
                assert!(
                    fits,
                    "infra/sites/{name}.json: {parameter} is {value}, and may be one of {allowed:?}"
                );
            }
        }
        if let Some(policy) = parameters.get("ProvisioningPolicy") {
            serde_json::from_str::<ProvisioningPolicy>(policy).unwrap_or_else(|e| panic!("{name}: {e}"));
        }
        if let Some(policy) = parameters.get("HostPolicy") {
            serde_json::from_str::<HostPolicy>(policy).unwrap_or_else(|e| panic!("{name}: {e}"));
        }
    }
    assert!(sites().iter().any(|site| site == LOCAL), "there is a site for the local cloud");
    assert!(sites().len() > 1, "there is a site on AWS, from which others are made");
}
