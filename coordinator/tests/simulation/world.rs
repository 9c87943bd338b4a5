//! The driver: a queue of events in simulated time, and a seed that decides the rest.

mod step;
mod strike;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::fmt::Debug;
use std::sync::atomic::Ordering;

use coordinator::service::{Actor, Coordinator, ServiceError};
use futures::FutureExt as _;
use sprint_core::event::{EventKind, NewEvent};
use sprint_core::fixtures;
use sprint_core::gates::Gate;
use sprint_core::ids::{CommitId, OutpostName, WorkerId};
use sprint_core::item::Item;
use sprint_core::job::Role;
use sprint_core::repo::Repo;

use crate::faults::Struck;
use crate::invariants;
use crate::network::{Connection, Down, Path, Side, Up};
use crate::outpost::Outpost;
use crate::site::Site;

/// Faults strike until then.
const FAULTS: u64 = 150_000;
/// Then everything must come to rest by this time: two graces, the longest work, and all pauses.
const REST: u64 = FAULTS + 900_000;
const HEARTBEAT: u64 = 5_000;
/// More is not right: something goes in circles.
const MOST_STEPS: u64 = 60_000;

#[derive(Debug)]
enum Event {
    Dial(usize),
    Up(u64, Up),
    Down(u64, Down),
    /// A side notices that a connection is gone.
    Gone(u64, Side),
    Heartbeat(u64),
    Work(usize, WorkerId),
    Add,
    Tell(usize),
    Scheduler,
    Supervisor,
    Pipeline,
    Merger,
    Fault,
    StartCoordinator,
    StartAgent(usize),
}

fn event(kind: EventKind) -> NewEvent {
    NewEvent { kind, repo: None, item: None, actor: Actor::Coordinator, data: serde_json::json!({}) }
}

/// What a simulation that went well came to.
pub(crate) struct Report {
    pub(crate) struck: Struck,
    pub(crate) trace: Vec<String>,
    pub(crate) steps: u64,
    pub(crate) events: u64,
}

pub(crate) struct World {
    random: fastrand::Rng,
    now: u64,
    order: u64,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    events: BTreeMap<u64, Event>,
    site: Site,
    sprint: Option<Coordinator>,
    /// Until then the coordinator stands still.
    frozen: u64,
    /// For how long it was neither dead nor standing still.
    awake: u64,
    outposts: Vec<Outpost>,
    paths: Vec<Path>,
    connections: BTreeMap<u64, Connection>,
    items: Vec<Item>,
    to_add: u64,
    main: Option<CommitId>,
    seen: u64,
    struck: Struck,
    trace: Vec<String>,
}

