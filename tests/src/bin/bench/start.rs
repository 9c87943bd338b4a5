//! From an item to its command running, and how many workers start in a second.

use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sprint_proto::v1;

use sprint_tests::load::figures::{Figures, Times, millis, rate};
use sprint_tests::load::site::{Site, git, run as run_command, until, until_by};

use crate::extent::Extent;

const FILES: usize = 200;
/// The longest that anything here may take.
const LIMIT: Duration = Duration::from_mins(1);
/// How a worker ends without a commit and without a word against its outpost: one that fails at once, time and again,
/// is suspect, and has to wait.
const NOTHING_TO_DO: &str = "sprintctl item resolve --nothing-to-do bench";
/// Workers at a time where starts are measured one by one.
const SLOTS: u32 = 4;

fn items(extent: Extent) -> usize {
    extent.of(40, 2)
}

/// Time since the epoch of a file's last change.
fn written(path: &Path) -> Option<Duration> {
    let data = std::fs::metadata(path).ok()?;
    Some(Duration::new(u64::try_from(data.mtime()).ok()?, u32::try_from(data.mtime_nsec()).ok()?))
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

pub(crate) async fn run(figures: &mut Figures, extent: Extent) -> anyhow::Result<()> {
    let floor = floor(figures, extent)?;
    latency(
        figures,
        "a new tree",
        0,
        &format!("≤ 1.5 × the floor + 10 ms = {}", millis(floor.mul_f64(1.5) + Duration::from_millis(10))),
        floor,
        extent,
    )
    .await?;
    latency(figures, "a warm tree", 8, "≤ 0.75 × the floor", floor, extent).await
}

/// `git worktree add` and `tmux new-session`, as processes.
fn floor(figures: &mut Figures, extent: Extent) -> anyhow::Result<Duration> {
    let directory = tempfile::tempdir()?;
    let repository = directory.path().join("repository");
    sprint_tests::load::site::make_repository(&repository, FILES)?;
    let socket = directory.path().join("tmux.sock");
    let tmux =
        |args: &[&str]| run_command(Command::new("tmux").arg("-S").arg(&socket).args(["-f", "/dev/null"]).args(args));
    tmux(&["new-session", "-d", "-s", "warm", "sleep 100"])?;
    let (mut trees, mut sessions) = (vec![], vec![]);
    for number in 0..items(extent) {
        let began = Instant::now();
        let tree = format!("../tree-{number}");
        git(&repository, &["worktree", "add", "--quiet", "--detach", &tree, "main"])?;
        trees.push(began.elapsed());
        let began = Instant::now();
        tmux(&["new-session", "-d", "-s", &format!("s{number}"), "--", "sleep", "100"])?;
        sessions.push(began.elapsed());
    }
    tmux(&["kill-server"])?;
    let (trees, sessions) = (Times::new(trees), Times::new(sessions));
    let floor = trees.percentile(50) + sessions.percentile(50);
    figures.add("floor: git worktree add", trees.to_string(), "-", "-");
    figures.add("floor: tmux new-session", sessions.to_string(), "-", "-");
    Ok(floor)
}

async fn latency(
    figures: &mut Figures,
    what: &str,
    warm: u32,
    aim: &str,
    floor: Duration,
    extent: Extent,
) -> anyhow::Result<()> {
    let mut site = Site::start().await?;
    let data = site.outpost("bench", SLOTS, warm).await?;
    site.add_repo(&site.upstream(FILES)?).await?;
    let mut events = v1::events_client::EventsClient::new(site.channel.clone());
    let request = v1::TailRequest { since: None, follow: true, ..v1::TailRequest::default() };
    let mut tail = events.tail(request).await?.into_inner();
    let mut workers = v1::workers_client::WorkersClient::new(site.channel.clone());
    let (mut running, mut logged) = (vec![], vec![]);
    for round in 0..items(extent) + 2 {
        if warm > 0 && round > 0 {
            pool_is_full(&data, warm, SLOTS).await?;
        }
        let began = now();
        site.add_items(1, &format!(": > $SPRINT_ARTIFACTS/began; echo x; sleep 0.2; {NOTHING_TO_DO}")).await?;
        let worker = next(&mut tail, "worker_assigned").await?;
        let request = v1::WorkerLogsRequest { id: worker, follow: true, ..v1::WorkerLogsRequest::default() };
        let mut log = workers.logs(request).await?.into_inner();
        log.message().await?;
        let first_byte = now();
        let file = data.join(format!("workers/{worker}/artifacts/began"));
        let ran = until("the command", || written(&file)).await?;
        next(&mut tail, "worker_completed").await?;
        // The first ones fill the mirror and the caches.
        if round >= 2 {
            running.push(ran.saturating_sub(began));
            logged.push(first_byte.saturating_sub(began));
        }
    }
    let beside = format!("{} worktree add + new-session", millis(floor));
    figures.add(&format!("item added → command running, {what}"), Times::new(running).to_string(), &beside, aim);
    figures.add(
        &format!("item added → first log byte at the coordinator, {what}"),
        Times::new(logged).to_string(),
        &beside,
        "none",
    );
    Ok(())
}

/// Waits for the next event of a kind; answers the worker it names.
async fn next(tail: &mut tonic::Streaming<v1::EventBatch>, kind: &str) -> anyhow::Result<u64> {
    loop {
        let message = tokio::time::timeout(LIMIT, tail.message()).await;
        let Some(batch) = message.map_err(|_| anyhow::anyhow!("no {kind} within {LIMIT:?}"))?? else {
            anyhow::bail!("the record's stream ended")
        };
        for event in batch.events {
            if event.kind == kind {
                let data: serde_json::Value = serde_json::from_str(&event.data_json)?;
                return Ok(data["worker"].as_u64().unwrap_or_default());
            }
        }
    }
}

/// Waits until so many worktrees are ready, and a warm session for each slot.
async fn pool_is_full(data: &Path, trees: u32, slots: u32) -> anyhow::Result<()> {
    let pool = data.join("warm/bench");
    let sessions_wait = || {
        let mut tmux = Command::new("tmux");
        tmux.arg("-S").arg(data.join("tmux.sock")).args(["list-sessions", "-F", "#{session_name}"]);
        let sessions = run_command(&mut tmux).unwrap_or_default();
        let waiting = sessions.lines().filter(|name| name.starts_with("warm-")).count();
        (waiting >= usize::try_from(slots).unwrap_or(usize::MAX)).then_some(())
    };
    let ready = || {
        let entries = std::fs::read_dir(&pool).into_iter().flatten().flatten();
        let ready = entries.filter(|entry| !entry.file_name().to_string_lossy().starts_with("new-")).count();
        (ready >= usize::try_from(trees).unwrap_or(usize::MAX)).then_some(())
    };
    until("a full pool of warm trees", ready).await?;
    until("warm sessions", sessions_wait).await
}

/// How many workers start in a second on one outpost.
pub(crate) async fn burst(figures: &mut Figures, extent: Extent) -> anyhow::Result<()> {
    let count = extent.of(150, 4);
    let bare = sessions_over_control_mode(count)?;
    let mut site = Site::start().await?;
    let data = site.outpost("bench", count, count).await?;
    site.add_repo(&site.upstream(FILES)?).await?;
    site.add_items(1, NOTHING_TO_DO).await?;
    pool_is_full(&data, count, count).await?;
    let began = now();
    site.add_items(usize::try_from(count)?, ": > $SPRINT_ARTIFACTS/began; exec sleep 1000").await?;
    let workers = data.join("workers");
    // The times are those of the files: looking later makes no figure worse.
    let last = until_by(Duration::from_millis(50), "all workers running", || {
        let began = std::fs::read_dir(&workers).ok()?.flatten();
        let times = began.filter_map(|entry| written(&entry.path().join("artifacts/began"))).collect::<Vec<_>>();
        (times.len() >= usize::try_from(count).ok()?).then(|| times.into_iter().max())?
    })
    .await?;
    let ours = rate(u64::from(count), last.saturating_sub(began));
    figures.add(
        "workers started on one outpost, warm trees",
        format!("{ours:.0}/s ({:.2} ×)", ours / bare),
        &format!("{bare:.0}/s bare tmux new-session over control mode"),
        "≥ 0.4 × the floor",
    );
    Ok(())
}

/// Bare sessions in a loop over one control-mode connection.
fn sessions_over_control_mode(count: u32) -> anyhow::Result<f64> {
    let directory = tempfile::tempdir()?;
    let socket = directory.path().join("tmux.sock");
    let tmux = || {
        let mut command = Command::new("tmux");
        command.arg("-S").arg(&socket).args(["-f", "/dev/null"]);
        command
    };
    let mut control = tmux()
        .args(["-C", "new-session", "-s", "control", "sleep 1000"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?;
    let began = Instant::now();
    if let Some(stdin) = &mut control.stdin {
        for number in 0..count {
            writeln!(stdin, "new-session -d -s s{number} -- sleep 1000")?;
        }
    }
    loop {
        let sessions = run_command(tmux().args(["list-sessions", "-F", "#{session_name}"])).unwrap_or_default();
        if sessions.lines().count() > usize::try_from(count)? {
            break;
        }
    }
    let bare = rate(u64::from(count), began.elapsed());
    run_command(tmux().arg("kill-server"))?;
    control.wait()?;
    Ok(bare)
}
