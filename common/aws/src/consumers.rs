//! Who works queues off: event source mappings of Lambda.

use std::collections::BTreeMap;

use async_trait::async_trait;
use aws_sdk_lambda::Client;
use aws_sdk_lambda::types::ScalingConfig;
use hostler_runtime::operations::flow::Consumers;
use hostler_runtime::ports::EntryFailure;

use crate::error::AwsError;

/// The fewest consumers that Lambda takes as a maximum.
const CONSUMERS_MIN: u16 = 2;

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
}

#[async_trait]
impl Consumers for LambdaConsumers {
    async fn set_concurrency(&self, queue: &str, consumers: u16) -> Result<(), EntryFailure> {
        let Some(id) = self.mappings.get(queue) else {
            return Err(EntryFailure {
                retryable: false,
                code: "UnknownMapping".to_owned(),
                message: format!("MAPPINGS does not name the event source mapping of {queue}"),
            });
        };
        let most = i32::from(consumers.max(CONSUMERS_MIN));
        let scaling = ScalingConfig::builder().maximum_concurrency(most).build();
        let call = self.client.update_event_source_mapping().uuid(id).scaling_config(scaling);
        call.send().await.map_err(|error| {
            EntryFailure::from(&AwsError::new(
                "lambda:UpdateEventSourceMapping",
                format!("the mapping of queue {queue}"),
                error,
            ))
        })?;
        Ok(())
    }
}
