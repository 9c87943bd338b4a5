//! `outpost-agent join`: builds the agent, runs it, and ends it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail};
use sprint_core::ids::OutpostName;
use sprint_core::token::TokenText;
use sprint_telemetry::Telemetry;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::context::{Agent, Settings};
use crate::host::file_watch::FileWatch;
use crate::host::headroom::DiskPolicy;
use crate::host::orphan_sessions::OrphanSessions;
use crate::host::paths::DataDir;
use crate::host::{disk, headroom_watch, preflight, session_watch};
use crate::link::{self, Identity, IdentityError, token};
use crate::runtime::found;
use crate::sandbox::Limits;
use crate::sandbox::policy::Policy;
use crate::sandbox::probe::{self, SandboxSettings};
use crate::settings::{JoinSettings, SandboxArgs};
use crate::shim::plan::Plan;
use crate::tmux::Tmux;
use crate::worker::{Fleet, Ports, SnapshotPace, WarmDirs, WarmSessions, hung, roster, warm_upkeep};
use crate::workspace::{Repositories, locks, personal};

/// The time limit of the agent's own end; workers are not part of it.
const END_LIMIT: Duration = Duration::from_secs(1);
/// The time that a stop gives to the last spans.
const SPANS_LIMIT: Duration = Duration::from_secs(1);
/// The pause between two tries to enrol, at first and at most.
const ENROL_PAUSE: Duration = Duration::from_millis(200);
const ENROL_PAUSE_MAX: Duration = Duration::from_secs(5);
/// Runs the agent until it is requested to end, or has drained.
///
/// # Errors
/// The reason for which it cannot join, as a text for people.
pub(crate) fn run(options: JoinSettings) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(async {
        let telemetry = Telemetry::start("outpost-agent", options.log_format, options.otlp.as_ref())?;
        let ended = join(options).await;
        telemetry.finish(SPANS_LIMIT).await;
        ended
    });
    runtime.shutdown_timeout(END_LIMIT / 4);
    ended
}

async fn join(options: JoinSettings) -> anyhow::Result<()> {
    preflight::check()?;
    let name = options.name.clone().map_or_else(default_name, Ok)?;
    let data = data_dir(options.data_dir.clone(), &name)?;
    let _lock = lock(&data)?;
    let token = options.token_file.as_deref().map(token::read).transpose()?;
    let identity = Identity::open(data.identity())?;
    get_in(&identity, &options.coordinator, &name, token).await?;
    serve(options, name, data, identity).await
}

