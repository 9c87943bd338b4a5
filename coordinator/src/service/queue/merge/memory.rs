//! What is remembered of a repo's queue between two looks. All of it can be made again from the record and git.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sprint_core::change::ChangeState;
use sprint_core::config::{CONFIG_FILE, Landing, RepoConfig};
use sprint_core::footprint::Rules;
use sprint_core::gates::Gate;
use sprint_core::ids::{ChangeId, CommitId, RepoName};
use sprint_core::merge_queue::Outlook;
use sprint_core::merge_queue::prior::Prior;
use sprint_core::merge_queue::snapshot::{Contents, Move};
use sprint_core::repo::Repo;
use sprint_core::time::Timestamp;
use sprint_core::trial::{Purpose, Trial, TrialState};

use super::history::History;
use crate::git::GitRepo;
use crate::service::ServiceError;
use crate::service::repos::config::{config_at, rules};
use crate::service::repos::pace::Pace;
use crate::store::{InQueue, Store};

/// The number of settled changes that are read for the rates and for the branch's history.
pub(crate) const HISTORY: u32 = 500;

/// The number of trials that the expected duration comes from.
const DURATIONS: usize = 50;

/// The queues of all repos, as they are remembered.
#[derive(Default)]
pub struct Queues {
    /// Each is held for as long as the merger works on it.
    of: Mutex<HashMap<RepoName, Arc<tokio::sync::Mutex<QueueState>>>>,
    shown: Mutex<HashMap<RepoName, Arc<QueueView>>>,
}

/// How a queue stood when it was planned last, for people: they do not wait for the merger.
#[derive(Default)]
pub(crate) struct QueueView {
    pub(crate) outlook: BTreeMap<ChangeId, Outlook>,
    pub(crate) priors: HashMap<ChangeId, Prior>,
    pub(crate) usual_duration: Option<Duration>,
    pub(crate) not_known: HashMap<ChangeId, String>,
}

impl QueueView {
    pub(crate) fn new(outlook: BTreeMap<ChangeId, Outlook>, state: &QueueState) -> Self {
        let (priors, not_known) = (state.history.priors().clone(), state.not_known.clone());
        Self { outlook, priors, usual_duration: state.usual_duration(), not_known }
    }
}

impl Queues {
    pub(crate) fn of(&self, repo: &RepoName) -> Arc<tokio::sync::Mutex<QueueState>> {
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(of.entry(repo.clone()).or_default())
    }

    pub(crate) fn show(&self, repo: &RepoName, shown: QueueView) {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).insert(repo.clone(), Arc::new(shown));
    }

    pub(crate) fn shown(&self, repo: &RepoName) -> Arc<QueueView> {
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.get(repo).map(Arc::clone).unwrap_or_default()
    }

    pub(crate) fn forget(&self, repo: &RepoName) {
        self.of.lock().unwrap_or_else(PoisonError::into_inner).remove(repo);
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).remove(repo);
    }
}

/// Whether the upstream is to be read in this pass.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Follow {
    #[default]
    Done,
    /// If there is anything to land.
    WithWork,
    /// It was found to hold what our branch does not.
    InAnyCase,
}

/// What is remembered of a repo's queue. All of it can be made again from the record and git.
#[derive(Default)]
pub(crate) struct QueueState {
    /// What the landings that are on record moved: by the commit that each led to.
    pub(crate) moves: HashMap<CommitId, Move>,
    pub(crate) contents: Contents,
    /// The commits of the branch whose trees have passed.
    pub(crate) green: BTreeSet<CommitId>,
    /// Whether the tip is to be gated although nothing waits: a relaxed landing has made it of parts that passed.
    pub(crate) tip_in_doubt: bool,
    /// The changes that were found to merge with the tip, by which tip.
    pub(crate) fits: HashMap<ChangeId, CommitId>,
    /// The changes of which nobody could say in this pass whether they may land, and why.
    pub(crate) not_known: HashMap<ChangeId, String>,
    /// The heads that the changes had when they were looked at.
    pub(crate) heads: HashMap<ChangeId, CommitId>,
    pub(crate) durations: Vec<Duration>,
    /// Trials that passed, and those of them with a gate that had failed on the same tree.
    passed: u32,
    flaky: u32,
    pub(crate) history: History,
    configured: Option<Configured>,
    pub(crate) push_pace: Pace,
    pub(crate) follow: Follow,
    /// When the upstream was read last.
    pub(crate) fetched_at: Option<Timestamp>,
    is_loaded: bool,
}

impl QueueState {
    /// Whether a landing may make a tip that was not gated as a whole.
    pub(crate) fn is_relaxed(&self) -> bool {
        self.configured.as_ref().is_some_and(|known| known.config.merge.landing == Landing::Relaxed)
    }

    /// Forgets everything.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }

    /// Forgets what may have changed since the last look.
    pub(crate) fn begin(&mut self) {
        self.follow = Follow::WithWork;
        self.not_known.clear();
        self.history.forget();
    }

    /// Forgets what was found out about changes that came back with other commits.
    pub(crate) fn notice(&mut self, changes: &[InQueue]) {
        let heads: HashMap<_, _> = changes.iter().map(|entry| (entry.change.id, entry.change.head.clone())).collect();
        for (change, head) in &heads {
            if self.heads.get(change).is_some_and(|before| before != head) {
                self.fits.remove(change);
                self.contents.forget(*change);
                self.history.forget_prior(*change);
            }
        }
        self.fits.retain(|change, _| heads.contains_key(change));
        self.heads = heads;
    }

    pub(crate) fn has_moved(&mut self, step: Move) {
        self.moves.insert(step.to.clone(), step);
    }

    /// How often a trial that passed had failed before.
    pub(crate) fn flake(&self) -> f64 {
        f64::from(self.flaky + 1) / f64::from(self.passed + 100)
    }

    /// The expected duration of a trial, from those that passed recently.
    pub(crate) fn usual_duration(&self) -> Option<Duration> {
        let mut sorted = self.durations.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied()
    }

    pub(crate) async fn load(&mut self, store: &Store, repo: &RepoName) -> Result<(), ServiceError> {
        if self.is_loaded {
            return Ok(());
        }
        for change in store.settled_changes(repo, HISTORY).await? {
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
        for trial in store.trials(repo, Some(HISTORY)).await? {
            self.note(&trial);
        }
        self.is_loaded = true;
        Ok(())
    }

    /// Learns from a trial that is over.
    pub(crate) fn note(&mut self, trial: &Trial) {
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
    pub(crate) fn way_to(&self, tip: &CommitId) -> Vec<Move> {
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
    pub(crate) fn prune(&mut self, way: &[Move], tip: &CommitId, trials: &[Arc<Trial>]) {
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
    /// The configuration at the tip, read again only when it has changed.
    pub(crate) fn configured(
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
        if self.configured.as_ref().is_some_and(|known| known.config.protect != config.protect) {
            self.fits.clear();
        }
        let gates = repo.gates.clone();
        self.configured = Some(Configured { file, gates, config: config.clone(), rules: Arc::clone(&rules) });
        Ok((config, rules))
    }
}
