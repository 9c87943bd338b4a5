//! A person's branch: into the merge queue, or, where they say so, beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::json;
use sprint_core::act::Act;
use sprint_core::change::{Change, ChangeEvent, ChangeState, Direct};
use sprint_core::config::RepoConfig;
use sprint_core::event::{EventKind, NewEvent};
use sprint_core::ids::{Attempt, ChangeId, CommitId, ItemId, RepoName};
use sprint_core::item::{Item, ItemEvent, ItemKind, Priority, StageName};
use sprint_core::landing::{
    CheckResult, Checked, LandingCheck, LandingFacts, LandingOutcome, LandingReport, LandingWish, check,
};
use sprint_core::protection::Protection;
use sprint_core::refusal::{Code, Refusal};
use sprint_core::repo::Repo;
use sprint_core::request::{LandRequest, NewItem, WorkerFilter};

use crate::git::GitRepo;
use crate::service::backlog::earlier_work;
use crate::service::backlog::items;
use crate::service::queue::entries;
use crate::service::queue::merge;
use crate::service::queue::merge::Preview;
use crate::service::repos::config::config_at;
use crate::service::repos::revision::{self, Named};
use crate::service::{Actor, Coordinator, ServiceError, transition};
use crate::store::Tx;

/// What was found under the name that a person gave.
struct Found {
    repo: Repo,
    git: Arc<GitRepo>,
    item: Option<Item>,
    /// The attempt whose work it is; none for what a person brings.
    attempt: Option<Attempt>,
    head: CommitId,
    uncommitted: Option<CommitId>,
    source: Option<String>,
    /// It is a branch of the upstream, and so no worker's.
    own: bool,
    title: String,
}

/// Puts a branch into its repo's merge queue, or has it land at once.
///
/// # Errors
/// [`Code::LandingRefused`] names every check that failed; nothing was changed.
pub async fn submit(sprint: &Coordinator, wanted: LandRequest, by: Actor) -> Result<LandingReport, ServiceError> {
    let LandingWish { direct, force, skip_gates } = wanted.wish;
    if (force || skip_gates) && !direct {
        let why = "only a direct landing skips checks or gates; land directly, or skip nothing";
        return Err(Refusal::new(Code::LandingInvalid, why).field("direct").into());
    }
    let found = find(sprint, &wanted).await?;
    let Found { repo, git, .. } = &found;
    let tip = git.tip(&repo.branch)?;
    if git.reaches(&tip, &found.head)? {
        let why = format!("{} contains {} already; there is nothing to land", repo.branch, found.head.short());
        return Err(ServiceError::new(Code::LandingNothing, why));
    }
    let (facts, protection) = facts(sprint, &found, &tip).await?;
    let checks = check(&facts, wanted.wish);
    let mut report = LandingReport {
        outcome: LandingOutcome::DryRun,
        repo: repo.name.clone(),
        branch: repo.branch.clone(),
        commits: u32::try_from(git.commits_since(&tip, &found.head)?.len()).unwrap_or(u32::MAX),
        paths: git.changed_paths(git.merge_base(&tip, &found.head)?.as_ref(), &found.head)?.into_iter().collect(),
        tip,
        head: found.head.clone(),
        title: found.title.clone(),
        item: found.item.as_ref().map(|item| item.id),
        change: None,
        checks,
    };
    if wanted.dry_run {
        return Ok(report);
    }
    refuse(&report.checks, &wanted)?;
    let skipped: Vec<Checked> =
        report.checks.iter().filter(|checked| checked.result == CheckResult::Skipped).cloned().collect();
    // To skip that check is to approve.
    let approves = skipped.iter().any(|checked| checked.check == LandingCheck::Protected);
    let protection = protection.filter(|_| approves);
    let (outcome, change) = bring(sprint, found, &wanted, (skipped, protection), by).await?;
    report.outcome = outcome;
    report.item = Some(change.item);
    report.change = Some(change.id);
    Ok(report)
}

/// Says why it cannot land, if it cannot.
fn refuse(checks: &[Checked], wanted: &LandRequest) -> Result<(), ServiceError> {
    let failed = checks.iter().filter(|checked| checked.result == CheckResult::Failed);
    let failed = failed.map(|checked| format!("{}: {}", checked.check, checked.found)).collect::<Vec<_>>();
    if !failed.is_empty() {
        return Err(ServiceError::new(Code::LandingRefused, format!("it cannot land; {}", failed.join("; "))));
    }
    let skips = wanted.wish.force || wanted.wish.skip_gates;
    if skips && wanted.reason.trim().is_empty() {
        let why = "a skipped check is recorded with a reason, and none is given; give one";
        return Err(Refusal::new(Code::LandingInvalid, why).field("reason").into());
    }
    Ok(())
}

async fn find(sprint: &Coordinator, wanted: &LandRequest) -> Result<Found, ServiceError> {
    match attempt_of(&wanted.what) {
        Some((item, attempt)) if wanted.item.is_none() => delivered(sprint, item, attempt).await,
        _ => brought(sprint, wanted).await,
    }
}

