//! The invariants of the whole record.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use crate::change::{Change, ChangeState};
use crate::ids::{ItemId, TrialId, WorkerId};
use crate::item::{Item, Stage};
use crate::outpost::Outpost;
use crate::repo::Repo;
use crate::trial::Trial;
use crate::worker::Worker;

/// The record, read at one moment.
#[derive(Debug, Clone, Default)]
pub struct Record {
    pub repos: Vec<Repo>,
    pub items: Vec<Item>,
    pub workers: Vec<Worker>,
    pub changes: Vec<Change>,
    pub trials: Vec<Trial>,
    pub outposts: Vec<Outpost>,
    /// How many events there are, and the number of the last.
    pub events: u64,
    pub last_event: u64,
    /// How often each item was recorded as landed.
    pub landings: BTreeMap<ItemId, u64>,
}

/// The violated invariants, each as a sentence; empty for a sound record.
pub fn violations(record: &Record) -> Vec<String> {
    let mut check = Check { record, items: BTreeMap::new(), workers: BTreeMap::new(), found: Vec::new() };
    check.items.extend(record.items.iter().map(|item| (item.id, item)));
    check.workers.extend(record.workers.iter().map(|worker| (worker.id, worker)));
    check.events();
    for item in &record.items {
        check.item(item);
    }
    check.workers_of_items();
    for change in &record.changes {
        check.change(change);
    }
    check.trials();
    check.found
}

struct Check<'a> {
    record: &'a Record,
    items: BTreeMap<ItemId, &'a Item>,
    workers: BTreeMap<WorkerId, &'a Worker>,
    found: Vec<String>,
}

impl Check<'_> {
    fn say(&mut self, what: impl Display) {
        self.found.push(what.to_string());
    }

    fn events(&mut self) {
        let Record { events, last_event, .. } = self.record;
        if events != last_event {
            self.say(format_args!(
                "there are {events} events, and the last has the number {last_event}: some are missing"
            ));
        }
        for (item, times) in &self.record.landings {
            if *times > 1 {
                self.say(format_args!("item {item} landed {times} times"));
            }
        }
    }

    fn item(&mut self, item: &Item) {
        let id = item.id;
        if !self.record.repos.iter().any(|repo| repo.name == item.repo) && !item.is_over() {
            self.say(format_args!("item {id} is of repo \"{}\", which is not there", item.repo));
        }
        for other in item.needs.iter().chain(&item.parent) {
            if !self.items.contains_key(other) {
                self.say(format_args!("item {id} names item {other}, which is not there"));
            }
        }
        match &item.stage {
            Stage::InProgress { lease } => match self.workers.get(&lease.worker) {
                Some(worker)
                    if worker.job.attempt().is_none_or(|job| job.item != id || job.attempt != item.attempt) =>
                {
                    let worker = worker.id;
                    self.say(format_args!("item {id} is leased to worker {worker}, which works on something else"));
                }
                Some(worker) if !worker.state.is_live() => {
                    let (worker, state) = (worker.id, worker.state.name());
                    self.say(format_args!("item {id} is leased to worker {worker}, which is {state}"));
                }
                Some(_) => {}
                None => self.say(format_args!("item {id} is leased to worker {}, which is not there", lease.worker)),
            },
            Stage::Merging { change, landed } => {
                let found = self.record.changes.iter().find(|known| known.id == *change);
                match found {
                    Some(found) if found.item != id || found.attempt != item.attempt => {
                        self.say(format_args!("item {id} waits for change {change}, which is another attempt's"));
                    }
                    Some(found) if landed.is_some() && !matches!(found.state, ChangeState::Landed { .. }) => {
                        let state = found.state.name();
                        self.say(format_args!("item {id} has landed with change {change}, which is {state}"));
                    }
                    Some(found) if landed.is_none() && !found.state.is_pending() => {
                        let state = found.state.name();
                        self.say(format_args!("item {id} waits for change {change}, which is {state}"));
                    }
                    Some(_) => {}
                    None => self.say(format_args!("item {id} waits for change {change}, which is not there")),
                }
            }
            Stage::Inbox
            | Stage::Planning
            | Stage::Ready
            | Stage::InReview
            | Stage::InTests
            | Stage::InDocs
            | Stage::Done { .. }
            | Stage::Blocked { .. }
            | Stage::Cancelled { .. } => {}
        }
    }

    fn workers_of_items(&mut self) {
        let mut working = BTreeSet::new();
        for worker in self.record.workers.iter().filter(|worker| worker.state.is_live()) {
            let id = worker.id;
            if !self.record.outposts.iter().any(|outpost| outpost.name == worker.outpost) {
                self.say(format_args!(
                    "worker {id} holds a slot of outpost \"{}\", which is not there",
                    worker.outpost
                ));
            }
            let Some(item) = worker.job.item() else { continue };
            let Some(on) = self.items.get(&item) else {
                self.say(format_args!("worker {id} is on item {item}, which is not there"));
                continue;
            };
            // One that was told to end may outlive its lease, until its work is saved.
            if worker.stop_reason.is_some() {
                continue;
            }
            if on.worker() != Some(id) {
                let stage = on.stage.name();
                self.say(format_args!("worker {id} works on item {item}, which is {stage} and not leased to it"));
            }
            if !working.insert(item) {
                self.say(format_args!("two workers work on item {item} at once"));
            }
        }
    }

    fn change(&mut self, change: &Change) {
        let id = change.id;
        match self.items.get(&change.item) {
            None => self.say(format_args!("change {id} is of item {}, which is not there", change.item)),
            Some(item) => {
                let is_waited_for = matches!(item.stage, Stage::Merging { change, .. } if change == id);
                let (item, stage) = (item.id, item.stage.name());
                if change.state.is_pending() && !is_waited_for {
                    self.say(format_args!("change {id} is in the queue, and its item {item} is {stage}"));
                }
                if matches!(change.state, ChangeState::Landed { .. })
                    && !self.items[&item].has_landed()
                    && !matches!(self.items[&item].stage, Stage::Cancelled { .. })
                {
                    self.say(format_args!("change {id} has landed, and its item {item} is {stage}"));
                }
            }
        }
    }

    fn trials(&mut self) {
        let trials: BTreeMap<TrialId, &Trial> = self.record.trials.iter().map(|trial| (trial.id, trial)).collect();
        for trial in &self.record.trials {
            for run in &trial.runs {
                let Some(worker) = run.worker() else { continue };
                let runs = self.workers.get(&worker).is_some_and(|worker| {
                    worker.state.is_live() && worker.job.gate().is_some_and(|gate| gate.trial == trial.id)
                });
                if !runs {
                    let (id, gate) = (trial.id, &run.gate.name);
                    self.say(format_args!(
                        "trial {id} waits for worker {worker}, which does not run its gate {gate:?}"
                    ));
                }
            }
        }
        for worker in self.record.workers.iter().filter(|worker| worker.state.is_live() && worker.stop_reason.is_none())
        {
            let Some(gate) = worker.job.gate() else { continue };
            let awaited = trials.get(&gate.trial).is_some_and(|trial| trial.run_of(worker.id).is_some());
            if !awaited {
                let (id, trial) = (worker.id, gate.trial);
                self.say(format_args!("worker {id} runs a gate of trial {trial}, which does not wait for it"));
            }
        }
    }
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
