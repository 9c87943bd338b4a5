//! What happens when something goes wrong.

use std::sync::atomic::Ordering;

use coordinator::service::Actor;
use coordinator::service::fleet::outposts;

use super::{Event, FAULTS, World};
use crate::faults::{self, Fault};
use crate::network::{KEEPALIVE, Side};

const HOUR: i64 = 3_600_000;

impl World {
    pub(super) fn struck(&mut self, fault: Fault) {
        *self.struck.entry(fault).or_default() += 1;
    }

    pub(super) async fn strike(&mut self) {
        if self.now > FAULTS {
            return;
        }
        let pause = self.random.u64(200..8_000);
        self.after(pause, Event::Fault);
        let fault = faults::choose(&mut self.random);
        let outpost = self.random.usize(0..self.outposts.len());
        self.note(&format!("{fault:?} strikes {outpost}"));
        let did = match fault {
            Fault::Loss | Fault::Duplicate | Fault::Reorder | Fault::Delay => false,
            Fault::Cut => self.cut(outpost),
            Fault::PartitionUp => self.part(outpost, true, false),
            Fault::PartitionDown => self.part(outpost, false, true),
            Fault::PartitionBoth => self.part(outpost, true, true),
            Fault::CoordinatorKilled => self.kill_coordinator().await,
            Fault::CoordinatorFrozen => self.freeze(),
            Fault::AgentKilled => self.kill_agent(outpost),
            Fault::AgentGone => self.lose_agent(outpost),
            Fault::TerminalLost => self.lose_terminal(outpost),
            Fault::ClockForward => self.jump(1),
            Fault::ClockBack => self.jump(-1),
            Fault::Cancelled => match self.some_item() {
                Some(item) => self.cancel(item).await,
                None => false,
            },
            Fault::Stopped => self.stop_worker(outpost).await,
        };
        if did {
            self.struck(fault);
        }
    }

    fn cut(&mut self, outpost: usize) -> bool {
        let Some(id) = self.outposts[outpost].connection else { return false };
        for side in [Side::Outpost, Side::Coordinator] {
            let pause = self.random.u64(1..50);
            self.after(pause, Event::Gone(id, side));
        }
        true
    }

    fn part(&mut self, outpost: usize, up: bool, down: bool) -> bool {
        // Some end before they are noticed, some last longer than every lease.
        let length =
            if self.random.bool() { self.random.u64(100..KEEPALIVE) } else { self.random.u64(KEEPALIVE..100_000) };
        let until = self.now + length;
        let path = &mut self.paths[outpost];
        if up {
            path.up_blocked = path.up_blocked.max(until);
        }
        if down {
            path.down_blocked = path.down_blocked.max(until);
        }
        if length >= KEEPALIVE
            && let Some(id) = self.outposts[outpost].connection
        {
            // What is under way does not arrive.
            self.drop_messages(id);
            for side in [Side::Outpost, Side::Coordinator] {
                let pause = KEEPALIVE - self.random.u64(0..3_000);
                self.after(pause, Event::Gone(id, side));
            }
        }
        true
    }

    fn drop_messages(&mut self, id: u64) {
        self.events.retain(|_, event| !matches!(event, Event::Up(held, _) | Event::Down(held, _) if *held == id));
    }

    async fn kill_coordinator(&mut self) -> bool {
        let Some(sprint) = self.sprint.take() else { return false };
        sprint.store.close().await;
        drop(sprint);
        let open = self.connections.keys().copied().collect::<Vec<_>>();
        for id in open {
            let blocked = self.connections.get(&id).is_none_or(|connection| {
                let path = self.paths[connection.outpost];
                path.down_blocked > self.now
            });
            self.drop_messages(id);
            if let Some(connection) = self.connections.get_mut(&id) {
                (connection.accepted, connection.session) = (false, None);
            }
            // The end of the stream is no message that gets through a partition.
            let pause = if blocked { KEEPALIVE } else { self.random.u64(1..50) };
            self.after(pause, Event::Gone(id, Side::Outpost));
        }
        let pause = self.random.u64(100..10_000);
        self.after(pause, Event::StartCoordinator);
        true
    }

