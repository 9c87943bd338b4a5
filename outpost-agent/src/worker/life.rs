//! Carries out what a worker needs next, again and again, until it is removed.

use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use sprint_core::assignment::{Assignment, NO_WORKSPACE, ReportBody};
use sprint_core::worker::Terminal;
use sprint_failpoint::{Point, pass};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument as _, Span};

use super::brief::{self, Place};
use super::decide::{Facts, Launch, Next, Shim, Stop, Trouble, next};
use super::handle::{Origin, WorkerHandle};
use super::outcome::DISK_FULL;
use super::progress::{Phase, Progress};
use super::secrets;
use super::shim_process;
use super::snapshots::Snapshots;
use super::socket;
use crate::context::Agent;
use crate::host::disk::{self, Durability};
use crate::sandbox::cgroup::Group;
use crate::sandbox::{Access, Grant, Sandbox};
use crate::shim::plan::Plan;
use crate::tmux::{DUPLICATE, NewSession, Presence, Tmux, TmuxError};
use crate::workspace::furnish::Furnished;

/// A safety net: what happens is normally learnt from inotify and tmux.
const TICK: Duration = Duration::from_secs(5);
/// How often a finished worker looks whether it may go, besides being told to.
const TICK_FINISHED: Duration = Duration::from_mins(1);
/// How long a worker that was told to end may take before its terminal is closed.
const END_LIMIT: Duration = Duration::from_secs(10);
/// How long a shim without a terminal may take before it is killed.
const HANG_UP_LIMIT: Duration = Duration::from_secs(20);
/// How often starting a session is tried.
const STARTS: u32 = 3;

/// One worker's life, as its task holds it.
#[derive(Debug)]
pub(crate) struct Life {
    pub(super) agent: Arc<Agent>,
    pub(super) handle: Arc<WorkerHandle>,
    pub(super) progress: Progress,
    origin: Origin,
    /// `exec.json`, once there is one.
    pub(super) plan: Option<Plan>,
    trouble: Option<Trouble>,
    /// The round whose session this run of the agent has started.
    launched: Option<u32>,
    /// What tmux has said of the session, for the next look only.
    just_started: Option<Presence>,
    failed_starts: u32,
    /// Since when it is to end.
    ending: Option<Instant>,
    /// Whether its shim was sent SIGTERM.
    told_to_end: bool,
    /// Since when its shim lives without a terminal.
    hung_up: Option<Instant>,
    socket: Option<AbortOnDropHandle<()>>,
    snapshots: Option<Snapshots>,
}

impl Life {
    pub(crate) fn new(agent: Arc<Agent>, handle: Arc<WorkerHandle>, progress: Progress, origin: Origin) -> Self {
        Self {
            agent,
            handle,
            progress,
            origin,
            plan: None,
            trouble: None,
            launched: None,
            just_started: None,
            failed_starts: 0,
            ending: None,
            told_to_end: false,
            hung_up: None,
            socket: None,
            snapshots: None,
        }
    }

    /// Runs until the worker is removed.
    pub(crate) async fn run(mut self) {
        if self.origin == Origin::Adopted {
            self.read_plan();
            self.watch();
            self.listen();
            self.take_snapshots();
        }
        loop {
            self.pass_on_notes().await;
            let facts = self.observe().await;
            let next = next(&facts);
            let is_last = next == Next::Remove;
            let span = self.span(&next);
            self.step(next, &facts).instrument(span).await;
            if is_last {
                return;
            }
        }
    }

    async fn step(&mut self, next: Next, facts: &Facts) {
        match next {
            Next::Accept => self.accept().await,
            Next::Prepare => self.prepare().await,
            Next::Start => self.start().await,
            Next::TellStarted => self.tell(ReportBody::Started { terminal: Some(self.terminal()) }).await,
            Next::TellExited(exit_code) => self.tell(ReportBody::Exited { exit_code }).await,
            Next::Finish(ended) => self.finish(&ended).await,
            Next::End => self.end(facts).await,
            Next::Wait => self.wait(facts).await,
            Next::Remove => self.remove().await,
        }
    }

    /// A span for each step of a worker's life, and none for the time between two steps.
    fn span(&self, next: &Next) -> Span {
        let step = match next {
            Next::Accept => "accept",
            Next::Prepare => "prepare",
            Next::Start => "start",
            Next::TellStarted => "tell_started",
            Next::TellExited(_) => "tell_exited",
            Next::Finish(_) => "finish",
            Next::End => "end",
            Next::Wait => return Span::none(),
            Next::Remove => "remove",
        };
        tracing::info_span!(parent: None, "step", step, worker = %self.handle.id(), job = %self.handle.assignment.job)
    }