/// Makes sure that this outpost has a valid certificate; exchanges the token for one if it has not.
async fn get_in(
    identity: &Identity,
    coordinator: &str,
    name: &OutpostName,
    token: Option<TokenText>,
) -> Result<(), IdentityError> {
    let Some(token) = token.filter(|token| !identity.was_spent(token)) else {
        return identity.check(coordinator);
    };
    let mut pause = ENROL_PAUSE;
    loop {
        match identity.enrol(coordinator, name, &token).await {
            Ok(()) => {
                tracing::info!(outpost = %name, coordinator, "enrolled; the token is not needed any more");
                return Ok(());
            }
            Err(error) if error.is_passing() => {
                tracing::warn!(coordinator, %error, "cannot join yet; trying again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(ENROL_PAUSE_MAX);
            }
            // A unit file may go on naming a token that is long over.
            Err(error) if identity.check(coordinator).is_ok() => {
                tracing::warn!(%error, "the token is not valid; using the present certificate");
                return Ok(());
            }
            Err(error) => return Err(error),
        }
    }
}

async fn serve(options: JoinSettings, name: OutpostName, data: DataDir, identity: Identity) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let left = disk::left_in_trash(&data.trash());
    let agent = build(options, name, data, identity)?;
    let all = agent.tasks.clone();
    spawn_loops(&agent);
    let (trash, kept) = (agent.data.trash(), agent.data.kept_trash());
    agent.tasks.spawn_blocking(move || disk::empty_trash(&left, &trash, &kept));
    let drained = async {
        if agent.settings.drain {
            agent.fleet.emptied().await;
        } else {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = drained => tracing::info!("drained: every worker has finished and was removed"),
    }
    let active = agent.fleet.active();
    if active > 0 {
        tracing::info!(workers = active, "ending; {active} workers go on and are adopted at the next start");
    } else {
        tracing::info!(workers = 0, "ending; no worker is running");
    }
    agent.stop.cancel();
    all.close();
    if tokio::time::timeout(END_LIMIT, all.wait()).await.is_err() {
        tracing::debug!("some tasks did not end in time; the next start repeats their work");
    }
    Ok(())
}

fn build(options: JoinSettings, name: OutpostName, data: DataDir, identity: Identity) -> anyhow::Result<Arc<Agent>> {
    let JoinSettings {
        config: _,
        coordinator,
        token: _,
        token_file: _,
        name: _,
        max_workers,
        labels,
        data_dir: _,
        warm,
        log_limit,
        max_left,
        files,
        runtimes,
        min_free_disk,
        max_disk,
        sandbox,
        drain,
        log_format: _,
        otlp: _,
    } = options;
    let files = files.map(|files| directory_of_files(&files)).transpose()?;
    let program = std::env::current_exe().context("this program's own path is unknown")?;
    let confinement = probe::policy(sandbox_settings(sandbox), &data, &program)?;
    confinement.log();
    let policy = confinement.policy;
    confine_filters(policy.as_ref(), &data, &program)?;
    let mut labels: BTreeMap<_, _> = labels.into_iter().collect();
    labels.insert(probe::LABEL.to_owned(), probe::label(policy.as_ref()));
    let runtimes = found::catalog(runtimes.as_deref())?;
    labels.extend(found::labels(&runtimes));
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let settings = Settings {
        coordinator,
        name,
        labels,
        runtimes,
        max_workers: max_workers.unwrap_or(u32::try_from(cores).unwrap_or(u32::MAX)),
        log_limit,
        max_left,
        drain,
        disk_policy: DiskPolicy { free: min_free_disk, most: max_disk },
        instance: format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..)),
        program,
        boot_id: fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned(),
    };
    let tasks = TaskTracker::new();
    let stop = CancellationToken::new();
    let socket = data.tmux_socket().context("no directory for tmux's socket")?;
    let tmux = Tmux::start(socket, data.tmux_conf(), &tasks, stop.clone()).context("tmux cannot be set up")?;
    let sessions = if settings.drain { 0 } else { warm.min(usize::try_from(settings.max_workers).unwrap_or(warm)) };
    let (log_growth, agents_said) = (Arc::default(), Arc::default());
    let agent = Arc::new(Agent {
        repositories: Repositories::new(data.clone(), warm, files),
        file_watch: FileWatch::new(Arc::clone(&log_growth), Arc::clone(&agents_said))
            .context("inotify cannot be used")?,
        settings,
        policy,
        identity,
        tmux,
        warm_sessions: WarmSessions::new(sessions),
        warm_dirs: WarmDirs::open(&data, sessions),
        outbox: Arc::default(),
        fleet: Fleet::default(),
        ports: Ports::new(data.root()),
        snapshot_pace: SnapshotPace::default(),
        orphan_sessions: OrphanSessions::open(data.orphan_sessions()),
        pause: watch::Sender::default(),
        data,
        log_growth,
        agents_said,
        tasks,
        stop,
    });
    locks::sweep(&agent.data.mirrors(), SystemTime::now());
    roster::adopt(&agent).context("the data directory cannot be read")?;
    Ok(agent)
}

/// Prepares the confinement in which the agent's own git runs a person's filters.
fn confine_filters(policy: Option<&Policy>, data: &DataDir, program: &Path) -> anyhow::Result<()> {
    let dir = data.filters();
    if let Some(policy) = policy {
        let what = || format!("{} cannot be used", dir.path().display());
        fs::create_dir_all(dir.context()).with_context(what)?;
        let sandbox = policy.sandbox(data, &dir, &data.mirrors(), None);
        policy.prepare(&sandbox, &dir).with_context(what)?;
        fs::write(dir.plan(), serde_json::to_vec(&Plan::bare(&dir, Some(sandbox)))?).with_context(what)?;
    }
    personal::confine(policy.map(|_| (program, &dir)));
    Ok(())
}

fn directory_of_files(given: &Path) -> anyhow::Result<PathBuf> {
    let found =
        given.canonicalize().with_context(|| format!("--files {}: there is no such directory", given.display()))?;
    anyhow::ensure!(found.is_dir(), "--files {}: it is no directory", given.display());
    Ok(found)
}

