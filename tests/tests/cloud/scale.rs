//! Many at once.

use hostler_localstack::needs;
use std::time::{Duration, Instant};

use crate::ledger::Ledger;
use crate::world::World;

const HOSTS: usize = 200;

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_hosts_at_once_and_the_books_add_up() {
    needs!(Functions, Processes, HttpApi);
    let world = World::start_alone(HOSTS).await;
    let begun = Instant::now();
    world.enrol_within(Duration::from_secs(400), "web").await;
    println!("{HOSTS} hosts enrolled, verified and cleaned in {:.1?}", begun.elapsed());
    let begun = Instant::now();
    world.request("r-1", "web", HOSTS as u32).await;
    let sagas = world.settled_within(Duration::from_secs(400), "r-1", HOSTS).await;
    println!("{HOSTS} sagas ended in {:.1?}", begun.elapsed());
    world.at_rest().await;
    let ledger = Ledger::read(&world).await;
    ledger.print();
    ledger.check_exact();
    let completed = sagas.iter().filter(|saga| saga["status"] == "completed").count();
    let compensated = sagas.iter().filter(|saga| saga["status"] == "compensated").count();
    println!("{completed} completed, {compensated} compensated");
    assert_eq!(completed + compensated, HOSTS);
    assert_eq!(ledger.count("host.in-service"), completed);
}
