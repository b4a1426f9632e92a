//! `load`: what the pools of simulated hosts have to do. There are some on the local cloud only.

mod args;

use hostler_localstack::fleet::{Demand, FleetAdmin, PoolLoad};

pub(crate) use args::LoadArgs;
use args::LoadVerb;

use crate::error::CliError;
use crate::near::require;
use crate::output::Out;
use crate::target::{Global, Target};

/// Does what the verb says.
pub(crate) async fn run(args: LoadArgs, global: &Global, out: Out) -> Result<(), CliError> {
    let target = Target::open(global).await?;
    let admin = super::fleet(&target)?;
    match args.verb {
        LoadVerb::Show(args) => {
            let mut loads = admin.loads().await?;
            if let Some(pool) = &args.pool {
                loads.retain(|load| load.pool == pool.as_str());
            }
            tell_all(&loads, out)
        }
        LoadVerb::Set(args) => {
            let pool = args.pool.as_str();
            known(pool, &target).await?;
            admin.set_load(pool, Demand { demand: args.demand }).await?;
            tell(pool, &admin, out).await
        }
        LoadVerb::Clear(args) => {
            let pool = args.pool.as_str();
            known(pool, &target).await?;
            admin.clear_load(pool).await?;
            tell(pool, &admin, out).await
        }
    }
}

async fn known(pool: &str, target: &Target) -> Result<(), CliError> {
    let pools = super::pools(target).await?;
    require("pool", pool, pools.iter().map(String::as_str))
}

async fn tell(pool: &str, admin: &FleetAdmin, out: Out) -> Result<(), CliError> {
    let loads = admin.loads().await?;
    match loads.into_iter().find(|load| load.pool == pool) {
        Some(load) if out.json => out.document(&load),
        Some(load) => out.line(describe(&load)),
        None => out.say(format!("{pool} has no hosts in service, and nothing to do.")),
    }
}

fn tell_all(loads: &[PoolLoad], out: Out) -> Result<(), CliError> {
    let text = |loads: &[PoolLoad]| loads.iter().map(describe).collect::<Vec<_>>().join("\n");
    let none = "Monitoring sees no hosts in service, and no pool was given anything to do.";
    out.list(loads, |load| &load.pool, none, text, |_| String::new())
}

fn describe(load: &PoolLoad) -> String {
    let PoolLoad { pool, demand, hosts, load } = load;
    let todo = match demand {
        Some(demand) => format!("has to do what {demand} fully loaded hosts can do"),
        None => "was given nothing to do".to_owned(),
    };
    let shared = match hosts.len() {
        0 => "monitoring sees no host that serves it".to_owned(),
        1 => format!("one host serves it, with a load of {load:.2}"),
        hosts => format!("{hosts} hosts serve it, with a load of {load:.2} each"),
    };
    let full = if *load >= 1.0 && !hosts.is_empty() { ": more than they can do" } else { "" };
    format!("{pool} {todo}; {shared}{full}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_says_how_full_its_hosts_are() {
        let of = |demand, hosts: &[&str], load| {
            let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
            describe(&PoolLoad { pool: "web".to_owned(), demand, hosts, load })
        };
        assert_eq!(
            of(Some(4.0), &["h-01", "h-02"], 2.0),
            "web has to do what 4 fully loaded hosts can do; 2 hosts serve it, with a load of 2.00 each: more than they can do"
        );
        assert_eq!(
            of(None, &["h-01"], 0.6),
            "web was given nothing to do; one host serves it, with a load of 0.60"
        );
        assert!(of(Some(1.0), &[], 1.0).ends_with("monitoring sees no host that serves it"));
    }
}
