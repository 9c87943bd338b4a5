//! The assignment of a worker, as it is sent to an outpost: derived from the record each time.

use std::collections::BTreeMap;

use sprint_core::address::RepoAddress;
use sprint_core::assignment::{Assignment, Command, GatedChange, TargetBranch};
use sprint_core::ids::{CommitId, candidate_ref};
use sprint_core::item::Item;
use sprint_core::job::{AttemptJob, GateJob, Job};
use sprint_core::pipeline::{self, command_line};
use sprint_core::recipe::Recipe;
use sprint_core::refusal::Code;
use sprint_core::repo::Repo;
use sprint_core::runtime::{Runtime, RuntimeChange};
use sprint_core::trial::{Member, Trial};
use sprint_core::worker::Worker;

use crate::service::admission::secrets;
use crate::service::fleet::prompts;
use crate::service::repos::config::{config_at, recipe_at};
use crate::service::{Coordinator, ServiceError};

/// The assignment of a worker; none when it has nothing to run any more.
///
/// # Errors
/// What the store says; [`ServiceError::Git`] when the repository cannot be read.
pub async fn of_worker(sprint: &Coordinator, worker: &Worker) -> Result<Option<Assignment>, ServiceError> {
    let Some(assignment) = without_secrets(sprint, worker).await? else { return Ok(None) };
    Ok(Some(Assignment { secrets: secrets::of_worker(sprint, worker).await?, ..assignment }))
}

async fn without_secrets(sprint: &Coordinator, worker: &Worker) -> Result<Option<Assignment>, ServiceError> {
    match &worker.job {
        Job::Gate(job) => {
            let (Some(repo), Some(trial)) =
                (sprint.store.live().repo(&worker.repo), sprint.store.get(&job.trial).await?)
            else {
                return Ok(None);
            };
            let changes = gated(sprint, &trial).await?;
            let recipe = recipe(sprint, &repo, &trial.candidate.base)?;
            Ok(for_gate(&repo, &trial, job, worker, changes, recipe))
        }
        Job::Attempt(job) => {
            let (Some(repo), Some(item)) = (sprint.store.live().repo(&worker.repo), sprint.store.get(&job.item).await?)
            else {
                return Ok(None);
            };
            let prompt = prompts::of_attempt(sprint, &repo, &item, job, worker).await?;
            let recipe = recipe(sprint, &repo, &worker.base)?;
            let changes = sprint.git.get(&repo.name).map_err(ServiceError::from);
            let changes = changes.and_then(|git| config_at(&git, &repo, &worker.base)).unwrap_or_default().runtime;
            Ok(for_attempt(&repo, &item, *job, worker, Brief { prompt, recipe, changes }))
        }
    }
}

/// How workspaces are made ready on the target branch. Where the file cannot be used, the queue halts and says so.
fn recipe(sprint: &Coordinator, repo: &Repo, tip: &CommitId) -> Result<Recipe, ServiceError> {
    match recipe_at(&*sprint.git.get(&repo.name)?, repo, tip) {
        Err(error) if error.code() == Code::ConfigInvalid => Ok(Recipe::default()),
        found => found,
    }
}

/// What a trial's gates judge.
async fn gated(sprint: &Coordinator, trial: &Trial) -> Result<Vec<GatedChange>, ServiceError> {
    let mut changes = vec![];
    for Member { change, item, attempt, head } in trial.members.iter().cloned() {
        let title = sprint.store.get(&item).await?.map(|item| item.title).unwrap_or_default();
        changes.push(GatedChange { change, item, attempt, head, title });
    }
    Ok(changes)
}

fn target(repo: &Repo, tip: &CommitId) -> TargetBranch {
    let origin = repo.url.as_ref().map(RepoAddress::without_credentials);
    TargetBranch { name: repo.branch.clone(), tip: tip.clone(), origin }
}

/// What an attempt is told besides its item.
struct Brief {
    prompt: String,
    recipe: Recipe,
    /// What the branch changes of runtimes.
    changes: BTreeMap<String, RuntimeChange>,
}

fn for_attempt(repo: &Repo, item: &Item, job: AttemptJob, worker: &Worker, brief: Brief) -> Option<Assignment> {
    let Brief { prompt, recipe, mut changes } = brief;
    let run = command_line(repo, item, job.role)?;
    let runtime = pipeline::runtime(repo, item, job.role);
    let change = changes.remove(&runtime.name).unwrap_or_default();
    let runtime = if runtime.is_reference() { runtime.with(change) } else { runtime };
    let feedback =
        item.feedback.iter().map(|earlier| format!("Attempt {}: {}", earlier.attempt, earlier.text)).collect();
    Some(Assignment {
        worker: worker.id,
        repo: worker.repo.clone(),
        job: Job::Attempt(job),
        change: None,
        base: worker.base.clone(),
        base_ref: repo.branch_ref(),
        target: Some(target(repo, &worker.base)),
        changes: vec![],
        recipe,
        title: item.title.clone(),
        prompt,
        feedback,
        steps: vec![Command { name: job.role.to_string(), runtime, run, timeout: repo.max_duration }],
        gates: vec![],
        resumed: worker.resumed.clone(),
        hung_after: repo.hung_after,
        secrets: vec![],
    })
}

fn for_gate(
    repo: &Repo,
    trial: &Trial,
    job: &GateJob,
    worker: &Worker,
    changes: Vec<GatedChange>,
    recipe: Recipe,
) -> Option<Assignment> {
    let run = trial.runs.iter().find(|run| run.gate.name == job.gate)?;
    let numbers = changes.iter().map(|gated| gated.change.to_string()).collect::<Vec<_>>();
    let what = if numbers.is_empty() { "the tip".to_owned() } else { format!("change {}", numbers.join(", ")) };
    Some(Assignment {
        worker: worker.id,
        repo: worker.repo.clone(),
        job: Job::Gate(job.clone()),
        change: trial.last().map(|member| member.change),
        base: worker.base.clone(),
        base_ref: candidate_ref(&trial.candidate.commit),
        target: Some(target(repo, &trial.candidate.base)),
        changes,
        recipe,
        title: format!("gate {:?} of trial {}: {what}", job.gate, trial.id),
        prompt: String::new(),
        feedback: vec![],
        steps: vec![Command {
            name: run.gate.name.clone(),
            runtime: Runtime::shell(),
            run: run.gate.run.clone(),
            timeout: run.gate.timeout,
        }],
        gates: vec![run.gate.clone()],
        resumed: None,
        hung_after: None,
        secrets: vec![],
    })
}
