//! A repo's upstream: what others brought there is taken over, what has landed here is brought there.
//!
//! A push is intent, push, record. After a crash the upstream itself says whether it has arrived. An item is done once
//! the upstream has its landing.

use std::collections::HashSet;

use serde_json::{Value, json};
use sprint_core::address::RepoAddress;
use sprint_core::event::{EventKind, NewEvent};
use sprint_core::ids::{CommitId, RepoName};
use sprint_core::item::{ItemEvent, Stage};
use sprint_core::repo::{Pushes, Repo, UpstreamPush, UpstreamRewrite, UpstreamTrouble};
use sprint_failpoint::{Point, pass};

use crate::git::{CompareAndSwap, Fetched, GitRepo, Pushed};
use crate::service::repos::halt::{Halt, set_halted};
use crate::service::repos::pace::Pace;
use crate::service::repos::{lfs, submodules};
use crate::service::{Actor, Coordinator, ServiceError, transition};
use crate::store::Notice;

/// The result of reading the upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Followed {
    /// It holds nothing that our branch does not.
    Same,
    /// Our branch has moved to where the upstream's is.
    Moved,
    /// Each holds what the other does not.
    Diverged { upstream: CommitId },
    /// It was rewritten: the queue is halted until a person decides.
    Halted,
}

/// What came of bringing the upstream up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Push {
    /// It is where ours is, or there is nothing to be done about it now.
    Settled,
    /// It holds what ours does not: both are to be joined first.
    Diverged,
}

/// Takes over what others brought to the upstream.
pub(crate) async fn follow(
    sprint: &Coordinator,
    git: &GitRepo,
    repo: &Repo,
    url: &RepoAddress,
    tip: &CommitId,
) -> Result<Followed, ServiceError> {
    let upstream = match git.fetch_upstream(url, &repo.branch).await? {
        Fetched::Tip(tip) => tip,
        Fetched::Rewritten(rewrite) => {
            halt_for(sprint, repo, rewrite).await?;
            return Ok(Followed::Halted);
        }
    };
    if git.reaches(tip, &upstream)? {
        return Ok(Followed::Same);
    }
    if !git.reaches(&upstream, tip)? {
        return Ok(Followed::Diverged { upstream });
    }
    // Before a worker can start from it.
    submodules::bring_soon(sprint, git, &repo.name, url, &upstream).await?;
    match git.compare_and_swap(&repo.branch, tip, &upstream, "sprint: follow the upstream")? {
        CompareAndSwap::Moved => {
            record(sprint, EventKind::REPO_SYNCED, &repo.name, json!({ "from": tip, "to": upstream })).await?;
        }
        CompareAndSwap::Stale => {}
    }
    Ok(Followed::Moved)
}

/// Brings the upstream's tags and other branches along. Nothing that lands depends on them: a failure is said, and the
/// next fetch tries again.
pub(crate) async fn fetch_others(git: &GitRepo, repo: &Repo, url: &RepoAddress) {
    if let Err(error) = git.fetch_others(url).await {
        tracing::warn!(repo = %repo.name, %error, "the upstream's tags and other branches could not be fetched");
    }
}

