//! Putting a coordinator together, and taking it down.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use fs4::fs_std::FileExt as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::face;
use crate::git::GitRepos;
use crate::loops;
use crate::service::logs::Logs;
use crate::service::{Settings, Sprint, outposts};
use crate::store::{Location, Store};

/// A shutdown that takes longer is cut short: everything that matters is on the disk.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(4);

/// A running coordinator.
pub struct App {
    pub grpc: SocketAddr,
    pub http: SocketAddr,
    stop: CancellationToken,
    tasks: TaskTracker,
    sprint: Arc<Sprint>,
    _lock: File,
}

impl App {
    /// Starts a coordinator: lock, store, repositories, loops, faces, in that order.
    ///
    /// # Errors
    /// A text for people that says what stands in the way.
    pub async fn start(config: &Config) -> anyhow::Result<Self> {
        let data = &config.data_dir;
        std::fs::create_dir_all(data)
            .with_context(|| format!("the data directory {} cannot be made", data.display()))?;
        let lock = lock(data)?;
        let database = data.join("sprint.db");
        let location = config.database_url.as_deref().map_or(Location::Sqlite(&database), Location::Postgres);
        let store = Store::open(location).await?;
        let git = GitRepos::open(data.join("repos")).await?;
        let logs = Logs::open(data.join("logs")).context("the logs' directory cannot be made")?;
        let settings = Settings { heartbeat: config.heartbeat, disconnect_grace: config.disconnect_grace };
        let sprint = Arc::new(Sprint::new(store, git, logs, settings));
        outposts::all_offline(&sprint).await?;

        let (grpc_listener, grpc) = bind("--listen", config.listen).await?;
        let (http_listener, http) = bind("--http", config.http).await?;
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        loops::start(&sprint, &tasks, &stop);
        let git_base_url = format!("http://{http}");
        let serving =
            face::grpc::serve(Arc::clone(&sprint), grpc_listener, &git_base_url, stop.clone(), tasks.clone())?;
        tasks.spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!(%error, "the gRPC face ended");
            }
        });
        let serving = face::http::serve(Arc::clone(&sprint), http_listener, stop.clone());
        tasks.spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!(%error, "the HTTP face ended");
            }
        });
        announce(data, grpc, http)?;
        tracing::info!(%grpc, %http, data_dir = %data.display(), database = sprint.store.kind(), "serving");
        Ok(Self { grpc, http, stop, tasks, sprint, _lock: lock })
    }

    /// Stops accepting, ends the streams, finishes what is under way, closes the record.
    pub async fn shut_down(self) {
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(SHUTDOWN_LIMIT, self.tasks.wait()).await.is_err() {
            tracing::warn!("some calls did not end in time; what was acknowledged is on the disk");
        }
        if tokio::time::timeout(Duration::from_millis(800), self.sprint.store.close()).await.is_err() {
            tracing::warn!("the database did not close in time; it recovers at the next start");
        }
    }
}

/// Takes the data directory for this process alone.
fn lock(data: &Path) -> anyhow::Result<File> {
    let path = data.join("coordinator.lock");
    let mut file = File::options().read(true).write(true).create(true).truncate(false).open(&path)?;
    if !file.try_lock_exclusive()? {
        let mut holder = String::new();
        file.read_to_string(&mut holder)?;
        anyhow::bail!(
            "another coordinator (pid {}) uses the data directory {}; stop that one first, or name another with --data-dir",
            holder.trim(),
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
