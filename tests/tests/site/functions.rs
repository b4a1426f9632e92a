//! All functions of a site, wired to its ports as their `main.rs` wires them.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use accept_commands::AcceptCommands;
use assess_hosts::{AssessHosts, KnownAdvisories};
use async_trait::async_trait;
use configure_host::ConfigureHost;
use deploy_host::{Candidates, DeployHost, DeploySettings};
use hostler_app::{FollowedPolicies, Hostler, Settings, UnhealthyHosts};
use hostler_core::{Failure, Incoming};
use hostler_drivers::memory::{self, busy};
use hostler_drivers::{
    ApplyRole, Applying, At, ChangeOrder, Changing, Checking, Configuration, ControlState, Deregistered,
    DriverError, FirstSample, HostAsked, LoadBalancer, Monitoring, PackageList, Packages, Patience,
    PlainConfiguration, PlainLoadBalancer, PlainMonitoring, PlainPackages, RegisterHost, Registered,
    RestartService, RunCommandConfiguration, Services, TrafficServer,
};
use hostler_events::{Image, ProvisioningPolicy};
use hostler_runtime::messages::batch::Handler;
use hostler_runtime::operations::flow::Backpressure;
use hostler_runtime::ports::Clock;
use hostler_runtime::serving::bearer::BearerToken;
use hostler_runtime::serving::callback::CallbackKey;
use hostler_runtime::serving::http::{HttpHandler, Request, Response};
use hostler_testkit::world::{Callers, Own, Ports, Switch};
use ingest_signals::IngestSignals;
use jiff::Timestamp;
use monitor_host::{MonitorHost, OutOfBand};
use patch_fleet::PatchFleet;
use patch_host::PatchHost;
use recover_hosts::RecoverHosts;
use restart_service::RestartServices;
use scale_pools::ScalePools;
use serde_json::{Value, json};
use shift_traffic::ShiftTraffic;
use watch_inventory::WatchInventory;

use super::Fleet;
use super::fleet::Faults;
use super::nodes::Chosen;

/// How many hosts a request may ask for without a second person's word.
pub const APPROVAL_ABOVE: u32 = 60;
/// What senders of signals show.
pub const SIGNAL_TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// How long changes of power are waited for.
const PATIENCE: Patience =
    Patience { deadline: Duration::from_secs(60), poll_interval: Duration::from_millis(1) };

/// All that is asked over HTTP: what other systems tell, and the rest.
pub struct Edges {
    commands: AcceptCommands,
    signals: Arc<IngestSignals>,
}

#[async_trait]
impl Handler for Edges {
    async fn handle(&self, message: &Incoming) -> Result<(), Failure> {
        self.commands.handle(message).await
    }
}

#[async_trait]
impl HttpHandler for Edges {
    async fn answer(&self, request: &Request) -> Response {
        match request.segments()[..] {
            ["signals", _] => self.signals.answer(request).await,
            _ => self.commands.answer(request).await,
        }
    }
}

