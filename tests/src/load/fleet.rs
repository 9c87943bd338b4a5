//! A fleet of stub outposts: what it costs the coordinator, what it waits for, and what it has lost when the
//! coordinator was killed meanwhile.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use sprint_proto::v1;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::figures::{Figures, Times, rate};
use super::site::Site;
use super::stub::{Stub, StubEvent};
use super::usage::{cpu, resident_mib};

/// How many join at the same moment.
const AT_ONCE: usize = 32;
/// How long nothing at all may happen while something must.
const STALLED: Duration = Duration::from_mins(1);

/// How large a fleet is, and what it does.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    pub outposts: usize,
    pub workers: u32,
    pub heartbeat: Duration,
}

impl Scale {
    pub const fn slots(self) -> usize {
        self.outposts * self.workers as usize
    }
}

/// What happens to a fleet that is full.
#[derive(Debug, Clone, Copy)]
pub struct Watch {
    pub time: Duration,
    /// Workers that end in a second; their slots are filled again.
    pub ends_per_second: u64,
    /// How often the coordinator is killed, and how long after the last time.
    pub kills: u32,
    pub kill_every: Duration,
}

/// Stub outposts in session with a coordinator.
#[derive(Debug)]
pub struct Fleet {
    scale: Scale,
    pace: Arc<Semaphore>,
    seen: mpsc::Receiver<StubEvent>,
    sessions: JoinSet<anyhow::Result<Infallible>>,
    started: BTreeSet<u64>,
    ended: BTreeSet<u64>,
    waits: Vec<Duration>,
    disconnections: usize,
}

impl Fleet {
    /// Lets all outposts in with one token, and waits until each has a session.
    pub async fn join(site: &Site, scale: Scale) -> anyhow::Result<Self> {
        let token = site.token(u32::try_from(scale.outposts)?).await?;
        let (tell, seen) = mpsc::channel(scale.outposts);
        let pace = Arc::new(Semaphore::new(0));
        let mut sessions = JoinSet::new();
        let at_once = Arc::new(Semaphore::new(AT_ONCE));
        let mut joining = JoinSet::new();
        for number in 0..scale.outposts {
            let (name, token, at_once) = (format!("stub-{number}"), token.clone(), Arc::clone(&at_once));
            let mut door = site.door();
            joining.spawn(async move {
                let _turn = at_once.acquire().await?;
                anyhow::Ok((door.enrol(&name, &token).await?, name))
            });
        }
        while let Some(joined) = joining.join_next().await {
            let (credential, name) = joined??;
            let stub = Stub::new(
                (name, site.address.clone(), site.trust.clone()),
                credential,
                (scale.workers, scale.heartbeat),
                Arc::clone(&pace),
                tell.clone(),
            );
            sessions.spawn(stub.run());
        }
        let (started, ended) = (BTreeSet::new(), BTreeSet::new());
        let mut fleet = Self { scale, pace, seen, sessions, started, ended, waits: vec![], disconnections: 0 };
        fleet.reconciled().await?;
        Ok(fleet)
    }

    /// Waits until every outpost has told a (new) session all that it had to tell.
    pub async fn reconciled(&mut self) -> anyhow::Result<()> {
        let mut left = self.scale.outposts;
        while left > 0 {
            if self.next().await? == StubEvent::Reconciled {
                left -= 1;
            }
        }
        Ok(())
    }

    /// Waits until this number of workers has started since the beginning.
    pub async fn have_started(&mut self, workers: usize) -> anyhow::Result<()> {
        while self.started.len() < workers {
            self.next().await?;
        }
        Ok(())
    }

    /// Lets this number of workers end.
    pub fn end(&self, workers: usize) {
        self.pace.add_permits(workers);
    }

    async fn next(&mut self) -> anyhow::Result<StubEvent> {
        let seen = tokio::select! {
            seen = self.seen.recv() => seen.context("the outposts are gone")?,
            Some(ended) = self.sessions.join_next() => match ended?? {},
            () = tokio::time::sleep(STALLED) => anyhow::bail!(
                "nothing happened for {STALLED:?}: {} started, {} ended", self.started.len(), self.ended.len()
            ),
        };
        match seen {
            StubEvent::Reconciled => {}
            StubEvent::Disconnected => self.disconnections += 1,
            StubEvent::Started(item) => ensure!(self.started.insert(item), "item {item} was given out twice"),
            StubEvent::Ended(item, wait) => {
                ensure!(self.ended.insert(item), "item {item} ended twice");
                self.waits.push(wait);
            }
        }
        Ok(seen)
    }

