//! The names and addresses by which this host is reached.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nix::ifaddrs::getifaddrs;

/// Those that are advertised, the host's name, and the addresses that its interfaces have now; sorted.
pub(super) fn all(advertised: &[String]) -> Vec<String> {
    let mut names: BTreeSet<String> = advertised.iter().cloned().collect();
    names.insert("localhost".to_owned());
    if let Ok(host) = nix::unistd::gethostname() {
        names.extend(host.into_string().ok().filter(|name| is_host_name(name)));
    }
    names.extend(addresses().map(|address| address.to_string()));
    names.into_iter().collect()
}

/// A host may be called anything; a certificate takes only what DNS takes.
fn is_host_name(name: &str) -> bool {
    sprint_identity::pki_types::DnsName::try_from(name).is_ok()
}

fn addresses() -> impl Iterator<Item = IpAddr> {
    let interfaces = getifaddrs().into_iter().flatten().filter_map(|interface| interface.address);
    let found = interfaces.filter_map(|address| {
        let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
    });
    // Interfaces that are down at the start must not take loopback away.
    [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)].into_iter().chain(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_and_what_is_advertised_are_always_among_them() {
        let names = all(&["coordinator.example.org".to_owned()]);
        for name in ["localhost", "127.0.0.1", "::1", "coordinator.example.org"] {
            assert!(names.iter().any(|known| known == name), "{name} is missing in {names:?}");
        }
    }
}