pub fn wire(ports: &Ports, fleet: &Fleet) -> (Arc<Edges>, Own) {
    let (control, clock, switch) = (&ports.control, &ports.clock, &ports.switch);
    let worker = || ports.worker::<Hostler>();
    let callback_key = CallbackKey::new(b"0123456789abcdef0123456789abcdef").unwrap();
    let accept_commands = AcceptCommands::new(
        ports.shell::<Hostler>(),
        Backpressure::new(control.clone(), clock.clone()),
        control.clone(),
        callback_key.clone(),
        Settings { approval_above: Some(APPROVAL_ABOVE), ..Settings::default() },
    );
    let (views, bmcs) = (ports.views.clone(), Arc::new(fleet.bmcs.clone()));
    let out_of_band = OutOfBand { bmcs: bmcs.clone(), login: memory::login(), patience: PATIENCE };
    let (candidates, settings) = (Candidates::new(views), settings(callback_key.clone()));
    let deploy_host = DeployHost { worker: worker(), candidates, bmcs, settings };
    let configuration = PlainConfiguration::new(ControlState(control.clone()));
    let configuration = Flaky { inner: configuration, switch: switch.clone() };
    let nodes = Arc::new(fleet.nodes.clone());
    let roles = "https://s3.test/roles/web".parse().unwrap();
    let run_command = RunCommandConfiguration::new(nodes.clone(), nodes, roles);
    let configuration =
        Chosen { nodes: fleet.nodes.clone(), run_command: run_command.clone(), otherwise: configuration };
    let configure_host = ConfigureHost {
        worker: worker(),
        configuration: Arc::new(configuration),
        run_command: Some(run_command),
        callback_key: callback_key.clone(),
        policies: FollowedPolicies::new(ports.shell::<Hostler>()),
    };
    let monitoring = PlainMonitoring::new(ControlState(control.clone()), clock.clone());
    let monitoring = Flaky { inner: monitoring, switch: switch.clone() };
    let monitoring = Faulty {
        inner: monitoring,
        faults: fleet.faults.clone(),
        clock: clock.clone(),
        switch: switch.clone(),
    };
    let monitor_host = MonitorHost { worker: worker(), monitoring: Arc::new(monitoring), out_of_band };
    let balancer = PlainLoadBalancer::new(ControlState(control.clone()));
    let balancer = Flaky { inner: balancer, switch: switch.clone() };
    let balancer = Loaded { inner: balancer, faults: fleet.faults.clone() };
    let shift_traffic = ShiftTraffic { worker: worker(), balancer: Arc::new(balancer) };
    let recover_hosts = RecoverHosts {
        shell: ports.shell::<Hostler>(),
        policies: FollowedPolicies::new(ports.shell::<Hostler>()),
        unhealthy: UnhealthyHosts::new(ports.shell::<Hostler>(), ports.views.clone()),
        provisioning: ProvisioningPolicy::default(),
    };
    let services = Arc::new(Agents { faults: fleet.faults.clone(), switch: switch.clone() });
    let restart_services = RestartServices { worker: worker(), services };
    let ingest_signals = Arc::new(IngestSignals {
        clock: clock.clone(),
        ids: ports.ids.clone(),
        queues: ports.queues.clone(),
        integrity: Arc::default(),
        token: BearerToken::new(SIGNAL_TOKEN.as_bytes()).unwrap(),
    });
    let shell = ports.shell::<Hostler>();
    let policies = FollowedPolicies::new(shell.clone());
    let provisioning = ProvisioningPolicy::default();
    let views = ports.views.clone();
    let unhealthy = UnhealthyHosts::new(shell.clone(), views.clone());
    let packages = PlainPackages::new(ControlState(control.clone()), clock.clone());
    let packages = Flaky { inner: packages, switch: switch.clone() };
    let (faults, callers) = (fleet.faults.clone(), ports.callers.clone());
    let packages = Arc::new(Disks { inner: packages, faults, callers, pending: Mutex::default() });
    let patch_host =
        PatchHost { worker: worker(), packages: packages.clone(), callback_key: callback_key.clone() };
    let assess_hosts = AssessHosts {
        worker: worker(),
        packages,
        views: views.clone(),
        known: KnownAdvisories::new(shell.clone(), views.clone()),
        policies: policies.clone(),
    };
    let scale_pools = ScalePools { shell, views, unhealthy, policies, provisioning };
    let patch_fleet = PatchFleet {
        shell: ports.shell::<Hostler>(),
        views: ports.views.clone(),
        unhealthy: UnhealthyHosts::new(ports.shell::<Hostler>(), ports.views.clone()),
        policies: FollowedPolicies::new(ports.shell::<Hostler>()),
    };
    let watch_inventory = WatchInventory {
        shell: ports.shell::<Hostler>(),
        views: ports.views.clone(),
        breakers: worker().breakers,
        policies: FollowedPolicies::new(ports.shell::<Hostler>()),
        bmcs: Arc::new(fleet.bmcs.clone()),
        bmc_login: memory::login(),
    };
    let own: Own = vec![
        ("deploy-host", Arc::new(deploy_host)),
        ("configure-host", Arc::new(configure_host)),
        ("monitor-host", Arc::new(monitor_host)),
        ("shift-traffic", Arc::new(shift_traffic)),
        ("recover-hosts", Arc::new(recover_hosts)),
        ("restart-service", Arc::new(restart_services)),
        ("ingest-signals", ingest_signals.clone()),
        ("scale-pools", Arc::new(scale_pools)),
        ("patch-fleet", Arc::new(patch_fleet)),
        ("assess-hosts", Arc::new(assess_hosts)),
        ("patch-host", Arc::new(patch_host)),
        ("watch-inventory", Arc::new(watch_inventory)),
    ];
    (Arc::new(Edges { commands: accept_commands, signals: ingest_signals }), own)
}

fn settings(callback_key: CallbackKey) -> DeploySettings {
    DeploySettings {
        image_url: "http://images.test".to_owned(),
        cleaning_image: Image::new("cleaner").unwrap(),
        callback_url: "http://api.test/callbacks/boot".to_owned(),
        callback_key,
        bmc_login: memory::login(),
        patience: PATIENCE,
    }
}

/// A driver whose calls fail by chance, or because what it drives is down.
struct Flaky<T> {
    inner: T,
    switch: Switch,
}

