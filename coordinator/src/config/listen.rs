use std::net::SocketAddr;

use clap::Args;

/// The addresses that a coordinator listens on and is known by.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ListenConfig {
    /// The address for gRPC and git, by TLS; port 0 takes a free one.
    #[arg(long, env = "SPRINT_LISTEN", value_name = "ADDR", default_value = "0.0.0.0:50051")]
    pub listen: SocketAddr,
    /// The loopback address for plain HTTP: git, health, status, metrics.
    #[arg(long, env = "SPRINT_HTTP", value_name = "ADDR", default_value = "127.0.0.1:8080", value_parser = loopback)]
    pub http: SocketAddr,
    /// A name or address by which others reach this coordinator, beside those of this host; repeatable.
    #[arg(long, env = "SPRINT_ADVERTISE", value_name = "HOST", value_delimiter = ',')]
    pub advertise: Vec<String>,
}

fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr =
        text.parse().map_err(|_| "write it as ADDRESS:PORT, such as 127.0.0.1:8080".to_owned())?;
    if address.ip().is_loopback() {
        return Ok(address);
    }
    Err(format!(
        "other machines can reach it, and plain HTTP can be read by every host on the way; use a loopback address such as 127.0.0.1:{}, and --listen for others",
        address.port()
    ))
}
