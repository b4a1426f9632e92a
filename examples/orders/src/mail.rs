//! Mails: nobody undoes them, and no order fails for the want of one.

use std::sync::Arc;

use hostler::prelude::*;

payloads! {
    /// Thank a customer.
    pub struct SendThanks {
        pub saga: SagaRef,
        pub step: StepId,
        pub customer: String,
    }
}

effect_commands!(SendThanks);

contracts! {
    /// What is asked of `send-mails`.
    pub enum MailCommand as Command {
        "send-thanks" v 1 @ "send-mails" => Thanks(SendThanks),
    }
}

/// What sends mails.
#[async_trait]
pub trait Mailer: Send + Sync {
    /// Sends one.
    async fn send(&self, to: &str, text: &str) -> Result<(), StepError>;
}

/// The step function.
pub struct SendMails {
    pub worker: StepWorker,
    pub mailer: Arc<dyn Mailer>,
}

#[async_trait]
impl Handler for SendMails {
    async fn handle(&self, message: &Incoming) -> Result<(), Failure> {
        let MailCommand::Thanks(command) = message.command()?;
        self.worker.perform(self, &Cause::of(message), &command).await
    }
}

impl Effect for SendMails {
    type Do = SendThanks;
    type Undo = NoUndo;
    type Output = ();

    fn dependencies(&self) -> Vec<String> {
        vec!["mail".to_owned()]
    }

    async fn perform(&self, command: &SendThanks, _: &Call) -> Result<(), StepError> {
        self.mailer.send(&command.customer, "Thank you for your order.").await
    }

    async fn undo(&self, command: &NoUndo, _: Option<()>, _: &Call) -> Result<(), StepError> {
        match *command {}
    }
}
