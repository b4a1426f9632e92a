//! What operators may ask for: which entity a command is for, and what it tells the entity's decider.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use async_trait::async_trait;
use hostler_core::failure::error_chain;
use hostler_core::ids::check_new_key;
use hostler_core::{
    Category, CausationId, CommandType, Data, Decider, Failure, StreamId, StreamVersion, TimerFired,
};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::sagas::Callbacks;
use super::{Entity, Operated, Refused};
use crate::serving::http::Response;
use crate::state::shell::{Cause, ExecuteError, Executed, Outcome, Shell};

/// A command that was accepted.
#[derive(Debug, Clone, PartialEq)]
pub struct Accepted {
    /// The stream it was recorded on.
    pub stream: StreamId,
    /// The stream's version now.
    pub version: StreamVersion,
    /// Whether it was accepted before; then nothing has changed.
    pub repeated: bool,
    /// What else the sender wants to know.
    pub details: Map<String, Value>,
}

/// A command that was not accepted.
#[derive(Debug)]
pub enum Rejected {
    /// The command cannot be accepted as things are.
    Refused {
        /// The HTTP status that says so.
        status: u16,
        /// The static label of the refusal.
        code: &'static str,
        /// Why, and what to do.
        reason: String,
    },
    /// Something else failed; nothing is known of the command.
    Failed(Failure),
}

impl From<Failure> for Rejected {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Accepted> for Response {
    fn from(accepted: Accepted) -> Self {
        let mut body = accepted.details;
        body.insert("stream".to_owned(), json!(accepted.stream));
        body.insert("version".to_owned(), json!(accepted.version));
        body.insert("repeated".to_owned(), json!(accepted.repeated));
        Self::new(202, body.into())
    }
}

impl From<Rejected> for Response {
    fn from(rejected: Rejected) -> Self {
        match rejected {
            Rejected::Refused { status, code, reason } => Self::error(status, code, reason),
            // What breaks a rule of form is the sender's to correct, such as an id that is too long.
            Rejected::Failed(failure @ Failure::Terminal { category: Category::Validation, .. }) => {
                Self::error(400, "invalid", failure.chain())
            }
            Rejected::Failed(failure) => Self::failure(&failure),
        }
    }
}

/// What a command asks of an entity.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked<I> {
    input: I,
    once: bool,
    details: Map<String, Value>,
}

impl<I> Asked<I> {
    /// This input for the decider.
    pub fn new(input: I) -> Self {
        Self { input, once: false, details: Map::new() }
    }

    /// The id of the entity is the cause: what is asked for under one id never happens twice, however it is sent, and
    /// another content under the same id is refused.
    #[must_use]
    pub fn once(mut self) -> Self {
        self.once = true;
        self
    }

    /// Tells the sender this, too.
    #[must_use]
    pub fn telling(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }
}

/// What accepts commands of a type that need more than an input for one decider.
#[async_trait]
pub trait Accept<C>: Send + Sync {
    /// Decides on a command and records the decision.
    ///
    /// # Errors
    /// [`Rejected`] says why it was not accepted, and what to do.
    async fn accept(&self, shell: &Shell, cause: &Cause, command: C) -> Result<Accepted, Rejected>;
}

/// All that operators may ask for, by the commands' types; and the timers of entities that are asked by operators.
pub struct Operations {
    commands: BTreeMap<&'static str, Box<dyn AcceptData>>,
    timers: BTreeMap<&'static str, Box<dyn AcceptTimer>>,
    pub(super) callbacks: Option<Callbacks>,
}

impl Default for Operations {
    fn default() -> Self {
        Self::of_the_runtime()
    }
}

impl Operations {
    pub(super) fn empty() -> Self {
        Self { commands: BTreeMap::new(), timers: BTreeMap::new(), callbacks: None }
    }

    /// A command for an entity: what it tells the decider.
    #[must_use]
    pub fn on<E: Operated, C: CommandType>(
        self,
        input: impl Fn(C) -> InputOf<E> + Send + Sync + 'static,
    ) -> Self {
        self.asking::<E, C>(move |command, _| Ok(Asked::new(input(command))))
    }

