//! Building trials: merges without a checkout, and the commits that would land.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::json;
use sprint_core::bounds::{named_paths, paths_in_words};
use sprint_core::change::{Candidate, ChangeState};
use sprint_core::committing::Committing;
use sprint_core::config::{CONFIG_FILE, MergeMethod};
use sprint_core::event::{EventKind, NewEvent};
use sprint_core::gates::Gate;
use sprint_core::ids::{CommitId, ItemId, RepoName, TreeId, TrialId, candidate_ref};
use sprint_core::item::Item;
use sprint_core::refusal::Code;
use sprint_core::repo::Repo;
use sprint_core::tree_rules::{Problem, ProblemKind};
use sprint_core::trial::{Member, Purpose, Trial};
use sprint_failpoint::{Point, pass};

use crate::git::{GitRepo, Merged, NewCommit};
use crate::service::queue::merge::look::Look;
use crate::service::queue::merge::memory::HISTORY;
use crate::service::queue::merge::progress::Progress;
use crate::service::queue::merge::{protected, reject};
use crate::service::repos::config::{config_at, config_in};
use crate::service::repos::{lfs, upstream};
use crate::service::{Actor, Coordinator, ServiceError, transition};
use crate::store::Notice;

/// What came of building a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Built {
    Begun,
    /// One of its changes does not merge with the tip itself, and was sent back.
    Rejected,
}

/// What a chain of changes comes to on a base.
pub enum Chain {
    Whole {
        commit: CommitId,
        tree: TreeId,
    },
    /// The change at this place does not merge with the base and those before it.
    Broken {
        place: usize,
        paths: Vec<String>,
    },
}

/// Builds the trial of some changes on the tip, and begins it, or remembers what came of the same tree before.
pub(crate) async fn trial(
    sprint: &Coordinator,
    git: &GitRepo,
    repo: &Repo,
    look: &Look,
    members: &[Member],
) -> Result<Built, ServiceError> {
    let (tip, gates) = (&look.tip, &look.config.gates);
    match chain(sprint, git, repo, look.config.merge.method, tip, members).await? {
        Chain::Whole { commit, tree } => {
            // Each alone leaves it readable, and both together need not.
            if let (Err(error), Some((last, before))) = (config_in(git, repo, &tree), members.split_last()) {
                if error.code() != Code::ConfigInvalid {
                    return Err(error);
                }
                if let (true, Some(change)) = (before.is_empty(), look.change(last.change)) {
                    reject::breaks_config(sprint, change, &error).await?;
                    return Ok(Built::Rejected);
                }
                return unmergeable(sprint, git, repo, look, members, vec![CONFIG_FILE.to_owned()]).await;
            }
            // So it is with the rules for trees: two files that differ in case only may come from two changes.
            if let Some((last, before)) = members.split_last() {
                let mut problems = git.problems(&git.tree_of(tip)?, &tree, look.config.tree)?;
                if let Some(why) = lfs::settle(sprint, git, repo, &mut problems).await? {
                    return Err(ServiceError::new(Code::UpstreamUnreachable, why));
                }
                // What merges to a protected path only on this tip was not shown to the person.
                let changes: Vec<_> = members.iter().filter_map(|member| look.change(member.change)).collect();
                let paths = protected::paths(git, &look.config, &git.tree_of(tip)?, &tree)?.into_iter();
                let strange = paths.filter(|path| !changes.iter().any(|change| protected::accepts(change, path)));
                problems.extend(strange.map(|path| Problem { path, kind: ProblemKind::Protected }));
                match (problems.is_empty(), before.is_empty(), look.change(last.change)) {
                    (true, _, _) => {}
                    (false, true, Some(change)) => {
                        reject::breaks_rules(sprint, change, &problems).await?;
                        return Ok(Built::Rejected);
                    }
                    (false, _, _) => {
                        let paths = problems.into_iter().map(|problem| problem.path).collect();
                        return unmergeable(sprint, git, repo, look, members, paths).await;
                    }
                }
            }
            let new_gates = protected::new_gates(git, repo, &look.config, &tree)?;
            let candidate = Candidate { commit, tree, base: tip.clone(), gates: gates.clone(), new_gates };
            let purpose = if members.is_empty() { Purpose::Tip } else { Purpose::Queue };
            begin(sprint, git, &repo.name, purpose, members.to_vec(), candidate).await?;
            Ok(Built::Begun)
        }
        Chain::Broken { place, paths } => {
            let broken = &members[place];
            // With the tip itself, or only with those before it?
            if let Merged::Conflict { paths, why } = git.merge(tip, &broken.head).await?
                && let Some(change) = look.change(broken.change)
            {
                reject::conflicted(sprint, git, repo, tip, change, paths, why).await?;
                return Ok(Built::Rejected);
            }
            unmergeable(sprint, git, repo, look, &members[..=place], paths).await
        }
    }
}