impl<T> Flaky<T> {
    fn check(&self, dependency: &'static str) -> Result<(), DriverError> {
        if self.switch.call_fails(dependency) { Err(busy(dependency)) } else { Ok(()) }
    }
}

#[async_trait]
impl<T: Configuration> Configuration for Flaky<T> {
    fn calls_back(&self) -> bool {
        self.inner.calls_back()
    }

    async fn apply_role(&self, request: &ApplyRole) -> Result<Applying, DriverError> {
        let _worked_on = self.switch.work_on(&format!("configuration of {}", request.host)).await;
        self.check("configuration")?;
        self.inner.apply_role(request).await
    }

    async fn check_role(&self, request: &ApplyRole) -> Result<Checking, DriverError> {
        let _worked_on = self.switch.work_on(&format!("configuration of {}", request.host)).await;
        self.check("configuration")?;
        self.inner.check_role(request).await
    }
}

#[async_trait]
impl<T: Packages> Packages for Flaky<T> {
    async fn list(&self, host: &HostAsked) -> Result<PackageList, DriverError> {
        self.check("configuration")?;
        self.inner.list(host).await
    }

    async fn change(&self, order: &ChangeOrder) -> Result<Changing, DriverError> {
        let _worked_on = self.switch.work_on(&format!("configuration of {}", order.host.host)).await;
        self.check("configuration")?;
        self.inner.change(order).await
    }
}

#[async_trait]
impl<T: Monitoring> Monitoring for Flaky<T> {
    async fn register(&self, request: &RegisterHost) -> Result<Registered, DriverError> {
        let _worked_on = self.switch.work_on(&format!("monitoring of {}", request.host)).await;
        self.check("monitoring")?;
        self.inner.register(request).await
    }

    async fn first_sample(&self, host: &str, not_before: Timestamp) -> Result<FirstSample, DriverError> {
        self.inner.first_sample(host, not_before).await
    }

    async fn newest_sample(&self, host: &str, not_before: Timestamp) -> Result<FirstSample, DriverError> {
        self.check("monitoring")?;
        self.inner.newest_sample(host, not_before).await
    }

    async fn deregister(&self, host: &str) -> Result<Deregistered, DriverError> {
        self.check("monitoring")?;
        self.inner.deregister(host).await
    }
}

#[async_trait]
impl<T: LoadBalancer> LoadBalancer for Flaky<T> {
    async fn join(&self, server: &TrafficServer) -> Result<(), DriverError> {
        let _worked_on = self.switch.work_on(&format!("traffic of {}", server.host)).await;
        self.check("load-balancer")?;
        self.inner.join(server).await
    }

    async fn drain(&self, server: &TrafficServer) -> Result<(), DriverError> {
        self.check("load-balancer")?;
        self.inner.drain(server).await
    }

    async fn sessions(&self, server: &TrafficServer) -> Result<Option<u64>, DriverError> {
        self.check("load-balancer")?;
        self.inner.sessions(server).await
    }

    async fn leave(&self, server: &TrafficServer) -> Result<(), DriverError> {
        self.check("load-balancer")?;
        self.inner.leave(server).await
    }
}

/// The disks of hosts: some versions do them no good, and a reboot makes what was installed work.
struct Disks<T> {
    inner: T,
    faults: Faults,
    callers: Callers,
    /// How often the power of a host had been switched when it began to ask for a reboot.
    pending: Mutex<BTreeMap<String, u32>>,
}

#[async_trait]
impl<T: Packages> Packages for Disks<T> {
    async fn list(&self, host: &HostAsked) -> Result<PackageList, DriverError> {
        let list = self.inner.list(host).await?;
        let since = self.pending.lock().unwrap().get(&host.host).copied();
        let is_rebooted = since.is_some_and(|since| self.faults.resets(&host.host) >= since + 2);
        Ok(PackageList { reboot_pending: list.reboot_pending && !is_rebooted, ..list })
    }

    async fn change(&self, order: &ChangeOrder) -> Result<Changing, DriverError> {
        let host = &order.host.host;
        let before = self.faults.installed(host);
        let changing = self.inner.change(order).await;
        // What is installed is installed, also where its answer is lost.
        for (package, version) in self.faults.installed(host) {
            if before.get(&package) != Some(&version) {
                self.faults.has_version(host, &version);
            }
        }
        if let Ok(Changing::Done(changed)) = &changing
            && changed.reboot_pending
        {
            self.pending.lock().unwrap().entry(host.clone()).or_insert(self.faults.resets(host));
        }
        match self.faults.install_seconds.load(Ordering::Relaxed) {
            0 => changing,
            seconds => Ok(self.told_later(order, changing, Duration::from_secs(seconds.into()))),
        }
    }
}

