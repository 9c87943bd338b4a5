//! What is remembered of a repo's queue between two looks, and what one look sees.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sprint_core::change::{Change, ChangeState};
use sprint_core::config::{CONFIG_FILE, MergeMethod, RepoConfig};
use sprint_core::footprint::{Footprint, Rules};
use sprint_core::gates::Gate;
use sprint_core::ids::{ChangeId, CommitId, RepoName, TrialId};
use sprint_core::item::Priority;
use sprint_core::merge_queue::prior::Prior;
use sprint_core::merge_queue::snapshot::{Contents, Entry, Move, Queue, standing};
use sprint_core::merge_queue::{Clash, Outlook, Pace, Policy};
use sprint_core::repo::Repo;
use sprint_core::trial::{Member, Purpose, Trial, TrialState};
use sprint_core::worker::Role;

use super::super::schedule::Board;
use super::super::{ServiceError, Sprint};
use super::history::History;
use super::{config_at, direct};
use crate::git::GitRepo;
use crate::store::InQueue;

/// So many settled changes tell how likely another one is good, and where the branch came from.
pub(super) const HISTORY: u32 = 500;

/// So many trials tell how long one takes.
const DURATIONS: usize = 50;

/// What two changes that are each good do to each other, until there is a history that says so.
const CLASH: Clash = Clash { overlapping: 0.04, disjoint: 0.002 };

/// The queues of all repos, as they are remembered.
#[derive(Default)]
pub struct Queues {
    /// Each is held for as long as the merger works on it.
    of: Mutex<HashMap<RepoName, Arc<tokio::sync::Mutex<QueueState>>>>,
    shown: Mutex<HashMap<RepoName, Arc<Shown>>>,
}

/// How a queue stood when it was planned last, for people: they do not wait for the merger.
#[derive(Default)]
pub(super) struct Shown {
    pub(super) outlook: BTreeMap<ChangeId, Outlook>,
    pub(super) priors: HashMap<ChangeId, Prior>,
    pub(super) usual_duration: Option<Duration>,
}

impl Shown {
    pub(super) fn new(outlook: BTreeMap<ChangeId, Outlook>, state: &QueueState) -> Self {
        Self { outlook, priors: state.history.priors().clone(), usual_duration: state.usual_duration() }
    }
}

impl Queues {
    pub(in super::super) fn of(&self, repo: &RepoName) -> Arc<tokio::sync::Mutex<QueueState>> {
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(of.entry(repo.clone()).or_default())
    }

    pub(super) fn show(&self, repo: &RepoName, shown: Shown) {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).insert(repo.clone(), Arc::new(shown));
    }

    pub(super) fn shown(&self, repo: &RepoName) -> Arc<Shown> {
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.get(repo).map(Arc::clone).unwrap_or_default()
    }

    pub(in super::super) fn forget(&self, repo: &RepoName) {
        self.of.lock().unwrap_or_else(PoisonError::into_inner).remove(repo);
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).remove(repo);
    }
}

/// What is remembered of a repo's queue. All of it can be made again from the record and git.
#[derive(Default)]
pub(in super::super) struct QueueState {
    /// What the landings that are on record moved: by the commit that each led to.
    moves: HashMap<CommitId, Move>,
    pub(super) contents: Contents,
    /// The commits of the branch whose trees have passed.
    pub(super) green: BTreeSet<CommitId>,
    /// Something failed on a tip that nobody has gated yet.
    pub(super) tip_in_doubt: bool,
    /// The changes that were found to merge with the tip, by which tip.
    pub(super) fits: HashMap<ChangeId, CommitId>,
    /// The heads that the changes had when they were looked at.
    heads: HashMap<ChangeId, CommitId>,
    durations: Vec<Duration>,
    /// Trials that passed, and those of them with a gate that had failed on the same tree.
    passed: u32,
    flaky: u32,
    history: History,
    configured: Option<Configured>,
    is_to_follow: bool,
    is_loaded: bool,
}

impl QueueState {
    /// Forgets what may have changed since the last look.
    pub(super) const fn begin(&mut self) {
        self.is_to_follow = true;
        self.history.forget();
    }

    pub(super) const fn is_to_follow(&self) -> bool {
        self.is_to_follow
    }

    pub(super) const fn has_followed(&mut self) {
        self.is_to_follow = false;
    }

    /// Forgets what was found out about changes that came back with other commits.
    pub(super) fn notice(&mut self, changes: &[InQueue]) {
        let heads: HashMap<_, _> = changes.iter().map(|entry| (entry.change.id, entry.change.head.clone())).collect();
        for (change, head) in &heads {
            if self.heads.get(change).is_some_and(|before| before != head) {
                self.fits.remove(change);
                self.contents.forget(*change);
                self.history.forget_prior(*change);
            }
        }
        self.heads = heads;
    }