/// Remembers that the last of some changes does not go together with those before it.
async fn unmergeable(
    sprint: &Coordinator,
    git: &GitRepo,
    repo: &Repo,
    look: &Look,
    members: &[Member],
    paths: Vec<String>,
) -> Result<Built, ServiceError> {
    let tree = git.tree_of(&look.tip)?;
    let gates = look.config.gates.clone();
    let candidate = Candidate { commit: look.tip.clone(), tree, base: look.tip.clone(), gates, new_gates: vec![] };
    let beginning = Beginning::Unmergeable(named_paths(&paths));
    record(sprint, &repo.name, Purpose::Queue, members.to_vec(), candidate, beginning, Actor::MergeQueue).await?;
    Ok(Built::Begun)
}

/// Gates the union of our branch and the upstream's, each of which holds what the other does not.
pub(crate) async fn join(
    sprint: &Coordinator,
    git: &GitRepo,
    repo: &Repo,
    trials: &[Arc<Trial>],
    tip: &CommitId,
    theirs: &CommitId,
) -> Result<Progress, ServiceError> {
    let tree = match git.merge(tip, theirs).await? {
        Merged::Clean { tree } => tree,
        Merged::Conflict { paths, why } => {
            let places = if paths.is_empty() { String::new() } else { format!(", in {}", paths_in_words(&paths)) };
            let places = why.map_or(places, |why| format!(": {why}"));
            let reason = format!(
                "the upstream's {} was moved outside of the coordinator to {}, which does not merge with what has landed{places}; merge both, push the result to the upstream",
                repo.branch,
                theirs.short(),
            );
            upstream::halt(sprint, &repo.name, reason).await?;
            return Ok(Progress::Made);
        }
    };
    let known =
        |trial: &Trial| trial.purpose == Purpose::Join && trial.candidate.base == *tip && trial.candidate.tree == tree;
    if trials.iter().any(|trial| known(trial)) {
        return Ok(Progress::Idle);
    }
    let gates = config_at(git, repo, tip)?.gates;
    let message = format!("Merge {} of the upstream\n", repo.branch);
    let at = sprint.now();
    let commit = git.commit(&NewCommit::new(&tree, &[tip, theirs], &message, &repo.committing, at))?;
    let candidate = Candidate { commit, tree, base: tip.clone(), gates, new_gates: vec![] };
    begin(sprint, git, &repo.name, Purpose::Join, vec![], candidate).await?;
    Ok(Progress::Made)
}

