//! The SAM template of an application, written from its register: a test compares it with the committed one.
//!
//! Each function may do what it is there for, and nothing else.

use std::fmt::Write;

use hostler_core::Decider;
use hostler_runtime::messages::batch::{RECEIVES_MAX, dead_letter_queue};
use hostler_runtime::ports::{DEAD_LETTER_BYTES_MAX, MESSAGE_BYTES_MAX};
use hostler_runtime::register::{Application, Entity, Failures, Flows, Register};
use hostler_runtime::register::{Does, Function, Queue};

/// For how many seconds queues keep messages: less than dead-letter queues, where a message's age goes on from its first day.
const RETENTION_SECONDS: u32 = 10 * 86_400;
/// For how many days logs are kept, as a parameter.
const LOG_RETENTION: &str = "  LogRetentionDays:\n    Type: Number\n    Default: 90\n    \
     Description: For how many days logs are kept.\n";
const TABLES: &str = include_str!("template/tables.yaml");
const SCHEDULES: &str = include_str!("template/schedules.yaml");
/// How many consumers all queues together may have, as a parameter.
const CONSUMERS: &str = "  ConsumersMax:\n    Type: Number\n    Default: 600\n    MinValue: 14\n    \
     MaxValue: 10000\n    Description: How many invocations may work off queues at a time, all queues together.\n";
/// Where long timers wait, as a function is told.
const TOLD_OF_SCHEDULES: &str = "          SCHEDULES: !Sub |-\n            {\n              \
     \"group\": \"${TimersScheduleGroup}\",\n              \"role\": \"${TimersScheduleRole.Arn}\",\n              \
     \"queue\": \"${TimersQueue.Arn}\",\n              \"deadLetters\": \"${TimersDlq.Arn}\"\n            }\n";
/// What a function may do that makes schedules.
const MAKES_SCHEDULES: &str = "            - Effect: Allow\n              Action: scheduler:CreateSchedule\n              \
     Resource: !Sub arn:${AWS::Partition}:scheduler:${AWS::Region}:${AWS::AccountId}:schedule/${TimersScheduleGroup}/*\n            \
     - Effect: Allow\n              Action: iam:PassRole\n              Resource: !GetAtt TimersScheduleRole.Arn\n              \
     Condition:\n                StringEquals:\n                  iam:PassedToService: scheduler.amazonaws.com\n";
const API: &str = include_str!("template/api.yaml");

/// What a template says beside the register.
#[derive(Debug, Clone, Copy)]
pub struct Sam {
    /// What the stack is.
    pub description: &'static str,
    /// What the names of binaries begin with, before the function's name.
    pub binaries: &'static str,
    /// The parameters, in YAML.
    pub parameters: &'static str,
    /// Variables that are the application's own: the function's name, the variable's, and its value in YAML.
    pub variables: &'static [(&'static str, &'static str, &'static str)],
}

impl Sam {
    /// The template of the application `A`.
    #[must_use]
    pub fn template<A: Application>(&self) -> String {
        let mut text = format!(
            "# Written from the register; a test says when it is old, and writes it again.\n\
             AWSTemplateFormatVersion: \"2010-09-09\"\nTransform: AWS::Serverless-2016-10-31\n\
             Description: {}\n\nParameters:\n  Architecture:\n    Type: String\n    Default: arm64\n    \
             AllowedValues: [arm64, x86_64]\n{LOG_RETENTION}{CONSUMERS}{}\nGlobals:\n  Function:\n    Runtime: provided.al2023\n    \
             Handler: bootstrap\n    Architectures:\n      - !Ref Architecture\n\nResources:\n{TABLES}\n",
            self.description, self.parameters
        );
        for (queue, function) in Register::<A>::queues() {
            text += &queues(queue, function);
        }
        if Register::<A>::that(Does::Relay).is_some() {
            text += &dead_letters(&Register::<A>::relay_failures());
        }
        if has_schedules::<A>() {
            text += SCHEDULES;
        }
        for function in A::FUNCTIONS {
            text += &self.function::<A>(function);
        }
        text + API + &outputs::<A>()
    }

