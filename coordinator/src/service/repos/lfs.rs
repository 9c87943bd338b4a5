//! A repo's objects of Git LFS: brought from its upstream when somebody needs them, and delivered to it before the
//! branch moves there.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use sprint_core::address::RepoAddress;
use sprint_core::ids::{CommitId, RepoName};
use sprint_core::lfs::LfsObject;
use sprint_core::repo::Repo;
use sprint_core::tree_rules::{Problem, ProblemKind, TreeRule, TreeRules};

use crate::git::{GitError, GitRepo, LFS_SERVER_FILE, LfsStore, is_refusal};
use crate::service::repos::lfs_memory::MissingObjects;
use crate::service::{Coordinator, ServiceError};

/// How long a queue waits for the objects of a change.
const LONGEST: Duration = Duration::from_mins(2);

/// Brings what is not here for somebody who checks files out; answers what nobody gave.
///
/// # Errors
/// There is no such repo, or those of our own repository.
pub async fn bring_for_checkout(
    sprint: &Coordinator,
    name: &RepoName,
    wanted: &[LfsObject],
) -> Result<MissingObjects, ServiceError> {
    let (git, repo) = find(sprint, name)?;
    let missing = bring(&git, &repo, wanted).await?;
    sprint.lfs_missing.note(name, &missing);
    Ok(missing)
}

fn find(sprint: &Coordinator, name: &RepoName) -> Result<(Arc<GitRepo>, Arc<Repo>), ServiceError> {
    let repo = sprint.store.live().repo(name).ok_or_else(|| ServiceError::no_repo(name))?;
    Ok((sprint.git.get(name)?, repo))
}

/// Where a repo keeps its objects.
///
/// # Errors
/// There is no such repo.
pub fn store(sprint: &Coordinator, name: &RepoName) -> Result<LfsStore, ServiceError> {
    Ok(find(sprint, name)?.0.lfs())
}

/// Brings what is not here from the upstream, or from where a submodule comes from; answers what nobody gave.
///
/// # Errors
/// Those of our own repository.
async fn bring(git: &GitRepo, repo: &Repo, wanted: &[LfsObject]) -> Result<MissingObjects, ServiceError> {
    let lacking = || -> Vec<LfsObject> { wanted.iter().filter(|object| !git.lfs().has(object)).cloned().collect() };
    if lacking().is_empty() {
        return Ok(MissingObjects::default());
    }
    let Some(url) = &repo.url else {
        let why = "nobody has handed it over, and the repo has no upstream".to_owned();
        return Ok(MissingObjects { objects: lacking().into_iter().collect(), why, is_refused: true });
    };
    // One conversation at a time: who waits finds most of it here.
    let _turn = git.lfs_turn.lock().await;
    let tip = git.tip(&repo.branch)?;
    let mut sources = vec![(url.clone(), tip.to_string())];
    let (mut why, mut looked_within) = (None, false);
    while let Some((address, treeish)) = sources.pop() {
        let left = lacking();
        if left.is_empty() {
            return Ok(MissingObjects::default());
        }
        let said = match git.lfs_server(&treeish).await {
            Ok(server) => git.bring_lfs(&address, &server, &left).await?,
            Err(error) => Some(error.to_string()),
        };
        // What counts is what the upstream itself says.
        why = why.or(said);
        if !looked_within && !lacking().is_empty() {
            looked_within = true;
            sources = submodules(git, &tip, url).await?;
        }
    }
    let objects: BTreeSet<_> = lacking().into_iter().collect();
    if objects.is_empty() {
        return Ok(MissingObjects::default());
    }
    // It was asked for them, gave some or none, and said nothing of the others.
    let is_refused = why.as_deref().is_none_or(is_refusal);
    let why = why.unwrap_or_else(|| format!("{url} does not have it"));
    tracing::warn!(repo = %repo.name, count = objects.len(), why, "objects of Git LFS could not be fetched");
    Ok(MissingObjects { objects, why, is_refused })
}

/// Where the submodules of a commit come from, each with one of its commits.
async fn submodules(
    git: &GitRepo,
    tip: &CommitId,
    url: &RepoAddress,
) -> Result<Vec<(RepoAddress, String)>, ServiceError> {
    let mut found: Vec<(RepoAddress, String)> = vec![];
    for module in git.submodules_within(tip.as_str(), url).await? {
        if let Ok(address) = module.address
            && git.holds(&module.commit)?
            && found.iter().all(|(known, _)| *known != address)
        {
            found.push((address, module.commit.to_string()));
        }
    }
    Ok(found)
}

