//! A shop: orders are checked, approved, paid, packed and shipped; what was done is undone when one of it fails.
//!
//! It is the application that `docs/tutorial.md` walks through, and it uses nothing but `hostler`.
#![allow(missing_docs, reason = "the fields of an example's records say what they are")]

pub mod fraud;
pub mod mail;
pub mod operations;
pub mod order;
pub mod outside;
pub mod payment;
pub mod shipment;
pub mod stock;

use hostler::prelude::*;

pub use operations::{ShopCommand, operations};

/// The register: what the shop consists of.
pub struct Shop;

impl Application for Shop {
    const SOURCE: &'static str = "shop";

    const FUNCTIONS: &'static [Function] = &[
        Function::commands("accept-commands"),
        Function::sagas("run-sagas"),
        Function::steps("check-fraud"),
        Function::steps("manage-stock").hears(&["stock.ran-low"]),
        Function::steps("take-payments").needs(&["payments"]),
        Function::steps("ship-parcels").needs(&["courier"]),
        Function::steps("send-mails").needs(&["mail"]),
        Function::timers("fire-timers"),
        Function::views("project-views"),
        Function::triage("triage-failures").consumers(5),
        Function::flow("watch-flow", "rate(1 minute)"),
        Function::relay("relay-outbox"),
        Function::queries("answer-queries"),
    ];

    type Operations = ShopCommand;

    fn entities(each: &mut impl Entities) {
        each.saga::<order::Orders>();
        each.saga::<shipment::Shipments>();
        each.viewed::<stock::Items>();
        each.hidden::<fraud::Cards>();
    }
}