    /// A command for an entity whose input takes more than the command.
    #[must_use]
    pub fn asking<E: Operated, C: CommandType>(
        self,
        ask: impl Fn(C, &Shell) -> Result<Asked<InputOf<E>>, Failure> + Send + Sync + 'static,
    ) -> Self {
        self.special::<C>(On::<E, _> { ask, entity: PhantomData })
    }

    /// A command that has an acceptor of its own.
    #[must_use]
    pub fn special<C: CommandType>(mut self, accept: impl Accept<C> + 'static) -> Self {
        self.commands.insert(C::TYPE, Box::new(Typed { accept, command: PhantomData }));
        self
    }

    /// The timers of an entity: what one that is due tells the decider.
    #[must_use]
    pub fn timers<E: Entity>(mut self, input: fn(&str) -> InputOf<E>) -> Self {
        let timers = Timers::<E> { input };
        self.timers.insert(<E::Decider as Decider>::CATEGORY, Box::new(timers));
        self
    }

    /// The types of all commands.
    pub fn types(&self) -> impl Iterator<Item = &'static str> {
        self.commands.keys().copied()
    }

    /// What a command is about, such as `host/h-42`; none when it cannot be read.
    pub fn subject(&self, command_type: &str, version: u32, data: &Data) -> Option<String> {
        self.commands.get(command_type)?.subject(version, data)
    }

    /// Accepts a command.
    ///
    /// # Errors
    /// [`Rejected`] says why it was not accepted, and what to do.
    pub async fn accept(
        &self,
        shell: &Shell,
        cause: &Cause,
        (command_type, version, data): (&str, u32, &Data),
    ) -> Result<Accepted, Rejected> {
        let Some(command) = self.commands.get(command_type) else {
            let known: Vec<&str> = self.types().collect();
            let type_name = command_type.to_owned();
            let error = hostler_core::ContractError::UnknownType { type_name, known: known.join(", ") };
            return Err(Rejected::Failed(error.into()));
        };
        command.accept(shell, cause, version, data).await
    }

    /// Tells an entity that its timer is due.
    ///
    /// # Errors
    /// [`Failure`] of the store; a timer of another entity is a terminal one.
    pub async fn fire(&self, shell: &Shell, cause: &Cause, timer: &TimerFired) -> Result<(), Failure> {
        let Some(timers) = self.timers.get(timer.stream.category()) else {
            let reason = format!("the timer {} of {} has no owner here", timer.name, timer.stream);
            return Err(Failure::terminal(Category::Validation, reason));
        };
        timers.fire(shell, cause, timer).await
    }
}

/// What an entity's decider is told.
type InputOf<E> = <<E as Entity>::Decider as Decider>::Input;

#[async_trait]
trait AcceptData: Send + Sync {
    fn subject(&self, version: u32, data: &Data) -> Option<String>;

    async fn accept(
        &self,
        shell: &Shell,
        cause: &Cause,
        version: u32,
        data: &Data,
    ) -> Result<Accepted, Rejected>;
}

struct Typed<C, A> {
    accept: A,
    command: PhantomData<fn() -> C>,
}

#[async_trait]
impl<C: CommandType, A: Accept<C>> AcceptData for Typed<C, A> {
    fn subject(&self, version: u32, data: &Data) -> Option<String> {
        let command = C::from_data(version, data).ok()?;
        command.about().map(|(what, id)| format!("{what}/{id}"))
    }

    async fn accept(
        &self,
        shell: &Shell,
        cause: &Cause,
        version: u32,
        data: &Data,
    ) -> Result<Accepted, Rejected> {
        let command = C::from_data(version, data).map_err(Failure::from)?;
        self.accept.accept(shell, cause, command).await
    }
}

struct On<E, F> {
    ask: F,
    entity: PhantomData<fn() -> E>,
}