    pub(super) fn has_moved(&mut self, step: Move) {
        self.moves.insert(step.to.clone(), step);
    }

    /// How often a trial that passed had failed before.
    fn flake(&self) -> f64 {
        f64::from(self.flaky + 1) / f64::from(self.passed + 100)
    }

    /// How long a trial takes, by those that passed of late.
    fn usual_duration(&self) -> Option<Duration> {
        let mut sorted = self.durations.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied()
    }

    async fn load(&mut self, sprint: &Sprint, repo: &RepoName) -> Result<(), ServiceError> {
        if self.is_loaded {
            return Ok(());
        }
        for change in sprint.store.settled_changes(repo, HISTORY).await? {
            let ChangeState::Landed { candidate } = change.state else { continue };
            if candidate.base == candidate.commit {
                continue;
            }
            let step = self.moves.entry(candidate.commit.clone()).or_insert_with(|| Move {
                from: candidate.base.clone(),
                to: candidate.commit.clone(),
                landed: Some(vec![]),
            });
            step.landed.get_or_insert_default().push(change.id);
        }
        for trial in sprint.store.trials(repo, Some(HISTORY)).await? {
            self.note(&trial);
        }
        self.is_loaded = true;
        Ok(())
    }

    /// Learns from a trial that is over.
    fn note(&mut self, trial: &Trial) {
        // A person may have chosen other gates than those that count.
        if trial.purpose == Purpose::Hand {
            return;
        }
        if matches!(trial.state, TrialState::Passed) {
            self.green.insert(trial.candidate.commit.clone());
            if trial.same_as.is_none() && !trial.runs.is_empty() {
                self.passed += 1;
                self.flaky += u32::from(trial.runs.iter().any(|run| run.flaky));
                self.durations.push(trial.updated_at.since(trial.created_at));
                let more = self.durations.len().saturating_sub(DURATIONS);
                self.durations.drain(..more);
            }
        }
    }

    /// How the branch came to its tip, as far as we moved it; the oldest move first.
    fn way_to(&self, tip: &CommitId) -> Vec<Move> {
        let mut way = Vec::new();
        let mut at = tip;
        while let Some(step) = self.moves.get(at) {
            way.push(step.clone());
            at = &step.from;
            if way.len() >= HISTORY as usize {
                break;
            }
        }
        way.reverse();
        way
    }
}

impl QueueState {
    /// Forgets, now and then, what lies behind the history that is looked at.
    fn prune(&mut self, way: &[Move], tip: &CommitId, trials: &[Trial]) {
        let most = 4 * HISTORY as usize;
        if self.moves.len() <= most && self.green.len() <= most {
            return;
        }
        let mut wanted: BTreeSet<&CommitId> = way.iter().flat_map(|step| [&step.from, &step.to]).collect();
        wanted.insert(tip);
        self.moves.retain(|to, _| wanted.contains(to));
        wanted.extend(trials.iter().flat_map(|trial| [&trial.candidate.commit, &trial.candidate.base]));
        self.green.retain(|commit| wanted.contains(commit));
    }
}

/// What the target branch's configuration says. To read it takes longer than to land a change.
struct Configured {
    file: Option<Vec<u8>>,
    /// The repo's own, which count where the file names none.
    gates: Vec<Gate>,
    config: RepoConfig,
    rules: Arc<Rules>,
}

impl QueueState {
    /// The configuration at the tip, read anew only when it has changed.
    pub(super) fn configured(
        &mut self,
        git: &GitRepo,
        repo: &Repo,
        tip: &CommitId,
    ) -> Result<(RepoConfig, Arc<Rules>), ServiceError> {
        let file = git.read_file(tip, CONFIG_FILE)?;
        if let Some(known) = &self.configured
            && known.file == file
            && known.gates == repo.gates
        {
            return Ok((known.config.clone(), Arc::clone(&known.rules)));
        }
        let config = config_at(git, repo, tip)?;
        let rules = Arc::new(rules(&config)?);
        if self.configured.as_ref().is_none_or(|known| known.config.footprint != config.footprint) {
            // What changes touch was said by other rules.
            self.contents = Contents::default();
            self.history = History::default();
        }
        let gates = repo.gates.clone();
        self.configured = Some(Configured { file, gates, config: config.clone(), rules: Arc::clone(&rules) });
        Ok((config, rules))
    }
}

/// The changes of a repo that have not landed.
pub(super) struct Waiting {
    /// In the order of the queue.
    pub(super) queue: Vec<InQueue>,
    /// Those that land beside it, the oldest first.
    pub(super) direct: Vec<Change>,
}

impl Waiting {
    pub(super) fn new(changes: Vec<InQueue>) -> Self {
        let (direct, queue) = changes.into_iter().partition::<Vec<_>, _>(|entry| entry.change.direct.is_some());
        let mut direct = direct.into_iter().map(|entry| entry.change).collect::<Vec<_>>();
        direct.sort_by_key(|change| change.id);
        Self { queue, direct }
    }
}

