//! Where a host takes requests, and how long joining and leaving traffic may take.

use hostler_core::saga::RetryPolicy;
use hostler_events::Labels;

use crate::metrics::{METRICS_ADDRESS, is_address};

/// The label with the address and port at which a host takes requests, as `10.0.0.7:8080`. Without it, it is the machine that
/// serves the host's metrics, and the port of the pool's policy.
pub const TRAFFIC_ADDRESS: &str = "traffic.address";

/// Where a host with these labels takes requests; none when they do not say so, or say what is no address.
#[must_use]
pub fn traffic_address(labels: &Labels, port: u32) -> Option<String> {
    let label = |name| labels.get(name).map(String::as_str);
    if let Some(address) = label(TRAFFIC_ADDRESS) {
        return is_address(address).then(|| address.to_owned());
    }
    let (machine, _) = label(METRICS_ADDRESS).filter(|address| is_address(address))?.rsplit_once(':')?;
    Some(format!("{machine}:{port}"))
}

/// Joining traffic: one command to the load balancer.
pub(crate) const JOIN: RetryPolicy =
    RetryPolicy { deadline_seconds: 60, attempts: 8, backoff_seconds: 2, backoff_seconds_max: 300 };

/// How many attempts at leaving may fail for another reason than that the host still has requests.
const SPARE_ATTEMPTS: u32 = 8;

/// Leaving traffic, for a host that is drained for so long. It is looked at again after each delay, and taken out at the first look
/// at which it has nothing left, or its time is over.
#[must_use]
pub(crate) fn leave_policy(drain_seconds: u32) -> RetryPolicy {
    let backoff_seconds_max = (drain_seconds / 10).clamp(5, 60);
    let mut policy =
        RetryPolicy { deadline_seconds: 60, attempts: 1, backoff_seconds: 1, backoff_seconds_max };
    let mut waited = 0;
    while waited <= drain_seconds {
        waited += policy.delay_seconds(policy.attempts);
        policy.attempts += 1;
    }
    policy.attempts += SPARE_ATTEMPTS;
    policy
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_host_takes_requests_where_its_labels_say_or_where_its_metrics_are() {
        let of = |pairs: &[(&str, &str)]| traffic_address(&labels(pairs), 80);
        assert_eq!(of(&[("metrics.address", "10.0.0.7:9100")]).as_deref(), Some("10.0.0.7:80"));
        assert_eq!(of(&[("metrics.address", "[2001:db8::7]:9100")]).as_deref(), Some("[2001:db8::7]:80"));
        let own = [("metrics.address", "10.0.0.7:9100"), ("traffic.address", "10.1.0.7:8080")];
        assert_eq!(of(&own).as_deref(), Some("10.1.0.7:8080"));
        for wrong in ["", "10.0.0.7", "a b:80", "10.0.0.7:0", "10.0.0.7:80;shutdown"] {
            assert_eq!(
                of(&[("metrics.address", "10.0.0.7:9100"), ("traffic.address", wrong)]),
                None,
                "{wrong}"
            );
        }
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn a_host_is_looked_at_until_its_time_to_drain_is_over_and_some_failures_more() {
        for drain_seconds in [0, 1, 30, 600, 3_600] {
            let policy = leave_policy(drain_seconds);
            let looks = policy.attempts - SPARE_ATTEMPTS;
            let waited: u32 = (1..looks).map(|tried| policy.delay_seconds(tried)).sum();
            assert!(waited > drain_seconds, "{drain_seconds}: {policy:?}");
            assert!(policy.attempts <= 90, "{drain_seconds}: {policy:?}");
        }
        assert_eq!(leave_policy(30).delay_seconds(1), 1, "most have nothing left within a second");
    }
}
