//! What happens to a host, in words.

use hostler_events::HostEvent;
use hostler_events::host::{BootMethod, HostInspected, PowerState, RoleRun, RunOutcome, TaskResult};

use crate::render::describe::{Line, Mark};
use crate::render::describe_drift;
use crate::render::describe_packages as packages;

/// What happened to a host.
pub(super) fn host(event: &HostEvent) -> Line {
    match event {
        HostEvent::Enrolled(it) => {
            let text = format!(
                "enrolled into pool {} as {} in {}; BMC check asked for",
                it.pool, it.sku, it.fault_domain
            );
            Line::new(Mark::Begun, text)
        }
        HostEvent::Verified(it) => {
            Line::new(Mark::Done, format!("its BMC answers; power is {}", power(it.power_state)))
        }
        HostEvent::Inspected(it) => Line::new(Mark::Done, format!("inspected: {}", hardware(it))),
        HostEvent::VerificationFailed(it) => {
            Line::new(Mark::Failed, format!("BMC check failed in attempt {}: {}", it.attempt, it.reason))
        }
        HostEvent::Labelled(it) => {
            let labels: Vec<String> = it.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
            let labels = if labels.is_empty() { "none".to_owned() } else { labels.join(" ") };
            Line::new(Mark::Other, format!("labels are now: {labels}"))
        }
        HostEvent::CleaningStarted(it) => {
            let attempt = if it.attempt > 1 { format!(", attempt {}", it.attempt) } else { String::new() };
            Line::new(Mark::Begun, format!("cleaning asked for{attempt}"))
        }
        HostEvent::CleaningBooted(_) => Line::new(Mark::Done, "the cleaning image is done with it"),
        HostEvent::CleaningFailed(it) => {
            Line::new(Mark::Failed, format!("cleaning failed in attempt {}: {}", it.attempt, it.reason))
        }
        HostEvent::Cleaned(_) => Line::new(Mark::Done, "clean and at rest"),
        HostEvent::Moved(it) => match &it.saga {
            Some(saga) => {
                Line::new(Mark::Begun, format!("lent by pool {} to {}, for {saga}", it.from, it.to))
            }
            None => Line::new(Mark::Done, format!("back in its own pool {}", it.to)),
        },
        HostEvent::Reserved(it) => Line::new(Mark::Begun, format!("reserved for {}", it.saga)),
        HostEvent::Released(it) => Line::new(Mark::Undone, format!("released by {}, and available", it.saga)),
        HostEvent::DeployStarted(it) => Line::new(Mark::Begun, format!("booting from image {}", it.image)),
        HostEvent::PowerStateChanged(it) => {
            Line::new(Mark::Other, format!("power went {}", power(it.power_state)))
        }
        HostEvent::DeployBooted(_) => Line::new(Mark::Done, "called back from its new system"),
        HostEvent::DeployCompleted(_) => Line::new(Mark::Done, "boots from its own disk from now on"),
        HostEvent::ConfigurationApplied(it) => {
            let changed = if it.changed { "" } else { " (nothing had to change)" };
            Line::new(Mark::Done, format!("role {} is on it, revision {}{changed}", it.role, it.revision))
        }
        HostEvent::MonitoringRegistered(_) => {
            Line::new(Mark::Done, "known to monitoring; its first sample was healthy")
        }
        HostEvent::InService(it) => {
            Line::new(Mark::Done, format!("in service: pool {}, role {}", it.pool, it.role))
        }
        HostEvent::StepFailed(it) => {
            let text = format!("step {} failed ({}): {}", it.step, it.category.as_str(), it.reason);
            Line::new(Mark::Failed, text)
        }
        HostEvent::StepDeferred(it) => {
            Line::new(Mark::Other, format!("step {} waits: {}", it.step, it.reason))
        }
        HostEvent::MonitoringDeregistered(_) => Line::new(Mark::Undone, "monitoring no longer knows it"),
        HostEvent::UndeployStarted(it) => {
            Line::new(Mark::Undone, format!("undoing the deployment of {}", it.saga))
        }
        HostEvent::Undeployed(_) => {
            Line::new(Mark::Undone, "off, its media ejected and its boot target restored")
        }
        HostEvent::Quarantined(it) => Line::new(Mark::Failed, format!("quarantined: {}", it.reason)),
        HostEvent::Requalified(_) => {
            Line::new(Mark::Begun, "an operator sends it through checks and cleaning again")
        }
        HostEvent::ReleaseRequested(it) => {
            let then = if it.retire { "to be retired" } else { "to go back to its pool" };
            Line::new(Mark::Undone, format!("given back by {}, {then}", it.saga)).because(&it.reason)
        }
        HostEvent::Cordoned(it) => {
            Line::new(Mark::Begun, format!("cordoned by {}", it.saga)).because(&it.reason)
        }
        HostEvent::Uncordoned(it) => Line::new(Mark::Done, format!("{} is done with it", it.saga)),
        HostEvent::PowerCycleStarted(it) => {
            let health = it.health.as_ref().map_or_else(String::new, |health| format!(", health {health}"));
            let text = format!("power cut; it was {}{health}", power(it.found));
            Line::new(Mark::Begun, text)
        }
        HostEvent::PowerCycled(_) => Line::new(Mark::Done, "power-cycled: it has power again"),
        HostEvent::ServiceRestarted(it) => {
            Line::new(Mark::Done, format!("{} was restarted, and runs", it.service))
        }
        HostEvent::ReimageStarted(it) => {
            Line::new(Mark::Begun, format!("to be installed again from image {}, for {}", it.image, it.saga))
        }
        HostEvent::JoinedTraffic(it) => Line::new(
            Mark::Done,
            format!("takes requests of backend {} at {}", it.traffic.backend, it.address),
        ),
        HostEvent::DrainStarted(it) => {
            let text = format!(
                "leaves backend {} when its requests are over, or at {}",
                it.traffic.backend, it.until
            );
            Line::new(Mark::Begun, text)
        }
        HostEvent::LeftTraffic(it) => {
            let cut = match it.sessions_cut {
                0 => String::new(),
                cut => format!("; {cut} requests were cut off"),
            };
            Line::new(Mark::Done, format!("out of traffic{cut}"))
        }
        HostEvent::ConfigurationStarted(it) => {
            let revision =
                it.revision.as_ref().map_or_else(String::new, |it| format!(" in revision {it} again"));
            Line::new(Mark::Begun, format!("a runner is asked to apply role {}{revision}", it.role))
        }
        HostEvent::RoleRun(it) => role_run(it),
        HostEvent::PackageChangeStarted(it) => packages::started(it),
        HostEvent::PackagesInstalled(it) => packages::installed(it),
        HostEvent::PackagesRolledBack(it) => {
            Line::new(Mark::Done, format!("rolled back: {}", packages::changes(&it.changed)))
        }
        HostEvent::RollBackFailed(it) => {
            Line::new(Mark::Failed, "its packages could not be rolled back, and it stays out of traffic")
                .because(&it.reason)
        }
        HostEvent::CheckScheduled(it) => describe_drift::scheduled(it),
        HostEvent::CheckStarted(it) => describe_drift::check_started(it),
        HostEvent::ConfigurationChecked(it) => describe_drift::checked(it),
        HostEvent::ConfigurationDrifted(it) => describe_drift::drifted(it),
        HostEvent::RestoreStarted(it) => describe_drift::restore_started(it),
        HostEvent::ConfigurationRestored(it) => describe_drift::restored(it),
        HostEvent::ConfigurationRunFailed(it) => describe_drift::run_failed(it),
        HostEvent::Retired(it) => Line::new(Mark::Done, "retired").because(&it.reason),
    }
}

