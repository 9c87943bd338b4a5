//! How soon everything is itself again, and how soon it is noticed that something is not.

use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sprint_proto::v1;
use sprint_tests::load::figures::{Figures, Times, millis};
use sprint_tests::load::fleet::{Fleet, Scale};
use sprint_tests::load::site::{Site, until};
use sprint_tests::mentioning;

use crate::extent::Extent;

/// The fleet of a coordinator that dies.
fn scale(extent: Extent) -> Scale {
    Scale { outposts: extent.of(100, 3), workers: extent.of(10, 2), heartbeat: Duration::from_secs(5) }
}

fn rounds(extent: Extent) -> usize {
    extent.of(10, 1)
}

const GRACE: Duration = Duration::from_secs(2);

pub(crate) async fn run(figures: &mut Figures, extent: Extent) -> anyhow::Result<()> {
    coordinator(figures, extent).await?;
    agent(figures, extent).await?;
    detection(figures, extent).await?;
    reassignment(figures, extent).await
}

/// The coordinator dies under a full fleet, some of whose workers end meanwhile.
async fn coordinator(figures: &mut Figures, extent: Extent) -> anyhow::Result<()> {
    let scale = scale(extent);
    let mut site = Site::start().await?;
    site.add_repo(&site.upstream(10)?).await?;
    let mut fleet = Fleet::join(&site, scale).await?;
    site.add_items(2 * scale.slots(), "true").await?;
    fleet.have_started(scale.slots()).await?;
    for (away, when) in
        [(Duration::ZERO, "at once"), (Duration::from_secs(extent.of(30, 1)), "after a while, outposts try every 5 s")]
    {
        site.kill_coordinator();
        fleet.end(scale.outposts);
        tokio::time::sleep(away).await;
        let began = Instant::now();
        let serves = site.start_coordinator().await?;
        fleet.reconciled().await?;
        let what = format!(
            "coordinator killed with {} items in flight on {} outposts, started again {when} → all reconciled",
            scale.slots(),
            scale.outposts
        );
        let took = format!("{} (it serves after {})", millis(began.elapsed()), millis(serves));
        figures.add(&what, took, "-", if away.is_zero() { "< 2 s" } else { "-" });
    }
    Ok(())
}

/// An agent dies, and its workers go on.
async fn agent(figures: &mut Figures, extent: Extent) -> anyhow::Result<()> {
    let workers_each: u32 = extent.of(20, 2);
    let mut site = Site::start().await?;
    let data = site.outpost("bench", workers_each, 0).await?;
    site.add_repo(&site.upstream(10)?).await?;
    site.add_items(usize::try_from(workers_each)?, ": > $SPRINT_ARTIFACTS/began; exec sleep 1000").await?;
    let workers = data.join("workers");
    let listed = |file: &str| {
        let found = std::fs::read_dir(&workers).into_iter().flatten().flatten();
        found.map(|entry| entry.path().join(file)).filter(|path| path.exists()).collect::<Vec<_>>()
    };
    let all = usize::try_from(workers_each)?;
    until("all workers running", || (listed("artifacts/began").len() >= all).then_some(())).await?;
    let mut times = vec![];
    for _ in 0..rounds(extent) {
        site.kill_agent("bench")?;
        let began = Instant::now();
        site.start_agent("bench")?;
        // A worker is adopted once its socket is answered again.
        until("all workers adopted", || {
            let answered = listed("worker.sock").iter().filter(|socket| UnixStream::connect(socket).is_ok()).count();
            (answered == all).then_some(())
        })
        .await?;
        times.push(began.elapsed());
        site.is_online("bench").await?;
    }
    figures.add(
        &format!("agent killed and started again → its {workers_each} workers adopted"),
        Times::new(times).to_string(),
        "-",
        "< 1 s",
    );
    Ok(())
}

