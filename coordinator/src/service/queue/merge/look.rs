//! What is remembered of a repo's queue between two looks, and what one look sees.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sprint_core::change::Change;
use sprint_core::config::{MergeMethod, RepoConfig};
use sprint_core::footprint::{Footprint, Rules};
use sprint_core::ids::{ChangeId, CommitId, RepoName, TrialId};
use sprint_core::item::Priority;
use sprint_core::job::Role;
use sprint_core::merge_queue::snapshot::{Entry, Move, Queue, standing};
use sprint_core::merge_queue::{Clash, Policy, QueueMode};
use sprint_core::repo::Repo;
use sprint_core::schedule::Capacity;
use sprint_core::trial::{Member, Purpose, Trial, TrialState};

use crate::git::{GitRepo, Parting};
use crate::service::capacity::Board;
use crate::service::queue::merge::memory::QueueState;
use crate::service::{Coordinator, ServiceError};
use crate::store::InQueue;

/// What two changes that are each good do to each other, until there is a history that says so.
const CLASH: Clash = Clash { overlapping: 0.04, disjoint: 0.002 };

/// The changes of a repo that have not landed.
pub(crate) struct Waiting {
    /// In the order of the queue.
    pub(crate) queue: Vec<InQueue>,
    /// Those that land beside it, the oldest first.
    pub(crate) direct: Vec<Arc<Change>>,
}

impl Waiting {
    pub(crate) fn new(changes: Vec<InQueue>) -> Self {
        let (direct, queue) = changes.into_iter().partition::<Vec<_>, _>(|entry| entry.change.direct.is_some());
        let mut direct = direct.into_iter().map(|entry| entry.change).collect::<Vec<_>>();
        direct.sort_by_key(|change| change.id);
        Self { queue, direct }
    }

    /// Leaves those out that no other has to wait for: they wait for a person, or for somebody who cannot be asked.
    pub(crate) fn hold_back(&mut self, state: &QueueState) {
        let is_held = |change: &Change| change.awaits_approval() || state.not_known.contains_key(&change.id);
        self.queue.retain(|entry| !is_held(&entry.change));
        self.direct.retain(|change| !change.awaits_approval());
    }
}

/// What one look at a repo's queue sees.
pub(crate) struct Look {
    pub(crate) repo: RepoName,
    pub(crate) tip: CommitId,
    pub(crate) config: RepoConfig,
    pub(crate) changes: Vec<InQueue>,
    pub(crate) trials: Vec<Arc<Trial>>,
    entries: Vec<Entry>,
    moves: Vec<Move>,
    slots: usize,
    policy: Policy,
    priors: BTreeMap<ChangeId, f64>,
    flake: f64,
    /// Whether each trial concerns something that is pending.
    concerning: BTreeSet<TrialId>,
    green: BTreeSet<CommitId>,
}

impl Look {
    #[expect(clippy::too_many_arguments, reason = "everything that a look is made of, named once")]
    pub(crate) async fn new(
        sprint: &Coordinator,
        git: &GitRepo,
        repo: &Repo,
        tip: CommitId,
        (config, rules): (RepoConfig, Arc<Rules>),
        waiting: Waiting,
        trials: Vec<Arc<Trial>>,
        state: &mut QueueState,
    ) -> Result<Self, ServiceError> {
        let Waiting { queue: changes, direct } = waiting;
        state.load(&sprint.store, &repo.name).await?;
        let waiting: BTreeSet<ChangeId> = changes.iter().map(|entry| entry.change.id).collect();
        let moves = state.way_to(&tip);
        state.prune(&moves, &tip, &trials);
        let mut wanted = waiting.clone();
        wanted.extend(moves.iter().flat_map(|step| step.landed.iter().flatten()).copied());
        state.contents.keep(&wanted);
        for entry in &changes {
            if !state.contents.knows(entry.change.id) {
                let (footprint, commits) = contents(git, &rules, &tip, &entry.change)?;
                state.contents.add(entry.change.id, footprint, commits);
            }
        }
        for trial in &trials {
            if matches!(trial.state, TrialState::Passed) && !state.green.contains(&trial.candidate.commit) {
                state.note(trial);
            }
        }
        let entries = changes
            .iter()
            .map(|InQueue { change, priority }| Entry {
                change: change.id,
                head: change.head.clone(),
                urgent: *priority == Priority::Urgent,
            })
            .collect();
        let join = trials.iter().any(|trial| trial.purpose == Purpose::Join && trial.candidate.base == tip);
        let pace =
            if repo.frozen.is_some() || join || !direct.is_empty() { QueueMode::Frozen } else { QueueMode::Open };
        let together = config.merge.method == MergeMethod::Merge && config.merge.together;
        let QueueState { history, contents: known, .. } = state;
        history.load(&sprint.store, git, repo, &tip, &rules, known).await?;
        let mut priors = BTreeMap::new();
        for InQueue { change, .. } in &changes {
            let footprint = state.contents.footprint(change.id);
            priors.insert(change.id, state.history.prior(change, footprint).chance);
        }
        let slots = slots(sprint, repo, &config);
        let mut look = Self {
            repo: repo.name.clone(),
            policy: Policy { landing: config.merge.landing, pace, together },
            priors,
            flake: state.flake(),
            tip,
            config,
            changes,
            trials,
            entries,
            moves,
            slots,
            concerning: BTreeSet::new(),
            green: state.green.clone(),
        };
        look.trust_the_tip(state);
        let queue = look.queue(state);
        let concerning = look.trials.iter().filter(|trial| match trial.purpose {
            Purpose::Queue => standing(&queue, trial).is_some_and(|(members, _)| !members.is_empty()),
            Purpose::Tip | Purpose::Join => trial.candidate.base == look.tip,
            Purpose::Direct => concerns(trial, &look.tip, &direct),
            Purpose::Hand => matches!(trial.state, TrialState::Gating),
        });
        look.concerning = concerning.map(|trial| trial.id).collect();
        Ok(look)
    }

