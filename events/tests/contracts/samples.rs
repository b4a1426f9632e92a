//! `samples/`: every contract has a golden envelope that fits its schemas and survives the way there and back.

use hostler_core::cloudevents::CloudEvent;
use hostler_core::effect::EffectEvent;
use hostler_core::flow::FlowEvent;
use hostler_core::saga::{SagaCommand, SagaEvent, SagaOperation};
use hostler_core::triage::{FailureCommand, FailureEvent, FailureOperation};
use hostler_core::{Contracts, Envelope, Incoming};
use hostler_events::budget::BudgetEvent;
use hostler_events::campaign::{CampaignEvent, CampaignRackEvent, PatchFleetCommand};
use hostler_events::inventory::{InventoryCommand, InventoryEvent, SourceEvent, SweepEvent};
use hostler_events::patching::{AssessCommand, PatchCommand};
use hostler_events::pool::PoolEvent;
use hostler_events::site::PolicyEvent;
use hostler_events::{
    AdvisoryEvent, CapacityEvent, ConfigureCommand, Contract, DeployCommand, FaultDomainEvent, FindingEvent,
    FindingsCommand, HealthEvent, HostEvent, IngestCommand, Kind, MonitorCommand, OperatorCommand,
    PackagesEvent, RecoverCommand, ReservationEvent, SOURCE, ScaleCommand, ServiceCommand, TrafficCommand,
    catalogue, samples, schemas,
};
use jsonschema::Validator;
use serde_json::Value;

fn sample(contract: &Contract) -> Value {
    let Contract { name, version, .. } = contract;
    let text = samples::sample_text(name, *version)
        .unwrap_or_else(|| panic!("{name} has no sample: write events/samples/{name}.v{version}.json"));
    serde_json::from_str(text).unwrap()
}

pub(crate) fn validator(name: &str, version: u32) -> Validator {
    let schema: Value = serde_json::from_str(schemas::schema_text(name, version).unwrap()).unwrap();
    jsonschema::options().should_validate_formats(true).build(&schema).unwrap()
}

fn assert_fits(validator: &Validator, value: &Value, what: &str) {
    let errors: Vec<String> =
        validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{what}: {}", errors.join("; "));
}

/// A payload written again: type, version and data.
type Written = (String, u32, Value);

/// A set of contracts: its names, and how one of its payloads is read and written again.
type Set = (&'static [&'static str], fn(&str, u32, &Value) -> Written);

fn set<C: Contracts>() -> Set {
    let there_and_back = |name: &str, version: u32, data: &Value| {
        let payload =
            C::from_data(name, version, &data.clone().into()).unwrap_or_else(|error| panic!("{error}"));
        (payload.type_name().to_owned(), payload.schema_version(), payload.to_data().to_value())
    };
    (C::NAMES, there_and_back)
}

/// Reads a payload as the set that has the type, and writes it again.
fn there_and_back(name: &str, version: u32, data: &Value) -> Written {
    let sets = [
        set::<CapacityEvent>(),
        set::<HostEvent>(),
        set::<HealthEvent>(),
        set::<FaultDomainEvent>(),
        set::<ReservationEvent>(),
        set::<SagaEvent<Value>>(),
        set::<EffectEvent>(),
        set::<FailureEvent>(),
        set::<FlowEvent>(),
        set::<PolicyEvent>(),
        set::<BudgetEvent>(),
        set::<PoolEvent>(),
        set::<CampaignEvent>(),
        set::<CampaignRackEvent>(),
        set::<PatchFleetCommand>(),
        set::<AdvisoryEvent>(),
        set::<PackagesEvent>(),
        set::<FindingEvent>(),
        set::<FindingsCommand>(),
        set::<InventoryEvent>(),
        set::<SourceEvent>(),
        set::<SweepEvent>(),
        set::<InventoryCommand>(),
        set::<OperatorCommand>(),
        set::<DeployCommand>(),
        set::<ConfigureCommand>(),
        set::<MonitorCommand>(),
        set::<TrafficCommand>(),
        set::<ServiceCommand>(),
        set::<PatchCommand>(),
        set::<AssessCommand>(),
        set::<IngestCommand>(),
        set::<RecoverCommand>(),
        set::<ScaleCommand>(),
        set::<SagaCommand>(),
        set::<SagaOperation>(),
        set::<FailureOperation>(),
        set::<FailureCommand>(),
    ];
    let (_, there_and_back) = sets
        .into_iter()
        .find(|(names, _)| names.contains(&name))
        .unwrap_or_else(|| panic!("{name} is of no set: name its set here"));
    there_and_back(name, version, data)
}

#[test]
fn every_sample_fits_its_schemas() {
    let (event, command) = (validator("envelope", 1), validator("command", 1));
    for contract in catalogue() {
        let sample = sample(&contract);
        let envelope = if contract.kind == Kind::Event { &event } else { &command };
        assert_fits(envelope, &sample, contract.name);
        assert_fits(&validator(contract.name, contract.version), &sample["data"], contract.name);
        (contract.check)(&sample["data"].clone().into()).unwrap();
    }
}

