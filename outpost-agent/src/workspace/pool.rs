//! Worktrees made in advance: checking a repository out is what makes a start slow.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use sprint_core::ids::CommitId;

use super::error::PrepareError;
use super::git::Urgency;
use super::tree::Tree;

/// A name that is not whole yet.
const UNFINISHED: &str = "new-";

/// The ready worktrees of one repo.
#[derive(Debug)]
pub(crate) struct Pool {
    dir: PathBuf,
    trash: PathBuf,
    size: usize,
    state: Mutex<PoolState>,
}

#[derive(Debug, Default)]
struct PoolState {
    ready: VecDeque<Tree>,
    /// The commit that the newest worker on an item started from.
    newest: Option<CommitId>,
    next: u64,
}

impl Pool {
    /// Finds the trees that an earlier run of the agent has left, whose objects are in `mirror`.
    pub(crate) fn open(dir: PathBuf, trash: PathBuf, size: usize, mirror: &Path) -> Self {
        let pool = Self { dir, trash, size, state: Mutex::default() };
        for entry in fs::read_dir(&pool.dir).into_iter().flatten().flatten() {
            pool.adopt(&entry.path(), mirror);
        }
        pool
    }

    fn adopt(&self, path: &Path, mirror: &Path) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let number = name.parse::<u64>().ok();
        match (number, Tree::read(path)) {
            // The data directory was somewhere else.
            (Some(_), Ok(tree)) if !tree.borrows_from(mirror) => {
                crate::host::disk::discard(&tree.path, &self.trash).ok();
            }
            (Some(number), Ok(tree)) => {
                let mut state = self.lock();
                state.next = state.next.max(number + 1);
                state.ready.push_back(tree);
            }
            // Made half: the agent ended in the middle of it.
            (None, Ok(tree)) => {
                crate::host::disk::discard(&tree.path, &self.trash).ok();
            }
            (_, Err(_)) => {
                crate::host::disk::discard(path, &self.trash).ok();
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a tree, one that is at `commit` if there is one.
    pub(crate) fn take(&self, commit: &CommitId) -> Option<Tree> {
        let mut state = self.lock();
        let same = state.ready.iter().position(|tree| tree.head == *commit);
        state.ready.remove(same.unwrap_or(0))
    }

    /// Gives every tree back to the disk; says whether there was one.
    pub(crate) fn drain(&self) -> bool {
        let trees = std::mem::take(&mut self.lock().ready);
        for tree in &trees {
            if let Err(error) = crate::host::disk::discard(&tree.path, &self.trash) {
                tracing::warn!(path = %tree.path.display(), %error, "a worktree that was kept ready cannot be removed");
            }
        }
        !trees.is_empty()
    }

    /// Says which commit the next workers will most likely start from.
    pub(crate) fn expect(&self, commit: &CommitId) {
        self.lock().newest = Some(commit.clone());
    }

    /// Does one piece of upkeep: a tree is made, or brought to the newest commit.
    ///
    /// # Errors
    /// [`PrepareError`]; the pool stays as good as it was.
    pub(crate) async fn tend(&self, mirror: &Path) -> Result<Upkeep, PrepareError> {
        let (job, commit) = {
            let mut state = self.lock();
            let Some(commit) = state.newest.clone() else { return Ok(Upkeep::Nothing) };
            if let Some(old) = state.ready.iter().position(|tree| tree.head != commit) {
                (state.ready.remove(old).map_or(Task::None, Task::Switch), commit)
            } else if state.ready.len() < self.size {
                let number = state.next;
                state.next += 1;
                (Task::Add(number), commit)
            } else {
                (Task::None, commit)
            }
        };
        let tree = match job {
            Task::None => return Ok(Upkeep::Nothing),
            Task::Switch(mut tree) => match self.switch(&mut tree, &commit).await {
                Ok(()) => tree,
                Err(error) => {
                    crate::host::disk::discard(&tree.path, &self.trash)?;
                    return Err(error);
                }
            },
            Task::Add(number) => {
                crate::host::disk::make_spreading_dir(&self.dir)?;
                let unfinished = self.dir.join(format!("{UNFINISHED}{number}"));
                let mut tree = Tree::add(mirror, &unfinished, &commit, Urgency::Background).await?;
                tree.rename(&self.dir.join(number.to_string()))?;
                tree
            }
        };
        self.lock().ready.push_back(tree);
        Ok(Upkeep::Something)
    }

    /// Brings a tree to a commit, under a name that says that it is not whole meanwhile.
    async fn switch(&self, tree: &mut Tree, commit: &CommitId) -> Result<(), PrepareError> {
        let name = tree.path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        tree.rename(&self.dir.join(format!("{UNFINISHED}{name}")))?;
        tree.switch(commit, Urgency::Background).await?;
        tree.rename(&self.dir.join(name))?;
        Ok(())
    }
}

/// Whether upkeep found something to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Upkeep {
    Something,
    Nothing,
}

#[derive(Debug)]
enum Task {
    Switch(Tree),
    Add(u64),
    None,
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn git(dir: &Path, args: &[&str]) -> String {
        let output = Command::new("git").arg("--git-dir").arg(dir).args(args).output().expect("git runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    #[tokio::test]
    async fn trees_are_found_again_unless_they_were_being_changed() {
        let dir = tempfile::tempdir().expect("a directory");
        let (mirror, warm, trash) = (dir.path().join("m.git"), dir.path().join("warm"), dir.path().join("trash"));
        fs::create_dir(&mirror).expect("is made");
        git(&mirror, &["init", "--quiet", "--bare"]);
        let empty = git(&mirror, &["hash-object", "-t", "tree", "-w", "/dev/null"]);
        let identity = ["-c", "user.name=a", "-c", "user.email=a@b"];
        let commit = |message| git(&mirror, &[&identity[..], &["commit-tree", &empty, "-m", message]].concat());
        let (one, two) = (commit("one").parse().expect("a commit"), commit("two").parse().expect("a commit"));

        let pool = Pool::open(warm.clone(), trash.clone(), 3, &mirror);
        assert_eq!(pool.tend(&mirror).await.expect("works"), Upkeep::Nothing);
        pool.expect(&one);
        while pool.tend(&mirror).await.expect("works") == Upkeep::Something {}
        fs::rename(warm.join("0"), warm.join("new-0")).expect("is renamed");
        fs::remove_file(warm.join("1/.git/HEAD")).expect("is damaged");

        let pool = Pool::open(warm.clone(), trash.clone(), 3, &mirror);
        assert_eq!(fs::read_dir(&warm).expect("a list").count(), 1);
        pool.expect(&two);
        while pool.tend(&mirror).await.expect("works") == Upkeep::Something {}
        assert_eq!(fs::read_dir(&warm).expect("a list").count(), 3);
        assert_eq!(pool.take(&two).expect("a tree").head, two);

        // The data directory is somewhere else now.
        drop(pool);
        Pool::open(warm.clone(), trash, 3, Path::new("/elsewhere/m.git"));
        assert_eq!(fs::read_dir(&warm).expect("a list").count(), 0);
    }
}
