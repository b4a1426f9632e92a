//! Sites' files fit the template and the policies they set.

use hostler_events::{HostPolicy, ProvisioningPolicy};
use hostler_localstack::site_parameters;

use crate::repository::root;
use crate::stack::template;

#[test]
fn every_site_sets_parameters_that_exist_and_policies_that_read() {
    let files = std::fs::read_dir(root().join("infra/sites")).unwrap();
    let mut seen = 0;
    for file in files.map(Result::unwrap) {
        let path = file.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let name = path.file_stem().unwrap().to_str().unwrap();
        let parameters = site_parameters(&root(), name).unwrap();
        for parameter in parameters.keys() {
            let known = template().body["Parameters"].get(parameter).is_some();
            assert!(
                known,
                "infra/sites/{name}.json sets {parameter}, which is no parameter of template.yaml"
            );
        }
        if let Some(policy) = parameters.get("ProvisioningPolicy") {
            serde_json::from_str::<ProvisioningPolicy>(policy).unwrap_or_else(|e| panic!("{name}: {e}"));
        }
        if let Some(policy) = parameters.get("HostPolicy") {
            serde_json::from_str::<HostPolicy>(policy).unwrap_or_else(|e| panic!("{name}: {e}"));
        }
        seen += 1;
    }
    assert!(seen > 0, "there is a site for the local cloud");
}
