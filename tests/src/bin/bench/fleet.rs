//! A large fleet: what a thousand outposts cost the coordinator, and what they wait for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use sprint_identity::connect::Connection;
use sprint_proto::v1::{self, coordinator_message::Body as Down, outpost_message::Body as Up};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;

use crate::figures::{Figures, Times, millis, rate};
use crate::idle::{cpu, resident_mib};
use crate::site::Site;

const OUTPOSTS: usize = 1_000;
const WORKERS: u32 = 10;
/// How many join at the same moment.
const AT_ONCE: usize = 32;
/// How long the fleet is watched.
const TIME: Duration = Duration::from_secs(30);
/// Workers that end in a second meanwhile: a fleet of this size whose agents work for three minutes each.
const ENDS_PER_SECOND: u64 = 50;
const HEARTBEAT: Duration = Duration::from_secs(5);

pub(crate) async fn run(figures: &mut Figures) -> anyhow::Result<()> {
    let site = Arc::new(Site::start().await?);
    site.add_repo(&site.upstream(10)?).await?;
    let pid = site.coordinator_pid().context("it runs")?;

    let began = Instant::now();
    let connections = join(&site).await?;
    let joined = rate(OUTPOSTS as u64, began.elapsed());
    figures.add("joining: token, certificate, connection", format!("{joined:.0}/s"), "-", "-");

    let (ended, mut times) = mpsc::channel(OUTPOSTS);
    let mut sessions = JoinSet::new();
    let pace = Arc::new(Semaphore::new(0));
    let (started, mut starts) = mpsc::channel(OUTPOSTS);
    let began = Instant::now();
    for connection in connections {
        let (ended, pace, started) = (ended.clone(), Arc::clone(&pace), started.clone());
        sessions.spawn(session(connection, pace, started, ended));
    }
    // Some more than there are slots, so that each slot that becomes free is taken again.
    let items = OUTPOSTS * WORKERS as usize + usize::try_from(ENDS_PER_SECOND * TIME.as_secs())?;
    for _ in 0..items.div_ceil(1_000) {
        site.add_items(1_000, "true").await?;
    }
    for _ in 0..OUTPOSTS * WORKERS as usize {
        starts.recv().await.context("a session ended")?;
    }
    let filled = rate(u64::from(WORKERS) * OUTPOSTS as u64, began.elapsed());
    figures.add("filling 10,000 slots: assigned, accepted, started", format!("{filled:.0}/s"), "-", "-");

    let (before, began) = (cpu(pid)?, Instant::now());
    let mut waits = Vec::new();
    let mut tick = tokio::time::interval(Duration::from_millis(1_000 / ENDS_PER_SECOND));
    while began.elapsed() < TIME {
        tokio::select! {
            _ = tick.tick() => pace.add_permits(1),
            Some(wait) = times.recv() => waits.push(wait),
            Some(()) = starts.recv() => {}
        }
    }
    let share = (cpu(pid)? - before) / began.elapsed().as_secs_f64();
    let waits = Times::new(waits);
    let what = format!("{OUTPOSTS} outposts × {WORKERS} workers, {ENDS_PER_SECOND} of them ending each second");
    figures.add(&format!("{what}: coordinator's CPU"), format!("{share:.2} cores"), "0", "< 0.5");
    figures.add(&format!("{what}: coordinator's memory"), format!("{} MiB", resident_mib(pid)?), "-", "< 400 MiB");
    let p99 = waits.percentile(99);
    figures.add(&format!("{what}: a transition"), waits.to_string(), "an fsync", "p99 < 20 ms");
    println!("(the slowest: {})", millis(p99.max(waits.percentile(100))));
    Ok(())
}

