//! Putting a coordinator together, and taking it down.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use sprint_identity::rustls::ServerConfig;
use tokio::net::TcpListener;

use crate::config::{Config, TlsConfig};
use crate::face::listen::Port;
use crate::face::{self, Face};
use crate::git::GitRepos;
use crate::identity::{CertificateFiles, Certificates};
use crate::loops;
use crate::service::admission::local_admin;
use crate::service::fleet::logs::Logs;
use crate::service::fleet::presence;
use crate::service::{Coordinator, LocalAdmin, now};
use crate::store::{Location, Store};

/// A shutdown that takes longer is cut short: everything that matters is on the disk.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(4);

/// How long a coordinator that starts waits for a command on its data directory, and how often it looks.
const COMMAND_LIMIT: Duration = Duration::from_secs(10);
const LOCK_AGAIN: Duration = Duration::from_millis(20);

/// A running coordinator.
pub struct App {
    pub grpc: SocketAddr,
    pub http: SocketAddr,
    sprint: Arc<Coordinator>,
    _lock: File,
}

impl App {
    /// Starts a coordinator: lock, store, repositories, loops, faces, in that order.
    ///
    /// # Errors
    /// A text for people that names the reason.
    pub async fn start(config: &Config) -> anyhow::Result<Self> {
        let data = &config.place.data_dir();
        make_data_dir(data)?;
        let data = &data.canonicalize()?;
        let lock = lock(data).await?;
        let (sprint, tls) = open(config, data).await?;
        presence::all_offline(&sprint).await?;

        let (grpc_listener, grpc) = bind("--listen", config.listen.listen).await?;
        let (http_listener, http) = bind("--http", config.listen.http).await?;
        let tasks = sprint.tasks.clone();
        let here = on_this_host(grpc);
        let local = LocalAdmin { data_dir: data.clone(), address: here.to_string() };
        local_admin::ensure(&sprint, &local.data_dir, &local.address).await?;
        loops::start(&sprint, local);
        let face = Face { sprint: Arc::clone(&sprint), http_url: Arc::from(format!("http://{http}")) };
        let everything = face::grpc::router(&face)?.reset_fallback().merge(face::http::router(&face));
        tasks.spawn(Port::new(&face, Some(tls), everything, config.limits).serve(grpc_listener));
        tasks.spawn(Port::new(&face, None, face::http::router(&face), config.limits).serve(http_listener));
        announce(data, here, http)?;
        tracing::info!(%grpc, %http, data_dir = %data.display(), database = sprint.store.kind(), "serving");
        Ok(Self { grpc, http, sprint, _lock: lock })
    }

    /// Stops accepting, ends the streams, finishes what is under way, closes the record.
    pub async fn shut_down(self) {
        self.sprint.stop.cancel();
        self.sprint.tasks.close();
        if tokio::time::timeout(SHUTDOWN_LIMIT, self.sprint.tasks.wait()).await.is_err() {
            tracing::warn!("some calls did not end in time; what was acknowledged is on the disk");
        }
        if tokio::time::timeout(Duration::from_millis(800), self.sprint.store.close()).await.is_err() {
            tracing::warn!("the database did not close in time; it recovers at the next start");
        }
    }
}

/// Opens everything that use cases work on; the data directory must be locked.
async fn open(config: &Config, data: &Path) -> anyhow::Result<(Arc<Coordinator>, ServerConfig)> {
    let database = data.join("sprint.db");
    let location = config.store.database_url.as_deref().map_or(Location::Sqlite(&database), Location::Postgres);
    let store = Store::open(location).await?;
    let git = GitRepos::open(data.join("repos")).await?;
    let logs = Logs::open(data.join("logs")).context("the logs' directory cannot be made")?;
    let certificates = Arc::new(Certificates::open(data, &config.listen.advertise, given(&config.tls), now())?);
    let tls = certificates.server_config()?;
    let sprint = Arc::new(Coordinator::new(store, git, logs, certificates, data.to_owned(), config.fleet.clone()));
    Ok((sprint, tls))
}

