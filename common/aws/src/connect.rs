//! The connection to AWS, made once for each process, and the ports on it.

use std::sync::Arc;
use std::time::Duration;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;

use crate::meter::Meter;
use crate::{
    DynamoControl, DynamoEventLog, DynamoEventStore, DynamoLeases, DynamoViews, ElbTargetGroups,
    EventBridgeBus, EventBridgeSchedules, LambdaConsumers, Settings, SettingsError, SqsQueues, SsmNodes,
    SystemClock,
};

/// How often the SDK sends one request, the first time included.
const ATTEMPTS_MAX: u32 = 3;
/// How long one connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long one attempt may take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the making of a schedule may take, with all its attempts.
const SCHEDULE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long warming up may take of a cold start.
const WARM_TIMEOUT: Duration = Duration::from_secs(2);

/// The SDK's configuration as Lambda's environment tells it: credentials, region, `AWS_ENDPOINT_URL`; three attempts,
/// short time-outs. The SDK's own search for credentials (profiles, single sign-on, the metadata service) is what a
/// function never needs: without it the archive is a tenth smaller, and a cold start has less to do.
#[must_use]
pub fn sdk_config() -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .build();
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let region = variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION"));
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(region.map(Region::new))
        .credentials_provider(SharedCredentialsProvider::new(EnvironmentVariableCredentialsProvider::new()))
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS_MAX))
        .timeout_config(timeouts);
    config.set_endpoint_url(variable("AWS_ENDPOINT_URL"));
    config.build()
}

/// A process's connection to AWS. Clients share connections; clones are cheap.
#[derive(Debug, Clone)]
pub struct Aws {
    config: SdkConfig,
    settings: Settings,
    meter: Option<Meter>,
    dynamodb: aws_sdk_dynamodb::Client,
    eventbridge: aws_sdk_eventbridge::Client,
    sqs: aws_sdk_sqs::Client,
    lambda: aws_sdk_lambda::Client,
}

impl Aws {
    /// Connects as the environment says.
    ///
    /// # Errors
    /// [`SettingsError::Malformed`] names the variable.
    pub fn from_env() -> Result<Self, SettingsError> {
        let settings = Settings::from_env()?;
        Ok(Self::new(&sdk_config(), settings))
    }

    /// Connects by the given configuration.
    #[must_use]
    pub fn new(config: &SdkConfig, settings: Settings) -> Self {
        let meter = settings.meter();
        let mut dynamodb = aws_sdk_dynamodb::config::Builder::from(config);
        let mut eventbridge = aws_sdk_eventbridge::config::Builder::from(config);
        let mut sqs = aws_sdk_sqs::config::Builder::from(config);
        if let Some(meter) = &meter {
            dynamodb = dynamodb.interceptor(meter.clone());
            eventbridge = eventbridge.interceptor(meter.clone());
            sqs = sqs.interceptor(meter.clone());
        }
        Self {
            config: config.clone(),
            settings,
            meter,
            dynamodb: aws_sdk_dynamodb::Client::from_conf(dynamodb.build()),
            eventbridge: aws_sdk_eventbridge::Client::from_conf(eventbridge.build()),
            sqs: aws_sdk_sqs::Client::from_conf(sqs.build()),
            lambda: aws_sdk_lambda::Client::new(config),
        }
    }

    /// Where things are.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What counts the calls of each invocation, where that is asked for.
    #[must_use]
    pub fn meter(&self) -> Option<&Meter> {
        self.meter.as_ref()
    }

    /// The event store, on `EVENTS_TABLE`.
    ///
    /// # Errors
    /// [`SettingsError::Missing`].
    pub fn event_store(&self) -> Result<DynamoEventStore, SettingsError> {
        Ok(DynamoEventStore::new(self.dynamodb.clone(), self.settings.events_table()?))
    }

    /// All that the event store holds, on `EVENTS_TABLE`.
    ///
    /// # Errors
    /// [`SettingsError::Missing`].
    pub fn event_log(&self) -> Result<DynamoEventLog, SettingsError> {
        let log = DynamoEventLog::new(self.dynamodb.clone(), self.settings.events_table()?);
        Ok(log.in_short_pages())
    }

    /// The read models, on `VIEWS_TABLE`.
    ///
    /// # Errors
    /// [`SettingsError::Missing`].
    pub fn views(&self) -> Result<DynamoViews, SettingsError> {
        Ok(DynamoViews::new(self.dynamodb.clone(), self.settings.views_table()?))
    }