/// Brings the upstream's branch to ours, if it is behind, and ends the items whose landings it has.
///
/// That the upstream does not take it is no error: it is on record, and the push is tried again at its pace.
///
/// # Errors
/// Those of the store and of our own repository.
pub(crate) async fn push(sprint: &Coordinator, name: &RepoName, pace: &mut Pace) -> Result<Push, ServiceError> {
    let Some(mut repo) = sprint.store.live().repo(name).map(|repo| Repo::clone(&repo)) else {
        return Ok(Push::Settled);
    };
    let git = sprint.git.get(name)?;
    let Some(url) = repo.url.clone() else { return Ok(Push::Settled) };
    if let Some(UpstreamPush { from, to }) = repo.pushing.clone() {
        if !pace.is_due(sprint.now()) {
            return Ok(Push::Settled);
        }
        let found = match git.fetch_upstream(&url, &repo.branch).await {
            Ok(Fetched::Tip(tip)) => tip,
            Ok(Fetched::Rewritten(rewrite)) => {
                halt_for(sprint, &repo, rewrite).await?;
                return Ok(Push::Settled);
            }
            Err(error) => return failed(sprint, &repo, &url, pace, error.to_string()).await,
        };
        if git.reaches(&found, &to)? {
            repo = arrived(sprint, name, pace, json!({ "tip": to, "found": found })).await?;
        } else if from.as_ref() != Some(&found) || git.tip(&repo.branch)? != to {
            let data = json!({ "tip": to, "found": found });
            repo = change(sprint, name, EventKind::REPO_PUSH_LOST, data, |repo| repo.pushing = None).await?;
        }
    }
    let (tip, from) = (git.tip(&repo.branch)?, git.upstream_seen(&repo.branch)?);
    if let Some(seen) = &from {
        deliver(sprint, &git, name, seen, &tip).await?;
    }
    // A halt is no reason to keep what has landed; only a rewrite of the upstream is decided first.
    if repo.upstream_rewrite.is_some() || !pace.is_due(sprint.now()) {
        return Ok(Push::Settled);
    }
    if from.as_ref() == Some(&tip) {
        return still_in_trouble(sprint, &git, &repo, &url, pace, &tip).await;
    }
    if let Some(seen) = &from
        && !git.reaches(&tip, seen)?
    {
        return Ok(Push::Diverged);
    }
    let intent = UpstreamPush { from: from.clone(), to: tip.clone() };
    // One that was refused before is still meant.
    if repo.pushing.as_ref() != Some(&intent) {
        let data = json!({ "from": intent.from, "to": intent.to });
        repo = change(sprint, name, EventKind::REPO_PUSHING, data, |repo| repo.pushing = Some(intent)).await?;
    }
    pass(Point::PushBefore);
    // Whoever fetches the commit finds them.
    if let Some(why) = lfs::deliver(&git, &url, from.as_ref(), &tip).await? {
        return failed(sprint, &repo, &url, pace, why).await;
    }
    match git.push_upstream(&url, &repo.branch, from.as_ref(), &tip).await {
        Ok(Pushed::Done) => {
            pass(Point::PushAfter);
            arrived(sprint, name, pace, json!({ "tip": tip })).await?;
            deliver(sprint, &git, name, &tip, &tip).await?;
            Ok(Push::Settled)
        }
        Ok(Pushed::Diverged) => {
            let data = json!({ "tip": tip });
            change(sprint, name, EventKind::REPO_PUSH_LOST, data, |repo| repo.pushing = None).await?;
            Ok(Push::Diverged)
        }
        Ok(Pushed::Refused { why }) => failed(sprint, &repo, &url, pace, why).await,
        // The intent stays: what became of the push is unknown.
        Err(error) => failed(sprint, &repo, &url, pace, error.to_string()).await,
    }
}

/// Finds out whether an upstream that did not take a push would take one now; there is nothing to push.
async fn still_in_trouble(
    sprint: &Coordinator,
    git: &GitRepo,
    repo: &Repo,
    url: &RepoAddress,
    pace: &mut Pace,
    tip: &CommitId,
) -> Result<Push, ServiceError> {
    if repo.upstream_trouble.is_none() {
        return Ok(Push::Settled);
    }
    match git.try_push(url, &repo.branch).await? {
        Some(why) => failed(sprint, repo, url, pace, why).await,
        None => arrived(sprint, &repo.name, pace, json!({ "tip": tip })).await.map(|_| Push::Settled),
    }
}

/// Halts the queue, since the upstream's branch was rewritten.
async fn halt_for(sprint: &Coordinator, repo: &Repo, rewrite: UpstreamRewrite) -> Result<(), ServiceError> {
    if repo.halted.is_some() && repo.upstream_rewrite.as_ref() == Some(&rewrite) {
        return Ok(());
    }
    let UpstreamRewrite { was, now } = &rewrite;
    let reason = format!(
        "the upstream's {} was rewritten outside of the coordinator: it was at {was}, and is at {now}, which does not hold that; decide which counts",
        repo.branch
    );
    tracing::error!(repo = %repo.name, reason, "the merge queue stands still");
    let data = json!({ "was": was, "now": now });
    change(sprint, &repo.name, EventKind::REPO_UPSTREAM_REWRITTEN, data, |repo| {
        repo.halted = Some(reason);
        repo.upstream_rewrite = Some(rewrite);
    })
    .await
    .map(|_| ())
}

/// Records that the upstream has what was pushed.
async fn arrived(sprint: &Coordinator, name: &RepoName, pace: &mut Pace, data: Value) -> Result<Repo, ServiceError> {
    *pace = Pace::default();
    change(sprint, name, EventKind::REPO_PUSHED, data, |repo| {
        repo.pushing = None;
        repo.upstream_trouble = None;
        repo.pushes = Pushes::Taken;
    })
    .await
}

/// Records why a push failed, if that is not on record, and has it tried again later.
async fn failed(
    sprint: &Coordinator,
    repo: &Repo,
    url: &RepoAddress,
    pace: &mut Pace,
    why: String,
) -> Result<Push, ServiceError> {
    pace.failed(sprint.now(), url);
    if repo.upstream_trouble.as_ref().is_some_and(|trouble| says_the_same(&trouble.why, &why)) {
        return Ok(Push::Settled);
    }
    tracing::warn!(repo = %repo.name, why, "what has landed is not at the upstream");
    let (data, since) = (json!({ "reason": why }), sprint.now());
    let trouble = UpstreamTrouble { why, since };
    let set = |repo: &mut Repo| repo.upstream_trouble = Some(trouble);
    change(sprint, &repo.name, EventKind::REPO_PUSH_FAILED, data, set).await?;
    Ok(Push::Settled)
}

