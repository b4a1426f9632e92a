//! Definitions that cannot be run: they fail at the start, or their messages wait for a build that can run them.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests may fail loudly, and their names say what they show"
)]

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use hostler::core::saga::check;
use hostler::prelude::*;
use hostler::testkit::World;

/// What the deployed build makes of the definition.
#[derive(Clone, Copy, PartialEq)]
enum Build {
    Good,
    /// It does not know the version.
    Old,
    /// Its plan has a step twice.
    Bad,
    /// A step asks for nothing.
    Mute,
}

thread_local! {
    static BUILD: Cell<Build> = const { Cell::new(Build::Good) };
}

step_names! {
    /// One step.
    pub enum WorkStep {
        /// Work.
        Work = "work",
    }
}

payloads! {
    /// What is to be done.
    pub struct Job {
        pub name: String,
    }

    /// Do it.
    pub struct DoJob {
        pub saga: SagaRef,
        pub step: StepId,
    }
}

effect_commands!(DoJob);

contracts! {
    /// What is asked of `work`.
    pub enum WorkCommand as Command {
        "do-job" v 1 @ "work" => Do(DoJob),
    }
}

pub struct JobSaga;

impl SagaDefinition for JobSaga {
    const KIND: &'static str = "job";
    const VERSION: u32 = 2;
    type Order = Job;
    type Step = WorkStep;
    type Command = WorkCommand;

    fn plan(_: u32, _: &Job) -> Option<Plan<WorkStep>> {
        let step = || Step::ask(WorkStep::Work, RetryPolicy::attempts(3, 600));
        match BUILD.get() {
            Build::Old => None,
            Build::Bad => Some(Plan::default().then(step()).then(step())),
            Build::Good | Build::Mute => Some(Plan::default().then(step())),
        }
    }

    fn command(ask: &Ask<'_, Self>) -> Result<Option<WorkCommand>, SagaRefusal> {
        let command = DoJob { saga: ask.saga.clone(), step: ask.id.clone() }.into();
        Ok((BUILD.get() != Build::Mute).then_some(command))
    }

    fn examples() -> Vec<Job> {
        vec![job()]
    }
}

fn job() -> Job {
    Job { name: "sweep".to_owned() }
}

pub struct Works {
    worker: StepWorker,
}

#[async_trait]
impl Handler for Works {
    async fn handle(&self, message: &Incoming) -> Result<(), Failure> {
        let WorkCommand::Do(command) = message.command()?;
        self.worker.perform(self, &Cause::of(message), &command).await
    }
}

impl Effect for Works {
    type Do = DoJob;
    type Undo = NoUndo;
    type Output = ();

    fn dependencies(&self) -> Vec<String> {
        vec![]
    }

    async fn perform(&self, _: &DoJob, _: &Call) -> Result<(), StepError> {
        Ok(())
    }

    async fn undo(&self, command: &NoUndo, _: Option<()>, _: &Call) -> Result<(), StepError> {
        match *command {}
    }
}

pub struct Jobs;

impl SagaEntry for Jobs {
    type Definition = JobSaga;
    const VIEW: &'static str = "jobs";
}

pub struct Workshop;

impl Application for Workshop {
    const SOURCE: &'static str = "workshop";
    const FUNCTIONS: &'static [Function] =
        &[Function::sagas("run-sagas"), Function::steps("work"), Function::timers("fire-timers")];
    type Operations = SagaOperation;

    fn entities(each: &mut impl Entities) {
        each.saga::<Jobs>();
    }
}

fn workshop() -> World<Workshop> {
    World::new(Operations::default(), |ports| {
        vec![("work", Arc::new(Works { worker: ports.worker::<Workshop>() }))]
    })
}

#[test]
fn a_step_that_asks_nobody_fails_at_the_start() {
    BUILD.set(Build::Mute);
    assert_eq!(
        check::<JobSaga>().unwrap_err().to_string(),
        "sagas of kind job cannot be run: step work has no command: let the definition's `command` give one"
    );
}

#[test]
fn a_step_that_is_there_twice_fails_at_the_start() {
    BUILD.set(Build::Bad);
    let wrong = check::<JobSaga>().unwrap_err().to_string();
    assert!(wrong.contains("are called work"), "{wrong}");
}

#[test]
#[should_panic(expected = "sagas of kind job cannot be run: step work has no command")]
fn no_application_starts_with_such_a_definition() {
    BUILD.set(Build::Mute);
    drop(workshop());
}

#[tokio::test]
async fn what_this_build_cannot_run_waits_for_one_that_can() {
    for fault in [Build::Old, Build::Bad] {
        BUILD.set(Build::Good);
        let mut world = workshop();
        world.start::<JobSaga>("early", &job()).await;
        world.settle().await;
        assert_eq!(world.status::<JobSaga>("early"), "completed");

        BUILD.set(fault);
        world.start::<JobSaga>("late", &job()).await;
        world.advance(Duration::from_secs(6 * 3_600)).await;
        assert_eq!(world.status::<JobSaga>("late"), "not-started");

        BUILD.set(Build::Good);
        world.run().await;
        assert_eq!(world.status::<JobSaga>("late"), "completed");
    }
}

#[tokio::test]
async fn a_saga_under_way_loses_no_answer_and_no_timer_to_a_build_that_is_too_old() {
    BUILD.set(Build::Good);
    let mut world = workshop();
    world.start::<JobSaga>("j", &job()).await;
    world.run_until(|world| world.status::<JobSaga>("j") == "running").await;
    BUILD.set(Build::Old);
    world.advance(Duration::from_secs(6 * 3_600)).await;
    assert_eq!(world.status::<JobSaga>("j"), "running");
    BUILD.set(Build::Good);
    world.run().await;
    assert_eq!(world.status::<JobSaga>("j"), "completed");
}