/// Lets all outposts in with one token.
async fn join(site: &Arc<Site>) -> anyhow::Result<Vec<Connection>> {
    let token = site.token(u32::try_from(OUTPOSTS)?).await?;
    let at_once = Arc::new(Semaphore::new(AT_ONCE));
    let mut joining = JoinSet::new();
    for number in 0..OUTPOSTS {
        let (site, token, at_once) = (Arc::clone(site), token.clone(), Arc::clone(&at_once));
        joining.spawn(async move {
            let _turn = at_once.acquire().await?;
            site.stub(&name(number), &token).await
        });
    }
    let mut connections = Vec::with_capacity(OUTPOSTS);
    while let Some(joined) = joining.join_next().await {
        connections.push(joined??);
    }
    Ok(connections)
}

fn name(number: usize) -> String {
    format!("stub-{number}")
}

/// Plays an outpost: takes what it is given, and ends a worker for each permit that it gets.
async fn session(
    connection: Connection,
    pace: Arc<Semaphore>,
    started: mpsc::Sender<()>,
    ended: mpsc::Sender<Duration>,
) -> anyhow::Result<()> {
    let (up, messages) = mpsc::channel(64);
    let outpost = who(&connection).await?;
    let hello = v1::Hello {
        outpost,
        version: "bench".to_owned(),
        max_workers: WORKERS,
        instance: "bench".to_owned(),
        ..v1::Hello::default()
    };
    up.send(v1::OutpostMessage { body: Some(Up::Hello(hello)) }).await?;
    let mut link = v1::link_client::LinkClient::new(connection);
    let mut down = link.session(ReceiverStream::new(messages)).await?.into_inner();
    let mut heartbeat = tokio::time::interval(HEARTBEAT);
    let mut running: Vec<v1::Assignment> = Vec::new();
    let mut ending: Option<(u64, Instant)> = None;
    loop {
        tokio::select! {
            message = down.message() => match message?.context("the session ended")?.body {
                Some(Down::Assign(assignment)) => {
                    up.send(report(&assignment, 1, v1::report::Body::Accepted(v1::Accepted {}))).await?;
                    up.send(report(&assignment, 2, v1::report::Body::Started(v1::Started { terminal: None }))).await?;
                    running.push(assignment);
                    started.send(()).await?;
                }
                Some(Down::Ack(ack)) if ending.is_some_and(|(worker, _)| worker == ack.worker && ack.seq == 3) => {
                    if let Some((_, since)) = ending.take() {
                        ended.send(since.elapsed()).await?;
                    }
                }
                Some(_) | None => {}
            },
            _ = heartbeat.tick() => {
                let active_workers = u32::try_from(running.len())?;
                let beat = v1::Heartbeat { active_workers, load: None, draining: false };
                up.send(v1::OutpostMessage { body: Some(Up::Heartbeat(beat)) }).await?;
            }
            permit = pace.acquire(), if ending.is_none() && !running.is_empty() => {
                permit?.forget();
                let assignment = running.remove(0);
                let outcome = Some(v1::finished::Outcome::Failed("a stub does no work".to_owned()));
                let body = v1::Finished { exit_code: Some(1), outcome, ..v1::Finished::default() };
                ending = Some((assignment.worker, Instant::now()));
                up.send(report(&assignment, 3, v1::report::Body::Finished(body))).await?;
            }
        }
    }
}

/// The name that a connection's certificate stands for.
async fn who(connection: &Connection) -> anyhow::Result<String> {
    let mut identity = v1::identity_client::IdentityClient::new(connection.clone());
    let identity = identity.who_am_i(v1::WhoAmIRequest {}).await?.into_inner().identity;
    Ok(identity.strip_prefix("outpost/").context("an outpost")?.to_owned())
}

pub(crate) fn report(assignment: &v1::Assignment, seq: u64, body: v1::report::Body) -> v1::OutpostMessage {
    let (worker, item, attempt) = (assignment.worker, assignment.item, assignment.attempt);
    let report = v1::Report { worker, item, attempt, seq, body: Some(body) };
    v1::OutpostMessage { body: Some(Up::Report(report)) }
}