    /// Treats a tip that was never gated as good until something fails on it: a repo's first commit, or what others
    /// brought to the upstream.
    fn trust_the_tip(&mut self, state: &mut QueueState) {
        if self.green.contains(&self.tip) || self.config.gates.is_empty() {
            state.tip_in_doubt = false;
            self.green.insert(self.tip.clone());
            return;
        }
        let failed = |trial: &Trial| {
            trial.candidate.base == self.tip
                && matches!(trial.state, TrialState::Suspect { .. } | TrialState::Failed { .. })
        };
        let doubted = self.trials.iter().any(|trial| failed(trial));
        let relaxed = self.policy.landing == sprint_core::merge_queue::Landing::Relaxed && !self.moves.is_empty();
        if !doubted && !relaxed {
            state.tip_in_doubt = false;
            self.green.insert(self.tip.clone());
        }
    }

    pub(crate) fn queue<'a>(&'a self, state: &'a QueueState) -> Queue<'a> {
        Queue {
            entries: &self.entries,
            trials: &self.trials,
            moves: &self.moves,
            tip: &self.tip,
            gates: &self.config.gates,
            contents: &state.contents,
            green: &self.green,
            slots: self.slots,
            policy: self.policy,
            priors: &self.priors,
            clash: CLASH,
            flake: self.flake,
        }
    }

    pub(crate) fn concerns(&self, trial: &Trial) -> bool {
        self.concerning.contains(&trial.id)
    }

    pub(crate) fn trial(&self, id: TrialId) -> Option<&Trial> {
        self.trials.iter().map(Arc::as_ref).find(|trial| trial.id == id)
    }

    pub(crate) fn change(&self, id: ChangeId) -> Option<&Change> {
        self.changes.iter().map(|entry| entry.change.as_ref()).find(|change| change.id == id)
    }

    pub(crate) fn member(&self, id: ChangeId) -> Option<Member> {
        self.change(id).map(Member::from)
    }
}

/// What a change touches, and the commits that it brings.
fn contents(
    git: &GitRepo,
    rules: &Rules,
    tip: &CommitId,
    change: &Change,
) -> Result<(Footprint, BTreeSet<CommitId>), ServiceError> {
    let Parting { bases, commits } = git.parting(tip, &change.head)?;
    let paths = git.changed_paths(bases.first(), &change.head)?;
    Ok((rules.footprint(paths.iter().map(String::as_str)), commits))
}

/// How many trials of a repo can be gated at a time, those that run included.
fn slots(sprint: &Coordinator, repo: &Repo, config: &RepoConfig) -> usize {
    let board = Board::load(sprint);
    let used = board.limits.in_use.of_role(&repo.name, Role::Gate);
    let free: u32 = board.outposts.iter().map(Capacity::free).sum();
    let most = board.limits.max.get(&(repo.name.clone(), Role::Gate)).copied().unwrap_or(u32::MAX);
    let mut at_once = BTreeMap::<u32, u32>::new();
    for gate in &config.gates {
        *at_once.entry(gate.stage).or_default() += 1;
    }
    let at_once = at_once.into_values().max().unwrap_or(1);
    usize::try_from(free.saturating_add(used).min(most).div_ceil(at_once)).unwrap_or(usize::MAX).max(1)
}

/// Whether a trial is for a change that lands directly, as both are now.
pub(crate) fn concerns(trial: &Trial, tip: &CommitId, direct: &[Arc<Change>]) -> bool {
    let is_of =
        |change: &Change| trial.members.iter().any(|member| member.change == change.id && member.head == change.head);
    trial.candidate.base == *tip && direct.iter().any(|change| is_of(change))
}