/// Merges changes onto a base, one after the other, and makes the commits that would land.
///
/// # Errors
/// What git or the store says.
pub async fn chain(
    sprint: &Coordinator,
    git: &GitRepo,
    repo: &Repo,
    method: MergeMethod,
    base: &CommitId,
    members: &[Member],
) -> Result<Chain, ServiceError> {
    let mut at = base.clone();
    let mut tree = git.tree_of(base)?;
    let mut landed = match method {
        MergeMethod::Rebase => landed_heads(sprint, &repo.name).await?,
        MergeMethod::Merge | MergeMethod::Squash | MergeMethod::FastForward => vec![],
    };
    for (place, member) in members.iter().enumerate() {
        let added = match method {
            MergeMethod::Merge => merged(sprint, git, repo, &at, member).await?,
            MergeMethod::Squash => squashed(sprint, git, repo, &at, member).await?,
            MergeMethod::Rebase => rebased(sprint, git, repo, &at, member, &landed).await?,
            MergeMethod::FastForward => forwarded(sprint, git, repo, &at, member)?,
        };
        match added {
            Ok(commit) => at = commit,
            Err(paths) => return Ok(Chain::Broken { place, paths }),
        }
        tree = git.tree_of(&at)?;
        landed.push(member.head.clone());
    }
    // Several that land together are one commit of the branch: the others were never its tip.
    if method == MergeMethod::Merge && members.len() > 1 {
        let message = message(sprint, repo, members).await?;
        let parents = [base, &at];
        let new = NewCommit::new(&tree, &parents, &message, &repo.committing, sprint.now());
        at = git.commit(&new)?;
    }
    Ok(Chain::Whole { commit: at, tree })
}

/// The commit that was added, or the paths that conflict.
type Added = Result<CommitId, Vec<String>>;

async fn merged(
    sprint: &Coordinator,
    git: &GitRepo,
    repo: &Repo,
    at: &CommitId,
    member: &Member,
) -> Result<Added, ServiceError> {
    let tree = match git.merge(at, &member.head).await? {
        Merged::Clean { tree } => tree,
        Merged::Conflict { paths, why: _ } => return Ok(Err(paths)),
    };
    let message = message(sprint, repo, std::slice::from_ref(member)).await?;
    let parents = [at, &member.head];
    let new = NewCommit::new(&tree, &parents, &message, &repo.committing, sprint.now());
    Ok(Ok(git.commit(&new)?))
}

async fn squashed(
    sprint: &Coordinator,
    git: &GitRepo,
    repo: &Repo,
    at: &CommitId,
    member: &Member,
) -> Result<Added, ServiceError> {
    let tree = match git.merge(at, &member.head).await? {
        Merged::Clean { tree } => tree,
        Merged::Conflict { paths, why: _ } => return Ok(Err(paths)),
    };
    let mut message = message(sprint, repo, std::slice::from_ref(member)).await?;
    let own = git.author(&member.head)?;
    let mut others = Vec::new();
    for commit in git.commits_since(at, &member.head)? {
        let author = git.author(&commit)?;
        if author != own && !others.contains(&author) {
            let _ = writeln!(message, "Co-authored-by: {author}");
            others.push(author);
        }
    }
    let parents = [at];
    let new = NewCommit {
        author_of: Some(&member.head),
        ..NewCommit::new(&tree, &parents, &message, &repo.committing, sprint.now())
    };
    Ok(Ok(git.commit(&new)?))
}

/// Makes each commit again, except those that `landed` brought under other names. Merges within the branch are left
/// out: what they brought comes with the commits themselves.
async fn rebased(
    sprint: &Coordinator,
    git: &GitRepo,
    repo: &Repo,
    at: &CommitId,
    member: &Member,
    landed: &[CommitId],
) -> Result<Added, ServiceError> {
    let mut at = at.clone();
    let commits = git.single_commits(&[std::slice::from_ref(&at), landed].concat(), &member.head)?;
    if commits.is_empty() {
        let (tree, message) = (git.tree_of(&at)?, message(sprint, repo, std::slice::from_ref(member)).await?);
        return Ok(Ok(git.commit(&NewCommit::new(&tree, &[&at], &message, &repo.committing, sprint.now()))?));
    }
    for (place, (commit, parent)) in commits.iter().enumerate() {
        let tree = match git.merge_from(Some(parent), &at, commit).await? {
            Merged::Clean { tree } => tree,
            Merged::Conflict { paths, why: _ } => return Ok(Err(paths)),
        };
        let is_last = place + 1 == commits.len();
        // One that brings nothing any more is left out, unless it carries the trailers.
        if tree == git.tree_of(&at)? && !is_last {
            continue;
        }
        let (message, encoding) = git.message_bytes(commit)?;
        let mut message = message.trim_ascii_end().to_vec();
        message.push(b'\n');
        if is_last {
            message.extend(trailers(repo, std::slice::from_ref(member)).bytes());
        }
        let new = NewCommit {
            tree: &tree,
            parents: &[&at],
            message: &message,
            encoding: encoding.as_deref(),
            author_of: Some(commit),
            by: &repo.committing,
            at: sprint.now(),
        };
        at = git.commit(&new)?;
    }
    Ok(Ok(at))
}

