//! What is wrong with a definition or its plan.

use super::input::StepName;
use super::plan::STEPS_MAX;
use super::refusal::SagaRefusal;

/// Why a plan cannot be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPlan {
    /// It has no steps, or too many.
    #[error("the plan has {found} steps: give it 1 to {STEPS_MAX}")]
    Steps {
        /// How many.
        found: usize,
    },
    /// Two steps of one name: answers could not be told apart.
    #[error("two steps or compensations of the plan are called {step}: names are unique in a plan")]
    Twice {
        /// The name.
        step: StepName,
    },
    /// Two steps share a compensation, and want it done in two ways.
    #[error("the compensation {step} is declared in two ways: give it the same policy wherever it is named")]
    Compensation {
        /// The name.
        step: StepName,
    },
    /// A child saga and something else share a compensation: one command cannot undo both.
    #[error("the compensation {step} undoes a child saga and something else: give the child one of its own")]
    ChildCompensation {
        /// The name.
        step: StepName,
    },
    /// There is no example to check the definition with.
    #[error("the definition has no example of an order: let its `examples` give one of each shape")]
    NoExample,
    /// The name cannot be part of a step id.
    #[error(
        "the step name {step} cannot be part of an id: use 1 to 40 of a-z, 0-9 and -, with a letter first"
    )]
    Name {
        /// The name.
        step: StepName,
    },
    /// A wait that never ends, or a step that is never tried.
    #[error(
        "step {step} needs at least one attempt, a deadline of a second or more, and a heartbeat likewise"
    )]
    Policy {
        /// The step.
        step: StepName,
    },
    /// A child that would be started again by its parent.
    #[error(
        "step {step} has several attempts, and is a child saga or an approval: let the child retry inside itself"
    )]
    Attempts {
        /// The step.
        step: StepName,
    },
    /// A point of no return that has steps beside it, or that the saga may go on without.
    #[error(
        "step {step} is the point of no return: give it a stage of its own, and make it neither best effort nor an approval"
    )]
    Pivot {
        /// The step.
        step: StepName,
    },
    /// A way back that is never gone.
    #[error(
        "the plan never goes back, and step {step} has a compensation, or is an approval that may be refused: leave that out, or begin with Plan::default()"
    )]
    ForwardOnly {
        /// The step.
        step: StepName,
    },
    /// The command would refuse, and its saga would never go on.
    #[error(
        "the command of {step} reads the output of {read}, which {why}: have {read} done for certain before {step}, or let the command do without that output"
    )]
    OutputUncertain {
        /// The step, or the compensation.
        step: StepName,
        /// The step whose output it reads.
        read: StepName,
        /// Why the output may not be there.
        why: &'static str,
    },
    /// The command would refuse what the earlier step answers.
    #[error(
        "the command of {step} cannot read the example of an output of {read}: {why}; let `example_output` and the command agree"
    )]
    OutputForm {
        /// The step, or the compensation.
        step: StepName,
        /// The step whose output it reads.
        read: StepName,
        /// Why it cannot be read.
        why: String,
    },
    /// The step itself could not answer the example.
    #[error(
        "`check_output` refuses the example of an output of {step}: {why}; let `example_output` give what {step} answers"
    )]
    ExampleOutput {
        /// The step.
        step: StepName,
        /// Why not.
        why: String,
    },
    /// The step asks nobody.
    #[error("step {step} has no command: let the definition's `command` give one")]
    NoCommand {
        /// The step.
        step: StepName,
    },
}

impl BadPlan {
    /// The refusal of a definition of this kind.
    pub(super) fn of(self, kind: &'static str) -> SagaRefusal {
        SagaRefusal::Plan { kind, bad: self }
    }
}
