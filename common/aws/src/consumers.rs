//! Who works queues off: event source mappings of Lambda.

use std::collections::BTreeMap;

use async_trait::async_trait;
use aws_sdk_lambda::Client;
use aws_sdk_lambda::types::ScalingConfig;
use hostler_core::flow::Consuming;
use hostler_runtime::operations::flow::Consumers;
use hostler_runtime::ports::EntryFailure;

use crate::error::AwsError;

/// The states of a mapping that is at rest; in all others a change is under way.
const AT_REST: [&str; 2] = ["Enabled", "Disabled"];

/// Event source mappings, by the queues that they read.
#[derive(Debug, Clone)]
pub struct LambdaConsumers {
    client: Client,
    mappings: BTreeMap<String, String>,
}

impl LambdaConsumers {
    /// The mappings' ids by their queues' logical names.
    #[must_use]
    pub fn new(client: Client, mappings: BTreeMap<String, String>) -> Self {
        Self { client, mappings }
    }

    fn mapping(&self, queue: &str) -> Result<&str, EntryFailure> {
        self.mappings.get(queue).map(String::as_str).ok_or_else(|| EntryFailure {
            retryable: false,
            code: "UnknownMapping".to_owned(),
            message: format!("MAPPINGS does not name the event source mapping of {queue}"),
        })
    }
}

#[async_trait]
impl Consumers for LambdaConsumers {
    async fn concurrency(&self, queue: &str) -> Result<Consuming, EntryFailure> {
        let call = self.client.get_event_source_mapping().uuid(self.mapping(queue)?);
        let mapping = call.send().await.map_err(|error| {
            let resource = format!("the mapping of queue {queue}");
            EntryFailure::from(&AwsError::new("lambda:GetEventSourceMapping", resource, error))
        })?;
        let maximum = mapping.scaling_config().and_then(ScalingConfig::maximum_concurrency);
        let maximum = maximum.and_then(|maximum| u16::try_from(maximum).ok());
        let changing = mapping.state().is_some_and(|state| !AT_REST.contains(&state));
        Ok(Consuming { maximum, changing })
    }

    async fn set_concurrency(&self, queue: &str, consumers: u16) -> Result<(), EntryFailure> {
        let scaling = ScalingConfig::builder().maximum_concurrency(i32::from(consumers)).build();
        let call = self.client.update_event_source_mapping();
        let call = call.uuid(self.mapping(queue)?).scaling_config(scaling);
        call.send().await.map_err(|error| {
            let resource = format!("the mapping of queue {queue}");
            EntryFailure::from(&AwsError::new("lambda:UpdateEventSourceMapping", resource, error))
        })?;
        Ok(())
    }
}