async fn detection(figures: &mut Figures, extent: Extent) -> anyhow::Result<()> {
    let mut site = Site::start().await?;
    let data = site.outpost("bench", 1, 0).await?;
    site.add_repo(&site.upstream(10)?).await?;
    let mut record = Record::follow(&site).await?;

    let mut times = vec![];
    for _ in 0..rounds(extent) {
        site.add_items(1, "exec sleep 1000").await?;
        record.next("worker_started").await?;
        let shown = data.join("workers").display().to_string();
        let sleeping = until("the worker's process", || {
            let named = |pid: &i32| {
                std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line == b"sleep\x001000\x00")
            };
            mentioning(&shown).into_iter().find(named)
        })
        .await?;
        let began = Instant::now();
        kill(Pid::from_raw(sleeping), Signal::SIGKILL)?;
        record.next("worker_exited").await?;
        times.push(began.elapsed());
        record.next("worker_failed").await?;
    }
    figures.add("a worker's process killed → on record", Times::new(times).to_string(), "-", "≤ 1 s");

    let mut times = vec![];
    for _ in 0..rounds(extent) {
        let began = Instant::now();
        site.kill_agent("bench")?;
        record.next("outpost_disconnected").await?;
        times.push(began.elapsed());
        site.start_agent("bench")?;
        record.next("outpost_connected").await?;
    }
    figures.add("an agent killed → outpost_disconnected on record", Times::new(times).to_string(), "-", "≤ 50 ms");

    let pid = Pid::from_raw(site.agent_pid("bench")?.cast_signed());
    let began = Instant::now();
    kill(pid, Signal::SIGSTOP)?;
    let noticed = tokio::time::timeout(Duration::from_secs(40), record.next("outpost_disconnected")).await;
    let noticed = noticed.map_or_else(|_| "not within 40 s".to_owned(), |_| millis(began.elapsed()));
    kill(pid, Signal::SIGCONT)?;
    figures.add("an outpost frozen → outpost_disconnected on record", noticed, "-", "≤ 8 s");
    Ok(())
}

/// An outpost stays away for longer than its grace, and another is there. An item that was lost before would wait
/// on purpose, so each round has one of its own.
async fn reassignment(figures: &mut Figures, extent: Extent) -> anyhow::Result<()> {
    let mut times = vec![];
    for _ in 0..extent.of(3, 1) {
        times.push(reassigned().await?);
    }
    figures.add("a lease lapsed → its work given to another outpost", Times::new(times).to_string(), "-", "≤ 50 ms");
    Ok(())
}

async fn reassigned() -> anyhow::Result<Duration> {
    let grace = format!("{}s", GRACE.as_secs());
    let mut site = Site::start_with(&["--disconnect-grace", &grace]).await?;
    site.outpost("first", 1, 0).await?;
    site.add_repo(&site.upstream(10)?).await?;
    let mut record = Record::follow(&site).await?;
    site.add_items(1, "exec sleep 1000").await?;
    record.next("worker_started").await?;
    site.outpost("second", 1, 0).await?;
    site.kill_agent("first")?;
    // The grace counts from the outpost's last message, whose time is not known here.
    record.next("item_attempt_lost").await?;
    let began = Instant::now();
    record.next("worker_assigned").await?;
    Ok(began.elapsed())
}

/// The record, as it grows.
struct Record(tonic::Streaming<v1::EventBatch>, std::collections::VecDeque<v1::Event>);

impl Record {
    async fn follow(site: &Site) -> anyhow::Result<Self> {
        let request = v1::TailRequest { since: None, follow: true, ..v1::TailRequest::default() };
        let stream = v1::events_client::EventsClient::new(site.channel.clone()).tail(request).await?.into_inner();
        Ok(Self(stream, std::collections::VecDeque::new()))
    }

    /// Waits for the next event of a kind.
    async fn next(&mut self, kind: &str) -> anyhow::Result<()> {
        loop {
            while let Some(event) = self.1.pop_front() {
                if event.kind == kind {
                    return Ok(());
                }
            }
            self.1.extend(self.0.message().await?.context("the record's stream ended")?.events);
        }
    }
}