/// Takes out of the problems of a change those whose objects the upstream has, and says of the others why it has not.
/// Answers why nobody knows, when the upstream cannot be asked.
///
/// # Errors
/// Those of our own repository.
pub(crate) async fn settle(
    sprint: &Coordinator,
    git: &GitRepo,
    repo: &Repo,
    problems: &mut Vec<Problem>,
) -> Result<Option<String>, ServiceError> {
    let limit = sprint.settings.max_push_bytes();
    let missing = problems.iter().filter_map(|problem| problem.kind.missing_object());
    let wanted: Vec<LfsObject> = missing.filter(|object| object.size <= limit).cloned().collect();
    let brought = tokio::time::timeout(LONGEST, bring(git, repo, &wanted)).await;
    let late = || format!("objects of Git LFS were not fetched within {}", humantime::format_duration(LONGEST));
    let why = match brought {
        Ok(missing) => missing?,
        Err(_) => return Ok(Some(late())),
    };
    if !why.objects.is_empty() && repo.url.is_some() && !why.is_refused {
        return Ok(Some(why.why));
    }
    let why = why.why;
    problems.retain_mut(|problem| {
        let ProblemKind::LfsPointer { object, why: known } = &mut problem.kind else { return true };
        // It does not come by having its object.
        if known.is_some() {
            return true;
        }
        let too_large = || format!("it has {} bytes, and {limit} are taken at most", object.size);
        *known = Some(if object.size > limit { too_large() } else { why.clone() });
        !git.lfs().has(object)
    });
    Ok(None)
}

/// A worker's change of the file that names servers: whoever is asked there, and with whose password, is for people to
/// decide.
///
/// # Errors
/// Those of our own repository.
pub(crate) fn new_server(
    git: &GitRepo,
    before: &str,
    after: &str,
    rules: TreeRules,
) -> Result<Option<Problem>, ServiceError> {
    let is_allowed = rules.lfs_pointers == TreeRule::Allow;
    if is_allowed || git.lfs_server_file(before)? == git.lfs_server_file(after)? {
        return Ok(None);
    }
    Ok(Some(Problem { path: LFS_SERVER_FILE.to_owned(), kind: ProblemKind::LfsServer }))
}

/// Brings the objects of a change that is not yet gated to the upstream; answers why that does not take them, if it says
/// so: a change that could not be delivered would hold up all that land after it. What an upstream says that cannot be
/// asked now is found out later.
///
/// # Errors
/// Those of our own repository.
pub(crate) async fn refused(
    git: &GitRepo,
    url: &RepoAddress,
    tip: &CommitId,
    head: &CommitId,
) -> Result<Option<String>, ServiceError> {
    let sent = tokio::time::timeout(LONGEST, send(git, url, Some(tip), head, tip)).await;
    Ok(sent.unwrap_or(Ok(None))?.filter(|why| is_refusal(why)))
}

/// Sends the objects to the upstream that came since it was at `seen`; answers why it does not take them.
///
/// # Errors
/// Those of our own repository.
pub(crate) async fn deliver(
    git: &GitRepo,
    url: &RepoAddress,
    seen: Option<&CommitId>,
    tip: &CommitId,
) -> Result<Option<String>, ServiceError> {
    send(git, url, seen, tip, tip).await
}

/// Sends what came between two commits to where a third says.
async fn send(
    git: &GitRepo,
    url: &RepoAddress,
    seen: Option<&CommitId>,
    head: &CommitId,
    server: &CommitId,
) -> Result<Option<String>, ServiceError> {
    let store = git.lfs();
    if store.is_unused() {
        return Ok(None);
    }
    // What is not here was allowed to be elsewhere.
    let new: Vec<LfsObject> = git.lfs_since(seen, head)?.into_iter().filter(|object| store.has(object)).collect();
    if new.is_empty() {
        return Ok(None);
    }
    let server = match git.lfs_server(server.as_str()).await {
        Err(GitError::Failed { stderr, .. }) => return Ok(Some(format!("{LFS_SERVER_FILE} cannot be read: {stderr}"))),
        server => server?,
    };
    Ok(git.send_lfs(url, &server, &new).await?.map(|why| format!("objects of Git LFS cannot be delivered: {why}")))
}