/// What the tasks of a run did. The last one is why it ended, where it did not end well.
fn role_run(it: &RoleRun) -> Line {
    let changed = it.tasks.iter().filter(|task| task.result == TaskResult::Changed).count();
    let more = match it.tasks_left_off {
        0 => String::new(),
        left_off => format!(" (and {left_off} that are not told)"),
    };
    let changes =
        format!("role {} ran in revision {}: {changed} tasks changed something{more}", it.role, it.revision);
    let failed = it.tasks.iter().rfind(|task| task.result != TaskResult::Changed);
    match (it.outcome, failed) {
        (RunOutcome::Succeeded, _) => Line::new(Mark::Done, changes),
        (_, Some(task)) => Line::new(Mark::Failed, format!("{changes}, and task {:?} failed", task.task))
            .because(&task.message),
        (_, None) => Line::new(Mark::Failed, format!("{changes}, and it did not end well")),
    }
}

fn power(state: PowerState) -> &'static str {
    match state {
        PowerState::On => "on",
        PowerState::Off => "off",
    }
}

/// What the BMC told; often not much.
fn hardware(it: &HostInspected) -> String {
    let parts: Vec<String> = [
        it.manufacturer.clone(),
        it.model.clone(),
        it.serial.as_ref().map(|serial| format!("serial {serial}")),
        it.processors.map(|count| format!("{count} processors")),
        it.memory_gib.map(|size| format!("{size} GiB")),
        it.boot_method.map(|method| match method {
            BootMethod::VirtualMedia => "boots from virtual media".to_owned(),
            BootMethod::UefiHttp => "boots by UEFI HTTP".to_owned(),
        }),
    ]
    .into_iter()
    .flatten()
    .collect();
    if parts.is_empty() { "the BMC tells nothing of its hardware".to_owned() } else { parts.join(", ") }
}