    fn function<A: Application>(&self, function: &Function) -> String {
        let Function { name, does, queue, .. } = *function;
        let (reads, sends) = (reads::<A>(function), sends::<A>(function));
        let timeout = queue.map_or(without_queue(does), |queue| queue.visibility_seconds / 6).min(900);
        let mut text = format!(
            "  {0}Function:\n    Type: AWS::Serverless::Function\n    Properties:\n      \
             CodeUri: target/lambda/{1}{name}/\n      Role: !GetAtt {0}Role.Arn\n      LoggingConfig:\n        \
             LogGroup: !Ref {0}Logs\n      Timeout: {timeout}\n      MemorySize: 256\n",
            logical(name),
            self.binaries
        );
        if queue.is_some() {
            text += "      # What waits sends a copy of itself; Lambda would stop that after about 16 times.\n      RecursiveLoop: Allow\n";
        }
        text += "      Environment:\n        Variables:\n";
        for (table, _) in tables(does) {
            let variable = table.trim_end_matches("Table").to_uppercase();
            let _ = writeln!(text, "          {variable}_TABLE: !Ref {table}");
        }
        if matches!(does, Does::Relay | Does::Triage) {
            text += "          EVENT_BUS: !Ref EventBus\n";
        }
        if does == Does::Flow {
            text += "          CONSUMERS_MAX: !Ref ConsumersMax\n";
        }
        let schedules = makes_schedules(does) && has_schedules::<A>();
        if schedules {
            text += TOLD_OF_SCHEDULES;
        }
        for (_, variable, value) in self.variables.iter().filter(|(of, _, _)| *of == name) {
            let _ = writeln!(text, "          {variable}: {value}");
        }
        let watched: Vec<String> = match does {
            Does::Flow => Register::<A>::watched().map(|(queue, _)| queue.to_owned()).collect(),
            _ => Vec::new(),
        };
        let told = once(sends.iter().chain(&reads).chain(&watched).cloned());
        if !told.is_empty() {
            text += "          QUEUE_URLS: !Sub |-\n            {\n";
            text += &urls(told.iter(), 14);
            text += "            }\n";
        }
        if does == Does::Flow {
            text += "          MAPPINGS: !Sub |-\n            {\n";
            text += &mappings::<A>(14);
            text += "            }\n";
        }
        text += &events(function, &reads);
        text += &policies::<A>(function, &reads, &sends);
        if schedules {
            text += MAKES_SCHEDULES;
        }
        if does == Does::Flow {
            text += &flow_policies::<A>(&watched);
            text += &undelivered(function);
        }
        text + "\n"
    }
}

/// Whether a function has timers wait.
fn makes_schedules(does: Does) -> bool {
    matches!(does, Does::Relay | Does::Timers)
}

/// Whether there are schedules: they put timers on the queue of a function that delivers them.
fn has_schedules<A: Application>() -> bool {
    Register::<A>::that(Does::Timers).is_some()
}

/// `take-payments` is `TakePayments`, and `take-payments-dlq` is the dead-letter queue `TakePaymentsDlq`.
fn logical(name: &str) -> String {
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
    name.split('-').map(capital).collect()
}

fn queue_resource(name: &str) -> String {
    let logical = logical(name);
    if name.ends_with("-dlq") { logical } else { logical + "Queue" }
}

