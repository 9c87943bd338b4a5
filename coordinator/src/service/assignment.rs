//! What an outpost is told about a worker: derived from the record each time it is sent.

use std::fmt::Write as _;
use std::time::Duration;

use sprint_core::change::Change;
use sprint_core::ids::candidate_ref;
use sprint_core::item::Item;
use sprint_core::job::{Assignment, Runtime, Step};
use sprint_core::repo::Repo;
use sprint_core::worker::{Role, Worker};

use super::{ServiceError, Sprint};

/// How long a worker on an item may run.
const MAX_DURATION: Duration = Duration::from_hours(2);

/// The command line that a role runs for an item; none when neither brings one.
pub fn command_line(repo: &Repo, item: &Item, role: Role) -> Option<String> {
    item.run.clone().or_else(|| repo.run.get(&role).cloned()).or_else(|| {
        // A runtime that is not a shell brings its own command and reads the prompt.
        repo.runtimes.contains_key(&role).then(String::new)
    })
}

/// The assignment of a worker; none when it has nothing to run any more.
///
/// # Errors
/// What the store says.
pub async fn of_worker(sprint: &Sprint, worker: &Worker) -> Result<Option<Assignment>, ServiceError> {
    let (Some(repo), Some(item)) = (sprint.store.repo(&worker.repo).await?, sprint.store.item(worker.item).await?)
    else {
        return Ok(None);
    };
    let change = match worker.change {
        Some(id) => sprint.store.change(id).await?,
        None => None,
    };
    Ok(match (worker.change, change) {
        (None, _) => for_item(&repo, &item, worker),
        (Some(_), Some(change)) => for_gates(&item, &change, worker),
        (Some(_), None) => None,
    })
}

fn for_item(repo: &Repo, item: &Item, worker: &Worker) -> Option<Assignment> {
    let run = command_line(repo, item, worker.role)?;
    let runtime = repo.runtimes.get(&worker.role).cloned().unwrap_or_else(Runtime::shell);
    let feedback =
        item.feedback.iter().map(|earlier| format!("Attempt {}: {}", earlier.attempt, earlier.text)).collect();
    Some(Assignment {
        worker: worker.id,
        repo: worker.repo.clone(),
        item: worker.item,
        attempt: worker.attempt,
        role: worker.role,
        change: None,
        base: worker.base.clone(),
        base_ref: repo.branch_ref(),
        title: item.title.clone(),
        prompt: prompt(item),
        feedback,
        steps: vec![Step { name: worker.role.to_string(), runtime, run, timeout: MAX_DURATION }],
    })
}

fn for_gates(item: &Item, change: &Change, worker: &Worker) -> Option<Assignment> {
    let candidate = change.candidate()?;
    if candidate.commit != worker.base {
        return None;
    }
    let steps = candidate
        .gates
        .iter()
        .map(|gate| Step {
            name: gate.name.clone(),
            runtime: Runtime::shell(),
            run: gate.run.clone(),
            timeout: gate.timeout,
        })
        .collect();
    Some(Assignment {
        worker: worker.id,
        repo: worker.repo.clone(),
        item: worker.item,
        attempt: worker.attempt,
        role: worker.role,
        change: Some(change.id),
        base: worker.base.clone(),
        base_ref: candidate_ref(change.id),
        title: format!("gates of change {} (item {}: {})", change.id, item.id, item.title),
        prompt: String::new(),
        feedback: vec![],
        steps,
    })
}

/// The text for `context/prompt.md`.
fn prompt(item: &Item) -> String {
    let mut text = format!("# {}\n", item.title);
    if !item.description.is_empty() {
        let _ = write!(text, "\n{}\n", item.description.trim_end());
    }
    if !item.acceptance.is_empty() {
        text.push_str("\n## Done when\n");
        for criterion in &item.acceptance {
            let _ = writeln!(text, "- {criterion}");
        }
    }
    text.push_str("\nCommit your work in this repository; only commits count. Exit with 0 when you are done.\n");
    text
}
