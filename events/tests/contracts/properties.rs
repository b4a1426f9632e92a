//! For any value: what is written is read back the same, and the schema agrees with the type.

use hostler_core::Payload;
use hostler_core::saga::{SagaCommand, SagaRef, StartSaga};
use hostler_events::commands::{EnrolHost, LabelHost, RequestHosts};
use hostler_events::host::{BmcAddress, BootMethod, HostInspected};
use hostler_events::{
    HostEvent, HostId, HostPolicy, Labels, OperatorCommand, ProvisioningOrder, ProvisioningPolicy, StepPolicy,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::samples::validator;

fn id<T: std::str::FromStr<Err: std::fmt::Debug> + std::fmt::Debug>() -> impl Strategy<Value = T> {
    "[A-Za-z0-9._:/-]{1,200}".prop_map(|text| text.parse().unwrap())
}

fn step_policy() -> impl Strategy<Value = StepPolicy> {
    (1..=604_800_u32, 1..=20_u32, 0..=900_u32).prop_map(|(deadline_seconds, attempts, retry_seconds)| {
        StepPolicy { deadline_seconds, attempts, retry_seconds }
    })
}

fn provisioning_policy() -> impl Strategy<Value = ProvisioningPolicy> {
    (any::<u32>(), prop::array::uniform7(step_policy())).prop_map(|(version, steps)| {
        let [
            reserve_host,
            deploy_image,
            apply_role,
            register_monitoring,
            undo_monitoring,
            undo_deploy,
            release,
        ] = steps;
        ProvisioningPolicy {
            version,
            reserve_host,
            deploy_image,
            apply_role,
            register_monitoring,
            deregister_monitoring: undo_monitoring,
            undeploy_host: undo_deploy,
            release_reservation: release,
        }
    })
}

fn labels() -> impl Strategy<Value = Labels> {
    prop::collection::btree_map(".{0,20}", ".{0,20}", 0..5)
}

/// Written as text and read again; and valid by the schema.
fn survives<P: Payload + PartialEq + std::fmt::Debug>(payload: &P) -> Result<(), TestCaseError> {
    let (name, version) = (payload.type_name(), payload.schema_version());
    let wire = payload.to_data().to_string();
    let data: Value = serde_json::from_str(&wire).unwrap();
    prop_assert!(validator(name, version).is_valid(&data), "{} does not fit its schema: {}", name, wire);
    prop_assert_eq!(&P::from_data(name, version, &data.into()).unwrap(), payload);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_start_survives(
        key in "[A-Za-z0-9._:/-]{1,150}", request in id(), pool in id(), role in id(), image in id(),
        sku in prop::option::of(id()), policy in provisioning_policy(),
    ) {
        let (traffic, take_from) = (None, Vec::new());
        let order = ProvisioningOrder { request, pool, take_from, role, image, sku, traffic, policy };
        let start = StartSaga {
            saga: SagaRef::new("provisioning", &key).unwrap(),
            order: serde_json::to_value(&order).unwrap(),
            parent: None,
        };
        prop_assert_eq!(serde_json::from_value::<ProvisioningOrder>(start.order.clone()).unwrap(), order);
        survives(&SagaCommand::Start(start))?;
    }

    #[test]
    fn a_request_survives(
        request in id(), pool in id(), role in id(), image in id(), sku in prop::option::of(id()),
        count in 1..=250_u32,
    ) {
        survives(&OperatorCommand::RequestHosts(RequestHosts { request, pool, role, image, sku, count }))?;
    }

    #[test]
    fn an_enrolment_survives(
        host in id(), pool in id(), sku in id(), fault_domain in id(), labels in labels(), system in "[a-z0-9]{1,9}",
    ) {
        let bmc = BmcAddress { system_url: format!("https://10.0.0.7/redfish/v1/Systems/{system}") };
        survives(&OperatorCommand::EnrolHost(EnrolHost { host, pool, sku, fault_domain, bmc, labels }))?;
    }

    #[test]
    fn labels_survive(host in id(), set in labels(), remove in prop::collection::vec(".{0,20}", 0..5)) {
        survives(&OperatorCommand::LabelHost(LabelHost { host, set, remove }))?;
    }

    #[test]
    fn hardware_survives(
        host in id(), step in id(), manufacturer in prop::option::of(".{0,40}"), model in prop::option::of(".{0,40}"),
        serial in prop::option::of(".{0,40}"), processors in prop::option::of(any::<u32>()),
        memory_gib in prop::option::of(0.0..1e6_f64),
        boot_method in prop::option::of(prop::sample::select(vec![BootMethod::VirtualMedia, BootMethod::UefiHttp])),
    ) {
        survives(&HostEvent::Inspected(HostInspected {
            host, step, manufacturer, model, serial, processors, memory_gib, boot_method,
        }))?;
    }

    #[test]
    fn the_type_and_the_schema_agree_on_ids(text in ".{0,8}|[A-Za-z0-9._:/-]{190,210}") {
        let fits = validator("requalify-host", 1).is_valid(&json!({ "host": &text }));
        prop_assert_eq!(HostId::new(&text).is_ok(), fits, "{:?}", text);
    }

    #[test]
    fn a_policy_says_only_what_differs_from_the_default(step in step_policy()) {
        let policy: ProvisioningPolicy = serde_json::from_value(json!({ "applyRole": step })).unwrap();
        prop_assert_eq!(policy, ProvisioningPolicy { apply_role: step, ..ProvisioningPolicy::default() });
        let policy: HostPolicy = serde_json::from_value(json!({ "clean": step })).unwrap();
        prop_assert_eq!(policy, HostPolicy { clean: step, ..HostPolicy::default() });
    }

    #[test]
    fn waits_grow_and_stay_within_bounds(policy in step_policy(), attempt in 1..100_u32) {
        let (now, next) = (policy.delay_seconds(attempt), policy.delay_seconds(attempt + 1));
        prop_assert!(now <= next && next <= 900);
    }
}
