//! A saga with everything that the sample has not: lines, a shared compensation, a point of no return, best effort, typed
//! outputs, and conditions that see them.

use hostler_core::saga::{
    Action, Ask, Facts, Plan, RetryPolicy, SagaDefinition, SagaInput, SagaRef, SagaRefusal, Step, StepNames,
};
use hostler_core::{Addressed, ContractError, Data, Payload, StepId};
use hostler_testkit::SagaRun;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

hostler_core::step_names! {
    pub(crate) enum BasketStep {
        Reserve = "reserve",
        Release = "release",
        Authorize = "authorize",
        Refund = "refund",
        Pick = "pick",
        Unpick = "unpick",
        Approve = "approve",
        Review = "review",
        Wrap = "wrap",
        Capture = "capture",
        Label = "label",
        VoidLabel = "void-label",
        Parcel = "parcel",
        Recall = "recall",
        Dispatch = "dispatch",
        Invoice = "invoice",
        Notify = "notify",
        Delivery = "delivery",
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Basket {
    pub(crate) lines: u32,
    pub(crate) approvals: bool,
}

/// What `authorize` answers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Authorized {
    pub(crate) total: u32,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct BasketCommand {
    pub(crate) step: BasketStep,
    pub(crate) action: Action,
    pub(crate) id: StepId,
    pub(crate) input: Value,
}

impl Payload for BasketCommand {
    fn type_name(&self) -> &'static str {
        match (self.action, self.step) {
            (Action::Do, step) => step.as_str(),
            (Action::Stop, _) => "stop",
        }
    }

    fn schema_version(&self) -> u32 {
        1
    }

    fn to_data(&self) -> Data {
        json!({ "id": self.id, "input": self.input }).into()
    }

    fn from_data(type_name: &str, _: u32, _: &Data) -> Result<Self, ContractError> {
        Err(ContractError::UnknownType { type_name: type_name.to_owned(), known: "none".to_owned() })
    }
}

impl Addressed for BasketCommand {
    fn queue(&self) -> &'static str {
        "shop"
    }
}

pub(crate) struct BasketSaga;

pub(crate) type BasketRun = SagaRun<BasketSaga>;

impl SagaDefinition for BasketSaga {
    const KIND: &'static str = "basket";
    const VERSION: u32 = 1;
    type Order = Basket;
    type Step = BasketStep;
    type Command = BasketCommand;

    fn plan(version: u32, basket: &Basket) -> Option<Plan<BasketStep>> {
        use BasketStep as S;
        let undo = RetryPolicy::attempts(2, 30);
        let twice = RetryPolicy::attempts(2, 60);
        let line = |line| Step::ask(S::Reserve, twice).undone_by(S::Release, undo).for_line(line);
        let pick = Step::ask(S::Pick, twice).always_undone_by(S::Unpick, undo, "goods would be lost");
        let approvals = [S::Approve, S::Review].map(|name| Step::approval(name, 3_600));
        let approvals = approvals.into_iter().filter(|_| basket.approvals);
        let plan = Plan::default()
            .then_all((0..basket.lines).map(line))
            .then(
                Step::ask(S::Authorize, twice)
                    .undone_by(S::Refund, undo)
                    .stopped_on_cancel()
                    .never_skipped("its total is needed"),
            )
            .then_all([pick].into_iter().chain(approvals))
            .then(Step::ask(S::Wrap, twice).when("above a total of 100"))
            .then_all([
                Step::ask(S::Capture, twice).undone_by(S::Refund, undo).never_skipped("we want the money"),
                Step::ask(S::Label, twice).undone_by(S::VoidLabel, undo).best_effort(),
            ])
            .then(Step::child(S::Parcel, "parcel", 600).undone_by(S::Recall, undo))
            .then(Step::ask(S::Dispatch, twice).pivot())
            .then_all([
                Step::ask(S::Invoice, twice),
                Step::ask(S::Notify, twice).best_effort(),
                Step::callback(S::Delivery, RetryPolicy::attempts(2, 7_200), 900),
            ]);
        (version == 1).then_some(plan)
    }

    fn applies(step: BasketStep, _: Option<u32>, facts: &Facts<'_, Self>) -> bool {
        let total = facts.output::<Authorized>(BasketStep::Authorize).map_or(0, |output| output.total);
        step != BasketStep::Wrap || total > 100
    }

    fn command(ask: &Ask<'_, Self>) -> Result<Option<BasketCommand>, SagaRefusal> {
        let input = match ask.step {
            BasketStep::Capture => json!(ask.output::<Authorized>(BasketStep::Authorize)?.total),
            _ => ask.edited.cloned().unwrap_or_else(|| json!(ask.line)),
        };
        Ok(Some(BasketCommand { step: ask.step, action: ask.action, id: ask.id.clone(), input }))
    }

    fn child_order(ask: &Ask<'_, Self>) -> Result<Value, SagaRefusal> {
        Ok(json!({ "of": ask.saga }))
    }

    fn check_output(step: BasketStep, _: Option<u32>, output: &Value) -> Result<(), serde_json::Error> {
        match step {
            BasketStep::Authorize => Authorized::deserialize(output).map(drop),
            _ => Ok(()),
        }
    }

    fn example_output(step: BasketStep) -> Option<Value> {
        (step == BasketStep::Authorize).then(|| json!({ "total": 101 }))
    }

    fn examples() -> Vec<Basket> {
        vec![Basket { lines: 2, approvals: true }, Basket { lines: 1, approvals: false }]
    }
}

pub(crate) fn basket(lines: u32, approvals: bool) -> SagaInput<Basket> {
    let saga = SagaRef::new("basket", "b-1").unwrap();
    SagaInput::Start { saga, order: Basket { lines, approvals }, parent: None }
}

/// A basket of one line on its way, with a total of 10, until this step is under way.
#[track_caller]
pub(crate) fn before(step: &str) -> BasketRun {
    let mut run = BasketRun::new();
    run.tell(&basket(1, false));
    while !run.is_at(step) {
        forward(&mut run);
    }
    run
}

/// Whatever is under way succeeds.
#[track_caller]
pub(crate) fn forward(run: &mut BasketRun) {
    let (name, attempt) = run.state.running.first_key_value().unwrap();
    let (name, id) = (name.to_string(), attempt.id.clone());
    let input = match name.as_str() {
        "authorize" => super::with_output(id, json!({ "total": 10 })),
        "parcel" => super::child_completed(id),
        "approve" | "review" => super::approve(Some(&name)),
        _ => super::succeeded(id),
    };
    run.tell(&input);
}
