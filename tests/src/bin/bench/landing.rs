//! Landings without gates on a repository of 5,000 files, beside git's plumbing as processes.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use coordinator::git::GitRepos;
use coordinator::identity::Certificates;
use coordinator::service::logs::Logs;
use coordinator::service::merge;
use coordinator::service::{Settings, Sprint};
use coordinator::store::{Location, Store, StoreError};
use sprint_core::address::RepoAddress;
use sprint_core::change::{Change, ChangeState};
use sprint_core::event::{Actor, EventKind, NewEvent};
use sprint_core::fixtures;
use sprint_core::ids::{Attempt, CommitId, RepoName, work_ref};
use sprint_core::item::{Item, Stage};
use sprint_core::repo::Repo;

use sprint_tests::load::figures::{Figures, rate};
use sprint_tests::load::site::{git, make_repository};

const FILES: usize = 5_000;
const CHANGES: u64 = 200;

pub(crate) async fn run(figures: &mut Figures) -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let upstream = directory.path().join("upstream");
    make_repository(&upstream, FILES)?;
    let heads = branches(&upstream)?;
    let floor = plumbing(directory.path(), &upstream, &heads)?;
    let ours = engine(directory.path(), &upstream, &heads).await?;
    figures.add(
        "landings without gates, 5,000 files",
        format!("{ours:.0}/s ({:.1} ×)", ours / floor),
        &format!("{floor:.0}/s merge-tree + commit-tree + update-ref"),
        "≥ 2 × the floor",
    );
    Ok(())
}

/// One branch for each change, each of which touches three files of its own.
fn branches(upstream: &Path) -> anyhow::Result<Vec<CommitId>> {
    let mut heads = Vec::new();
    for change in 0..CHANGES {
        git(upstream, &["checkout", "--quiet", "--detach", "main"])?;
        for part in 0..3 {
            let file = usize::try_from(change)? * 3 + part;
            let path = upstream.join(format!("d{}/f{file}.txt", file / 50));
            std::fs::write(path, format!("changed by {change}\n"))?;
        }
        git(upstream, &["commit", "--quiet", "--all", "--message", "work"])?;
        let head = git(upstream, &["rev-parse", "HEAD"])?;
        git(upstream, &["update-ref", &format!("refs/work/{change}"), head.trim()])?;
        heads.push(CommitId::new(head.trim())?);
    }
    git(upstream, &["checkout", "--quiet", "main"])?;
    Ok(heads)
}

fn plumbing(directory: &Path, upstream: &Path, heads: &[CommitId]) -> anyhow::Result<f64> {
    let bare = directory.join("floor.git");
    git(directory, &["clone", "--quiet", "--mirror", &upstream.display().to_string(), &bare.display().to_string()])?;
    let mut tip = git(&bare, &["rev-parse", "refs/heads/main"])?.trim().to_owned();
    let began = Instant::now();
    for head in heads {
        let tree = git(&bare, &["merge-tree", "--write-tree", &tip, head.as_str()])?;
        let parents = ["-p", &tip, "-p", head.as_str()];
        let commit = git(&bare, &[&["commit-tree", "-m", "land"], &parents[..], &[tree.trim()]].concat())?;
        git(&bare, &["update-ref", "refs/heads/main", commit.trim(), &tip])?;
        commit.trim().clone_into(&mut tip);
    }
    Ok(rate(CHANGES, began.elapsed()))
}

async fn engine(directory: &Path, upstream: &Path, heads: &[CommitId]) -> anyhow::Result<f64> {
    let store = Store::open(Location::Sqlite(&directory.join("sprint.db"))).await?;
    let repos = GitRepos::open(directory.join("repos")).await?;
    let name = RepoName::new("bench")?;
    let (branch, _) = repos.create(&name, &RepoAddress::new(upstream.display().to_string())?, None).await?;
    let bare = repos.get(&name)?;
    git(bare.path(), &["fetch", "--quiet", &upstream.display().to_string(), "refs/work/*:refs/work/*"])?;
    let repo = Repo { name: name.clone(), branch, ..fixtures::repo() };
    let certificates = Arc::new(Certificates::open(directory, &[], None, coordinator::service::now())?);
    let sprint = Sprint::new(
        store,
        repos,
        Logs::open(directory.join("logs"))?,
        certificates,
        directory.to_owned(),
        Settings::default(),
    );
    let heads = heads.to_vec();
    let queued: Result<(), StoreError> = sprint
        .store
        .write(move |tx| {
            Box::pin(async move {
                queue(tx, repo, heads);
                Ok(())
            })
        })
        .await;
    queued?;
    let began = Instant::now();
    merge::drive(&sprint, &name).await;
    let time = began.elapsed();
    let left = sprint.store.merge_queue(&name).await?.len();
    anyhow::ensure!(left == 0, "{left} changes were not landed");
    sprint.store.close().await;
    Ok(rate(CHANGES, time))
}

fn queue(tx: &mut coordinator::store::Tx, repo: Repo, heads: Vec<CommitId>) {
    let event = |kind| NewEvent { kind, repo: None, item: None, actor: Actor::Scheduler, data: serde_json::json!({}) };
    let name = repo.name.clone();
    tx.save_repo(repo, event(EventKind::RepoAdded));
    for head in heads {
        let (id, change, now) = (tx.next_item(), tx.next_change(), tx.now());
        let item = Item {
            repo: name.clone(),
            title: work_ref(id, Attempt::new(1)),
            stage: Stage::Merging { change },
            created_at: now,
            ..fixtures::item(id.get(), 1)
        };
        tx.save_item(item, event(EventKind::ItemAdded));
        let change = Change {
            repo: name.clone(),
            head,
            created_at: now,
            ..fixtures::change(change.get(), id.get(), ChangeState::Queued)
        };
        tx.save_change(change, event(EventKind::ChangeQueued));
    }
}