/// What `12` or `12/3` name.
fn attempt_of(what: &str) -> Option<(ItemId, Option<Attempt>)> {
    match what.split_once('/') {
        None => Some((what.parse().ok()?, None)),
        Some((item, attempt)) => Some((item.parse().ok()?, Some(Attempt::new(attempt.parse().ok()?)))),
    }
}

/// The work of an item's attempt: the one that is named, or the newest that left any.
async fn delivered(sprint: &Coordinator, id: ItemId, attempt: Option<Attempt>) -> Result<Found, ServiceError> {
    let item = items::get(sprint, id).await?;
    open(&item)?;
    let (repo, git) = revision::repo(sprint, &item.repo).await?;
    let newest = attempt.unwrap_or(item.attempt).get();
    let oldest = attempt.map_or(1, Attempt::get);
    for attempt in (oldest..=newest).rev().map(Attempt::new) {
        let Some(work) = earlier_work::work_of(&git, &item, attempt)? else { continue };
        let title = item.title.clone();
        let (head, uncommitted) = (work.commit, work.uncommitted);
        return Ok(Found {
            repo,
            git,
            item: Some(item),
            attempt: Some(attempt),
            head,
            uncommitted,
            source: None,
            own: false,
            title,
        });
    }
    let why = match attempt {
        Some(attempt) => format!("attempt {attempt} of item {id} left no commits"),
        None => format!("no attempt at item {id} left commits"),
    };
    Err(Refusal::new(Code::AttemptNoCommits, why).next(Act::ShowItem(id)).into())
}

/// A branch, ref or commit that a person names.
async fn brought(sprint: &Coordinator, wanted: &LandRequest) -> Result<Found, ServiceError> {
    let item = match wanted.item {
        Some(id) => Some(items::get(sprint, id).await?),
        None => None,
    };
    if let Some(item) = &item {
        open(item)?;
    }
    let name = match (&wanted.repo, &item) {
        (Some(name), Some(item)) if *name != item.repo => {
            let why = format!("item {} is of repo \"{}\", not \"{name}\"", item.id, item.repo);
            return Err(Refusal::new(Code::LandingInvalid, why).field("repo").into());
        }
        (Some(name), _) => Some(name.clone()),
        (None, item) => item.as_ref().map(|item| item.repo.clone()),
    };
    let (repo, git) = revision::repo_or_only(sprint, name).await?;
    let Named { commit: head, of_upstream: own } = revision::resolve(&repo, &git, &wanted.what).await?;
    let title = git.message(&head)?.lines().next().unwrap_or_default().trim().to_owned();
    let title = if title.is_empty() { format!("Land {}", wanted.what) } else { title };
    let source = Some(wanted.what.clone());
    Ok(Found { repo, git, item, attempt: None, head, uncommitted: None, source, own, title })
}

/// Refuses an item that is over.
fn open(item: &Item) -> Result<(), ServiceError> {
    if item.is_over() {
        let stage = item.stage.name();
        let why = format!("item {} is {stage}; add a new item for more work", item.id);
        return Err(ServiceError::new(Code::ItemOver, why));
    }
    Ok(())
}

async fn facts(
    sprint: &Coordinator,
    found: &Found,
    tip: &CommitId,
) -> Result<(LandingFacts, Option<Protection>), ServiceError> {
    let Found { repo, git, item, head, .. } = found;
    let by_worker = !found.own;
    let mut facts = LandingFacts { by_worker, uncommitted: found.uncommitted.clone(), ..LandingFacts::default() };
    facts.held = match (&repo.halted, &repo.frozen) {
        (Some(reason), _) => Some(format!("the merge queue is halted: {reason}")),
        (None, Some(reason)) => Some(format!("the merge queue is frozen: {reason}")),
        (None, None) => None,
    };
    if let Some(item) = item {
        let filter = WorkerFilter { item: Some(item.id), live: true, ..WorkerFilter::default() };
        let workers = sprint.store.workers(&filter).await?;
        facts.worker = workers.iter().find(|worker| worker.job.item().is_some()).map(|worker| worker.id);
    }
    let config = match config_at(git, repo, tip) {
        // What mends a file that cannot be read must not need it.
        Err(error) if error.code() == Code::ConfigInvalid => {
            facts.unreadable = Some(error.to_string());
            RepoConfig::default()
        }
        config => config?,
    };
    facts.gates = config.gates.iter().map(|gate| gate.name.clone()).collect();
    match merge::preview(sprint, git, repo, &config, tip, head).await? {
        Preview::Conflicts(why) => {
            facts.conflict = Some(why);
            Ok((facts, None))
        }
        Preview::Merges { known, protection } => {
            facts.known = known;
            facts.protected = protection.as_ref().map(Protection::in_words);
            Ok((facts, protection))
        }
    }
}

