//! The command line: the local cloud up and down, requests, tables, timelines.
fn main() {}
