//! From an assignment to an agent's first request of its model, beside the same program by itself; and what the shim takes
//! beside it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use sprint_tests::load::figures::{Figures, Times, millis};
use sprint_tests::load::site::until_by;
use sprint_tests::model::Model;
use sprint_tests::{Cluster, agents};

use crate::extent::Extent;

/// The pause between two looks, which cost a process each.
const PAUSE: Duration = Duration::from_millis(50);
const SCRIPT: &str = "@@run echo x > a.txt && git add -A && git commit -qm a\n@@say Done.";
/// How long an outpost takes to make what is used up, in quiet moments.
const QUIET: Duration = Duration::from_millis(500);
/// How long a shim is watched that has nothing to do.
const IDLE: Duration = Duration::from_secs(3);

pub(crate) async fn run(figures: &mut Figures, extent: Extent) -> anyhow::Result<()> {
    let packages = agents::packages().map_err(anyhow::Error::msg)?;
    let mut cluster = Cluster::start(0);
    let model = agents::outpost(&mut cluster, &packages, &["--warm", "2"]);
    for agent in ["claude", "codex", "grok"] {
        let mut floor = vec![];
        for _ in 0..extent.of(12, 1) {
            floor.push(bare(&cluster, agent, &model).await?);
        }
        let floor = Times::new(floor).percentile(50);
        let aim = format!("≤ 1.1 × the floor + 20 ms = {}", millis(floor.mul_f64(1.1) + Duration::from_millis(20)));
        for (warmth, aim) in [(Warmth::Tree, aim.as_str()), (Warmth::Moved, "none")] {
            let mut ours = vec![];
            for number in 0..extent.of(8, 1) {
                ours.push(item(&cluster, agent, number, warmth, &model).await?);
            }
            let of = warmth.in_words();
            let what = format!("assignment → first request of the model, {agent}, {of}");
            figures.add(&what, Times::new(ours).to_string(), &format!("{} the program by itself", millis(floor)), aim);
        }
    }
    shim(figures, &cluster).await
}

/// What an outpost has when an agent starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Warmth {
    /// Trees at the commit from which it starts.
    Tree,
    /// Trees at another: the branch has moved since the last worker, and the commit is to be fetched.
    Moved,
}

impl Warmth {
    const fn in_words(self) -> &'static str {
        match self {
            Self::Tree => "a warm tree",
            Self::Moved => "the first after a landing",
        }
    }
}

/// When the model is asked first after this moment.
async fn asked_after(model: &Model, from: SystemTime) -> anyhow::Result<SystemTime> {
    until_by(PAUSE, "the model is asked", || model.times().into_iter().find(|at| *at >= from)).await
}