#[test]
fn every_sample_shows_every_field() {
    for contract in catalogue() {
        let schema = (contract.schema)().to_value();
        for field in schema["properties"].as_object().unwrap().keys() {
            let data = &sample(&contract)["data"];
            assert!(
                data.get(field).is_some(),
                "the sample of {} has no {field}: show each field",
                contract.name
            );
        }
    }
}

#[test]
fn every_sample_is_read_and_written_again_unchanged() {
    for contract in catalogue() {
        let sample = sample(&contract);
        let expected = (contract.name.to_owned(), contract.version, sample["data"].clone());
        assert_eq!(there_and_back(contract.name, contract.version, &sample["data"]), expected);
    }
}

#[test]
fn older_samples_are_still_read() {
    for (name, version, text) in samples::all() {
        let sample: Value = serde_json::from_str(text).unwrap();
        there_and_back(name, version, &sample["data"]);
    }
}

#[test]
fn every_sample_is_a_message_that_queues_deliver() {
    for contract in catalogue() {
        let sample = sample(&contract);
        let incoming = Incoming::decode(&sample.to_string()).unwrap();
        assert_eq!(incoming.type_name(), contract.name);
        let (kind, again, version, source) = match &incoming {
            Incoming::Event(event) => {
                (Kind::Event, serde_json::to_value(event).unwrap(), event.schema_version, &event.source)
            }
            Incoming::Command(command) => (
                Kind::Command,
                serde_json::to_value(command).unwrap(),
                command.schema_version,
                &command.source,
            ),
            Incoming::Timer(timer) => panic!("{} is a timer", timer.name),
        };
        assert_eq!(
            (kind, version, source.as_str()),
            (contract.kind, contract.version, SOURCE),
            "{}",
            contract.name
        );
        assert_eq!(again, sample, "{} is not written as it was read", contract.name);
    }
}

#[test]
fn every_event_is_a_cloud_event_and_back() {
    for contract in catalogue().iter().filter(|contract| contract.kind == Kind::Event) {
        let event: Envelope = serde_json::from_value(sample(contract)).unwrap();
        let wire = serde_json::to_string(&CloudEvent::from(event.clone())).unwrap();
        let back: CloudEvent = serde_json::from_str(&wire).unwrap();
        assert_eq!((back.specversion.as_str(), back.event_type.as_str()), ("1.0", contract.name));
        assert_eq!(Envelope::from(back), event);
    }
}

#[test]
fn ids_of_samples_are_version_7_and_all_different() {
    let mut seen = std::collections::BTreeSet::new();
    for contract in catalogue() {
        let sample = sample(&contract);
        let id = sample.get("eventId").or(sample.get("commandId")).unwrap().as_str().unwrap();
        let uuid: uuid::Uuid = id.parse().unwrap();
        assert_eq!(uuid.get_version_num(), 7, "{}", contract.name);
        assert!(seen.insert(uuid), "{} has the id of another sample", contract.name);
    }
}

#[test]
fn an_event_lies_on_the_stream_of_its_category() {
    for contract in catalogue().iter().filter(|contract| contract.kind == Kind::Event) {
        let event: Envelope = serde_json::from_value(sample(contract)).unwrap();
        let (category, key) = match contract.name.split_once('.').unwrap().0 {
            "capacity" => ("request", "request"),
            "reservation" => ("reservation", "saga"),
            // Sagas of every kind have the same events; their streams tell the kinds apart.
            "saga" => continue,
            "flow" => ("flow", "queue"),
            "health" => ("health", "host"),
            "packages" => ("packages", "host"),
            "inventory" => ("inventory", "host"),
            "effect" => ("effect", "step"),
            other => (other, other),
        };
        assert_eq!(event.stream.category(), category, "{}", contract.name);
        let said = event.data.to_value()[key].as_str().unwrap_or_default().to_owned();
        // A rack of a campaign is named by both.
        if category == "lane" {
            let data = event.data.to_value();
            let named = [&data["campaign"], &data["rack"]].map(|part| part.as_str().unwrap_or_default());
            assert_eq!(named.join("."), event.stream.key(), "{}", contract.name);
            continue;
        }
        // An effect lies on a stream of its saga and step, which its attempts name.
        if let Some((_saga_kind, key)) = event.stream.key().split_once('/').filter(|_| category == "effect") {
            let (said, _attempt) = said.rsplit_once('/').unwrap();
            assert_eq!(said.replace("/undo-", "/"), key, "{}", contract.name);
            continue;
        }
        let said = said.rsplit('#').next().unwrap_or_default();
        assert_eq!(said, event.stream.key(), "{}", contract.name);
    }
}
