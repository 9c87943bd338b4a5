//! A model of the engine, for tests and the simulator: it carries out the planner's steps on trees that are just sets
//! of changes, and panics at a step that the engine would have to refuse.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Action, Clash, Fit, Landing, Outlook, Pending, Plan, Policy, QueueMode, Snapshot, TrialFacts, TrialProgress, plan,
};
use crate::ids::{ChangeId, TrialId};

/// The true state of the trees, which the planner does not see.
pub trait World {
    /// Whether `members` merge onto a tip that these landed on.
    fn merges(&self, landed: &[ChangeId], members: &[ChangeId]) -> bool;
    /// Whether two changes touch the same things.
    fn overlap(&self, one: ChangeId, other: ChangeId) -> bool;
}

/// What carrying out a step did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// A gate was started; it counts until [`Model::finish`].
    Started(TrialId),
    Cancelled(TrialId),
    Landed(Vec<ChangeId>),
    /// It was sent back.
    Left(ChangeId),
    /// The merge failed at once.
    Unmergeable(TrialId),
}

/// What a trial's tree is: these landed before it, and these were merged onto them.
#[derive(Debug, Clone)]
pub struct Tree {
    pub base: usize,
    pub members: Vec<ChangeId>,
}

/// A queue and its engine.
#[derive(Debug, Clone)]
pub struct Model {
    pub snapshot: Snapshot,
    /// In order.
    pub landed: Vec<ChangeId>,
    pub left: Vec<ChangeId>,
    pub trees: BTreeMap<TrialId, Tree>,
    /// For each length of `landed`, whether that tip is known to be green.
    green: Vec<bool>,
    gone: BTreeSet<ChangeId>,
    next: u64,
}

impl Model {
    pub fn new(slots: usize) -> Self {
        let policy = Policy { landing: Landing::Strict, pace: QueueMode::Open, together: true };
        Self {
            snapshot: Snapshot {
                changes: Vec::new(),
                trials: Vec::new(),
                tip_is_gated: true,
                slots,
                policy,
                clash: Clash { overlapping: 0.02, disjoint: 0.0 },
                flake: 0.02,
            },
            landed: Vec::new(),
            left: Vec::new(),
            trees: BTreeMap::new(),
            green: vec![true],
            gone: BTreeSet::new(),
            next: 1,
        }
    }

    /// Puts a change into the queue at `position`, or at its end.
    pub fn arrive(&mut self, world: &impl World, id: ChangeId, prior: f64, parents: Vec<ChangeId>) {
        self.arrive_at(world, self.snapshot.changes.len(), id, prior, parents);
    }

    /// Puts an urgent change before those that are not.
    pub fn arrive_urgent(&mut self, world: &impl World, id: ChangeId, prior: f64) {
        let position = self.snapshot.changes.iter().filter(|change| change.urgent).count();
        self.arrive_at(world, position, id, prior, Vec::new());
        self.snapshot.changes[position].urgent = true;
    }

    fn arrive_at(&mut self, world: &impl World, position: usize, id: ChangeId, prior: f64, parents: Vec<ChangeId>) {
        let (before, after) = self.snapshot.changes.split_at_mut(position);
        let overlaps = before.iter().map(|change| change.id).filter(|other| world.overlap(*other, id)).collect();
        for change in after.iter_mut().filter(|change| world.overlap(id, change.id)) {
            change.overlaps.push(id);
        }
        self.snapshot.changes.insert(position, Pending { id, overlaps, parents, prior, urgent: false });
    }

    pub fn plan(&self) -> Plan {
        plan(&self.snapshot)
    }

    pub fn outlook(&self, id: ChangeId) -> Outlook {
        self.plan().outlook.remove(&id).expect("a pending change has an outlook")
    }

    pub fn trial(&self, id: TrialId) -> &TrialFacts {
        self.snapshot.trials.iter().find(|trial| trial.id == id).expect("a known trial")
    }

    pub fn is_running(&self, id: TrialId) -> bool {
        self.snapshot.trials.iter().any(|trial| trial.id == id && is_live(trial))
    }

    /// The trials whose gates run.
    pub fn running(&self) -> Vec<TrialId> {
        self.snapshot.trials.iter().filter(|trial| is_live(trial)).map(|trial| trial.id).collect()
    }

    /// Plans and carries out, until there is nothing more to do before a gate ends.
    pub fn settle(&mut self, world: &impl World) -> Vec<Done> {
        let mut done = Vec::new();
        for _ in 0..2_000 {
            let steps = self.plan().steps;
            if steps.is_empty() {
                return done;
            }
            for step in &steps {
                done.extend(self.apply(world, step));
            }
        }
        panic!("the planner never rests");
    }

