//! `functions`: what is deployed, and calling one function by itself.

mod args;
mod invoke;
mod list;
mod samples;

use std::collections::BTreeMap;

pub(crate) use args::FunctionsArgs;
use args::FunctionsVerb;
use samples::Samples;

use crate::error::CliError;
use crate::output::Out;
use crate::target::{Global, Target};

/// Does what the verb says.
pub(crate) async fn run(args: FunctionsArgs, global: &Global, out: Out) -> Result<(), CliError> {
    let target = Target::open(global).await?;
    let samples = Samples::read(global.application().ok().as_ref())?;
    match args.verb {
        FunctionsVerb::List(args) => list::run(&args, &target, &samples, out),
        FunctionsVerb::Invoke(args) => invoke::run(args, &target, &samples, out).await,
    }
}

/// The deployed functions by name, and what AWS calls each. The template's outputs name them: `AnswerQueriesFunction`
/// is `answer-queries`.
fn functions(target: &Target) -> BTreeMap<String, String> {
    let named = |(output, physical): (&String, &String)| {
        let name = output.strip_suffix("Function").filter(|name| !name.is_empty())?;
        Some((kebab(name), physical.clone()))
    };
    target.outputs().iter().filter_map(named).collect()
}

/// `AnswerQueries` as `answer-queries`.
fn kebab(name: &str) -> String {
    let mut text = String::new();
    for (place, letter) in name.chars().enumerate() {
        if letter.is_uppercase() && place > 0 {
            text.push('-');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_named_by_their_outputs() {
        assert_eq!(kebab("AnswerQueries"), "answer-queries");
        assert_eq!(kebab("RelayOutbox"), "relay-outbox");
    }
}