fn queues(queue: &Queue, function: &Function) -> String {
    let Queue { name, visibility_seconds, .. } = *queue;
    let (resource, dead) = (queue_resource(name), dead_letter_queue(name));
    let mut text = format!(
        "  {resource}:\n    Type: AWS::SQS::Queue\n    Properties:\n      \
         VisibilityTimeout: {visibility_seconds}\n      MessageRetentionPeriod: {RETENTION_SECONDS}\n      \
         MaximumMessageSize: {MESSAGE_BYTES_MAX}\n      SqsManagedSseEnabled: true\n      RedrivePolicy:\n        \
         deadLetterTargetArn: !GetAtt {}.Arn\n        maxReceiveCount: {RECEIVES_MAX}\n",
        queue_resource(&dead)
    );
    text += &dead_letters(&dead);
    if !function.events.is_empty() {
        let types: String = function.events.iter().map(|event| format!("          - {event}\n")).collect();
        let _ = write!(
            text,
            "  {0}Rule:\n    Type: AWS::Events::Rule\n    Properties:\n      EventBusName: !Ref EventBus\n      \
             EventPattern:\n        detail-type:\n{types}      Targets:\n        - Id: queue\n          \
             Arn: !GetAtt {resource}.Arn\n          DeadLetterConfig:\n            Arn: !GetAtt {1}.Arn\n  {0}QueuePolicy:\n    Type: AWS::SQS::QueuePolicy\n    \
             Properties:\n      Queues:\n        - !Ref {resource}\n        - !Ref {1}\n      PolicyDocument:\n        \
             Version: \"2012-10-17\"\n        Statement:\n          - Effect: Allow\n            Principal:\n              \
             Service: events.amazonaws.com\n            Action: sqs:SendMessage\n            \
             Resource:\n              - !GetAtt {resource}.Arn\n              - !GetAtt {1}.Arn\n            Condition:\n              ArnEquals:\n                \
             aws:SourceArn: !GetAtt {0}Rule.Arn\n",
            logical(function.name),
            queue_resource(&dead)
        );
    }
    text
}

fn dead_letters(name: &str) -> String {
    format!(
        "  {}:\n    Type: AWS::SQS::Queue\n    Properties:\n      VisibilityTimeout: 180\n      \
         MessageRetentionPeriod: 1209600\n      MaximumMessageSize: {DEAD_LETTER_BYTES_MAX}\n      \
         SqsManagedSseEnabled: true\n",
        queue_resource(name)
    )
}

/// The tables that a function uses, and how.
fn tables(does: Does) -> &'static [(&'static str, &'static [&'static str])] {
    const READ: &[&str] = &["Query"];
    const APPEND: &[&str] = &["Query", "PutItem"];
    // Triage goes through all of the store when the stream has given up a batch.
    const REPAIR: &[&str] = &["Query", "Scan", "PutItem"];
    const STATE: &[&str] = &["GetItem", "PutItem"];
    const LEASE: &[&str] = &["PutItem", "UpdateItem", "DeleteItem"];
    match does {
        Does::Commands | Does::Flow => &[("EventsTable", APPEND), ("ControlTable", STATE)],
        Does::Triage => &[("EventsTable", REPAIR), ("ControlTable", STATE)],
        Does::Sagas => &[("EventsTable", APPEND)],
        Does::Steps => &[("EventsTable", APPEND), ("ControlTable", STATE), ("IdempotencyTable", LEASE)],
        Does::Views => &[("EventsTable", READ), ("ViewsTable", STATE)],
        Does::Queries => &[("EventsTable", READ), ("ViewsTable", &["GetItem", "Query"])],
        Does::Signals | Does::Relay | Does::Timers => &[],
    }
}

/// For how many seconds a function may work that reads no queue: less than the HTTP API waits for an answer, and less than
/// a minute for what is woken each minute.
fn without_queue(does: Does) -> u32 {
    if does == Does::Flow { 50 } else { 29 }
}

/// The queues that a function reads.
fn reads<A: Application>(function: &Function) -> Vec<String> {
    let own = function.queue.iter().map(|queue| queue.name.to_owned());
    match function.does {
        Does::Triage => own.chain(Register::<A>::origins().map(dead_letter_queue)).collect(),
        _ => own.collect(),
    }
}