    async fn observe(&mut self) -> Facts {
        let round = self.progress.round();
        let handle = &self.handle;
        let phase = self.progress.phase;
        let forgotten = handle.is_forgotten();
        if phase == Phase::Finished {
            let log_safe = handle.durable_log() >= self.progress.log_bytes || handle.is_disowned();
            let delivered = self.agent.outbox.is_delivered(handle.id()) && log_safe;
            return Facts { phase, forgotten, delivered, ..Facts::default() };
        }
        let launch = match &self.plan {
            Some(_) if self.launched == Some(round) => Launch::Launched,
            Some(plan) if plan.round == round => Launch::Planned,
            Some(_) | None => Launch::Unprepared,
        };
        let may_run = match launch {
            Launch::Launched => true,
            Launch::Planned => self.origin == Origin::Adopted,
            Launch::Unprepared => false,
        };
        // In this order: a shim leaves its exit before it ends, and ends before its session.
        let session = match self.just_started.take() {
            Some(alive) => Some(alive),
            None if may_run => Some(self.agent.tmux.presence(handle.id()).await),
            None => None,
        };
        let (shim, exit) = if may_run {
            (shim_process::look(&handle.dir, round), shim_process::exit(&handle.dir, round))
        } else {
            (Shim::NotBegun, None)
        };
        Facts {
            phase,
            launch,
            shim,
            session,
            exit,
            trouble: self.trouble.clone(),
            stop: handle.stop(),
            forgotten,
            delivered: false,
        }
    }

    /// Writes the assignment down; the report that says so syncs it to the disk.
    async fn accept(&mut self) {
        let handle = self.handle.clone();
        let written = self
            .agent
            .warm_dirs
            .make(handle.dir.path())
            .and_then(|()| secrets::write(&handle.assignment.secrets, &handle.dir))
            .and_then(|()| Ok(serde_json::to_vec(&handle.assignment)?))
            .and_then(|content| disk::write_atomic(&handle.dir.assignment(), &content, Durability::Process));
        if let Err(error) = written {
            self.trouble = Some(Trouble::Outpost(self.explain(&error, disk::says_full(&error))));
        } else if self.agent.settings.drain {
            self.trouble = Some(Trouble::Outpost("the outpost is draining and takes nothing new".to_owned()));
        } else {
            self.watch();
        }
        pass(Point::AcceptWritten);
        self.tell(ReportBody::Accepted).await;
    }

    /// Makes the workspace, unless there is one from an earlier round, and the plan.
    async fn prepare(&mut self) {
        let handle = self.handle.clone();
        let prepared = match &self.plan {
            Some(_) if self.progress.round() > 1 => Ok(Furnished::default()),
            Some(_) | None => {
                let stopped = async {
                    while handle.stop().is_none() {
                        handle.wake.notified().await;
                    }
                };
                tokio::select! {
                    prepared = self.agent.repositories.prepare(&handle.assignment, &handle.dir) => prepared,
                    // The next look at the facts sees it.
                    () = stopped => return,
                }
            }
        };
        let furnished = match prepared {
            Ok(furnished) => furnished,
            Err(error) => {
                self.trouble = Some(Trouble::Outpost(self.explain(&error, error.says_full())));
                return;
            }
        };
        pass(Point::WorkspaceMade);
        let place = Place {
            sandbox: self.sandbox(),
            furnished,
            ports: self.agent.ports.of(handle.id()),
            files: self.agent.repositories.files(&handle.assignment.repo).filter(|files| files.is_dir()),
        };
        let log_limit = self.agent.settings.log_limit;
        let plan = match brief::plan(&handle.assignment, &self.progress, &handle.dir, place, log_limit) {
            Ok(plan) => plan,
            Err(error) => {
                self.trouble = Some(Trouble::Assignment(error.to_string()));
                return;
            }
        };
        let written = brief::write_context(
            &handle.assignment,
            &self.progress,
            &plan.files,
            &handle.dir,
            &self.agent.settings.program,
        )
        .and_then(|()| secrets::make_files(&handle.dir))
        .and_then(|()| match (&self.agent.policy, &plan.sandbox) {
            (Some(policy), Some(sandbox)) => policy.prepare(sandbox, &handle.dir),
            (Some(_) | None, _) => Ok(()),
        })
        .and_then(|()| Ok(serde_json::to_vec(&plan)?))
        .and_then(|content| disk::write_atomic(&handle.dir.plan(), &content, Durability::Process));
        pass(Point::PlanWritten);
        match written {
            Ok(()) => self.plan = Some(plan),
            Err(error) => self.trouble = Some(Trouble::Outpost(self.explain(&error, disk::says_full(&error)))),
        }
    }