    pub(super) async fn start_coordinator(&mut self) {
        let sprint = self.site.start().await;
        self.seen = sprint.notices().events().borrow().get();
        self.sprint = Some(sprint);
        self.frozen = 0;
        for outpost in &mut self.outposts {
            outpost.heard = self.awake;
        }
        for event in [Event::Scheduler, Event::Supervisor, Event::Pipeline, Event::Merger] {
            self.after(1, event);
        }
    }

    fn freeze(&mut self) -> bool {
        if self.sprint.is_none() {
            return false;
        }
        let length = self.random.u64(1_000..120_000);
        self.frozen = self.frozen.max(self.now + length);
        if length >= KEEPALIVE {
            let open = self.connections.iter().filter(|(_, held)| held.open).map(|(id, _)| *id).collect::<Vec<_>>();
            for id in open {
                let pause = KEEPALIVE - self.random.u64(0..3_000);
                self.after(pause, Event::Gone(id, Side::Outpost));
                self.after(pause, Event::Gone(id, Side::Coordinator));
            }
        }
        true
    }

    fn kill_agent(&mut self, outpost: usize) -> bool {
        let here = &mut self.outposts[outpost];
        if !std::mem::replace(&mut here.is_running, false) {
            return false;
        }
        here.to_send.clear();
        if let Some(id) = here.connection.take() {
            if let Some(connection) = self.connections.get_mut(&id) {
                connection.open = false;
            }
            let pause = if self.paths[outpost].up_blocked > self.now { KEEPALIVE } else { self.random.u64(1..50) };
            self.after(pause, Event::Gone(id, Side::Coordinator));
        }
        // Some stay away for longer than any lease.
        let pause =
            if self.random.u64(0..4) == 0 { self.random.u64(60_000..100_000) } else { self.random.u64(100..20_000) };
        self.after(pause, Event::StartAgent(outpost));
        true
    }

    fn lose_agent(&mut self, outpost: usize) -> bool {
        let here = self.outposts.iter().filter(|outpost| !outpost.is_gone).count();
        if here < 2 || self.outposts[outpost].is_gone {
            return false;
        }
        self.outposts[outpost].is_gone = true;
        self.kill_agent(outpost);
        true
    }

    pub(super) fn start_agent(&mut self, outpost: usize) {
        if self.outposts[outpost].is_gone {
            return;
        }
        let forgets = self.random.bool();
        let here = &mut self.outposts[outpost];
        (here.is_running, here.starts) = (true, here.starts + 1);
        for work in here.works.values_mut().filter(|_| forgets) {
            // The last acknowledgement is not always on the disk.
            work.acknowledged = work.acknowledged.saturating_sub(1);
            work.forgotten = false;
        }
        let workers = here.works.keys().copied().collect::<Vec<_>>();
        for worker in workers {
            self.after(1, Event::Work(outpost, worker));
        }
        self.after(1, Event::Dial(outpost));
    }

    fn lose_terminal(&mut self, outpost: usize) -> bool {
        let mut lost = Vec::new();
        for (worker, work) in &mut self.outposts[outpost].works {
            if work.ends_at.is_some_and(|at| at > self.now) {
                work.vanished = true;
                lost.push(*worker);
            }
        }
        for worker in &lost {
            self.after(1, Event::Work(outpost, *worker));
        }
        !lost.is_empty()
    }

    fn jump(&mut self, direction: i64) -> bool {
        let by = direction * self.random.i64(1_000..HOUR);
        self.site.clocks.jump.fetch_add(by, Ordering::Relaxed);
        true
    }

    async fn stop_worker(&mut self, outpost: usize) -> bool {
        let Some(worker) = self.outposts[outpost].works.keys().next().copied() else { return false };
        let Some(sprint) = &self.sprint else { return false };
        outposts::stop_worker(sprint, worker, "a person wants it".to_owned(), Actor::Coordinator).await.is_ok()
    }
}
