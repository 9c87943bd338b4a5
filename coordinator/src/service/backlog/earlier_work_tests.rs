use git2::{Repository, Signature};
use sprint_core::fixtures;
use sprint_core::ids::{late_ref, wip_ref, work_ref};
use tempfile::TempDir;

use super::*;

/// A repository whose main has one commit; each further commit has one file more.
struct Site {
    directory: TempDir,
    git: GitRepo,
    tip: CommitId,
}

impl Site {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Repository::init_bare(directory.path()).unwrap();
        let git = GitRepo::open(directory.path().to_owned()).unwrap();
        let mut site = Self { directory, git, tip: fixtures::commit("0") };
        site.tip = site.commit(None, "begin");
        site
    }

    fn commit(&self, parent: Option<&CommitId>, message: &str) -> CommitId {
        let objects = Repository::open_bare(self.directory.path()).unwrap();
        let signature = Signature::now("a", "a@b").unwrap();
        let tree = objects.find_tree(objects.treebuilder(None).unwrap().write().unwrap()).unwrap();
        let parent = parent.map(|parent| objects.find_commit(parent.as_str().parse().unwrap()).unwrap());
        let parents = parent.iter().collect::<Vec<_>>();
        let made = objects.commit(None, &signature, &signature, message, &tree, &parents).unwrap();
        CommitId::new(made.to_string()).unwrap()
    }

    fn of(&self, resume: Resume, attempt: u32) -> Option<EarlierWork> {
        let repo = Repo { resume, ..fixtures::repo() };
        of(&self.git, &repo, &fixtures::item(1, attempt), &self.tip).unwrap()
    }
}

#[test]
fn the_newest_work_that_is_there_is_taken_up_and_only_where_that_is_wanted() {
    let site = Site::new();
    let (item, first, second) = (fixtures::item(1, 1).id, Attempt::new(1), Attempt::new(2));
    assert_eq!(site.of(Resume::Wip, 0), None);
    assert_eq!(site.of(Resume::Wip, 2), None, "there is nothing");

    let done = site.commit(Some(&site.tip), "work");
    site.git.set_ref(&work_ref(item, first), &done).unwrap();
    let branch =
        EarlierWork { attempt: first, commit: done.clone(), uncommitted: None, from_ref: work_ref(item, first) };
    assert_eq!(site.of(Resume::Clean, 2), None);
    assert_eq!(site.of(Resume::Branch, 2), Some(branch.clone()));
    assert_eq!(site.of(Resume::Wip, 2), Some(branch));

    // The second attempt was lost in the middle: one commit, and changes beside it.
    let begun = site.commit(Some(&done), "more work");
    let snapshot = site.commit(Some(&begun), SNAPSHOT_MESSAGE);
    site.git.set_ref(&wip_ref(item, second), &snapshot).unwrap();
    let wip = EarlierWork {
        attempt: second,
        commit: begun.clone(),
        uncommitted: Some(snapshot.clone()),
        from_ref: wip_ref(item, second),
    };
    assert_eq!(site.of(Resume::Wip, 2), Some(wip.clone()));
    assert_eq!(site.of(Resume::Branch, 2), Some(EarlierWork { uncommitted: None, ..wip.clone() }));
    assert_eq!(site.of(Resume::Wip, 1).unwrap().attempt, first, "attempts that are to come do not count");

    // What came after the attempt was over is newer.
    let late = site.commit(Some(&begun), "all of it");
    site.git.set_ref(&late_ref(&wip_ref(item, second)), &late).unwrap();
    let resumed = site.of(Resume::Wip, 2).unwrap();
    assert_eq!((resumed.commit, resumed.uncommitted), (late, None));
}

#[test]
fn work_that_the_branch_has_is_not_taken_up() {
    let mut site = Site::new();
    let (item, first) = (fixtures::item(1, 1).id, Attempt::new(1));
    let done = site.commit(Some(&site.tip), "work");
    site.git.set_ref(&work_ref(item, first), &done).unwrap();
    site.tip = done.clone();
    assert_eq!(site.of(Resume::Branch, 1), None);
    let snapshot = site.commit(Some(&done), SNAPSHOT_MESSAGE);
    site.git.set_ref(&wip_ref(item, first), &snapshot).unwrap();
    assert_eq!(site.of(Resume::Branch, 1), None);
    assert_eq!(site.of(Resume::Wip, 1).unwrap().uncommitted, Some(snapshot));
}