    /// Shared control state, on `CONTROL_TABLE`.
    ///
    /// # Errors
    /// [`SettingsError::Missing`].
    pub fn control(&self) -> Result<DynamoControl, SettingsError> {
        Ok(DynamoControl::new(self.dynamodb.clone(), self.settings.control_table()?))
    }

    /// Leases for effects, on `IDEMPOTENCY_TABLE`.
    ///
    /// # Errors
    /// [`SettingsError::Missing`].
    pub fn leases(&self) -> Result<DynamoLeases, SettingsError> {
        Ok(DynamoLeases::new(self.dynamodb.clone(), self.settings.idempotency_table()?))
    }

    /// The event bus, `EVENT_BUS`.
    ///
    /// # Errors
    /// [`SettingsError::Missing`].
    pub fn bus(&self) -> Result<EventBridgeBus, SettingsError> {
        Ok(EventBridgeBus::new(self.eventbridge.clone(), self.settings.event_bus()?))
    }

    /// The queues of `QUEUE_URLS`.
    ///
    /// # Errors
    /// [`SettingsError::Missing`].
    pub fn queues(&self) -> Result<SqsQueues, SettingsError> {
        Ok(SqsQueues::new(self.sqs.clone(), self.settings.queue_urls()?.clone()))
    }

    /// Where long timers wait, as `SCHEDULES` says; none where it is absent. A timer that does not get its schedule soon hops
    /// on its queue, so that a call has little time.
    #[must_use]
    pub fn schedules(&self) -> Option<EventBridgeSchedules> {
        let settings = self.settings.schedules()?.clone();
        // Made here and not with the other clients: only the functions that ask for it link it.
        let mut scheduler = aws_sdk_scheduler::config::Builder::from(&self.config).timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                .operation_timeout(SCHEDULE_TIMEOUT)
                .build(),
        );
        if let Some(meter) = &self.meter {
            scheduler = scheduler.interceptor(meter.clone());
        }
        let client = aws_sdk_scheduler::Client::from_conf(scheduler.build());
        Some(EventBridgeSchedules::new(client, settings))
    }

    /// The target groups of Elastic Load Balancing that the function's policy lets it change.
    #[must_use]
    pub fn target_groups(&self) -> ElbTargetGroups {
        // As with schedules: only the function that asks for it links it.
        let mut balancing = aws_sdk_elasticloadbalancingv2::config::Builder::from(&self.config);
        if let Some(meter) = &self.meter {
            balancing = balancing.interceptor(meter.clone());
        }
        ElbTargetGroups::new(aws_sdk_elasticloadbalancingv2::Client::from_conf(balancing.build()))
    }

    /// Managed nodes and parameters of Systems Manager that the function's policy lets it use.
    #[must_use]
    pub fn nodes(&self) -> SsmNodes {
        // As with schedules: only the function that asks for it links it.
        let mut ssm = aws_sdk_ssm::config::Builder::from(&self.config);
        if let Some(meter) = &self.meter {
            ssm = ssm.interceptor(meter.clone());
        }
        SsmNodes::new(aws_sdk_ssm::Client::from_conf(ssm.build()), Arc::new(SystemClock))
    }

    /// Who works off the queues of `MAPPINGS`.
    ///
    /// # Errors
    /// [`SettingsError::Missing`].
    pub fn consumers(&self) -> Result<LambdaConsumers, SettingsError> {
        Ok(LambdaConsumers::new(self.lambda.clone(), self.settings.mappings()?.clone()))
    }

    /// Makes one cheap call to each service that this function is told of, so that its first message does not
    /// pay for names, TLS and credentials. Whatever the answers are, they don't matter.
    pub async fn warm(&self) {
        let tables = async {
            if let Ok(store) = self.event_store() {
                store.warm().await;
            } else if let Ok(views) = self.views() {
                views.warm().await;
            } else if let Ok(control) = self.control() {
                control.warm().await;
            }
        };
        let bus = async {
            if let Ok(bus) = self.bus() {
                bus.warm().await;
            }
        };
        let queues = async {
            if let Ok(queues) = self.queues() {
                queues.warm().await;
            }
        };
        let all = futures::future::join3(tables, bus, queues);
        if tokio::time::timeout(WARM_TIMEOUT, all).await.is_err() {
            tracing::warn!("AWS did not answer within the time for warming up");
        }
    }
}
