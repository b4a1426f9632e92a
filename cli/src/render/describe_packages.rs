//! What happens to the packages of a host, in words.

use hostler_events::host::{PackageChangeKind, PackageChangeStarted, PackagesInstalled};
use hostler_events::patching::{Fix, PackageChange};

use crate::render::describe::{Line, Mark};

/// Packages are about to be changed.
pub(super) fn started(it: &PackageChangeStarted) -> Line {
    let what = match it.change {
        PackageChangeKind::Install => "packages are about to be installed",
        PackageChangeKind::RollBack => "packages are about to be rolled back",
    };
    let to: Vec<String> =
        it.to.iter().map(|Fix { package, version }| format!("{package} {version}")).collect();
    Line::new(Mark::Begun, format!("{what}: {}", to.join(", ")))
}

/// They are, or some of them.
pub(super) fn installed(it: &PackagesInstalled) -> Line {
    let reboot = if it.reboot_pending { "; its system asks for a reboot" } else { "" };
    let text = format!("installed: {}{reboot}", changes(&it.changed));
    match it.failed.first() {
        Some(failed) => {
            Line::new(Mark::Failed, format!("{text}; not {}", failed.package)).because(&failed.reason)
        }
        None => Line::new(Mark::Done, text),
    }
}

/// Each package with both its versions.
pub(super) fn changes(changed: &[PackageChange]) -> String {
    if changed.is_empty() {
        return "nothing had to change".to_owned();
    }
    let each = changed.iter().map(|PackageChange { package, from, to }| format!("{package} {from} → {to}"));
    each.collect::<Vec<_>>().join(", ")
}
