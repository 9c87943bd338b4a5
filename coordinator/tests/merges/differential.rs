//! Our merges against the `git` program in a checkout, on generated histories: the same tree, or the same conflicts.
//!
//! What is compared with what: a rebase with picking each commit that nothing before it holds, without merges; and of one
//! branch also with `git rebase --reapply-cherry-picks`, since a queue must not leave out a commit that is brought again
//! after it was reverted. Where git appends the name of a side to a path, only the path counts. Where git finds
//! conflicts and breaks down as it writes them to the checkout, they need not be the same.
//!
//! `SPRINT_CASES` says how many (make sim: 2,000), `SPRINT_CASE` which one alone.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use serde_json::Value;
use sprint_core::config::MergeMethod;
use sprint_core::event::{EventKind, NewEvent};
use sprint_core::fixtures;
use sprint_core::ids::{Attempt, ChangeId, CommitId, ItemId};
use sprint_core::trial::Member;

use crate::history::History;
use crate::reference::{BROKE_DOWN, Came, Reference, plain};
use coordinator::config::FleetConfig;
use coordinator::git::{GitRepo, GitRepos};
use coordinator::identity::Certificates;
use coordinator::service::fleet::logs::Logs;
use coordinator::service::queue::merge::build::{Chain, chain};
use coordinator::service::queue::merge::paths::strange_path;
use coordinator::service::{Actor, Coordinator, ServiceError};
use coordinator::store::{Location, Store};

/// So many in `make test`, besides those that once went wrong.
const CASES: usize = 25;
/// Renames that a merge finds for the files that it looks at, where a comparison of the whole trees finds others; and
/// the other way round.
const KNOWN: [u64; 3] = [7_344_780_606_393_322_979, 5_871_691_637_631_887_599, 3_834_384_345_493_753_314];

fn number<T: FromStr>(variable: &str) -> Option<T> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is no number")))
}

#[tokio::test]
async fn merges_are_what_git_makes_in_a_checkout() {
    let directory = tempfile::tempdir().unwrap();
    let sprint = sprint(directory.path()).await;
    let seeds = if let Some(seed) = number("SPRINT_CASE") {
        vec![seed]
    } else {
        let others = std::iter::repeat_with(|| fastrand::u64(..));
        KNOWN.into_iter().chain(others.take(number("SPRINT_CASES").unwrap_or(CASES))).collect()
    };
    let (mut clean, mut broken) = (0, 0);
    for seed in seeds {
        let case = Case::new(seed);
        case.whole(&sprint, &mut clean, &mut broken).await;
    }
    eprintln!("{clean} merges came to the same tree, {broken} to the same conflicts");
}

/// A coordinator with three items and nothing else.
pub(crate) async fn sprint(directory: &Path) -> Coordinator {
    let store = Store::open(Location::Sqlite(&directory.join("sprint.db"))).await.unwrap();
    let git = GitRepos::open(directory.join("repos")).await.unwrap();
    let logs = Logs::open(directory.join("logs")).unwrap();
    let certificates = Certificates::open(directory, &[], None, coordinator::service::now()).unwrap();
    let sprint =
        Coordinator::new(store, git, logs, Arc::new(certificates), directory.to_owned(), FleetConfig::default());
    let added = sprint.store.write(|tx| {
        Box::pin(async move {
            for id in 1..=3 {
                let (kind, actor) = (EventKind::ITEM_ADDED, Actor::MergeQueue);
                let event = NewEvent { kind, repo: None, item: Some(ItemId::new(id)), actor, data: Value::Null };
                tx.save(fixtures::item(id, 1), event);
            }
            Ok::<_, ServiceError>(())
        })
    });
    added.await.unwrap();
    sprint
}

fn compare(what: &str, ours: &Came, theirs: &Came) {
    let same = match theirs {
        Err(paths) if paths.contains(BROKE_DOWN) => ours.is_err(),
        Ok(_) | Err(_) => ours == theirs,
    };
    assert!(same, "{what}:\nours:  {ours:?}\ngit's: {theirs:?}");
}

/// One history, with our repository of it and git's.
struct Case {
    seed: u64,
    history: History,
    ours: GitRepo,
    theirs: Reference,
    _directory: tempfile::TempDir,
}