fn spawn_loops(agent: &Arc<Agent>) {
    let all = agent.clone();
    agent.spawn(async move { all.repositories.tend(all.stop.clone()).await });
    agent.spawn(session_watch::run(agent.clone()));
    agent.spawn(warm_upkeep::run(agent.clone()));
    agent.spawn(hung::watch(agent.clone()));
    agent.spawn(headroom_watch::run(agent.clone()));
    agent.spawn(link::hold_session(agent.clone()));
    agent.spawn(link::ship_logs(agent.clone()));
}

pub(crate) fn sandbox_settings(options: SandboxArgs) -> SandboxSettings {
    let SandboxArgs { mode, allow_read, allow_write, max_processes, max_memory, max_open_files } = options;
    let limits = Limits { processes: max_processes, memory: max_memory, open_files: max_open_files };
    SandboxSettings { mode, limits, allow_read, allow_write }
}

/// The host's name, as far as it can be an outpost's.
fn default_name() -> anyhow::Result<OutpostName> {
    let host = nix::unistd::gethostname().context("the host's name is unknown; name the outpost with --name")?;
    let name = sanitised(&host.to_string_lossy());
    OutpostName::new(name).context("the host's name is not a valid outpost name; choose one with --name")
}

fn sanitised(host: &str) -> String {
    let short = host.split('.').next().unwrap_or_default().to_ascii_lowercase();
    let plain: String = short.chars().map(|char| if char.is_ascii_alphanumeric() { char } else { '-' }).collect();
    plain.trim_matches('-').chars().take(63).collect()
}

fn data_dir(given: Option<PathBuf>, name: &OutpostName) -> anyhow::Result<DataDir> {
    let root = given.map_or_else(|| default_root(name), Ok)?;
    let what = || format!("the data directory {} cannot be used", root.display());
    sprint_identity::private::make_dir(&root).with_context(what)?;
    // One that an earlier version made may be open to others; a key is in it now.
    fs::set_permissions(&root, fs::Permissions::from_mode(0o700)).with_context(what)?;
    let root = root.canonicalize().with_context(what)?;
    let text = root.to_str().with_context(what).context("its path is not UTF-8; choose another")?;
    if text.contains('\n') {
        bail!("the data directory {text:?} cannot be used; its path contains a line break; choose another");
    }
    let data = DataDir::new(root.clone());
    fs::create_dir_all(data.mirrors()).with_context(what)?;
    disk::make_spreading_dir(&data.workers()).with_context(what)?;
    Ok(data)
}

fn default_root(name: &OutpostName) -> anyhow::Result<PathBuf> {
    Ok(state_dir()?.join(format!("outpost-{name}")))
}

/// Where agents keep their data unless they are told otherwise.
pub(crate) fn state_dir() -> anyhow::Result<PathBuf> {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).or_else(home);
    let state = state.context("there is no directory for data: HOME is not set; name one with --data-dir")?;
    Ok(state.join("sprint"))
}

/// Makes sure that this is the only agent on a data directory, for as long as the file is open.
pub(crate) fn lock(data: &DataDir) -> anyhow::Result<File> {
    let path = data.lock();
    let what = || format!("{} cannot be opened", path.display());
    let mut file =
        File::options().read(true).write(true).create(true).truncate(false).open(&path).with_context(what)?;
    if !locked(&file) {
        let mut holder = String::new();
        file.read_to_string(&mut holder).with_context(what)?;
        bail!(
            "the data directory {} is in use; the agent with pid {} holds it; end it, or choose another directory with --data-dir",
            display(data.root()),
            holder.trim()
        );
    }
    // On a full disk the lock itself still holds.
    file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).ok();
    Ok(file)
}

/// Takes the lock; waits a moment for one that an agent which was killed has left to a
/// process that it was about to start.
fn locked(file: &File) -> bool {
    (0..50).any(|_| {
        let taken = file.try_lock().is_ok();
        if !taken {
            std::thread::sleep(Duration::from_millis(10));
        }
        taken
    })
}

fn display(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hosts_name_becomes_an_outposts() {
        assert_eq!(sanitised("GPU_3.example.org"), "gpu-3");
        assert_eq!(sanitised("-x-"), "x");
        assert_eq!(sanitised(&"x".repeat(80)).len(), 63);
    }
}