    fn sandbox(&self) -> Option<Sandbox> {
        let Assignment { repo, recipe, .. } = &self.handle.assignment;
        let repositories = &self.agent.repositories;
        // Other programs' setups copy from there by themselves.
        let files = recipe.variables.as_ref().and_then(|_| repositories.files(repo));
        let mirror = repositories.get(repo);
        let policy = self.agent.policy.as_ref()?;
        let mut sandbox = policy.sandbox(&self.agent.data, &self.handle.dir, mirror.mirror.path(), files.as_deref());
        if brief::agent(&self.handle.assignment).is_some() {
            sandbox.grants.push(Grant { path: self.handle.dir.state(), access: Access::Write });
        }
        Some(sandbox)
    }

    /// What went wrong on this outpost, as people read it.
    fn explain(&self, error: &dyn std::error::Error, says_full: bool) -> String {
        if says_full || disk::is_full(self.agent.data.root()) {
            format!("{DISK_FULL}: {error}")
        } else {
            format!("{NO_WORKSPACE}: {error}")
        }
    }

    async fn start(&mut self) {
        self.listen();
        self.take_snapshots();
        let round = self.progress.round();
        let (handle, agent) = (&self.handle, &self.agent);
        if round > 1 {
            agent.tmux.kill_session(handle.id()).await;
        }
        match self.begin().await {
            Ok(()) => {
                pass(Point::SessionStarted);
                self.launched = Some(round);
                self.just_started = Some(Presence::Alive);
                agent.repositories.started();
            }
            // An earlier try has succeeded unseen, or still may.
            Err(TmuxError::Refused(said)) if said.contains(DUPLICATE) => self.launched = Some(round),
            Err(error) => {
                self.failed_starts += 1;
                tracing::warn!(worker = %handle.id(), %error, "a session could not be started");
                if self.failed_starts >= STARTS {
                    self.trouble = Some(Trouble::Outpost(format!("tmux did not start its session: {error}")));
                } else {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                // The session may be there all the same.
                self.origin = Origin::Adopted;
            }
        }
    }

    /// Gives it a session, a warm one if there is any.
    async fn begin(&self) -> Result<(), TmuxError> {
        let (handle, agent) = (&self.handle, &self.agent);
        let workspace = handle.dir.workspace();
        if agent.warm_sessions.begin(&agent.tmux, handle.id(), &handle.dir).await {
            let (tmux, worker) = (agent.tmux.clone(), handle.id());
            agent.spawn(async move { tmux.set_directory(worker, &workspace).await });
            return Ok(());
        }
        let dir = handle.dir.path().to_string_lossy().into_owned();
        let command = [agent.program(), "exec".to_owned(), dir];
        let session = Tmux::session(handle.id());
        agent.tmux.new_session(&NewSession { session: &session, cwd: &workspace, command: &command }).await.map(drop)
    }

    fn terminal(&self) -> Terminal {
        Terminal {
            boot_id: self.agent.settings.boot_id.clone(),
            tmux_socket: self.agent.tmux.socket().to_string_lossy().into_owned(),
            tmux_session: Tmux::session(self.handle.id()),
        }
    }

    /// Makes it end, more firmly the longer it takes.
    async fn end(&mut self, facts: &Facts) {
        let round = self.progress.round();
        let dir = &self.handle.dir;
        let elapsed = self.ending.get_or_insert_with(Instant::now).elapsed();
        if !self.told_to_end && facts.shim != Shim::NotBegun {
            tracing::info!(worker = %self.handle.id(), reason = facts.stop.as_ref().map_or("", Stop::reason), "ending it");
            self.told_to_end = true;
            shim_process::signal(dir, round, Signal::SIGTERM);
            return;
        }
        if elapsed >= END_LIMIT + HANG_UP_LIMIT {
            shim_process::signal(dir, round, Signal::SIGKILL);
        } else if elapsed >= END_LIMIT {
            self.agent.tmux.kill_session(self.handle.id()).await;
        }
        // A shim that is about to begin makes a file when it does.
        self.pause(if self.told_to_end { END_LIMIT / 4 } else { Duration::from_millis(100) }).await;
    }

    async fn wait(&mut self, facts: &Facts) {
        if facts.phase == Phase::Finished {
            self.pause(TICK_FINISHED).await;
            return;
        }
        if facts.shim == Shim::Alive && facts.session == Some(Presence::Gone) {
            let since = *self.hung_up.get_or_insert_with(Instant::now);
            if since.elapsed() > HANG_UP_LIMIT {
                shim_process::signal(&self.handle.dir, self.progress.round(), Signal::SIGKILL);
            }
        }
        self.pause(TICK).await;
    }

    pub(super) async fn pause(&self, at_most: Duration) {
        // Either way the facts are gathered anew.
        tokio::time::timeout(at_most, self.handle.wake.notified()).await.ok();
    }

    fn read_plan(&mut self) {
        let content = std::fs::read(self.handle.dir.plan());
        self.plan = content.ok().and_then(|content| serde_json::from_slice(&content).ok());
    }

    fn watch(&self) {
        let handle = &self.handle;
        if let Err(error) = self.agent.file_watch.add(handle.id(), &handle.dir, handle.wake.clone()) {
            tracing::warn!(worker = %handle.id(), %error, "its directory cannot be watched; its end is noticed with a delay");
        }
    }

    /// Opens the worker's own socket, once.
    fn listen(&mut self) {
        if self.socket.is_some() || self.plan.is_none() || self.progress.is_finished() {
            return;
        }
        let handle = self.handle.clone();
        match socket::listen(&handle.dir) {
            Ok(listener) => {
                let serve = async move { socket::serve(listener, &handle).await };
                self.socket = Some(AbortOnDropHandle::new(self.agent.tasks.spawn(serve)));
            }
            Err(error) => {
                tracing::warn!(worker = %handle.id(), %error, "the worker's socket cannot be opened; the worker runs without it");
            }
        }
    }

    /// Has the work on an item saved while it goes on.
    fn take_snapshots(&mut self) {
        let over = self.plan.is_none() || self.progress.is_finished() || self.handle.assignment.job.gate().is_some();
        if self.snapshots.is_some() || over {
            return;
        }
        self.snapshots =
            self.workspace().map(|workspace| Snapshots::start(self.agent.clone(), self.handle.clone(), workspace));
    }

    /// Waits until no snapshot is being taken.
    pub(super) async fn end_snapshots(&mut self) {
        if let Some(snapshots) = self.snapshots.take() {
            snapshots.end().await;
        }
    }

    pub(super) fn close_socket(&mut self) {
        self.handle.notes.close();
        self.socket = None;
    }

    /// Removes everything of it; each step may have been done before a crash.
    async fn remove(&mut self) {
        let (handle, agent) = (self.handle.clone(), self.agent.clone());
        let id = handle.id();
        agent.file_watch.remove(id, &handle.dir);
        // Also without a plan: a fetch that was ended in its midst may have left the ref, or its lock.
        let mirror = &agent.repositories.get(&handle.assignment.repo).mirror;
        if let Err(error) = mirror.remove_ref(&format!("refs/sprint/base/{id}")).await {
            tracing::debug!(worker = %id, %error, "its local ref could not be removed");
        }
        // Left by a shim that was killed, if at all.
        let sandbox = self.plan.as_ref().and_then(|plan| plan.sandbox.as_ref());
        sandbox.iter().flat_map(|sandbox| &sandbox.cgroups).for_each(Group::remove);
        let (trash, kept) = (agent.data.trash(), agent.data.kept(&handle.assignment));
        pass(Point::RemoveBefore);
        let discard = move || {
            secrets::remove(&handle.dir)?;
            if handle.dir.keep().exists() {
                tracing::warn!(worker = %id, kept = %kept.display(), "its directory is kept: not all of its work is safe");
                disk::set_aside(handle.dir.path(), &kept)
            } else {
                disk::discard(handle.dir.path(), &trash)
            }
        };
        match tokio::task::spawn_blocking(discard).await {
            Ok(Ok(())) => tracing::info!(worker = %id, "removed"),
            Ok(Err(error)) => tracing::warn!(worker = %id, %error, "its directory could not be removed"),
            Err(error) => tracing::error!(worker = %id, %error, "removing its directory panicked"),
        }
        agent.ports.give_back(id);
        agent.fleet.remove(id);
    }
}
