use std::fmt;
use std::str::FromStr;

/// Where a collector listens for OTLP by gRPC: `http://HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectorUrl(String);

impl CollectorUrl {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CollectorUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for CollectorUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "write it as http://HOST:PORT, such as http://localhost:4317";
        if text.starts_with("https://") {
            return Err("spans are sent without TLS; run a collector on this host, and let it forward them");
        }
        let address = text.strip_prefix("http://").ok_or(FORM)?;
        let address = address.strip_suffix('/').unwrap_or(address);
        let (host, port) = address.rsplit_once(':').ok_or(FORM)?;
        let is_host = |char: char| char.is_ascii_alphanumeric() || "-._[]:".contains(char);
        if host.is_empty() || !host.chars().all(is_host) || port.parse::<u16>().is_err() {
            return Err(FORM);
        }
        Ok(Self(format!("http://{address}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_named_by_its_host_and_port() {
        for good in ["http://localhost:4317", "http://[::1]:4317/", "http://otel.example.org:80"] {
            let url = good.parse::<CollectorUrl>().expect("is a collector's");
            assert_eq!(url.as_str(), good.trim_end_matches('/'));
        }
        for bad in ["", "localhost:4317", "http://localhost", "http://:4317", "http://a b:1", "http://a/v1:1"] {
            assert!(bad.parse::<CollectorUrl>().expect_err("is refused").contains("http://HOST:PORT"), "{bad:?}");
        }
        assert!("https://otel:4317".parse::<CollectorUrl>().expect_err("is refused").contains("TLS"));
    }
}