    /// Carries out one step.
    pub fn apply(&mut self, world: &impl World, step: &Action) -> Vec<Done> {
        match step {
            Action::Land { trial } => vec![Done::Landed(self.land(world, *trial))],
            Action::Eject { change, trial } => {
                self.check_blame(*change, *trial);
                self.leave(*change);
                vec![Done::Left(*change)]
            }
            Action::Follow { change, parent } => {
                assert!(self.gone.contains(parent), "{change} follows {parent}, which is still here");
                self.leave(*change);
                vec![Done::Left(*change)]
            }
            Action::Cancel { trial } => {
                assert!(self.is_running(*trial), "{trial} does not run");
                self.snapshot.trials.retain(|other| other.id != *trial);
                self.trees.remove(trial);
                vec![Done::Cancelled(*trial)]
            }
            Action::Confirm { trial } => {
                let trial = self.trial_mut(*trial);
                assert_eq!(trial.state, TrialProgress::Suspect, "only what failed once is run again");
                trial.state = TrialProgress::Confirming;
                let id = trial.id;
                self.check_slots();
                vec![Done::Started(id)]
            }
            Action::Gate { members } => vec![self.gate(world, members)],
        }
    }

    fn gate(&mut self, world: &impl World, members: &[ChangeId]) -> Done {
        let places: Vec<usize> = members.iter().map(|id| self.place(*id).expect("only what is pending")).collect();
        assert!(places.is_sorted_by(|one, other| one < other), "members are in the order of the queue");
        // They are merged one after the other, so it is known which is the first that does not merge.
        let until = (1..=members.len()).find(|end| !world.merges(&self.landed, &members[..*end]));
        let merges = until.is_none();
        let members = &members[..until.unwrap_or(members.len())];
        let mut exact = self.snapshot.trials.iter().filter(|trial| trial.fit == Fit::Exact && trial.members == members);
        if let Some(known) = exact.next() {
            // Two gates of one plan may turn out to fail to merge for the same reason.
            assert!(!merges, "{members:?} were tried on this tip");
            return Done::Unmergeable(known.id);
        }
        let id = TrialId::new(self.next);
        self.next += 1;
        let state = if merges { TrialProgress::Running } else { TrialProgress::Unmergeable };
        let green_base = self.snapshot.tip_is_gated;
        self.snapshot.trials.push(TrialFacts { id, members: members.to_vec(), fit: Fit::Exact, state, green_base });
        self.trees.insert(id, Tree { base: self.landed.len(), members: members.to_vec() });
        if !merges {
            return Done::Unmergeable(id);
        }
        self.check_slots();
        Done::Started(id)
    }

    fn check_slots(&self) {
        assert!(self.running().len() <= self.snapshot.slots, "there are no more slots");
    }

    /// Takes a gate's result.
    pub fn finish(&mut self, id: TrialId, passed: bool) {
        let tree = self.trees[&id].clone();
        let trial = self.trial_mut(id);
        trial.state = match (trial.state, passed) {
            (TrialProgress::Running | TrialProgress::Confirming, true) => TrialProgress::Passed,
            (TrialProgress::Running, false) => TrialProgress::Suspect,
            (TrialProgress::Confirming, false) => TrialProgress::Failed,
            (state, _) => panic!("{id} is {state:?}"),
        };
        let is_tip = trial.fit == Fit::Exact && trial.members.is_empty();
        if passed && is_tip {
            self.snapshot.tip_is_gated = true;
            *self.green.last_mut().expect("there is a tip") = true;
        }
        if passed && tree.members.is_empty() {
            self.green[tree.base] = true;
        }
        self.refresh();
    }

    fn land(&mut self, world: &impl World, id: TrialId) -> Vec<ChangeId> {
        let trial = self.trial(id).clone();
        let policy = self.snapshot.policy;
        assert_eq!(policy.pace, QueueMode::Open);
        assert_eq!(trial.state, TrialProgress::Passed, "{id} has not passed");
        assert!(policy.together || trial.members.len() == 1, "changes land one by one");
        let tree = &self.trees[&id];
        let exact = self.landed[tree.base..].iter().all(|landed| tree.members.contains(landed))
            && tree.members.iter().all(|member| trial.members.contains(member) || self.landed.contains(member));
        assert!(exact || policy.landing == Landing::Relaxed && trial.fit == Fit::Disjoint, "{id} is not what lands");
        for change in self.snapshot.changes.iter().filter(|change| trial.members.contains(&change.id)) {
            for other in change.overlaps.iter().chain(&change.parents) {
                assert!(
                    self.place(*other).is_none() || trial.members.contains(other),
                    "{} lands before {other}",
                    change.id
                );
            }
        }
        self.snapshot.changes.retain(|change| !trial.members.contains(&change.id));
        self.moved(world, &trial.members, exact);
        trial.members
    }

