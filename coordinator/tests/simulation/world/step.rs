//! What happens at each event when nothing goes wrong.

use coordinator::service::ServiceError;
use coordinator::service::backlog::{items, pipeline, schedule};
use coordinator::service::fleet::session::{Downlink, Session};
use coordinator::service::fleet::{leases, presence};
use coordinator::service::queue::merge;
use coordinator::service::repos::git_access;
use coordinator::service::repos::git_access::RefUpdate;
use sprint_core::access::{Caller, Identity};
use sprint_core::assignment::{AttemptOutcome, GateRunOutcome, Outcome, ReportBody};
use sprint_core::event::EventKind;
use sprint_core::fixtures;
use sprint_core::gates::GateOutcome;
use sprint_core::ids::{ItemId, TreeId, WorkerId, late_ref, work_ref};
use sprint_core::item::Item;
use sprint_core::job::{AttemptJob, Job};

use super::{Event, FAULTS, HEARTBEAT, World, event};
use crate::faults::Fault;
use crate::invariants;
use crate::network::{Connection, Down, KEEPALIVE, Side, Up};
use crate::outpost::{Fate, Outpost, Work};
use crate::site::GRACE;

/// The pause of an agent before it dials again.
const DIAL_AGAIN: std::ops::Range<u64> = 200..3_000;