/// The event source mappings of the watched queues, as `"<queue>": "${<mapping>}"`.
fn mappings<A: Application>(indent: usize) -> String {
    let mapping = |(queue, function): (&Queue, &Function)| {
        format!("{:indent$}\"{}\": \"${{{}}}\"", "", queue.name, mapping_resource(function))
    };
    watched::<A>().map(mapping).collect::<Vec<_>>().join(",\n") + "\n"
}

/// The watched queues, each with the function that reads it.
fn watched<A: Application>() -> impl Iterator<Item = (&'static Queue, &'static Function)> {
    let watched: Vec<&str> = Register::<A>::watched().map(|(queue, _)| queue).collect();
    Register::<A>::queues().filter(move |(queue, _)| watched.contains(&queue.name))
}

/// How SAM calls the mapping of a function's own queue.
fn mapping_resource(function: &Function) -> String {
    format!("{}FunctionQueue", logical(function.name))
}

/// The queues that a function sends to.
fn sends<A: Application>(function: &Function) -> Vec<String> {
    let failures = Register::<A>::that(Does::Triage).and_then(|triage| triage.queue);
    let failures = failures.map(|queue| queue.name.to_owned());
    let all = || Register::<A>::queues().map(|(queue, _)| queue.name.to_owned());
    let own = function.queue.map(|queue| [queue.name.to_owned(), dead_letter_queue(queue.name)]);
    let mut sends: Vec<String> = own.into_iter().flatten().collect();
    match function.does {
        Does::Queries | Does::Flow => return Vec::new(),
        Does::Relay => sends.extend(all().chain([Register::<A>::relay_failures()])),
        // It publishes again what the stream gave up, as the relay does.
        Does::Triage => sends.extend(all().chain([Register::<A>::relay_failures()])),
        Does::Timers => sends
            .extend(Register::<A>::categories().into_iter().filter_map(|of| of.timers_to.map(str::to_owned))),
        // Whom signals are told to is the application's own business: its queues are added by hand.
        Does::Commands | Does::Sagas | Does::Steps | Does::Signals | Does::Views => {}
    }
    sends.extend(failures);
    once(sends.into_iter())
}

/// Each name once, in the order in which they come.
fn once(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut once: Vec<String> = Vec::new();
    for name in names {
        if !once.contains(&name) {
            once.push(name);
        }
    }
    once
}

fn urls<'a>(queues: impl Iterator<Item = &'a String>, indent: usize) -> String {
    let url = |queue: &String| format!("{:indent$}\"{queue}\": \"${{{}}}\"", "", queue_resource(queue));
    queues.map(url).collect::<Vec<_>>().join(",\n") + "\n"
}

/// What wakes a function.
fn events(function: &Function, reads: &[String]) -> String {
    let mapping = |name: &str, queue: &str, consumers: u16| {
        format!(
            "        {name}:\n          Type: SQS\n          Properties:\n            Queue: !GetAtt {}.Arn\n            \
             BatchSize: 10\n            FunctionResponseTypes:\n              - ReportBatchItemFailures\n            \
             ScalingConfig:\n              MaximumConcurrency: {consumers}\n",
            queue_resource(queue)
        )
    };
    let consumers = function.queue.map_or(20, |queue| queue.consumers);
    match function.does {
        Does::Queries => String::new(),
        Does::Flow => {
            let schedule = function.schedule.unwrap_or("rate(1 minute)");
            format!(
                "      Events:\n        Schedule:\n          Type: Schedule\n          Properties:\n            \
                 Schedule: {schedule}\n            DeadLetterConfig:\n              Arn: !GetAtt UndeliveredDlq.Arn\n"
            )
        }
        Does::Relay => format!(
            "      Events:\n        Outbox:\n          Type: DynamoDB\n          Properties:\n            \
             Stream: !GetAtt EventsTable.StreamArn\n            StartingPosition: TRIM_HORIZON\n            \
             BatchSize: 100\n            ParallelizationFactor: 10\n            MaximumRecordAgeInSeconds: 21600\n            \
             MaximumRetryAttempts: 100\n            \
             BisectBatchOnFunctionError: true\n            DestinationConfig:\n              OnFailure:\n                \
             Type: SQS\n                Destination: !GetAtt {}.Arn\n",
            queue_resource(&dead_letter_queue(function.name))
        ),
        Does::Commands
        | Does::Sagas
        | Does::Steps
        | Does::Signals
        | Does::Timers
        | Does::Views
        | Does::Triage => {
            let named = |queue: &String| match function.queue {
                Some(own) if own.name == queue => "Queue".to_owned(),
                _ => queue_resource(queue),
            };
            let mapped: String = reads.iter().map(|queue| mapping(&named(queue), queue, consumers)).collect();
            format!("      Events:\n{mapped}")
        }
    }
}