/// The heads of recent landings: a rebase made their commits again under other names.
async fn landed_heads(sprint: &Coordinator, repo: &RepoName) -> Result<Vec<CommitId>, ServiceError> {
    let settled = sprint.store.settled_changes(repo, HISTORY).await?.into_iter();
    let landed = settled.filter(|change| matches!(change.state, ChangeState::Landed { .. }));
    Ok(landed.map(|change| change.head).collect())
}

/// The commits as they are; where landings are signed, made again with the signature.
fn forwarded(
    sprint: &Coordinator,
    git: &GitRepo,
    repo: &Repo,
    at: &CommitId,
    member: &Member,
) -> Result<Added, ServiceError> {
    if !git.reaches(&member.head, at)? {
        return Ok(Err(vec![]));
    }
    if repo.committing.sign.is_none() {
        return Ok(Ok(member.head.clone()));
    }
    let mut again: HashMap<CommitId, CommitId> = HashMap::new();
    for commit in git.commits_since(at, &member.head)? {
        let parents = git.parents(&commit)?;
        let parents: Vec<_> = parents.iter().map(|parent| again.get(parent).unwrap_or(parent)).collect();
        let signed = git.commit_again(&commit, &parents, &repo.committing, sprint.now())?;
        again.insert(commit, signed);
    }
    Ok(Ok(again.get(&member.head).unwrap_or(&member.head).clone()))
}

/// The message of a commit that lands changes: its first line for people, its trailers for machines.
async fn message(sprint: &Coordinator, repo: &Repo, members: &[Member]) -> Result<String, ServiceError> {
    let mut items: Vec<Item> = Vec::new();
    for Member { item, .. } in members {
        let found = sprint.store.get(item).await?;
        items.push(found.ok_or_else(|| transition::missing(item))?);
    }
    let title = |item: &Item| item.title.lines().next().unwrap_or_default().to_owned();
    let text = match items.as_slice() {
        [item] => format!("Land item {}: {}\n", item.id, title(item)),
        items => {
            let numbers = items.iter().map(|item| item.id.to_string()).collect::<Vec<_>>().join(", ");
            let lines = items.iter().fold(String::new(), |mut lines, item| {
                let _ = writeln!(lines, "- item {}: {}", item.id, title(item));
                lines
            });
            format!("Land items {numbers}\n\n{lines}")
        }
    };
    // Each item's trailers are in one commit: its own.
    Ok(match members {
        [member] => text + &trailers(repo, std::slice::from_ref(member)),
        _ => text + &signed_off(repo).map(|line| format!("\n{line}")).unwrap_or_default(),
    })
}

fn trailers(repo: &Repo, members: &[Member]) -> String {
    let lines = members.iter().fold("\n".to_owned(), |mut lines, Member { change, item, attempt, head: _ }| {
        let _ = writeln!(lines, "Sprint-Item: {item}\nSprint-Attempt: {attempt}\nSprint-Change: {change}");
        lines
    });
    lines + &signed_off(repo).unwrap_or_default()
}

fn signed_off(repo: &Repo) -> Option<String> {
    let Committing { committer, sign_off, .. } = &repo.committing;
    let by = committer.as_ref().map_or_else(|| "Sprint <sprint@localhost>".to_owned(), ToString::to_string);
    sign_off.then(|| format!("Signed-off-by: {by}\n"))
}