/// Puts it on record.
async fn bring(
    sprint: &Coordinator,
    found: Found,
    wanted: &LandRequest,
    (skipped, protection): (Vec<Checked>, Option<Protection>),
    by: Actor,
) -> Result<(LandingOutcome, Change), ServiceError> {
    let Found { repo, item, attempt, head, source, own, title, git: _, uncommitted: _ } = found;
    let direct = wanted
        .wish
        .direct
        .then(|| Direct { skip_gates: wanted.wish.skip_gates, reason: wanted.reason.trim().to_owned() });
    // One that is brought again takes the place of what was brought before.
    let mut queue = sprint.store.live().queue(&repo.name).changes.into_iter().map(|entry| entry.change);
    let same = |change: &Arc<Change>| match &item {
        Some(item) => change.item == item.id,
        None => change.source == source,
    };
    let before = queue.rfind(same).map(|change| (change.id, change.item));
    let item = before.map(|(_, item)| item).or(item.map(|item| item.id));
    let new = NewItem { key: None, title, ..new_item(repo.name.clone()) };
    sprint
        .store
        .write(move |tx| {
            Box::pin(async move {
                let item = match item {
                    Some(id) => tx.get(&id).await?.ok_or_else(|| transition::missing(&id))?,
                    None => items::insert_one(tx, new, by.clone()).await?,
                };
                let brought = Brought { item, attempt, head, source, own, direct: direct.clone() };
                let (mut outcome, change) = brought.record(tx, before.map(|(change, _)| change), &by).await?;
                if let (Some(protection), Some(direct)) = (protection, &direct) {
                    transition::apply(tx, change.id, ChangeEvent::ProtectedPaths { protection }, &by).await?;
                    let approved = ChangeEvent::Approved { by: by.to_string(), reason: direct.reason.clone() };
                    transition::apply(tx, change.id, approved, &by).await?;
                }
                for Checked { check, found, .. } in skipped {
                    let reason = direct.as_ref().map(|direct| direct.reason.clone());
                    let data = json!({ "change": change.id, "check": check, "found": found, "reason": reason });
                    tx.record(NewEvent {
                        kind: EventKind::LANDING_CHECK_SKIPPED,
                        repo: Some(change.repo.clone()),
                        item: Some(change.item),
                        actor: by.clone(),
                        data,
                    });
                }
                if direct.is_some() {
                    outcome = LandingOutcome::Direct;
                }
                Ok((outcome, change))
            })
        })
        .await
}

fn new_item(repo: RepoName) -> NewItem {
    NewItem {
        key: None,
        repo,
        kind: ItemKind::Chore,
        title: String::new(),
        description: String::new(),
        acceptance: vec![],
        priority: Priority::Medium,
        labels: BTreeSet::default(),
        requires: BTreeMap::default(),
        parent: None,
        discovered_from: None,
        needs: vec![],
        run: None,
        // No other worker may take it.
        stage: StageName::Inbox,
    }
}

/// What is brought for an item.
struct Brought {
    item: Item,
    attempt: Option<Attempt>,
    head: CommitId,
    source: Option<String>,
    own: bool,
    direct: Option<Direct>,
}

impl Brought {
    /// As a change of its own, or in the place of one that is in the queue.
    async fn record(
        self,
        tx: &mut Tx,
        before: Option<ChangeId>,
        by: &Actor,
    ) -> Result<(LandingOutcome, Change), ServiceError> {
        let Self { item, attempt, head, source, own, direct } = self;
        // Anything but the newest attempt's own work is a new attempt: each has a ref of its own.
        let attempt = attempt.filter(|attempt| *attempt == item.attempt).unwrap_or_else(|| item.attempt.next());
        let pending = match before {
            Some(id) => tx.get(&id).await?.filter(|change| change.state.is_pending()),
            None => None,
        };
        let Some(pending) = pending else {
            let change = Change {
                id: tx.next_id::<ChangeId>(),
                repo: item.repo.clone(),
                item: item.id,
                attempt,
                head,
                role: None,
                source,
                own,
                direct,
                left_out: None,
                protection: None,
                state: ChangeState::Queued,
                created_at: tx.now(),
                updated_at: tx.now(),
            };
            entries::queue(tx, &change, by);
            transition::apply(tx, item.id, ItemEvent::Submitted { attempt, change: change.id }, by).await?;
            return Ok((LandingOutcome::Queued, change));
        };
        let (id, mut outcome, mut change) = (pending.id, LandingOutcome::Known, pending);
        if change.head != head {
            outcome = LandingOutcome::Replaced;
            change = transition::apply(tx, id, ChangeEvent::Replaced { attempt, head, source, own }, by).await?;
            transition::apply(tx, item.id, ItemEvent::Submitted { attempt, change: id }, by).await?;
        }
        if let Some(direct) = direct {
            change = transition::apply(tx, id, ChangeEvent::Directed { direct }, by).await?;
        }
        Ok((outcome, change))
    }
}
