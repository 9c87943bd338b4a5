//! Changes that land beside the queue, as a person asked for: one at a time, gated on the tip unless they are to be
//! taken ungated. While one is at it, nothing else lands.

use sprint_core::bounds::paths_in_words;
use sprint_core::change::{Candidate, Change, Direct};
use sprint_core::config::{MergeMethod, RepoConfig};
use sprint_core::ids::CommitId;
use sprint_core::protection::Protection;
use sprint_core::refusal::Code;
use sprint_core::repo::Repo;
use sprint_core::trial::{Member, Purpose, Trial, TrialEvent, TrialState};
use std::sync::Arc;

use crate::service::queue::merge::build::{self, Chain};
use crate::service::queue::merge::intent::intend_checked;
use crate::service::queue::merge::look::concerns;
use crate::service::queue::merge::progress::{Progress, apply};
use crate::service::queue::merge::{protected, reject};
use crate::service::repos::config::config_at;
use crate::service::{Coordinator, ServiceError};

use crate::git::{GitRepo, Merged};

/// What would come of landing a branch now.
pub enum Preview {
    /// How, in a sentence.
    Conflicts(String),
    /// With what is known of the very tree that would land.
    Merges { known: Option<Result<(), String>>, protection: Option<Protection> },
}

/// Merges a branch with the tip, and lands nothing.
///
/// # Errors
/// What git or the store says.
pub async fn preview(
    sprint: &Coordinator,
    git: &GitRepo,
    repo: &Repo,
    config: &RepoConfig,
    tip: &CommitId,
    head: &CommitId,
) -> Result<Preview, ServiceError> {
    if config.merge.method == MergeMethod::FastForward && !git.reaches(head, tip)? {
        let branch = &repo.branch;
        let why = format!("it does not contain the tip of {branch}, and only fast-forwards land here");
        return Ok(Preview::Conflicts(why));
    }
    let tree = match git.merge(tip, head).await? {
        Merged::Clean { tree } => tree,
        Merged::Conflict { paths, why } => {
            let nothing =
                || "it has nothing in common with the branch, or git cannot say where both conflict".to_owned();
            let named = || format!("it conflicts in {}", paths_in_words(&paths));
            return Ok(Preview::Conflicts(why.unwrap_or_else(|| if paths.is_empty() { nothing() } else { named() })));
        }
    };
    let new_gates = protected::new_gates(git, repo, config, &tree)?;
    let protection = protected::protection(git, repo, config, (&git.tree_of(tip)?, &tree))?;
    let known = build::known(sprint, &repo.name, &tree, &config.gates, &new_gates).await?;
    let known = known.and_then(|trial| match trial.state {
        TrialState::Passed => Some(Ok(())),
        TrialState::Failed { reason, .. } => Some(Err(reason)),
        TrialState::Gating
        | TrialState::Suspect { .. }
        | TrialState::Unmergeable { .. }
        | TrialState::Cancelled { .. } => None,
    });
    Ok(Preview::Merges { known, protection })
}

/// Carries out the next step of the first of the changes that land directly; one that turns out to need an approval
/// holds up no other.
pub(crate) async fn step(
    sprint: &Coordinator,
    git: &GitRepo,
    repo: &Repo,
    tip: &CommitId,
    direct: &[Arc<Change>],
    trials: &[Arc<Trial>],
) -> Result<Progress, ServiceError> {
    for change in direct {
        if let Some(done) = reject::is_unfit(sprint, git, repo, tip, change).await? {
            return Ok(done);
        }
        if let Some(wish) = change.direct.as_ref().filter(|_| !change.awaits_approval()) {
            return go_on(sprint, git, repo, tip, (change, wish), trials).await;
        }
    }
    Ok(Progress::Idle)
}

async fn go_on(
    sprint: &Coordinator,
    git: &GitRepo,
    repo: &Repo,
    tip: &CommitId,
    (change, wish): (&Arc<Change>, &Direct),
    trials: &[Arc<Trial>],
) -> Result<Progress, ServiceError> {
    let config = match config_at(git, repo, tip) {
        // What mends a file that cannot be read must not need it.
        Err(error) if error.code() == Code::ConfigInvalid && wish.skip_gates => RepoConfig::default(),
        // The queue halts for it, and says so.
        Err(error) if error.code() == Code::ConfigInvalid => return Ok(Progress::Idle),
        config => config?,
    };
    let trial = trials.iter().find(|trial| {
        trial.purpose == Purpose::Direct
            && concerns(trial, tip, std::slice::from_ref(change))
            && trial.candidate.gates == config.gates
    });
    let Some(trial) = trial else { return begin(sprint, git, repo, tip, &config, change, wish).await };
    match &trial.state {
        TrialState::Gating => return Ok(Progress::Idle),
        TrialState::Suspect { .. } => apply(sprint, trial.id, TrialEvent::Confirming).await?,
        TrialState::Passed => {
            intend_checked(sprint, git, repo, tip, &trial.members, trial.candidate.clone(), Some(trial)).await?;
        }
        TrialState::Failed { .. } => reject::failed(sprint, git, repo, tip, change, trial).await?,
        TrialState::Unmergeable { .. } | TrialState::Cancelled { .. } => {
            apply(sprint, trial.id, TrialEvent::Retired).await?;
        }
    }
    Ok(Progress::Made)
}

async fn begin(
    sprint: &Coordinator,
    git: &GitRepo,
    repo: &Repo,
    tip: &CommitId,
    config: &RepoConfig,
    change: &Change,
    wish: &Direct,
) -> Result<Progress, ServiceError> {
    let member = Member::from(change);
    let members = vec![member];
    match build::chain(sprint, git, repo, config.merge.method, tip, &members).await? {
        Chain::Whole { commit, tree } if wish.skip_gates => {
            let base = tip.clone();
            let candidate = Candidate { commit, tree, base, gates: vec![], new_gates: vec![] };
            intend_checked(sprint, git, repo, tip, &members, candidate, None).await?;
        }
        Chain::Whole { commit, tree } => {
            let new_gates = protected::new_gates(git, repo, config, &tree)?;
            let candidate = Candidate { commit, tree, base: tip.clone(), gates: config.gates.clone(), new_gates };
            build::begin(sprint, git, &repo.name, Purpose::Direct, members, candidate).await?;
        }
        Chain::Broken { place: _, paths } => reject::conflicted(sprint, git, repo, tip, change, paths, None).await?,
    }
    Ok(Progress::Made)
}