/// A coordinator that does not serve: its record, for a command.
pub struct Offline {
    pub sprint: Arc<Coordinator>,
    _lock: File,
}

impl Offline {
    /// Opens the record; none while a coordinator serves from it.
    ///
    /// # Errors
    /// A text for people.
    pub async fn open(config: &Config) -> anyhow::Result<Option<Self>> {
        let data = config.place.data_dir();
        let Some(lock) = try_lock(&data)? else { return Ok(None) };
        // No coordinator holds it: one that starts meanwhile waits.
        lock.set_len(0)?;
        let (sprint, _) = open(config, &data.canonicalize()?).await?;
        Ok(Some(Self { sprint, _lock: lock }))
    }

    pub async fn close(self) {
        self.sprint.store.close().await;
    }
}

/// The certificate that the user gave.
fn given(tls: &TlsConfig) -> Option<CertificateFiles> {
    let (chain, key) = tls.tls_cert.clone().zip(tls.tls_key.clone())?;
    Some(CertificateFiles { chain, key })
}

/// How a port is reached from this host, also where it listens on every address.
fn on_this_host(listening: SocketAddr) -> SocketAddr {
    let ip = match listening.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, listening.port())
}

/// Makes the data directory, for its owner's eyes only.
///
/// # Errors
/// A text for people.
pub(crate) fn make_data_dir(data: &Path) -> anyhow::Result<()> {
    sprint_identity::private::make_dir(data)
        .with_context(|| format!("the data directory {} cannot be made", data.display()))?;
    // One that an earlier version made may be open to others; keys are in it now.
    std::fs::set_permissions(data, std::fs::Permissions::from_mode(0o700))
        .with_context(|| format!("the data directory {} cannot be closed to others", data.display()))
}

/// Takes the data directory for this process alone; none while another coordinator has it.
///
/// # Errors
/// Those of the file system.
fn try_lock(data: &Path) -> anyhow::Result<Option<File>> {
    let file = lock_file(data)?;
    Ok(locked(&file)?.then_some(file))
}

/// Locks a file, unless another process has locked it.
fn locked(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn lock_file(data: &Path) -> io::Result<File> {
    File::options().read(true).write(true).create(true).truncate(false).open(data.join("coordinator.lock"))
}

/// Takes the data directory for this process alone, after a command that uses it at this moment.
async fn lock(data: &Path) -> anyhow::Result<File> {
    let mut file = lock_file(data)?;
    let give_up = Instant::now() + COMMAND_LIMIT;
    while !locked(&file)? {
        let mut holder = String::new();
        file.rewind()?;
        file.read_to_string(&mut holder)?;
        let holder = match holder.trim() {
            "" if Instant::now() < give_up => {
                tokio::time::sleep(LOCK_AGAIN).await;
                continue;
            }
            "" => "a command of the coordinator".to_owned(),
            pid => format!("another coordinator (pid {pid})"),
        };
        anyhow::bail!(
            "{holder} uses the data directory {}; stop that one first, or name another with --data-dir",
            data.display()
        );
    }
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())?;
    Ok(file)
}

async fn bind(flag: &str, address: SocketAddr) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("{flag} {address} cannot be listened on; is another coordinator running there?"))?;
    let local = listener.local_addr()?;
    Ok((listener, local))
}

/// Writes where this coordinator is reached, for scripts that let it choose its ports.
fn announce(data: &Path, grpc: SocketAddr, http: SocketAddr) -> anyhow::Result<()> {
    let text = serde_json::json!({ "pid": std::process::id(), "grpc": grpc, "http": http }).to_string();
    let fresh = data.join("endpoints.json.new");
    std::fs::write(&fresh, text + "\n")?;
    std::fs::rename(fresh, data.join("endpoints.json"))?;
    Ok(())
}