/// The program by itself, in a repository of its own, with a directory of its own.
async fn bare(cluster: &Cluster, agent: &str, model: &Model) -> anyhow::Result<Duration> {
    let dir = tempfile::tempdir()?;
    let (work, state, home) = (dir.path().join("work"), dir.path().join("state"), cluster.path().join("home"));
    std::fs::create_dir_all(&state)?;
    sprint_tests::load::site::make_repository(&work, 1)?;
    let settings = home.join(format!(".{agent}/config.toml"));
    if settings.exists() {
        std::fs::copy(settings, state.join("config.toml"))?;
    }
    let arguments: &[&str] = match agent {
        "claude" => &["--model=fake-1", "--permission-mode=dontAsk", "--allowedTools=Bash", "-p"],
        "codex" => &["exec", "--dangerously-bypass-approvals-and-sandbox", "-c", "features.plugins=false"],
        _ => &["--model=fake-1", "--always-approve", "-p"],
    };
    let began = SystemTime::now();
    let mut child = Command::new(cluster.path().join("bin").join(agent))
        .args(arguments)
        .arg(SCRIPT)
        .current_dir(&work)
        .env("HOME", &home)
        .env("CLAUDE_CONFIG_DIR", &state)
        .env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1")
        .env("DISABLE_AUTOUPDATER", "1")
        .env("ANTHROPIC_BASE_URL", model.url())
        .env("ANTHROPIC_AUTH_TOKEN", "dummy")
        .env("CODEX_HOME", &state)
        .env("OPENAI_API_KEY", "dummy")
        .env("GROK_HOME", &state)
        .env("GROK_DISABLE_AUTOUPDATER", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let asked = asked_after(model, began).await?;
    child.wait()?;
    Ok(asked.duration_since(began)?)
}

/// The same as an item; from the assignment, as the record has it.
async fn item(cluster: &Cluster, agent: &str, number: u32, warmth: Warmth, model: &Model) -> anyhow::Result<Duration> {
    let name = format!("{agent}-{number}-{warmth:?}").to_lowercase();
    let repo = cluster.repo(&name, &[], &["--agent", agent, "--model", "fake-1", "--nothing-to-do", "done"]);
    // The first worker of a repo fills the mirror, and the pool of trees.
    let first = cluster.add(&repo, "First", &sprint_tests::commit("first.txt", "x"));
    cluster.landed(&repo, first);
    let pool = cluster.outpost_data("host").join("warm").join(&name);
    if warmth == Warmth::Tree {
        let brings_the_tip = cluster.add(&repo, "Second", "sprintctl item resolve --nothing-to-do bench");
        cluster.until(brings_the_tip, "done");
    }
    let is_warm = |tree: PathBuf| warmth == Warmth::Moved || tree.join("first.txt").exists();
    until_by(PAUSE, "the trees are warm", || {
        let trees: Vec<_> = std::fs::read_dir(&pool).ok()?.flatten().map(|tree| tree.path()).collect();
        (trees.len() >= 2 && trees.into_iter().all(is_warm)).then_some(())
    })
    .await?;
    // The sessions and directories in which workers start are made in a quiet moment as well.
    tokio::time::sleep(QUIET).await;
    let before = SystemTime::now();
    let added = cluster.json(&["item", "add", "--repo", &name, "Bench", "--description", SCRIPT]);
    let id = added["id"].as_u64().unwrap_or_default();
    let asked = asked_after(model, before).await?;
    cluster.landed(&repo, id);
    let events = cluster.events();
    let assigned = events.iter().find(|event| event["kind"] == "worker_assigned" && event["item"] == id);
    let at = assigned.and_then(|event| event["time"].as_str()).and_then(|at| humantime::parse_rfc3339(at).ok());
    let at = at.ok_or_else(|| anyhow::anyhow!("the assignment of item {id} is not on record"))?;
    Ok(asked.duration_since(at).unwrap_or_default())
}

/// What the shim holds while an agent works, and does while it has nothing to do.
async fn shim(figures: &mut Figures, cluster: &Cluster) -> anyhow::Result<()> {
    let repo = cluster.repo("idle", &[], &["--agent", "claude", "--model", "fake-1"]);
    let script = "@@run while ! test -e go; do sleep 1; done; echo x > a; git add a; git commit -qm a\n@@say Done.";
    let added = cluster.json(&["item", "add", "--repo", &repo.name, "Idle", "--description", script]);
    let id = added["id"].as_u64().unwrap_or_default();
    let busy = || {
        let worker = cluster.workers(id).pop()?;
        (worker["agent"]["state"]["doing"] == "busy" && worker["agent"]["state"]["tool"].is_string()).then_some(worker)
    };
    let worker = until_by(PAUSE, "its tool runs", busy).await?["id"].clone();
    let dir = cluster.outpost_data("host").join(format!("workers/{worker}"));
    let shims = sprint_tests::shims(&dir);
    anyhow::ensure!(!shims.is_empty(), "the shim holds no file of its worker");
    let memory: u64 = shims.iter().map(|pid| proportional(Path::new(&format!("/proc/{pid}")))).sum();
    figures.add("memory of the shim beside a busy claude", format!("{:.1} MiB", as_mib(memory)), "0", "≤ 12 MiB");
    let before: u64 = shims.iter().map(|pid| ticks(*pid)).sum();
    tokio::time::sleep(IDLE).await;
    let spent = shims.iter().map(|pid| ticks(*pid)).sum::<u64>() - before;
    figures.add("processor of the shim in 3 s without events", format!("{} ms", spent * 10), "0", "none");
    std::fs::write(dir.join("workspace/go"), "")?;
    cluster.landed(&repo, id);
    Ok(())
}

/// What a process alone holds of memory, and its part of what it shares, in KiB.
fn proportional(process: &Path) -> u64 {
    let text = std::fs::read_to_string(process.join("smaps_rollup")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse().ok()).unwrap_or_default()
}

#[expect(clippy::cast_precision_loss, reason = "it is far below 2^52")]
fn as_mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

/// Processor time of a process, in hundredths of a second.
fn ticks(pid: i32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(')').map(|(_, after)| after.split_whitespace().skip(11).take(2));
    fields.into_iter().flatten().filter_map(|field| field.parse::<u64>().ok()).sum()
}
