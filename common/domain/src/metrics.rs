//! Where a host serves its metrics: two labels that operators give it.

use hostler_events::Labels;

/// The label with the address and port at which a host serves its metrics, as `10.0.0.7:9100`.
pub const METRICS_ADDRESS: &str = "metrics.address";
/// The label with the path there; `/metrics` where it is absent.
pub const METRICS_PATH: &str = "metrics.path";

/// Where a host serves its metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricsTarget<'a> {
    /// Its address and port.
    pub address: &'a str,
    /// The path, where it is not `/metrics`.
    pub path: Option<&'a str>,
}

/// Where a host with these labels serves its metrics; none when they do not say so, or say what is no address or path.
#[must_use]
pub fn metrics_target(labels: &Labels) -> Option<MetricsTarget<'_>> {
    let address = labels.get(METRICS_ADDRESS).map(String::as_str).filter(|address| is_address(address))?;
    match labels.get(METRICS_PATH).map(String::as_str) {
        Some(path) if !is_path(path) => None,
        path => Some(MetricsTarget { address, path }),
    }
}

/// A host name or an IP address (version 6 in brackets), and a port.
pub(crate) fn is_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let is_host = match bare {
        Some(bare) => bare.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
        }
    };
    is_host
        && port.bytes().all(|byte| byte.is_ascii_digit())
        && port.parse::<u16>().is_ok_and(|port| port > 0)
}

fn is_path(text: &str) -> bool {
    text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_say_where_metrics_are_or_nothing() {
        let labels = |address: &str, path: Option<&str>| {
            let path = path.map(|path| (METRICS_PATH.to_owned(), path.to_owned()));
            Labels::from_iter([(METRICS_ADDRESS.to_owned(), address.to_owned())].into_iter().chain(path))
        };
        for address in ["10.0.0.7:9100", "h-1.rack.example:1", "[2001:db8::7]:9100"] {
            let labels = labels(address, None);
            assert_eq!(metrics_target(&labels), Some(MetricsTarget { address, path: None }));
        }
        for wrong in [
            "",
            "10.0.0.7",
            ":9100",
            "h:0",
            "h:70000",
            "h:+80",
            "http://h:80",
            "h h:80",
            "[x]:80",
            "2001:db8::7:9100",
        ] {
            assert_eq!(metrics_target(&labels(wrong, None)), None, "{wrong}");
        }
        let path = labels("h:80", Some("/metrics/h"));
        assert_eq!(metrics_target(&path).and_then(|target| target.path), Some("/metrics/h"));
        for wrong in ["", "metrics", "/a b", "/a\n"] {
            assert_eq!(metrics_target(&labels("h:80", Some(wrong))), None, "{wrong:?}");
        }
        assert_eq!(metrics_target(&Labels::new()), None);
    }
}