impl World {
    pub(crate) async fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let site = Site::new();
        let sprint = site.start().await;
        let gates = if random.bool() { vec![Gate::new("test", "true")] } else { vec![] };
        let repo =
            Repo { gates, max_attempts: 6, run: [(Role::Developer, "work".to_owned())].into(), ..fixtures::repo() };
        let count = random.usize(1..5);
        let outposts = (1..=count).map(|number| Outpost {
            name: OutpostName::new(format!("outpost-{number}")).unwrap(),
            max_workers: random.u32(1..4),
            is_running: true,
            is_gone: false,
            heard: 0,
            starts: 1,
            works: BTreeMap::new(),
            to_send: VecDeque::new(),
            connection: None,
        });
        let outposts = outposts.collect::<Vec<_>>();
        let known = outposts
            .iter()
            .map(|outpost| sprint_core::outpost::Outpost { name: outpost.name.clone(), ..fixtures::outpost() });
        let known = known.collect::<Vec<_>>();
        let added: Result<(), ServiceError> = sprint
            .store
            .write(move |tx| {
                Box::pin(async move {
                    tx.save(repo, event(EventKind::REPO_ADDED));
                    for outpost in known {
                        tx.save(outpost, event(EventKind::OUTPOST_JOINED));
                    }
                    Ok(())
                })
            })
            .await;
        added.unwrap();
        let paths = vec![Path::default(); outposts.len()];
        let to_add = random.u64(1..12);
        let mut world = Self {
            random,
            now: 0,
            order: 0,
            queue: BinaryHeap::new(),
            events: BTreeMap::new(),
            site,
            sprint: Some(sprint),
            frozen: 0,
            awake: 0,
            outposts,
            paths,
            connections: BTreeMap::new(),
            items: vec![],
            to_add,
            main: None,
            seen: 0,
            struck: Struck::new(),
            trace: vec![],
        };
        for outpost in 0..world.outposts.len() {
            world.after(0, Event::Dial(outpost));
        }
        world.after(10, Event::Add);
        world.after(50, Event::Fault);
        world
    }

    /// Runs to the end; an error says what did not hold, and what led there.
    pub(crate) async fn run(mut self) -> Result<Report, String> {
        let mut steps = 0;
        while let Some(Reverse((time, order))) = self.queue.pop() {
            let Some(event) = self.events.remove(&order) else { continue };
            if time > REST {
                break;
            }
            let before = self.now;
            self.now = before.max(time);
            if self.sprint.is_some() {
                self.awake += self.now.saturating_sub(before.max(self.frozen));
            }
            self.site.clocks.now.store(i64::try_from(self.now).unwrap(), Ordering::Relaxed);
            steps += 1;
            self.note(&event);
            let stepped = self.step(event).await;
            let held = match stepped {
                Ok(()) => self.look().await,
                Err(why) => Err(why),
            };
            if let Err(why) = held {
                return Err(self.failure(&why));
            }
            if steps > MOST_STEPS {
                return Err(self.failure("it goes in circles"));
            }
            if self.is_at_rest() {
                break;
            }
        }
        let Some(sprint) = &self.sprint else { return Err(self.failure("the coordinator did not come back")) };
        if let Err(why) = invariants::came_to_rest(sprint, &self.site, &self.items).await {
            return Err(self.failure(&format!("it did not come to rest: {why}")));
        }
        let here = self.outposts.iter().filter(|outpost| !outpost.is_gone);
        if let Some(work) = here.clone().find_map(|outpost| outpost.works.values().next()) {
            let why = format!("worker {} was left on its outpost: {work:?}", work.assignment.worker);
            return Err(self.failure(&why));
        }
        let events = sprint.notices().events().borrow().get();
        sprint.store.close().await;
        Ok(Report { struck: self.struck, trace: self.trace, steps, events })
    }

    /// Nothing is left to happen that would change anything.
    fn is_at_rest(&self) -> bool {
        let Some(sprint) = &self.sprint else { return false };
        let here = self.outposts.iter().filter(|outpost| !outpost.is_gone);
        let connected = here.clone().all(|outpost| {
            outpost.connection.is_some_and(|id| self.connections.get(&id).is_some_and(|held| held.session.is_some()))
        });
        let done = here.clone().all(|outpost| outpost.works.is_empty());
        self.now > FAULTS + 30_000
            && self.to_add == 0
            && connected
            && done
            && self.outposts.iter().all(|outpost| !sprint.store.live().holds_slots(&outpost.name))
            && !self
                .events
                .values()
                .any(|event| matches!(event, Event::Scheduler | Event::Merger | Event::Pipeline | Event::StartAgent(_)))
    }

    fn failure(&self, why: &str) -> String {
        let from = self.trace.len().saturating_sub(60);
        format!("{why}\nafter {} ms; what came before:\n{}", self.now, self.trace[from..].join("\n"))
    }

    fn note(&mut self, what: &impl Debug) {
        let mut text = format!("{:>9} {what:?}", self.now);
        text.truncate(text.floor_char_boundary(240));
        self.trace.push(text);
    }

    fn after(&mut self, pause: u64, event: Event) {
        self.order += 1;
        self.queue.push(Reverse((self.now + pause, self.order)));
        self.events.insert(self.order, event);
    }

    /// Checks everything whenever the record has changed.
    async fn look(&mut self) -> Result<(), String> {
        let Some(sprint) = &self.sprint else { return Ok(()) };
        let last = sprint.notices().events().borrow().get();
        if last != self.seen {
            self.seen = last;
            invariants::hold(sprint, &self.outposts, &mut self.main).await?;
        }
        self.bells();
        Ok(())
    }

    /// Wakes the loops that were rung for.
    fn bells(&mut self) {
        let Some(sprint) = &self.sprint else { return };
        let notices = sprint.notices();
        let mut woken = Vec::new();
        if notices.scheduler.notified().now_or_never().is_some() {
            woken.push(Event::Scheduler);
        }
        if notices.merger.notified().now_or_never().is_some() {
            woken.push(Event::Merger);
        }
        if notices.pipeline.notified().now_or_never().is_some() {
            woken.push(Event::Pipeline);
        }
        if notices.supervisor.notified().now_or_never().is_some() {
            woken.push(Event::Supervisor);
        }
        for (number, outpost) in self.outposts.iter().enumerate() {
            if notices.outpost(&outpost.name).notified().now_or_never().is_some() {
                woken.push(Event::Tell(number));
            }
        }
        for event in woken {
            let pause = self.random.u64(0..20);
            self.after(pause, event);
        }
    }
}