impl World {
    pub(super) async fn step(&mut self, event: Event) -> Result<(), String> {
        let is_the_coordinators = matches!(
            event,
            Event::Up(..)
                | Event::Gone(_, Side::Coordinator)
                | Event::Add
                | Event::Tell(_)
                | Event::Scheduler
                | Event::Supervisor
                | Event::Pipeline
                | Event::Merger
        );
        if is_the_coordinators && self.sprint.is_none() {
            // Items are added by people, who try again; everything else died with it.
            if matches!(event, Event::Add) {
                self.after(1_000, event);
            }
            return Ok(());
        }
        if is_the_coordinators && self.now < self.frozen {
            self.after(self.frozen - self.now, event);
            return Ok(());
        }
        match event {
            Event::Dial(outpost) => self.dial(outpost),
            Event::Up(id, message) => self.hear(id, message).await?,
            Event::Down(id, message) => self.obey(id, message),
            Event::Gone(id, Side::Outpost) => self.hang_up(id),
            Event::Gone(id, Side::Coordinator) => self.end_session(id).await,
            Event::Heartbeat(id) => {
                if self.connections.get(&id).is_some_and(|held| held.open && held.welcomed) {
                    self.send_up(id, Up::Heartbeat);
                    self.after(HEARTBEAT, Event::Heartbeat(id));
                }
            }
            Event::Work(outpost, worker) => self.work(outpost, worker).await?,
            Event::Add => self.add().await,
            Event::Tell(outpost) => self.tell(outpost).await?,
            Event::Scheduler => {
                let Some(sprint) = &self.sprint else { return Ok(()) };
                let wake = schedule::pass(sprint).await.map_err(text)?;
                if let Some(pause) = wake {
                    self.after(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX).max(1), Event::Scheduler);
                }
            }
            Event::Supervisor => self.expire().await?,
            Event::Pipeline => {
                let Some(sprint) = &self.sprint else { return Ok(()) };
                pipeline::settle(sprint).await.map_err(text)?;
            }
            Event::Merger => {
                let Some(sprint) = &self.sprint else { return Ok(()) };
                // A failure is tried again by the next step.
                let _ = merge::drive(sprint, &fixtures::repo_name()).await;
            }
            Event::Fault => self.strike().await,
            Event::StartCoordinator => self.start_coordinator().await,
            Event::StartAgent(outpost) => self.start_agent(outpost),
        }
        Ok(())
    }

    /// Takes the leases that have lapsed: those, no others, and none much later.
    async fn expire(&mut self) -> Result<(), String> {
        let Some(sprint) = &self.sprint else { return Ok(()) };
        let held = |outpost: &Outpost| sprint.store.live().holds_slots(&outpost.name);
        let before = self.outposts.iter().map(held).collect::<Vec<_>>();
        let next = leases::expire(sprint).await.map_err(text)?;
        let grace = u64::try_from(GRACE.as_millis()).unwrap_or(u64::MAX);
        for (outpost, before) in self.outposts.iter().zip(before) {
            let silence = self.awake - outpost.heard;
            // A standstill counts for a second, and silence before it is noticed may count for as little.
            if before && !held(outpost) && silence + 5_000 < grace {
                return Err(format!("{} lost its leases after {silence} ms of silence", outpost.name));
            }
            if held(outpost) && !sprint.fleet.is_live(&outpost.name) && silence > grace + HEARTBEAT + KEEPALIVE + 10_000
            {
                return Err(format!("{} keeps its leases after {silence} ms of silence", outpost.name));
            }
        }
        if let Some(pause) = next {
            self.after(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX).max(1), Event::Supervisor);
        }
        Ok(())
    }

    /// A person adds an item.
    async fn add(&mut self) {
        if self.to_add == 0 {
            return;
        }
        let Some(sprint) = &self.sprint else { return };
        let added: Result<Item, ServiceError> = sprint
            .store
            .write(|tx| {
                Box::pin(async move {
                    let item = Item { created_at: tx.now(), ..fixtures::item(tx.next_id::<ItemId>().get(), 0) };
                    tx.save(item.clone(), event(EventKind::ITEM_ADDED));
                    tx.notify(coordinator::store::Notice::Scheduler);
                    Ok(item)
                })
            })
            .await;
        self.items.push(added.expect("an item is added"));
        self.to_add -= 1;
        let pause = self.random.u64(0..20_000);
        self.after(pause, Event::Add);
    }

    fn dial(&mut self, outpost: usize) {
        let here = &self.outposts[outpost];
        if !here.is_running || here.connection.is_some() {
            return;
        }
        let path = self.paths[outpost];
        let is_reachable = self.sprint.is_some() && path.up_blocked <= self.now && path.down_blocked <= self.now;
        if !is_reachable {
            let pause = self.random.u64(DIAL_AGAIN);
            self.after(pause, Event::Dial(outpost));
            return;
        }
        self.order += 1;
        let id = self.order;
        self.connections.insert(id, Connection::new(outpost));
        let hello = self.outposts[outpost].hello();
        self.outposts[outpost].connection = Some(id);
        self.send_up(id, Up::Hello(Box::new(hello)));
        // A hello that is not answered is given up.
        self.after(10_000, Event::Dial(outpost));
    }

    /// The outpost's side notices the end of a connection.
    fn hang_up(&mut self, id: u64) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if !std::mem::replace(&mut connection.open, false) {
            return;
        }
        let outpost = connection.outpost;
        self.outposts[outpost].connection = None;
        let pause = self.random.u64(DIAL_AGAIN);
        self.after(pause, Event::Dial(outpost));
    }

    /// The coordinator's side notices it, or ends it.
    pub(super) async fn end_session(&mut self, id: u64) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.accepted = false;
        let ended = connection.session.take();
        if let (Some((_, held)), Some(sprint)) = (ended, &self.sprint) {
            presence::disconnect(sprint, &held).await;
        }
        let latency = self.random.u64(1..30);
        self.after(latency, Event::Gone(id, Side::Outpost));
    }

    async fn hear(&mut self, id: u64, message: Up) -> Result<(), String> {
        let Some(sprint) = &self.sprint else { return Ok(()) };
        let Some(connection) = self.connections.get_mut(&id).filter(|connection| connection.accepted) else {
            return Ok(());
        };
        let outpost = connection.outpost;
        let name = self.outposts[outpost].name.clone();
        let told = match message {
            Up::Hello(hello) if connection.session.is_none() => {
                if let Ok((mut session, held, mut told)) = Session::open(sprint, *hello).await {
                    told.extend(session.tell(sprint).await.map_err(text)?);
                    connection.session = Some((session, held));
                    self.outposts[outpost].heard = self.awake;
                    self.send_down(id, Down::Welcome);
                    told
                } else {
                    self.end_session(id).await;
                    return Ok(());
                }
            }
            // A hello that came twice.
            Up::Hello(_) => {
                self.end_session(id).await;
                return Ok(());
            }
            Up::Heartbeat => {
                // A session whose place a newer one has taken ends at once; here, with its next message.
                if connection.session.as_ref().is_some_and(|(_, held)| held.stop.is_cancelled()) {
                    self.end_session(id).await;
                } else if connection.session.is_some() {
                    self.outposts[outpost].heard = self.awake;
                    presence::heartbeat(sprint, &name, None, false, None).await.map_err(text)?;
                }
                return Ok(());
            }
            Up::Report(report) => {
                let Some((session, held)) = &mut connection.session else { return Ok(()) };
                if held.stop.is_cancelled() {
                    self.end_session(id).await;
                    return Ok(());
                }
                let caller = Caller { identity: Identity::Outpost(name), from: "simulation".to_owned() };
                self.outposts[outpost].heard = self.awake;
                match session.hear(sprint, &caller, vec![*report]).await {
                    Ok(told) => told,
                    Err(ServiceError::OutOfOrder { .. }) => {
                        self.end_session(id).await;
                        return Ok(());
                    }
                    Err(error) => return Err(format!("a report was not taken: {error}")),
                }
            }
        };
        for told in told {
            self.send_down(id, Down::Downlink(told));
        }
        Ok(())
    }

    async fn tell(&mut self, outpost: usize) -> Result<(), String> {
        let Some(sprint) = &self.sprint else { return Ok(()) };
        let mut told = Vec::new();
        for (id, connection) in &mut self.connections {
            if let (true, Some((session, held))) = (connection.outpost == outpost, &mut connection.session)
                && !held.stop.is_cancelled()
            {
                let all = session.tell(sprint).await.map_err(text)?;
                told.extend(all.into_iter().map(|told| (*id, told)));
            }
        }
        for (id, told) in told {
            self.send_down(id, Down::Downlink(told));
        }
        Ok(())
    }

    /// The outpost's agent gets a message.
    fn obey(&mut self, id: u64, message: Down) {
        let Some(connection) = self.connections.get_mut(&id).filter(|connection| connection.open) else { return };
        let outpost = connection.outpost;
        let here = &mut self.outposts[outpost];
        if !here.is_running || here.connection != Some(id) {
            return;
        }
        match message {
            Down::Welcome => {
                connection.welcomed = true;
                here.begin_session();
                self.after(0, Event::Heartbeat(id));
            }
            Down::Downlink(Downlink::Assign(assignment)) => {
                let worker = assignment.worker;
                if let Some(work) = here.works.get(&worker) {
                    // It is told of again what it says of it.
                    let again = work.reports.iter().filter(|report| report.seq > work.acknowledged).cloned();
                    here.to_send.extend(again.collect::<Vec<_>>());
                } else {
                    let fate = if self.random.u64(0..10) == 0 { Fate::Fails } else { Fate::Succeeds };
                    here.works.insert(worker, Work::new(*assignment, fate));
                    self.after(1, Event::Work(outpost, worker));
                }
            }
            Down::Downlink(Downlink::Stop { worker, reason }) => {
                if let Some(work) = here.works.get_mut(&worker) {
                    work.stop = Some(reason);
                    self.after(1, Event::Work(outpost, worker));
                }
            }
            Down::Downlink(Downlink::Acknowledge { worker, seq, refused, item: _ }) => {
                if let Some(work) = here.works.get_mut(&worker) {
                    work.acknowledged = work.acknowledged.max(seq);
                    if refused.is_none() {
                        work.applied = work.applied.max(seq);
                    }
                    self.after(1, Event::Work(outpost, worker));
                }
            }
            Down::Downlink(Downlink::Forget { worker }) => {
                if let Some(work) = here.works.get_mut(&worker) {
                    work.forgotten = true;
                    self.after(1, Event::Work(outpost, worker));
                }
            }
        }
        self.send_reports(outpost);
    }

    /// A worker's next step, as its agent takes it.
    async fn work(&mut self, outpost: usize, worker: WorkerId) -> Result<(), String> {
        let here = &mut self.outposts[outpost];
        if !here.is_running {
            return Ok(());
        }
        let Some(work) = here.works.get_mut(&worker) else { return Ok(()) };
        let (mut report, mut again) = (None, None);
        match work.told() {
            None => {
                report = Some(work.report(ReportBody::Accepted));
                again = Some(self.random.u64(1..2_000));
            }
            Some(ReportBody::Accepted) => match &work.stop {
                Some(reason) => {
                    let reason = reason.clone();
                    report = Some(work.finish(Outcome::stopped(&work.assignment.job.clone(), reason)));
                }
                None if work.vanished => {
                    report = Some(
                        work.finish(Outcome::lost(&work.assignment.job.clone(), "its terminal is gone".to_owned())),
                    );
                }
                None => {
                    let ends_at = *work.ends_at.get_or_insert(self.now + self.random.u64(100..40_000));
                    report = Some(work.report(ReportBody::Started { terminal: None }));
                    again = Some(ends_at.saturating_sub(self.now));
                }
            },
            Some(ReportBody::Started { .. }) => {
                let is_over = work.ends_at.is_some_and(|at| at <= self.now) || work.stop.is_some();
                if work.vanished {
                    report = Some(
                        work.finish(Outcome::lost(&work.assignment.job.clone(), "its terminal is gone".to_owned())),
                    );
                } else if is_over {
                    report = Some(work.report(ReportBody::Exited { exit_code: Some(0) }));
                    again = Some(self.random.u64(1..500));
                } else {
                    again = work.ends_at.map(|at| at - self.now);
                }
            }
            Some(ReportBody::Exited { .. }) => match self.save(outpost, worker).await? {
                Some(outcome) => {
                    report = Some(self.outposts[outpost].works.get_mut(&worker).expect("is there").finish(outcome));
                }
                None => again = Some(self.random.u64(500..3_000)),
            },
            Some(ReportBody::SentBack { .. } | ReportBody::Noted { .. }) => {
                return Err("nothing is sent back or noted here".to_owned());
            }
            Some(ReportBody::Finished { .. }) => {
                if work.forgotten && work.is_delivered() {
                    let gone = here.works.remove(&worker).expect("was just there");
                    if let Some(sprint) = &self.sprint {
                        invariants::is_safe(sprint, gone.pushed.as_ref())?;
                    }
                }
            }
        }
        if let Some(report) = report {
            self.outposts[outpost].to_send.push_back(report);
            self.send_reports(outpost);
        }
        if let Some(pause) = again {
            self.after(pause, Event::Work(outpost, worker));
        }
        Ok(())
    }

    /// Brings what a worker has made to the coordinator; none while that cannot be reached.
    async fn save(&mut self, outpost: usize, worker: WorkerId) -> Result<Option<Outcome>, String> {
        let path = self.paths[outpost];
        let work = &self.outposts[outpost].works[&worker];
        let assignment = work.assignment.clone();
        let Job::Attempt(AttemptJob { item, attempt, role: _ }) = assignment.job else {
            if let Some(reason) = work.stop.clone() {
                return Ok(Some(Outcome::stopped(&assignment.job, reason)));
            }
            let result = if work.fate == Fate::Fails { GateOutcome::Failed } else { GateOutcome::Passed };
            let commit = self.site.objects.find_commit(assignment.base.as_str().parse().expect("a commit"));
            let tree = commit.map_err(|error| error.to_string())?.tree_id();
            let tree = TreeId::new(tree.to_string()).map_err(|error| error.to_string())?;
            let verdicts = assignment.gates.iter().map(|gate| fixtures::verdict(gate, result)).collect();
            return Ok(Some(Outcome::Gate(GateRunOutcome::Judged { commit: assignment.base, tree, verdicts })));
        };
        let Some(sprint) = self.sprint.as_ref().filter(|_| self.now >= self.frozen) else { return Ok(None) };
        if path.up_blocked > self.now || path.down_blocked > self.now {
            return Ok(None);
        }
        let name = work_ref(item, attempt);
        let who = Identity::Outpost(self.outposts[outpost].name.clone());
        let head =
            self.site.commit(Some(&assignment.base), &format!("item-{item}"), &format!("attempt {attempt}\n"), None);
        let mut taken = None;
        for name in [name.clone(), late_ref(&name)] {
            let update = RefUpdate { name: name.clone(), deletes: false };
            if git_access::may_push(sprint, &who, &assignment.repo, &[update]).await.is_ok() {
                taken = Some(name);
                break;
            }
        }
        let Some(name) = taken else { return Err(format!("neither {name} nor its late ref may be pushed to")) };
        let git = sprint.git.get(&assignment.repo).map_err(|error| error.to_string())?;
        git.set_ref(&name, &head).map_err(|error| error.to_string())?;
        let work = self.outposts[outpost].works.get_mut(&worker).expect("is there");
        work.pushed = Some((name, head.clone()));
        Ok(Some(Outcome::Attempt(match (&work.stop, work.fate) {
            (Some(reason), _) => AttemptOutcome::Stopped { reason: reason.clone() },
            (None, Fate::Fails) => AttemptOutcome::Failed { reason: "exited with code 1".to_owned() },
            (None, Fate::Succeeds) => AttemptOutcome::Committed { head },
        })))
    }

    pub(super) fn send_reports(&mut self, outpost: usize) {
        let Some(id) = self.outposts[outpost].connection else { return };
        if !self.connections.get(&id).is_some_and(|connection| connection.open && connection.welcomed) {
            return;
        }
        while let Some(report) = self.outposts[outpost].to_send.pop_front() {
            self.send_up(id, Up::Report(Box::new(report)));
        }
    }

    pub(super) fn send_up(&mut self, id: u64, message: Up) {
        let Some(connection) = self.connections.get(&id) else { return };
        let (outpost, last) = (connection.outpost, connection.last_up);
        let can_be_harmed = !matches!(message, Up::Hello(_));
        let Some((at, twice)) = self.way(id, self.paths[outpost].up_blocked, last, can_be_harmed, true) else { return };
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.last_up = connection.last_up.max(at);
        }
        if twice {
            self.after(at + 1 - self.now, Event::Up(id, message.clone()));
        }
        self.after(at - self.now, Event::Up(id, message));
    }

    fn send_down(&mut self, id: u64, message: Down) {
        let Some(connection) = self.connections.get(&id) else { return };
        let (outpost, last) = (connection.outpost, connection.last_down);
        let can_be_harmed = !matches!(message, Down::Welcome);
        // Orders are not overtaken: no stream does that, and a stop before its assignment would mean nothing.
        let Some((at, twice)) = self.way(id, self.paths[outpost].down_blocked, last, can_be_harmed, false) else {
            return;
        };
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.last_down = connection.last_down.max(at);
        }
        if twice {
            self.after(at + 1 - self.now, Event::Down(id, message.clone()));
        }
        self.after(at - self.now, Event::Down(id, message));
    }

    /// When a message arrives, and whether it does so twice; none if it is lost.
    fn way(
        &mut self,
        id: u64,
        blocked: u64,
        last: u64,
        can_be_harmed: bool,
        can_overtake: bool,
    ) -> Option<(u64, bool)> {
        let mut at = self.now + self.random.u64(1..20);
        if blocked > self.now + KEEPALIVE {
            // It is not sent again in time.
            return None;
        }
        at = at.max(blocked);
        if !can_be_harmed || self.now > FAULTS {
            return Some((at.max(last), false));
        }
        match self.random.u64(0..200) {
            0 => {
                self.struck(Fault::Loss);
                self.lose_soon(id);
                None
            }
            1 => {
                self.struck(Fault::Duplicate);
                Some((at.max(last), true))
            }
            2 if can_overtake => {
                self.struck(Fault::Reorder);
                Some((at.max(last) + self.random.u64(1..200), false)).map(|(late, twice)| {
                    // The next does not wait for it.
                    (late.max(at), twice)
                })
            }
            3 => {
                self.struck(Fault::Delay);
                Some((at.max(last) + self.random.u64(100..5_000), false))
            }
            _ => Some((at.max(last), false)),
        }
    }

    /// Both sides notice within the keepalive that a connection is not what it was.
    pub(super) fn lose_soon(&mut self, id: u64) {
        for side in [Side::Outpost, Side::Coordinator] {
            let pause = self.random.u64(0..KEEPALIVE);
            self.after(pause, Event::Gone(id, side));
        }
    }

    /// An item of those that there are.
    pub(super) fn some_item(&mut self) -> Option<ItemId> {
        if self.items.is_empty() {
            return None;
        }
        let index = self.random.usize(0..self.items.len());
        Some(self.items[index].id)
    }

    pub(super) async fn cancel(&mut self, item: ItemId) -> bool {
        let Some(sprint) = &self.sprint else { return false };
        let by = coordinator::service::Actor::Coordinator;
        items::cancel(sprint, item, "a person changed their mind".to_owned(), by).await.is_ok()
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn text(error: ServiceError) -> String {
    format!("a service failed: {error}")
}
