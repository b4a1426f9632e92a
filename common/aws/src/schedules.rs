//! Schedules on EventBridge Scheduler: each sends one message to the timers' queue, once, and is deleted then.

use async_trait::async_trait;
use aws_sdk_scheduler::Client;
use aws_sdk_scheduler::error::BuildError;
use aws_sdk_scheduler::types::{
    ActionAfterCompletion, DeadLetterConfig, FlexibleTimeWindow, FlexibleTimeWindowMode, Target,
};
use hostler_runtime::ports::{EntryFailure, Schedule, Schedules};
use serde::Deserialize;

use crate::error::AwsError;

const CREATE: &str = "scheduler:CreateSchedule";
/// What the service says where there is a schedule of that name.
const CONFLICT: &str = "ConflictException";

/// Where schedules are kept, and what they do.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScheduleSettings {
    /// The name of their group.
    pub group: String,
    /// The ARN of the role by which they send.
    pub role: String,
    /// The ARN of the queue that they send to.
    pub queue: String,
    /// The ARN of the queue for what could not be sent.
    pub dead_letters: String,
}

/// One-time schedules of EventBridge Scheduler.
#[derive(Debug, Clone)]
pub struct EventBridgeSchedules {
    client: Client,
    settings: ScheduleSettings,
}

impl EventBridgeSchedules {
    /// Schedules in this group.
    #[must_use]
    pub fn new(client: Client, settings: ScheduleSettings) -> Self {
        Self { client, settings }
    }

    fn target(&self, schedule: &Schedule) -> Result<(Target, FlexibleTimeWindow), BuildError> {
        let dead_letters = DeadLetterConfig::builder().arn(&self.settings.dead_letters).build();
        let target = Target::builder()
            .arn(&self.settings.queue)
            .role_arn(&self.settings.role)
            .dead_letter_config(dead_letters)
            .input(&schedule.body)
            .build()?;
        Ok((target, FlexibleTimeWindow::builder().mode(FlexibleTimeWindowMode::Off).build()?))
    }
}

#[async_trait]
impl Schedules for EventBridgeSchedules {
    async fn create(&self, schedule: &Schedule) -> Result<(), EntryFailure> {
        schedule.check()?;
        let (target, window) = self.target(schedule).map_err(|error| EntryFailure {
            retryable: false,
            code: "InvalidRequest".to_owned(),
            message: error.to_string(),
        })?;
        let call = self
            .client
            .create_schedule()
            .group_name(&self.settings.group)
            .name(&schedule.name)
            .client_token(&schedule.name)
            // In UTC, and without a fraction of a second: the time is rounded down.
            .schedule_expression(schedule.at.strftime("at(%Y-%m-%dT%H:%M:%S)").to_string())
            .schedule_expression_timezone("UTC")
            .flexible_time_window(window)
            .action_after_completion(ActionAfterCompletion::Delete)
            .target(target);
        let Err(error) = call.send().await else { return Ok(()) };
        let error = AwsError::new(CREATE, format!("schedule group {}", self.settings.group), error);
        // The same timer, set before: by this function, or by another that was told of it.
        if error.code() == CONFLICT { Ok(()) } else { Err(EntryFailure::from(&error)) }
    }
}