/// Leaves what shows why a test failed.
impl Drop for Case {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let (seed, main) = (self.seed, self.history.main);
            let kept = std::env::temp_dir().join(format!("sprint-merge-{seed}"));
            std::fs::write(&kept, self.history.script()).ok();
            eprintln!("again:   SPRINT_CASE={seed} cargo test -p coordinator --test merges differential");
            let kept = kept.display();
            eprintln!(
                "by hand: git init --bare h.git && git -C h.git fast-import <{kept} && git clone -b c{main} h.git h"
            );
        }
    }
}

impl Case {
    fn new(seed: u64) -> Self {
        // In memory, where there is some: this is many small files.
        let memory = PathBuf::from("/dev/shm");
        let parent = if memory.is_dir() { memory } else { std::env::temp_dir() };
        let directory = tempfile::Builder::new().prefix("sprint-merge.").tempdir_in(parent).unwrap();
        let history = History::generate(seed);
        let theirs = Reference::new(directory.path(), &history.script());
        let ours = GitRepo::open(theirs.bare.clone()).unwrap();
        Self { seed, history, ours, theirs, _directory: directory }
    }

    async fn whole(&self, sprint: &Coordinator, clean: &mut u32, broken: &mut u32) {
        let main = self.theirs.commit(self.history.main);
        let heads = self.history.heads.iter().map(|place| self.theirs.commit(*place)).collect::<Vec<_>>();
        for method in [MergeMethod::Merge, MergeMethod::Squash, MergeMethod::Rebase, MergeMethod::FastForward] {
            // What the branch holds already is found before: there is nothing to forward.
            if method == MergeMethod::FastForward && self.holds_one(&main, &heads) {
                continue;
            }
            let ours = self.ours(sprint, method, &main, &heads).await;
            let theirs = self.theirs(method, &main, &heads);
            let what = format!("{method} of {:?} onto c{}", self.history.heads, self.history.main);
            compare(&what, &ours, &theirs);
            *if ours.is_ok() { &mut *clean } else { &mut *broken } += 1;
        }
        // What a person has who types it.
        let ours = self.ours(sprint, MergeMethod::Rebase, &main, &heads[..1]).await;
        let theirs = self.theirs.rebase(&heads[0], &main);
        // A checkout whose files attributes would write otherwise is never clean, and git rebases nothing there.
        let Some(theirs) = theirs else { return };
        compare(&format!("git rebase of c{} onto c{}", self.history.heads[0], self.history.main), &ours, &theirs);
    }

    /// Whether one of the heads is held by main, or by another before it.
    fn holds_one(&self, main: &str, heads: &[String]) -> bool {
        let id = |commit: &str| CommitId::new(commit.to_owned()).unwrap();
        let before = |place: usize| heads[..place].iter().map(String::as_str).chain([main]);
        let held = |place: usize| before(place).any(|other| self.ours.reaches(&id(other), &id(&heads[place])).unwrap());
        (0..heads.len()).any(held)
    }

    async fn ours(&self, sprint: &Coordinator, method: MergeMethod, main: &str, heads: &[String]) -> Came {
        let base = CommitId::new(main.to_owned()).unwrap();
        let members = heads.iter().zip(1..).map(|(head, id)| Member {
            change: ChangeId::new(id),
            item: ItemId::new(id),
            attempt: Attempt::new(1),
            head: CommitId::new(head.clone()).unwrap(),
        });
        let members = members.collect::<Vec<_>>();
        match chain(sprint, &self.ours, &fixtures::repo(), method, &base, &members).await.unwrap() {
            Chain::Whole { commit, tree } => {
                assert_eq!(self.ours.tree_of(&commit).unwrap(), tree);
                let strange = strange_path(&self.ours, &base, &commit, &members).await.unwrap();
                assert_eq!(strange, None, "{method} would halt the queue");
                Ok(tree.to_string())
            }
            Chain::Broken { place: _, paths } => Err(paths.iter().map(|path| plain(path)).collect()),
        }
    }

    fn theirs(&self, method: MergeMethod, main: &str, heads: &[String]) -> Came {
        self.theirs.checkout(main);
        let mut came = Err(BTreeSet::new());
        for (place, head) in heads.iter().enumerate() {
            came = Ok(match method {
                MergeMethod::Merge => self.theirs.merge(head)?,
                MergeMethod::Squash => self.theirs.squash(head)?,
                MergeMethod::FastForward => self.theirs.fast_forward(head)?,
                MergeMethod::Rebase => {
                    let landed = [&[main.to_owned()], &heads[..place]].concat();
                    self.theirs.pick(head, &landed)?
                }
            });
        }
        came
    }
}