/// Whether two texts are the same but for numbers, such as times and the names of requests.
fn says_the_same(one: &str, other: &str) -> bool {
    fn is_number(word: &str) -> bool {
        let mut rest = word.chars().filter(|char| !char.is_ascii_punctuation());
        word.contains(|char: char| char.is_ascii_digit()) && rest.all(|char| char.is_ascii_hexdigit())
    }
    fn plain(text: &str) -> impl Iterator<Item = &str> {
        text.split_whitespace().filter(|word| !is_number(word))
    }
    plain(one).eq(plain(other))
}

/// Ends the items whose landings the upstream has, since it is at `seen`.
async fn deliver(
    sprint: &Coordinator,
    git: &GitRepo,
    name: &RepoName,
    seen: &CommitId,
    tip: &CommitId,
) -> Result<(), ServiceError> {
    let owed = sprint.store.live().owed_items(name);
    if owed.is_empty() {
        return Ok(());
    }
    // One walk for all: while the upstream is away there may be many, and each would walk to the first commit.
    let missing: HashSet<CommitId> = git.commits_since(seen, tip)?.into_iter().collect();
    let mut delivered = vec![];
    for item in owed {
        if let Stage::Merging { landed: Some(commit), .. } = &item.stage
            && !missing.contains(commit)
            && git.reaches(seen, commit)?
        {
            delivered.push((item.id, commit.clone()));
        }
    }
    if delivered.is_empty() {
        return Ok(());
    }
    sprint
        .store
        .write(move |tx| {
            Box::pin(async move {
                for (item, commit) in delivered {
                    match transition::apply(tx, item, ItemEvent::AtUpstream { commit }, &Actor::MergeQueue).await {
                        // Cancelled since it was read.
                        Ok(_) | Err(ServiceError::Refused(_)) => {}
                        Err(error) => return Err(error),
                    }
                }
                Ok(())
            })
        })
        .await
}

/// Changes what is on record of a repo and its upstream. A repo that was removed meanwhile has nothing to remember.
async fn change(
    sprint: &Coordinator,
    name: &RepoName,
    kind: EventKind,
    data: Value,
    set: impl FnOnce(&mut Repo) + Send + 'static,
) -> Result<Repo, ServiceError> {
    change_with(sprint, name, event(kind, name, data), &[], set).await
}

/// As [`change`], by anybody; wakes loops.
pub(super) async fn change_with(
    sprint: &Coordinator,
    name: &RepoName,
    event: NewEvent,
    wake: &'static [Notice],
    set: impl FnOnce(&mut Repo) + Send + 'static,
) -> Result<Repo, ServiceError> {
    let name = name.clone();
    sprint
        .store
        .write(move |tx| {
            Box::pin(async move {
                let mut repo = tx.get(&name).await?.ok_or_else(|| ServiceError::no_repo(&name))?;
                set(&mut repo);
                tx.save(repo.clone(), event);
                for notice in wake {
                    tx.notify(notice.clone());
                }
                Ok(repo)
            })
        })
        .await
}

fn event(kind: EventKind, repo: &RepoName, data: Value) -> NewEvent {
    NewEvent { kind, repo: Some(repo.clone()), item: None, actor: Actor::MergeQueue, data }
}

/// Records something of a repo that changes none of its settings.
pub(crate) async fn record(
    sprint: &Coordinator,
    kind: EventKind,
    repo: &RepoName,
    data: Value,
) -> Result<(), ServiceError> {
    let event = event(kind, repo, data);
    sprint
        .store
        .write(move |tx| {
            Box::pin(async move {
                tx.record(event);
                Ok(())
            })
        })
        .await
}

/// Stops a repo's queue until a person resumes it.
pub(crate) async fn halt(sprint: &Coordinator, name: &RepoName, reason: String) -> Result<(), ServiceError> {
    tracing::error!(repo = %name, %reason, "the merge queue stands still");
    let halt = Halt { reason, broken_config: None };
    set_halted(sprint, name.clone(), Some(halt), Actor::MergeQueue).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::says_the_same;

    #[test]
    fn a_reason_that_differs_in_numbers_alone_is_the_same() {
        let curl = "Failed to connect to example.org port 443 after 3 ms: Couldn't connect to server";
        assert!(says_the_same(curl, &curl.replace("after 3 ms", "after 127 ms")));
        assert!(says_the_same("denied (request 8f3a:77)", "denied (request c01d:9)"));
        assert!(!says_the_same("it is protected", "it is gone"));
        assert!(!says_the_same("changed there: file1.txt", "changed there: file2.txt"));
        assert!(!says_the_same(curl, "Could not resolve host: example.org"));
    }
}