/// What one look at a repo's queue sees.
pub(super) struct Look {
    pub(super) repo: RepoName,
    pub(super) tip: CommitId,
    pub(super) config: RepoConfig,
    pub(super) changes: Vec<InQueue>,
    pub(super) trials: Vec<Trial>,
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
    pub(super) async fn new(
        sprint: &Sprint,
        git: &GitRepo,
        repo: &Repo,
        tip: CommitId,
        (config, rules): (RepoConfig, Arc<Rules>),
        waiting: Waiting,
        trials: Vec<Trial>,
        state: &mut QueueState,
    ) -> Result<Self, ServiceError> {
        let Waiting { queue: changes, direct } = waiting;
        state.load(sprint, &repo.name).await?;
        let waiting: BTreeSet<ChangeId> = changes.iter().map(|entry| entry.change.id).collect();
        let moves = state.way_to(&tip);
        state.prune(&moves, &tip, &trials);
        let mut wanted = waiting.clone();
        wanted.extend(moves.iter().flat_map(|step| step.landed.iter().flatten()).copied());
        state.contents.keep(&wanted);
        state.fits.retain(|change, _| waiting.contains(change));
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
        let pace = if repo.frozen.is_some() || join || !direct.is_empty() { Pace::Frozen } else { Pace::Open };
        let together = config.merge.method == MergeMethod::Merge && config.merge.together;
        state.history.load(sprint, git, repo, &tip, &rules).await?;
        let mut priors = BTreeMap::new();
        for InQueue { change, .. } in &changes {
            let footprint = state.contents.footprint(change.id);
            priors.insert(change.id, state.history.prior(change, footprint).chance);
        }
        let slots = slots(sprint, repo, &config).await?;
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
            Purpose::Direct => direct::concerns(trial, &look.tip, &direct),
            Purpose::Hand => matches!(trial.state, TrialState::Gating),
        });
        look.concerning = concerning.map(|trial| trial.id).collect();
        Ok(look)
    }

    /// Takes a tip that nobody gated for good until something fails on it: a repo's first commit, or what others
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
        let doubted = self.trials.iter().any(failed);
        let relaxed = self.policy.landing == sprint_core::merge_queue::Landing::Relaxed && !self.moves.is_empty();
        if !doubted && !relaxed {
            self.green.insert(self.tip.clone());
        }
    }

    pub(super) fn queue<'a>(&'a self, state: &'a QueueState) -> Queue<'a> {
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

    pub(super) fn concerns(&self, trial: &Trial) -> bool {
        self.concerning.contains(&trial.id)
    }

    pub(super) fn trial(&self, id: TrialId) -> Option<&Trial> {
        self.trials.iter().find(|trial| trial.id == id)
    }

    pub(super) fn change(&self, id: ChangeId) -> Option<&Change> {
        self.changes.iter().map(|entry| &entry.change).find(|change| change.id == id)
    }

    pub(super) fn member(&self, id: ChangeId) -> Option<Member> {
        self.change(id).map(Member::from)
    }
}

/// How the repo widens what changes touch.
pub(super) fn rules(config: &RepoConfig) -> Result<Rules, ServiceError> {
    Rules::new(&config.footprint).map_err(|error| ServiceError::Precondition(format!("{CONFIG_FILE}: {error}")))
}

/// What a change touches, and the commits that it brings.
fn contents(
    git: &GitRepo,
    rules: &Rules,
    tip: &CommitId,
    change: &Change,
) -> Result<(Footprint, BTreeSet<CommitId>), ServiceError> {
    let base = git.merge_base(tip, &change.head)?;
    let paths = git.changed_paths(base.as_ref(), &change.head)?;
    let commits = git.commits_since(tip, &change.head)?.into_iter().collect();
    Ok((rules.footprint(paths.iter().map(String::as_str)), commits))
}

/// How many trials of a repo can be gated at a time, those that run included.
async fn slots(sprint: &Sprint, repo: &Repo, config: &RepoConfig) -> Result<usize, ServiceError> {
    let board = Board::load(sprint).await?;
    let key = (repo.name.clone(), Role::Gate);
    let used = board.limits.active.get(&key).copied().unwrap_or(0);
    let free: u32 = board.outposts.iter().map(|outpost| outpost.max_workers.saturating_sub(outpost.active)).sum();
    let most = board.limits.max.get(&key).copied().unwrap_or(u32::MAX);
    let mut at_once = BTreeMap::<u32, u32>::new();
    for gate in &config.gates {
        *at_once.entry(gate.stage).or_default() += 1;
    }
    let at_once = at_once.into_values().max().unwrap_or(1);
    Ok(usize::try_from(free.saturating_add(used).min(most).div_ceil(at_once)).unwrap_or(usize::MAX).max(1))
}