#[async_trait]
impl<E, C, F> Accept<C> for On<E, F>
where
    E: Operated,
    C: CommandType,
    F: Fn(C, &Shell) -> Result<Asked<InputOf<E>>, Failure> + Send + Sync,
{
    async fn accept(&self, shell: &Shell, cause: &Cause, command: C) -> Result<Accepted, Rejected> {
        let Some((what, id)) = command.about().map(|(what, id)| (what, id.to_owned())) else {
            let reason = format!("{} says not what it is about: declare it with `of field`", C::TYPE);
            return Err(Rejected::Failed(Failure::terminal(Category::Unknown, reason)));
        };
        let mut asked = (self.ask)(command, shell)?;
        asked.details.insert(what.to_owned(), id.clone().into());
        operate::<E>(shell, cause, &id, asked).await
    }
}

/// Asks an entity.
///
/// # Errors
/// [`Rejected`] says why it was not accepted, and what to do.
pub async fn operate<E: Operated>(
    shell: &Shell,
    cause: &Cause,
    id: &str,
    asked: Asked<InputOf<E>>,
) -> Result<Accepted, Rejected> {
    let Asked { input, once, details } = asked;
    let category = <E::Decider as Decider>::CATEGORY;
    let stream = StreamId::new(category, id).map_err(Failure::invalid)?;
    // Here new ids enter. What has such an id from before must still be operated.
    if let Err(odd) = check_new_key(category, id)
        && shell.load::<E::Decider>(&stream).await.map_err(Failure::from)?.version == StreamVersion::EMPTY
    {
        return Err(Failure::invalid(odd).into());
    }
    let mut cause = cause.clone();
    if once {
        cause.id = CausationId::new(format!("{category}:{id}")).map_err(Failure::invalid)?;
        // Whoever sends the id again may do so at any time.
        cause.since = Timestamp::MIN;
    }
    let mut done = shell.execute::<E::Decider>(&stream, &cause, &input).await;
    // A known cause is answered without asking the decider, and another content under the same id is an error: it is
    // asked here, so that two who send the id at the same moment are told apart, too.
    if once
        && let Ok(known) = &done
        && known.outcome != Outcome::Committed
        && let Err(refusal) = E::Decider::decide(&known.fold.state, &input, shell.now())
    {
        done = Err(ExecuteError::Refused(refusal));
    }
    Accepted::of::<E>(stream, done, details)
}

impl Accepted {
    /// What the sender is told of what became of a command.
    ///
    /// # Errors
    /// [`Rejected`] says why it was not accepted, and what to do.
    pub fn of<E: Operated>(
        stream: StreamId,
        done: Result<Executed<E::Decider>, ExecuteError<<E::Decider as Decider>::Refusal>>,
        details: Map<String, Value>,
    ) -> Result<Self, Rejected> {
        match done {
            Ok(Executed { outcome, fold, .. }) => {
                Ok(Self { stream, version: fold.version, repeated: outcome != Outcome::Committed, details })
            }
            Err(ExecuteError::Refused(refusal)) => {
                let Refused { status, label } = E::refused(&refusal);
                Err(Rejected::Refused { status, code: label, reason: error_chain(&refusal) })
            }
            Err(mismatch @ ExecuteError::PayloadMismatch { .. }) => {
                Err(Rejected::Refused { status: 409, code: "payload-mismatch", reason: mismatch.to_string() })
            }
            Err(error) => Err(Rejected::Failed(error.into())),
        }
    }
}

#[async_trait]
trait AcceptTimer: Send + Sync {
    async fn fire(&self, shell: &Shell, cause: &Cause, timer: &TimerFired) -> Result<(), Failure>;
}

struct Timers<E: Entity> {
    input: fn(&str) -> InputOf<E>,
}

#[async_trait]
impl<E: Entity> AcceptTimer for Timers<E> {
    async fn fire(&self, shell: &Shell, cause: &Cause, timer: &TimerFired) -> Result<(), Failure> {
        let input = (self.input)(&timer.name);
        let done = shell.execute::<E::Decider>(&timer.stream, cause, &input).await?;
        tracing::info!(stream = %timer.stream, version = done.fold.version.0, outcome = ?done.outcome, "timer");
        Ok(())
    }
}