    /// The branch was moved outside of the coordinator.
    pub fn move_by_hand(&mut self, world: &impl World, id: ChangeId) {
        self.moved(world, &[id], false);
    }

    fn moved(&mut self, world: &impl World, ids: &[ChangeId], green: bool) {
        self.landed.extend(ids);
        self.green.resize(self.landed.len(), true);
        self.green.push(green);
        self.snapshot.tip_is_gated = green;
        self.gone.extend(ids);
        for change in &mut self.snapshot.changes {
            change.overlaps.retain(|other| !ids.contains(other));
            change.parents.retain(|other| !ids.contains(other));
        }
        for trial in &mut self.snapshot.trials {
            let tree = &self.trees[&trial.id];
            let foreign = |id: &&ChangeId| !tree.members.contains(id);
            let touches = |id: &ChangeId| trial.members.iter().any(|member| world.overlap(*id, *member));
            if ids.iter().any(|id| foreign(&id)) && trial.fit == Fit::Exact {
                trial.fit = Fit::Disjoint;
            }
            if trial.fit == Fit::Disjoint && ids.iter().filter(foreign).any(touches) {
                trial.fit = Fit::Old;
            }
            trial.members.retain(|member| !ids.contains(member));
        }
        self.refresh();
    }

    /// Takes a change out of the queue: it was sent back, or dropped by a person.
    pub fn leave(&mut self, id: ChangeId) {
        assert!(self.place(id).is_some(), "{id} is not pending");
        self.snapshot.changes.retain(|change| change.id != id);
        for change in &mut self.snapshot.changes {
            change.overlaps.retain(|other| *other != id);
        }
        self.gone.insert(id);
        self.left.push(id);
        self.refresh();
    }

    /// Forgets the trials that concern nothing pending.
    fn refresh(&mut self) {
        let Self { snapshot, trees, green, gone, .. } = self;
        snapshot.trials.retain_mut(|trial| {
            trial.green_base = green[trees[&trial.id].base];
            let spoiled = trial.members.iter().any(|member| gone.contains(member));
            let tip = trial.fit == Fit::Exact && trees[&trial.id].members.is_empty();
            let kept = is_live(trial)
                || tip
                || !trial.members.is_empty() && (!spoiled || trial.state == TrialProgress::Passed);
            let pending = trial.members.iter().any(|member| !gone.contains(member));
            let kept = kept && (is_live(trial) || tip || pending);
            if !kept {
                trees.remove(&trial.id);
            }
            kept
        });
    }

    fn check_blame(&self, change: ChangeId, id: TrialId) {
        let trial = self.trial(id);
        let rest: Vec<ChangeId> = trial.members.iter().copied().filter(|member| *member != change).collect();
        let same_base =
            |other: &&TrialFacts| self.trees[&other.id].base == self.trees[&id].base || other.fit == Fit::Exact;
        let rest_is_green = trial.fit == Fit::Exact
            && self
                .snapshot
                .trials
                .iter()
                .filter(|other| other.state == TrialProgress::Passed && other.members == rest)
                .any(|other| same_base(&other));
        let base_is_green = trial.green_base || trial.fit == Fit::Exact && self.snapshot.tip_is_gated;
        match trial.state {
            TrialProgress::Unmergeable => {
                assert!(trial.fit == Fit::Exact && rest.is_empty(), "{id} does not blame {change}");
            }
            TrialProgress::Failed => {
                // The rest has passed on this very base, or there is no rest and the base itself has.
                let proven = if rest.is_empty() { base_is_green } else { rest_is_green };
                assert!(proven, "{id} does not blame {change}: {:?}", self.snapshot);
            }
            TrialProgress::Running | TrialProgress::Passed | TrialProgress::Suspect | TrialProgress::Confirming => {
                panic!("{id} did not fail")
            }
        }
    }

    pub fn place(&self, id: ChangeId) -> Option<usize> {
        self.snapshot.changes.iter().position(|change| change.id == id)
    }

    fn trial_mut(&mut self, id: TrialId) -> &mut TrialFacts {
        self.snapshot.trials.iter_mut().find(|trial| trial.id == id).expect("a known trial")
    }
}

fn is_live(trial: &TrialFacts) -> bool {
    match trial.state {
        TrialProgress::Running | TrialProgress::Confirming => true,
        TrialProgress::Passed | TrialProgress::Suspect | TrialProgress::Failed | TrialProgress::Unmergeable => false,
    }
}