    /// Lets workers end and others start, and kills the coordinator if that is wished.
    async fn watch(&mut self, site: &mut Site, watch: Watch) -> anyhow::Result<u32> {
        let began = Instant::now();
        let mut pace = tokio::time::interval(Duration::from_secs(1) / u32::try_from(watch.ends_per_second.max(1))?);
        let mut struck = 0;
        let mut next_kill = began + watch.kill_every;
        while began.elapsed() < watch.time || struck < watch.kills {
            if struck < watch.kills && Instant::now() >= next_kill {
                site.kill_coordinator();
                struck += 1;
                next_kill = Instant::now() + watch.kill_every;
                // The stubs are heard meanwhile: they must not be held up by us.
                let mut starting = std::pin::pin!(site.start_coordinator());
                loop {
                    tokio::select! {
                        started = &mut starting => break started.map(drop)?,
                        seen = self.next() => seen?,
                    };
                }
            }
            tokio::select! {
                _ = pace.tick() => {
                    // Those that end while the coordinator is away wait with their outposts.
                    if self.pace.available_permits() < self.scale.slots() && watch.ends_per_second > 0 {
                        self.end(1);
                    }
                }
                seen = self.next() => { seen?; }
            }
        }
        Ok(struck)
    }
}

/// Runs a fleet of `scale` against a coordinator of its own. Where the coordinator is killed meanwhile, all
/// workers end at last, and every item must be accounted for.
pub async fn run(figures: &mut Figures, scale: Scale, watch: Watch) -> anyhow::Result<()> {
    let mut site = Site::start().await?;
    site.add_repo(&site.upstream(10)?).await?;
    let Scale { outposts, workers, .. } = scale;

    let began = Instant::now();
    let mut fleet = Fleet::join(&site, scale).await?;
    let joined = rate(outposts as u64, began.elapsed());
    figures.add("joining: token, certificate, session", format!("{joined:.0}/s"), "-", "-");

    let began = Instant::now();
    // Some more than there are slots, so that each slot that becomes free is taken again.
    let lasting = watch.time.max(watch.kill_every * (watch.kills + 1)).as_secs() + 1;
    let wanted = scale.slots() + usize::try_from(watch.ends_per_second * lasting)?;
    let mut items = BTreeSet::new();
    while items.len() < wanted {
        items.extend(site.add_items((wanted - items.len()).min(1_000), "true").await?);
    }
    fleet.have_started(scale.slots()).await?;
    let filled = rate(scale.slots() as u64, began.elapsed());
    let what = format!("filling {} slots: assigned, accepted, started", scale.slots());
    figures.add(&what, format!("{filled:.0}/s"), "-", "-");

    fleet.waits.clear();
    let pid = site.coordinator_pid().context("it runs")?;
    let (before, began) = (cpu(pid)?, Instant::now());
    let struck = fleet.watch(&mut site, watch).await?;
    let what = format!("{outposts} outposts × {workers} workers, {} of them ending each second", watch.ends_per_second);
    if struck == 0 {
        let share = (cpu(pid)? - before) / began.elapsed().as_secs_f64();
        figures.add(&format!("{what}: coordinator's CPU"), format!("{share:.2} cores"), "0", "< 0.5");
        figures.add(&format!("{what}: coordinator's memory"), format!("{} MiB", resident_mib(pid)?), "-", "< 400 MiB");
        let waits = Times::new(std::mem::take(&mut fleet.waits));
        figures.add(&format!("{what}: a transition"), waits.to_string(), "an fsync", "p99 < 20 ms");
        figures.add("reconnections", fleet.disconnections.to_string(), "0", "0");
        return Ok(());
    }
    fleet.end(items.len());
    while fleet.ended.len() < items.len() {
        fleet.next().await?;
    }
    accounted(&site, &items, &fleet).await?;
    figures.add(&format!("{what}: reconnections over {struck} kills"), fleet.disconnections.to_string(), "-", "-");
    let check = site.check()?;
    figures.add(
        "items accounted for, and the record checked",
        format!("{}; {}", items.len(), check.trim()),
        "-",
        "all",
    );
    Ok(())
}

/// Every item was given out once, ended once, and the record says so.
async fn accounted(site: &Site, items: &BTreeSet<u64>, fleet: &Fleet) -> anyhow::Result<()> {
    ensure!(fleet.started == *items && fleet.ended == *items, "items were lost or made up");
    let mut client = v1::items_client::ItemsClient::new(site.channel.clone())
        .max_decoding_message_size(sprint_proto::MAX_MESSAGE_BYTES);
    let mut left = items.clone();
    let mut page = client.list(v1::ListItemsRequest::default()).await?.into_inner();
    let mut all = std::mem::take(&mut page.items);
    while page.more {
        let before = all.first().map_or(0, |item| item.id);
        page = client.list(v1::ListItemsRequest { before, ..v1::ListItemsRequest::default() }).await?.into_inner();
        all.splice(..0, std::mem::take(&mut page.items));
    }
    for item in all {
        left.remove(&item.id);
        let stage = item.stage.context("a stage")?.name;
        ensure!(items.contains(&item.id), "item {} is unknown", item.id);
        let once = (stage.as_str(), item.attempt, item.failures, item.losses) == ("blocked", 1, 1, 0);
        ensure!(
            once,
            "item {} is {stage} after attempt {}, {} failures, {} losses",
            item.id,
            item.attempt,
            item.failures,
            item.losses
        );
    }
    ensure!(left.is_empty(), "these items are not listed: {left:?}");
    Ok(())
}
