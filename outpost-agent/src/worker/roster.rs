//! How workers come to this outpost: assigned by the coordinator, or found on disk after a restart.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use sprint_core::assignment::{Assignment, Report};
use sprint_core::upcast;
use tokio::sync::mpsc;

use super::brief;
use super::decide::Stop;
use super::fleet::Addition;
use super::handle::{Origin, WorkerHandle};
use super::journal::{Journal, JournalContent};
use super::life::Life;
use super::progress::Progress;
use super::reporter;
use super::secrets;
use crate::context::Agent;
use crate::host::disk;
use crate::host::paths::WorkerDir;
use crate::shim::plan::Plan;

/// More than a worker ever has on its way: five reports and their acknowledgements.
const ENTRIES: usize = 64;

/// Accepts an assignment; for one that is here already its reports are sent again.
pub(crate) fn assign(agent: &Arc<Agent>, assignment: Assignment) {
    let worker = assignment.worker;
    let dir = agent.data.worker(worker);
    let (entries, receiver) = mpsc::channel(ENTRIES);
    let handle = Arc::new(WorkerHandle::new(assignment, dir.clone(), entries, Origin::Assigned));
    match agent.fleet.add(handle.clone()) {
        Addition::Added => {}
        Addition::AlreadyPresent => {
            tracing::debug!(%worker, "assigned again");
            agent.outbox.resend(worker);
            return;
        }
    }
    tracing::info!(
        %worker,
        job = %handle.assignment.job,
        "assigned"
    );
    agent.spawn(reporter::run(Journal::new(dir.journal()), receiver, agent.outbox.clone()));
    agent.spawn(Life::new(agent.clone(), handle, Progress::default(), Origin::Assigned).run());
}

/// Finds the workers that an earlier run of the agent has left, and goes on with them.
///
/// # Errors
/// The directory of workers cannot be read.
pub(crate) fn adopt(agent: &Arc<Agent>) -> io::Result<()> {
    for entry in fs::read_dir(agent.data.workers())? {
        let path = entry?.path();
        match read(&path) {
            Ok(Some(stored)) => start_adopted(agent, stored),
            // It ended before it had promised anything.
            Ok(None) => {
                if let Err(error) = disk::discard(&path, &agent.data.trash()) {
                    tracing::warn!(path = %path.display(), %error, "an unfinished directory cannot be removed");
                }
            }
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "a worker's directory cannot be read; it is left alone");
            }
        }
    }
    Ok(())
}

/// A worker's directory, read back.
struct StoredWorker {
    assignment: Assignment,
    dir: WorkerDir,
    journal: Journal,
    recorded: JournalContent,
    stop: Option<Stop>,
}

fn read(path: &Path) -> io::Result<Option<StoredWorker>> {
    let dir = WorkerDir::new(path.to_owned());
    let content = match fs::read(dir.assignment()) {
        Ok(content) => content,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let mut assignment: serde_json::Value = serde_json::from_slice(&content)?;
    upcast::job(&mut assignment);
    let assignment: Assignment = serde_json::from_value(assignment)?;
    if path.file_name().and_then(|name| name.to_str()) != Some(&assignment.worker.to_string()) {
        return Err(io::Error::other("its assignment is another worker's"));
    }
    let (journal, recorded) = Journal::load(dir.journal(), &assignment.job)?;
    let stop = fs::read(dir.stop()).ok().and_then(|content| serde_json::from_slice(&content).ok());
    Ok(Some(StoredWorker { assignment, dir, journal, recorded, stop }))
}

fn start_adopted(agent: &Arc<Agent>, stored: StoredWorker) {
    let StoredWorker { assignment, dir, journal, recorded, stop } = stored;
    let worker = assignment.worker;
    let progress = Progress::from_reports(&recorded.reports);
    for report in recorded.reports.into_iter().filter(|report: &Report| report.seq > recorded.acked) {
        agent.outbox.push(report);
    }
    let (entries, receiver) = mpsc::channel(ENTRIES);
    let handle = WorkerHandle::new(assignment, dir, entries, Origin::Adopted);
    if progress.is_finished() {
        handle.set_finished(progress.seq);
        // Left by an agent that was killed between its end and this.
        if let Err(error) = secrets::remove(&handle.dir) {
            tracing::warn!(%worker, %error, "its secrets could not be removed; they go with its directory");
        }
    }
    handle.restore_stop(stop);
    let handle = Arc::new(handle);
    // Before any new worker is given some.
    let plan: Option<Plan> = fs::read(handle.dir.plan()).ok().and_then(|content| serde_json::from_slice(&content).ok());
    if let Some(first) = plan.as_ref().and_then(brief::port) {
        agent.ports.adopt(worker, first);
    }
    agent.fleet.add(handle.clone());
    tracing::info!(%worker, finished = progress.is_finished(), "adopted from disk");
    agent.spawn(reporter::run(journal, receiver, agent.outbox.clone()));
    agent.spawn(Life::new(agent.clone(), handle, progress, Origin::Adopted).run());
}
