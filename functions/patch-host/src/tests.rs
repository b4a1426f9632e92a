//! What is changed, orders that come late, and a runner that reports, on the ports in memory.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use std::sync::Mutex;

use hostler_domain::host::{Cordon, Patch};
use hostler_domain::{HostPhase, PowerCycle};
use hostler_drivers::{DriverError, Installed, PackageList};
use hostler_events::patching::{ChangePackages, InstallPackages, RollBackPackages};
use hostler_runtime::effects::breakers::Breakers;
use hostler_runtime::effects::once::Once;
use hostler_runtime::effects::steps::{Step, Wanted};
use hostler_runtime::state::shell::Shell;
use hostler_testkit::memory::{MemoryControl, MemoryLeases, MemoryStore};
use hostler_testkit::{SeededIds, TestClock};
use jiff::Timestamp;

use super::*;
use crate::install::found;

/// A runner that notes what it is handed.
#[derive(Default)]
struct Runner(Mutex<Vec<ChangeOrder>>);

#[async_trait]
impl Packages for Runner {
    async fn list(&self, _: &HostAsked) -> Result<PackageList, DriverError> {
        Ok(list(&[("openssl", "1.0")]))
    }

    async fn change(&self, order: &ChangeOrder) -> Result<Changing, DriverError> {
        self.0.lock().unwrap().push(order.clone());
        Ok(Changing::Begun)
    }
}

fn list(packages: &[(&str, &str)]) -> PackageList {
    let installed = |(name, version): &(&str, &str)| Installed {
        name: (*name).to_owned(),
        version: (*version).to_owned(),
        architecture: "amd64".to_owned(),
        source: None,
        source_version: None,
    };
    let packages = packages.iter().map(installed).collect();
    PackageList { packages, reboot_pending: false, observed_at: Timestamp::UNIX_EPOCH }
}

fn fix(package: &str, version: &str) -> Fix {
    Fix { package: package.to_owned(), version: version.to_owned() }
}

fn patch_host(runner: Arc<Runner>) -> PatchHost {
    let (clock, ids) = (Arc::new(TestClock::default()), Arc::new(SeededIds::default()));
    let shell = Shell::new(Arc::new(MemoryStore::default()), clock.clone(), ids.clone(), "hostler");
    let once = Once::new(Arc::new(MemoryLeases::default()), clock.clone(), ids.clone());
    let breakers = Breakers::new(Arc::new(MemoryControl::default()), clock, ids);
    let callback_key = CallbackKey::new(b"0123456789abcdef0123456789abcdef").unwrap();
    PatchHost { worker: StepWorker { shell, once, breakers }, packages: runner, callback_key }
}

fn saga() -> SagaRef {
    "patching#c-1.h-1".parse().unwrap()
}

fn step() -> StepId {
    StepId::new("c-1.h-1/install-packages/1").unwrap()
}

/// A host that this saga has cordoned, with what goes on there.
fn cordoned(saga: &SagaRef, patch: Patch) -> HostState {
    let (saga, reason) = (saga.clone(), "patched".to_owned());
    let cordon = Cordon { saga, reason, power_cycle: PowerCycle::NotBegun, restarted: None, patch };
    HostState { phase: HostPhase::InService, cordon: Some(cordon), ..HostState::default() }
}

fn running(change: PackageChangeKind) -> Patch {
    let running = RunningChange { step: step(), change, to: vec![fix("openssl", "1.1")] };
    Patch { running: Some(running), ..Patch::default() }
}

#[test]
fn a_package_that_a_host_does_not_have_is_left_alone_and_so_is_one_that_has_its_version() {
    let fixes = [fix("openssl", "1.1"), fix("curl", "8"), fix("zlib1g", "3")];
    let (before, to) = found(&fixes, &list(&[("openssl", "1.0"), ("zlib1g", "3"), ("bash", "5")]));
    assert_eq!((before, to), (vec![fix("openssl", "1.0")], vec![fix("openssl", "1.1")]));
    assert_eq!(found(&fixes, &list(&[])), (Vec::new(), Vec::new()));
}

#[test]
fn an_order_that_comes_late_changes_no_packages() {
    let (function, host) = (patch_host(Arc::default()), HostId::new("h-1").unwrap());
    let install = InstallPackages { saga: saga(), step: step(), host: host.clone(), fixes: Vec::new() };
    let change = ChangePackages { saga: saga(), step: step(), host: host.clone() };
    let back = RollBackPackages { saga: saga(), step: step(), host };
    let wants = |state: &HostState| {
        [
            function.is_wanted(&install, state) == Wanted::Yes,
            function.is_wanted(&change, state) == Wanted::Yes,
            function.is_wanted(&back, state) == Wanted::Yes,
        ]
    };
    assert_eq!(wants(&cordoned(&saga(), Patch::default())), [true, false, false]);
    let goes_on = cordoned(&saga(), running(PackageChangeKind::Install));
    assert_eq!(wants(&goes_on), [false, true, true]);
    let other = "patching#c-2.h-1".parse().unwrap();
    for late in [
        cordoned(&other, running(PackageChangeKind::Install)),
        HostState { cordon: None, ..goes_on.clone() },
        HostState { phase: HostPhase::Draining, ..goes_on.clone() },
    ] {
        assert_eq!(wants(&late), [false, false, false], "{:?}", late.cordon);
    }
}

#[tokio::test]
async fn a_runner_is_handed_what_is_on_record_with_a_token_of_its_step() {
    let runner = Arc::new(Runner::default());
    let function = patch_host(runner.clone());
    let (host, running) = (HostId::new("h-1").unwrap(), running(PackageChangeKind::RollBack));
    let state = cordoned(&saga(), running.clone());
    let begun = function.change(&host, &state, &saga(), &running.running.unwrap()).await.unwrap();
    assert!(changed(&saga(), &step(), begun).is_empty(), "its report is what is recorded");
    let orders = runner.0.lock().unwrap().clone();
    let [order] = &orders[..] else { panic!("{orders:?}") };
    assert!(order.roll_back);
    assert_eq!(
        order.packages,
        [hostler_drivers::Wanted { package: "openssl".into(), version: "1.1".into() }]
    );
    let stream = StreamId::new(HostDecider::CATEGORY, "h-1").unwrap();
    assert!(function.callback_key.verify(&stream, &step(), &order.token));
}
