use std::path::PathBuf;

use clap::Args;

/// The certificate that callers are shown, if not the coordinator's own.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct TlsConfig {
    /// A certificate of your own (PEM), with its chain up to its authority; read again when it changes.
    #[arg(long, env = "SPRINT_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// The private key of --tls-cert (PEM).
    #[arg(long, env = "SPRINT_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
}
