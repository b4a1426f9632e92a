//! A plan that sees its order: a step for each line.

use hostler_core::Category;
use hostler_core::saga::Outgoing;
use serde_json::json;

use super::basket::{BasketRun, basket};
use super::{cancel, failed, succeed};

fn of_lines(lines: u32) -> BasketRun {
    let mut run = BasketRun::new();
    run.tell(&basket(lines, false));
    run
}

#[test]
fn each_line_has_a_step_of_its_own() {
    let run = of_lines(4);
    assert_eq!(run.asked(), ["reserve"; 4]);
    assert_eq!(run.at("reserve.3").as_str(), "b-1/reserve.3/1");
    let Some(Outgoing::Step(command)) = run.commands.last() else { panic!("{:?}", run.commands) };
    assert_eq!((command.id.as_str(), &command.input), ("b-1/reserve.3/1", &json!(3)));
}

#[test]
fn a_plan_may_have_no_line_at_all() {
    assert!(of_lines(0).is_at("authorize"));
}

#[test]
fn the_lines_that_were_done_are_undone_each_by_itself() {
    let mut run = of_lines(3);
    succeed(&mut run, &["reserve.2", "reserve.0"]);
    let last = run.at("reserve.1");
    run.tell(&failed(last, Category::Business));
    assert_eq!(run.at("release.0").as_str(), "b-1/release.0/1");
    succeed(&mut run, &["release.0", "release.2"]);
    assert_eq!(run.undone(), ["release.0", "release.2"]);
    assert!(run.state.status.is_over());
}

#[test]
fn lines_are_skipped_by_their_full_name() {
    let mut run = of_lines(2);
    let first = run.at("reserve.0");
    run.tell(&failed(first, Category::Transient));
    assert_eq!(super::refused(&run, &super::skip("reserve")), "not-at-step");
    run.tell(&super::skip("reserve.0"));
    run.tell(&cancel());
    succeed(&mut run, &["reserve.1", "release.1"]);
    assert_eq!(run.undone(), ["release.1"]);
}
