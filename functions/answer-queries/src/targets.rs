//! The targets of monitoring, in the form that Prometheus asks for (*Prometheus documentation: HTTP SD*).
//!
//! Prometheus cannot sign its requests to us for AWS, so this route has no authorisation by the gateway, and asks for a
//! bearer token instead. Prometheus takes each answer for the whole truth: what is not in it is forgotten. So an answer is
//! complete or an error, on which Prometheus keeps what it had.

use std::sync::Arc;

use hostler_core::Failure;
use hostler_domain::views::{HOSTS, HostView, host_group};
use hostler_domain::{Phase, metrics_target};
use hostler_events::PoolId;
use hostler_runtime::ports::{Row, Views};
use hostler_runtime::serving::bearer::BearerToken;
use hostler_runtime::serving::http::{Request, Response};
use serde_json::{Map, Value, json};

/// The path of the route.
pub(crate) const PATH: [&str; 2] = ["monitoring", "targets"];

/// The phases in which hosts are looked at: in service, and about to be, for a host is in service only after it was seen
/// well.
const LOOKED_AT: [Phase; 2] = [Phase::RegisteringMonitoring, Phase::InService];
/// How many rows are read at a time.
const ROWS_AT_ONCE: usize = 500;
/// How many times: 100,000 hosts.
const PAGES_MAX: usize = 200;
/// The most bytes of an answer: Lambda takes 6 MB, in which the body is quoted as text.
const ANSWER_BYTES_MAX: usize = 4_000_000;

/// Says which hosts are looked at.
pub(crate) struct Targets {
    views: Arc<dyn Views>,
    token: Option<BearerToken>,
}

impl Targets {
    pub(crate) fn new(views: Arc<dyn Views>, token: Option<BearerToken>) -> Self {
        Self { views, token }
    }

    /// All targets, or with `?pool=` those of one pool.
    pub(crate) async fn answer(&self, request: &Request) -> Response {
        let answered = match self.check(request) {
            Ok(()) => self.targets(request.query.get("pool").map(String::as_str)).await,
            Err(refused) => Err(refused),
        };
        answered.unwrap_or_else(|refused| refused)
    }

    fn check(&self, request: &Request) -> Result<(), Response> {
        let Some(token) = &self.token else {
            let message = "nobody may read the targets of monitoring: set the parameter MonitoringToken and deploy again";
            return Err(Response::error(403, "no-token-configured", message));
        };
        token.check(request)
    }

    async fn targets(&self, pool: Option<&str>) -> Result<Response, Response> {
        let mut targets = Vec::new();
        match pool {
            None => self.collect(None, &mut targets).await?,
            Some(pool) => {
                let pool = PoolId::new(pool)
                    .map_err(|error| Response::error(400, "invalid", format!("pool is {pool:?}: {error}")))?;
                for phase in LOOKED_AT {
                    self.collect(Some(&host_group(&pool, phase.name())), &mut targets).await?;
                }
            }
        }
        let bytes: usize = targets.iter().map(|target: &Value| target.to_string().len() + 1).sum();
        if bytes > ANSWER_BYTES_MAX {
            let message = format!(
                "{} targets are {bytes} bytes, more than the {ANSWER_BYTES_MAX} of one answer: have Prometheus ask for \
                 each pool by itself, with ?pool=",
                targets.len()
            );
            return Err(Response::error(500, "too-many-targets", message));
        }
        Ok(Response::new(200, Value::Array(targets)))
    }

    async fn collect(&self, group: Option<&str>, targets: &mut Vec<Value>) -> Result<(), Response> {
        let mut after: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let page = self.views.list(HOSTS, group, after.as_deref(), ROWS_AT_ONCE).await;
            let page = page.map_err(|error| Response::failure(&Failure::from(error)))?;
            for row in page.rows {
                targets.extend(target(row)?);
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
        let message = format!("there are more than {} hosts: not all can be told", PAGES_MAX * ROWS_AT_ONCE);
        Err(Response::error(500, "too-many-hosts", message))
    }
}

/// A row's target: none when its host is not looked at, or when no label says where it serves its metrics.
fn target(row: Row) -> Result<Option<Value>, Response> {
    let host: HostView = serde_json::from_value(row.body).map_err(|error| {
        let message = format!("the row of {} in the view {HOSTS} does not read: {error}", row.key);
        Response::error(500, "malformed-row", message)
    })?;
    let is_looked_at = LOOKED_AT.iter().any(|phase| phase.name() == host.phase);
    let Some(target) = metrics_target(&host.labels).filter(|_| is_looked_at) else { return Ok(None) };
    let mut labels = Map::from_iter([
        ("host".to_owned(), json!(host.host)),
        ("pool".to_owned(), json!(host.pool)),
        ("rack".to_owned(), json!(host.fault_domain)),
    ]);
    if let Some(role) = &host.role {
        labels.insert("role".to_owned(), json!(role));
    }
    if let Some(path) = target.path {
        labels.insert("__metrics_path__".to_owned(), json!(path));
    }
    Ok(Some(json!({ "targets": [target.address], "labels": labels })))
}