/// Begins a trial of a candidate, or remembers what came of the same tree and gates before.
pub(crate) async fn begin(
    sprint: &Coordinator,
    git: &GitRepo,
    repo: &RepoName,
    purpose: Purpose,
    members: Vec<Member>,
    candidate: Candidate,
) -> Result<TrialId, ServiceError> {
    let beginning = match known(sprint, repo, &candidate.tree, &candidate.gates, &candidate.new_gates).await? {
        Some(known) => Beginning::Known(Box::new(known)),
        None => Beginning::Fresh,
    };
    if candidate.all_gates().next().is_some() && matches!(beginning, Beginning::Fresh) {
        keep(git, &candidate)?;
    }
    record(sprint, repo, purpose, members, candidate, beginning, Actor::MergeQueue).await
}

/// Has outposts find a candidate, and git not forget it.
fn keep(git: &GitRepo, candidate: &Candidate) -> Result<(), ServiceError> {
    git.set_ref(&candidate_ref(&candidate.commit), &candidate.commit)?;
    pass(Point::CandidateRef);
    Ok(())
}

/// Begins a trial of a commit as it is, or remembers what came of the same tree and gates before unless they are to
/// run again.
pub(crate) async fn by_hand(
    sprint: &Coordinator,
    git: &GitRepo,
    repo: &RepoName,
    candidate: Candidate,
    again: bool,
    by: Actor,
) -> Result<TrialId, ServiceError> {
    let known =
        if again { None } else { known(sprint, repo, &candidate.tree, &candidate.gates, &candidate.new_gates).await? };
    let beginning = known.map_or(Beginning::Fresh, |known| Beginning::Known(Box::new(known)));
    if matches!(beginning, Beginning::Fresh) {
        keep(git, &candidate)?;
    }
    record(sprint, repo, Purpose::Hand, vec![], candidate, beginning, by).await
}

/// What came of a tree that went through the same gates.
pub(crate) async fn known(
    sprint: &Coordinator,
    repo: &RepoName,
    tree: &TreeId,
    gates: &[Gate],
    new_gates: &[Gate],
) -> Result<Option<Trial>, ServiceError> {
    let trials = sprint.store.trials_of_tree(repo, tree).await?;
    let same = |candidate: &Candidate| candidate.gates == gates && candidate.new_gates == new_gates;
    Ok(trials.into_iter().rfind(|trial| same(&trial.candidate) && trial.is_settled()))
}

/// How a trial begins.
enum Beginning {
    Fresh,
    Known(Box<Trial>),
    Unmergeable(Vec<String>),
}

async fn record(
    sprint: &Coordinator,
    repo: &RepoName,
    purpose: Purpose,
    members: Vec<Member>,
    candidate: Candidate,
    beginning: Beginning,
    by: Actor,
) -> Result<TrialId, ServiceError> {
    let repo = repo.clone();
    sprint
        .store
        .write(move |tx| {
            Box::pin(async move {
                let id = tx.next_id::<TrialId>();
                let mut trial = Trial::begin(id, repo, purpose, members, candidate, tx.now());
                trial = match &beginning {
                    Beginning::Fresh => trial,
                    Beginning::Known(known) => trial.recall(known),
                    Beginning::Unmergeable(paths) => trial.unmergeable(paths.clone()),
                };
                let event = begun(&trial, by);
                tx.save(trial, event);
                tx.notify(Notice::Scheduler);
                Ok(id)
            })
        })
        .await
}

fn begun(trial: &Trial, actor: Actor) -> NewEvent {
    let changes = trial.members.iter().map(|member| member.change).collect::<Vec<_>>();
    let Candidate { commit, tree, base, gates: _, new_gates: _ } = &trial.candidate;
    NewEvent {
        kind: EventKind::TRIAL_BEGUN,
        repo: Some(trial.repo.clone()),
        item: trial.last().map(|member| member.item).filter(|item| *item != ItemId::default()),
        actor,
        data: json!({
            "trial": trial.id, "purpose": trial.purpose, "changes": changes, "commit": commit, "tree": tree,
            "base": base, "gates": trial.candidate.all_gates().map(|gate| &gate.name).collect::<Vec<_>>(),
            "same_as": trial.same_as, "state": trial.state.name(),
        }),
    }
}