/// The log group of a function, and the role that lets it do what it is there for. SAM would give it managed policies on every
/// queue and table of the account, unless it has a role of its own.
fn policies<A: Application>(function: &Function, reads: &[String], sends: &[String]) -> String {
    let does = function.does;
    let mut text = format!(
        "  {0}Logs:\n    Type: AWS::Logs::LogGroup\n    Properties:\n      RetentionInDays: !Ref LogRetentionDays\n  \
         {0}Role:\n    Type: AWS::IAM::Role\n    Properties:\n      AssumeRolePolicyDocument:\n        \
         Version: \"2012-10-17\"\n        Statement:\n        - Effect: Allow\n          Principal:\n            \
         Service: lambda.amazonaws.com\n          Action: sts:AssumeRole\n      Policies:\n        - PolicyName: own\n          \
         PolicyDocument:\n            Version: \"2012-10-17\"\n            Statement:\n",
        logical(function.name)
    );
    let logs = ["logs:CreateLogStream".to_owned(), "logs:PutLogEvents".to_owned()];
    text += &allow(&logs, &[format!("!GetAtt {}Logs.Arn", logical(function.name))]);
    if !reads.is_empty() {
        let actions =
            ["ReceiveMessage", "DeleteMessage", "GetQueueAttributes"].map(|name| format!("sqs:{name}"));
        text += &allow(&actions, &arns(reads));
    }
    if does == Does::Relay {
        let actions = ["DescribeStream", "GetRecords", "GetShardIterator", "ListStreams"]
            .map(|name| format!("dynamodb:{name}"));
        text += &allow(&actions, &["!GetAtt EventsTable.StreamArn".to_owned()]);
    }
    for (table, actions) in tables(does) {
        let appends = *table == "EventsTable" && actions.contains(&"PutItem");
        let actions = actions.iter().filter(|action| !(appends && **action == "PutItem"));
        let actions: Vec<String> = actions.map(|action| format!("dynamodb:{action}")).collect();
        let mut resources = vec![format!("!GetAtt {table}.Arn")];
        if does == Does::Queries && *table == "ViewsTable" {
            resources.push("!Sub ${ViewsTable.Arn}/index/by-group".to_owned());
        }
        text += &allow(&actions, &resources);
        if appends {
            text += &allow(&["dynamodb:PutItem".to_owned()], &resources);
            text += "              Condition:\n                ForAllValues:StringLike:\n                  dynamodb:LeadingKeys:\n";
            for category in writes::<A>(does) {
                let _ = writeln!(text, "                  - \"{category}#*\"");
            }
        }
    }
    if matches!(does, Does::Relay | Does::Triage) {
        text += &allow(&["events:PutEvents".to_owned()], &["!GetAtt EventBus.Arn".to_owned()]);
    }
    if let Some(queue) = function.queue {
        text += &allow(&["sqs:ChangeMessageVisibility".to_owned()], &arns(&[queue.name.to_owned()]));
    }
    if !sends.is_empty() {
        text += &allow(&["sqs:SendMessage".to_owned()], &arns(sends));
    }
    text
}

