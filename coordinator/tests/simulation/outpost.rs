//! A simulated outpost: what it has on its disk survives its agent, and its workers do, too.

use std::collections::{BTreeMap, VecDeque};

use sprint_core::assignment::{Assignment, Outcome, Report, ReportBody};
use sprint_core::ids::{CommitId, OutpostName, WorkerId};
use sprint_core::request::{Hello, InventoryEntry};

/// How a worker will end, if nothing comes between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Succeeds,
    Fails,
}

/// A worker as the outpost's disk and terminal server have it.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    pub(crate) assignment: Assignment,
    pub(crate) fate: Fate,
    /// Its journal.
    pub(crate) reports: Vec<Report>,
    pub(crate) acknowledged: u64,
    /// The newest report that was acknowledged and not refused.
    pub(crate) applied: u64,
    pub(crate) stop: Option<String>,
    /// When its command ends, once it runs.
    pub(crate) ends_at: Option<u64>,
    /// Its terminal is gone, and its command with it.
    pub(crate) vanished: bool,
    /// What it has made, once it is at the coordinator.
    pub(crate) pushed: Option<(String, CommitId)>,
    pub(crate) forgotten: bool,
}

impl Work {
    pub(crate) fn new(assignment: Assignment, fate: Fate) -> Self {
        Self {
            assignment,
            fate,
            reports: vec![],
            acknowledged: 0,
            applied: 0,
            stop: None,
            ends_at: None,
            vanished: false,
            pushed: None,
            forgotten: false,
        }
    }

    pub(crate) fn told(&self) -> Option<&ReportBody> {
        self.reports.last().map(|report| &report.body)
    }

    pub(crate) fn is_finished(&self) -> bool {
        matches!(self.told(), Some(ReportBody::Finished { .. }))
    }

    pub(crate) fn is_delivered(&self) -> bool {
        self.acknowledged == self.reports.len() as u64
    }

    /// Writes a report down.
    pub(crate) fn report(&mut self, body: ReportBody) -> Report {
        let Assignment { worker, job, .. } = &self.assignment;
        let seq = self.reports.len() as u64 + 1;
        let report = Report { worker: *worker, job: job.clone(), seq, body };
        self.reports.push(report.clone());
        report
    }

    pub(crate) fn finish(&mut self, outcome: Outcome) -> Report {
        let (exit_code, log_tail) = (Some(0), String::new());
        let (steps, wip, left) = (vec![], None, Box::default());
        self.report(ReportBody::Finished { exit_code, steps, wip, log_bytes: 0, log_tail, outcome, left, agent: None })
    }
}

/// An outpost.
pub(crate) struct Outpost {
    pub(crate) name: OutpostName,
    pub(crate) max_workers: u32,
    pub(crate) is_running: bool,
    /// It will never be back.
    pub(crate) is_gone: bool,
    /// When the coordinator last heard of it, in time that the coordinator was awake.
    pub(crate) heard: u64,
    /// How often its agent was started.
    pub(crate) starts: u64,
    /// The disk.
    pub(crate) works: BTreeMap<WorkerId, Work>,
    /// What the present session has still to send.
    pub(crate) to_send: VecDeque<Report>,
    pub(crate) connection: Option<u64>,
}

impl Outpost {
    pub(crate) fn hello(&self) -> Hello {
        let inventory = self.works.values().map(|work| InventoryEntry {
            worker: work.assignment.worker,
            job: work.assignment.job.clone(),
            finished: work.is_finished(),
        });
        Hello {
            outpost: self.name.clone(),
            version: "simulated".to_owned(),
            labels: BTreeMap::new(),
            max_workers: self.max_workers,
            instance: format!("{}-{}", self.name, self.starts),
            draining: false,
            inventory: inventory.collect(),
        }
    }

    /// A new session sends again whatever was not acknowledged.
    pub(crate) fn begin_session(&mut self) {
        let open = |work: &Work| work.reports.iter().filter(|report| report.seq > work.acknowledged).cloned().collect();
        self.to_send = self.works.values().flat_map(|work| -> Vec<Report> { open(work) }).collect();
    }
}