impl<T> Disks<T> {
    /// A runner tells the end, after so long.
    fn told_later(
        &self,
        order: &ChangeOrder,
        ended: Result<Changing, DriverError>,
        after: Duration,
    ) -> Changing {
        let mut body = match ended {
            Ok(Changing::Begun) => return Changing::Begun,
            Ok(Changing::Done(done)) => {
                let changed = done.changed.into_iter();
                let changed: Vec<Value> = changed
                    .map(|(package, from, to)| json!({ "package": package, "from": from, "to": to }))
                    .collect();
                json!({ "outcome": "succeeded", "changed": changed, "rebootPending": done.reboot_pending })
            }
            Err(error) => json!({ "outcome": "failed", "message": error.to_string() }),
        };
        body["state"] = json!("packages-changed");
        let query = [("host", &order.host.host), ("step", &order.step), ("token", &order.token)];
        let request = Request {
            method: "POST".to_owned(),
            path: "/callbacks/configuration".to_owned(),
            query: query.map(|(name, value)| (name.to_owned(), value.clone())).into(),
            body: body.to_string(),
            ..Request::default()
        };
        self.callers.call_if_there(after, request, || true);
        Changing::Begun
    }
}

/// A load balancer whose hosts have as many requests as the fleet says.
struct Loaded<T> {
    inner: T,
    faults: Faults,
}

#[async_trait]
impl<T: LoadBalancer> LoadBalancer for Loaded<T> {
    async fn join(&self, server: &TrafficServer) -> Result<(), DriverError> {
        self.inner.join(server).await
    }

    async fn drain(&self, server: &TrafficServer) -> Result<(), DriverError> {
        self.inner.drain(server).await
    }

    async fn sessions(&self, server: &TrafficServer) -> Result<Option<u64>, DriverError> {
        let counted = self.inner.sessions(server).await?;
        let more = self.faults.requests.lock().unwrap().get(&server.host).copied().unwrap_or_default();
        Ok(counted.map(|counted| counted + more))
    }

    async fn leave(&self, server: &TrafficServer) -> Result<(), DriverError> {
        self.inner.leave(server).await
    }
}

/// The agents on the hosts, each of which has one service.
struct Agents {
    faults: Faults,
    switch: Switch,
}

#[async_trait]
impl Services for Agents {
    async fn restart(&self, request: &RestartService) -> Result<(), DriverError> {
        let _worked_on = self.switch.work_on(&format!("services of {}", request.host)).await;
        if self.switch.call_fails("agents") {
            return Err(busy("agents"));
        }
        let done = async { self.faults.restart(&request.host, &request.service, &request.order) };
        self.switch.write("restart", &request.host, done, || Err(busy("agents"))).await
    }
}

/// A monitoring that sees which hosts are broken. Where it takes a sample only now and then, it says nothing while it is away.
struct Faulty<T> {
    inner: T,
    faults: Faults,
    clock: Arc<dyn Clock>,
    switch: Switch,
}

impl<T> Faulty<T> {
    /// Whether there is a sample since then. None yet is no outage: the next one comes.
    fn check_sample(&self, not_before: Timestamp) -> Result<(), DriverError> {
        let scrape = i64::from(self.faults.scrape_seconds.load(Ordering::Relaxed));
        if scrape == 0 {
            return Ok(());
        }
        if self.switch.is_down("monitoring") {
            return Err(busy("monitoring"));
        }
        let now = self.clock.now().as_second();
        if now - now.rem_euclid(scrape) >= not_before.as_second() {
            return Ok(());
        }
        Err(DriverError::StepFailed {
            at: At { system: "monitoring".to_owned(), doing: "looking at a sample" },
            reason: format!("there is no sample since {not_before}"),
            transient: true,
        })
    }
}

#[async_trait]
impl<T: Monitoring> Monitoring for Faulty<T> {
    async fn register(&self, request: &RegisterHost) -> Result<Registered, DriverError> {
        self.inner.register(request).await
    }

    async fn first_sample(&self, host: &str, not_before: Timestamp) -> Result<FirstSample, DriverError> {
        self.check_sample(not_before)?;
        let sample = self.inner.first_sample(host, not_before).await?;
        Ok(FirstSample { healthy: sample.healthy && self.faults.is_well(host), ..sample })
    }

    async fn newest_sample(&self, host: &str, not_before: Timestamp) -> Result<FirstSample, DriverError> {
        self.check_sample(not_before)?;
        let sample = self.inner.newest_sample(host, not_before).await?;
        Ok(FirstSample { healthy: sample.healthy && self.faults.is_well(host), ..sample })
    }

    async fn deregister(&self, host: &str) -> Result<Deregistered, DriverError> {
        self.inner.deregister(host).await
    }
}