/// Where EventBridge puts what it could not start a function with. Triage does not read it: there is nothing to do again.
fn undelivered(function: &Function) -> String {
    dead_letters("undelivered-dlq")
        + &format!(
            "  UndeliveredDlqPolicy:\n    Type: AWS::SQS::QueuePolicy\n    Properties:\n      Queues:\n        \
             - !Ref UndeliveredDlq\n      PolicyDocument:\n        Version: \"2012-10-17\"\n        Statement:\n          \
             - Effect: Allow\n            Principal:\n              Service: events.amazonaws.com\n            \
             Action: sqs:SendMessage\n            Resource: !GetAtt UndeliveredDlq.Arn\n            Condition:\n              \
             ArnEquals:\n                aws:SourceArn: !GetAtt {}FunctionSchedule.Arn\n",
            logical(function.name)
        )
}

/// The categories of streams that a function appends to.
fn writes<A: Application>(does: Does) -> Vec<&'static str> {
    let sagas = Register::<A>::that(Does::Sagas).and_then(|sagas| sagas.queue).map(|queue| queue.name);
    let failures = <<Failures as Entity>::Decider as Decider>::CATEGORY;
    let flows = <<Flows as Entity>::Decider as Decider>::CATEGORY;
    let categories = Register::<A>::categories().into_iter();
    let written = categories.filter(|category| {
        let saga = sagas.is_some() && category.timers_to == sagas;
        match does {
            Does::Sagas => saga,
            Does::Triage => category.name == failures,
            Does::Flow => category.name == flows,
            Does::Commands => category.name != flows,
            Does::Steps => !saga && category.name != failures && category.name != flows,
            Does::Signals | Does::Relay | Does::Timers | Does::Views | Does::Queries => false,
        }
    });
    written.map(|category| category.name).collect()
}

/// What flow control may do beside the rest: look at the queues, and change how many consumers they have.
fn flow_policies<A: Application>(watched: &[String]) -> String {
    let mapping = |(_, function): (&Queue, &Function)| {
        format!(
            "!Sub arn:${{AWS::Partition}}:lambda:${{AWS::Region}}:${{AWS::AccountId}}:event-source-mapping:${{{}}}",
            mapping_resource(function)
        )
    };
    let mappings: Vec<String> = self::watched::<A>().map(mapping).collect();
    allow(&["sqs:GetQueueAttributes".to_owned()], &arns(watched))
        + &allow(
            &["lambda:GetEventSourceMapping".to_owned(), "lambda:UpdateEventSourceMapping".to_owned()],
            &mappings,
        )
}

fn allow(actions: &[String], resources: &[String]) -> String {
    let mut text = "            - Effect: Allow\n              Action:\n".to_owned();
    for action in actions {
        let _ = writeln!(text, "                - {action}");
    }
    text += "              Resource:\n";
    for resource in resources {
        let _ = writeln!(text, "                - {resource}");
    }
    text
}

fn arns(queues: &[String]) -> Vec<String> {
    queues.iter().map(|queue| format!("!GetAtt {}.Arn", queue_resource(queue))).collect()
}

fn outputs<A: Application>() -> String {
    let queues =
        Register::<A>::queues().flat_map(|(queue, _)| [queue.name.to_owned(), dead_letter_queue(queue.name)]);
    let queues: Vec<String> = queues.chain([Register::<A>::relay_failures()]).collect();
    let mut text =
        format!("  QueueUrls:\n    Value: !Sub |-\n      {{\n{}      }}\n", urls(queues.iter(), 8));
    for function in A::FUNCTIONS {
        let _ = write!(text, "  {0}Function:\n    Value: !Ref {0}Function\n", logical(function.name));
    }
    text
}
