//! `policies try`: what would other policies have decided?

mod follow;
mod read;
mod show;

use hostler_domain::shadow::{Report, Subject, try_policies};
use hostler_events::SitePolicy;
use jiff::Timestamp;
use serde_json::json;

use super::args::TryArgs;
use super::file;
use crate::error::CliError;
use crate::output::Out;
use crate::target::Target;
use read::Reader;

/// Replays what is on record under a file's policies, and says what they decide otherwise. It changes nothing.
pub(super) async fn run(args: &TryArgs, target: &Target, out: Out) -> Result<(), CliError> {
    let policy = file::read(&args.file)?;
    let now = Timestamp::now();
    if args.since >= now {
        return Err(CliError::Usage("--since is not in the past: nothing is on record yet".to_owned()));
    }
    let mut reader = Reader::new(&target.api, args.since);
    if args.follow {
        return follow::run(args, &policy, &mut reader, out).await;
    }
    reader.read_on(now).await?;
    let (report, otherwise) = tried(args, &policy, &reader);
    if out.json {
        return out.document(&json!({ "read": reader.extent, "report": report }));
    }
    out.line(show::report(&report, otherwise, &reader.extent, out))
}

/// What the policies decide otherwise about the hosts and pools that were asked for, and about how many in all. Sums are of all.
fn tried(args: &TryArgs, policy: &SitePolicy, reader: &Reader<'_>) -> (Report, usize) {
    let mut report = try_policies(&reader.recording, policy);
    let otherwise = report.differences.len();
    let wanted = |of: &Subject| match of {
        Subject::Host(host) => {
            let in_pool = |pool| reader.pools.get(host).is_some_and(|of| of == pool);
            let by_pool = args.pool.as_ref().is_none_or(in_pool);
            by_pool && args.host.as_ref().is_none_or(|wanted| wanted == host)
        }
        Subject::Pool(pool) => args.host.is_none() && args.pool.as_ref().is_none_or(|wanted| wanted == pool),
    };
    report.differences.retain(|compared| wanted(&compared.of));
    report.not_reproduced.retain(|compared| wanted(&compared.of));
    (report, otherwise)
}
