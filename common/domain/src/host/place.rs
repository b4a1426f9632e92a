//! One name for each BMC, however its address is spelt.

use std::net::{IpAddr, Ipv6Addr};

use hostler_events::host::BmcAddress;

/// The name of the BMC's system: its machine and its path, without what makes no difference (the scheme with its own port,
/// upper and lower case of the machine's name, a dot at its end, spellings of an IP address, slashes at the end). None where
/// the address is none, which enrolment refuses.
#[must_use]
pub fn bmc_place(bmc: &BmcAddress) -> Option<String> {
    let (scheme, rest) = bmc.system_url.split_once("://")?;
    let own_ports = [("https", "443"), ("http", "80")];
    let own_port = own_ports.iter().find(|(name, _)| scheme.eq_ignore_ascii_case(name))?.1;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let authority = authority.rsplit_once('@').map_or(authority, |(_, authority)| authority);
    let (machine, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            (
                address
                    .parse::<Ipv6Addr>()
                    .ok()
                    .map(|address| IpAddr::V6(address).to_canonical().to_string())?,
                port,
            )
        }
        None => {
            let (name, port) = authority.find(':').map_or((authority, ""), |at| authority.split_at(at));
            (name.trim_end_matches('.').to_ascii_lowercase(), port)
        }
    };
    let port = port.trim_start_matches(':').trim_start_matches('0');
    let port = if port == own_port { "" } else { port };
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    (!machine.is_empty()).then(|| format!("{machine}:{port}/{}", parts.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(url: &str) -> Option<String> {
        bmc_place(&BmcAddress { system_url: url.to_owned() })
    }

    #[test]
    fn one_bmc_has_one_name_however_it_is_spelt() {
        let name = of("https://bmc-7.rack/redfish/v1/Systems/1");
        for same in [
            "https://BMC-7.Rack/redfish/v1/Systems/1/",
            "HTTPS://bmc-7.rack.:443/redfish/v1/Systems/1",
            "http://bmc-7.rack:80//redfish/v1/Systems/1?x=1",
            "https://bmc-7.rack:0443/redfish/v1/Systems/1#top",
        ] {
            assert_eq!(of(same), name, "{same}");
        }
        let address = of("https://10.0.0.7/s");
        assert_eq!(of("https://[::ffff:10.0.0.7]/s"), address);
        assert_eq!(of("https://[::FFFF:0a00:0007]:443/s/"), address);
        assert_eq!(of("https://[fe80:0:0::1]/s"), of("https://[FE80::0001]/s"));
    }

    #[test]
    fn different_bmcs_and_systems_have_different_names() {
        let all = [
            "https://a/s",
            "https://b/s",
            "https://a:8443/s",
            "https://a/S",
            "https://a/s/1",
            "https://[::1]/s",
            "http://a:443/s",
        ];
        let names: std::collections::BTreeSet<_> = all.into_iter().map(of).collect();
        assert_eq!(names.len(), all.len());
        for none in ["", "bmc/s", "ftp://a/s", "https:///s", "https://[zz]/s", "https://[::1/s"] {
            assert_eq!(of(none), None, "{none}");
        }
    }
}
