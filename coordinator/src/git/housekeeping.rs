//! Housekeeping of a repository: packs instead of many files, without a landing that waits for it.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use super::{GitError, GitRepo, lfs, program};

/// The longest that packing may take.
const LIMIT: Duration = Duration::from_hours(2);
/// How many loose objects, packs and loose refs a repository may have. Git's own numbers are 6,700 and 50.
const LOOSE: usize = 3_000;
const PACKS: usize = 20;
const LOOSE_REFS: usize = 500;
/// What nothing reaches any more goes at this age: somebody may be about to need it.
const EXPIRATION: &str = "2.weeks.ago";
/// The refs that come and go with a landing.
const CANDIDATES: &str = "refs/sprint/candidate/";
/// Its time says when everything was packed anew.
const RECLAIMED: &str = "sprint-reclaimed";

impl GitRepo {
    /// Whether packing is worth its while.
    pub fn is_untidy(&self) -> bool {
        let objects = self.path().join("objects");
        // Names are spread evenly over 256 directories.
        let loose = count(&objects.join("17"), |_| true) * 256;
        let packs = count(&objects.join("pack"), |name| name.strip_suffix(".pack").is_some());
        loose > LOOSE || packs > PACKS || has_more(&self.path().join("refs"), LOOSE_REFS)
    }

    /// Packs refs and objects. Nothing is dropped; a landing, a fetch and a push beside it find everything.
    ///
    /// # Errors
    /// [`GitError::Failed`], and what was there stays.
    pub async fn tidy(&self) -> Result<(), GitError> {
        {
            let _packing = self.ref_packing.begin();
            self.nice(&["pack-refs", "--all"]).await?;
        }
        // The packs stay in a row in which each is at least twice as large as the next: each object is copied a few times.
        self.nice(&["repack", "-d", "--geometric=2", "--quiet"]).await?;
        self.reopen();
        Ok(())
    }

    /// Packs everything anew, and drops what nothing has reached for two weeks. What young objects need stays with them.
    ///
    /// # Errors
    /// As [`GitRepo::tidy`].
    pub async fn reclaim(&self) -> Result<(), GitError> {
        self.drop_unreached_since(EXPIRATION).await?;
        let path = self.path().to_owned();
        let gone = tokio::task::spawn_blocking(move || lfs::reclaim(&path)).await.map_err(io::Error::other)??;
        tracing::debug!(repository = %self.path().display(), gone, "objects of Git LFS that nothing names are gone");
        fs::write(self.path().join(RECLAIMED), "")?;
        Ok(())
    }

    async fn drop_unreached_since(&self, time: &str) -> Result<(), GitError> {
        let expiration = format!("--cruft-expiration={time}");
        self.beside_landings(&["repack", "-d", "--cruft", &expiration, "--quiet"]).await?;
        // What was already too old to be put aside is loose.
        self.beside_landings(&["prune", &format!("--expire={time}")]).await?;
        self.reopen();
        Ok(())
    }

    /// When [`GitRepo::reclaim`] was last done; where it never was, the first time that anybody asks.
    ///
    /// # Errors
    /// [`GitError::Io`].
    pub fn reclaimed_at(&self) -> Result<SystemTime, GitError> {
        let marker = self.path().join(RECLAIMED);
        if !marker.exists() {
            fs::write(&marker, "")?;
        }
        Ok(marker.metadata()?.modified()?)
    }

    /// Whether something is kept only because it is not old enough to go.
    pub fn holds_unreached(&self) -> bool {
        count(&self.path().join("objects/pack"), |name| name.strip_suffix(".mtimes").is_some()) > 0
    }

    /// Begins once more when a ref vanished while git read all refs: a landing names its candidate for a moment only,
    /// and git rather drops nothing than what a ref that it cannot read may reach.
    async fn beside_landings(&self, args: &[&str]) -> Result<(), GitError> {
        const TRIES: usize = 5;
        for _ in 1..TRIES {
            match self.nice(args).await {
                Err(GitError::Failed { stderr, .. }) if stderr.contains(CANDIDATES) => {}
                result => return result,
            }
        }
        self.nice(args).await
    }

    async fn nice(&self, args: &[&str]) -> Result<(), GitError> {
        let command = program::command_of("nice", self.path());
        let own = ["-n", "19", "git", "-c", "pack.threads=1"];
        let ran = program::run_command(command, &[&own, args].concat(), LIMIT).await;
        // It is git's command that failed, not `nice`.
        if let Err(GitError::Failed { command: _, stdout, stderr }) = ran {
            let command = args.first().copied().unwrap_or_default().to_owned();
            return Err(GitError::Failed { command, stdout, stderr });
        }
        ran.map(drop)
    }

    /// Removes refs; those that are gone already are none of the errors.
    ///
    /// # Errors
    /// [`GitError::Failed`]; then all of them are there.
    pub async fn delete_refs(&self, names: &[String]) -> Result<(), GitError> {
        let mut list = tempfile::tempfile()?;
        for name in names {
            writeln!(list, "delete {name}")?;
        }
        std::io::Seek::rewind(&mut list)?;
        let mut command = program::command(self.path());
        command.stdin(Stdio::from(list));
        program::run_command(command, &["update-ref", "--stdin"], LIMIT).await.map(drop)
    }
}

fn count(directory: &Path, counts: impl Fn(&str) -> bool) -> usize {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter(|entry| counts(&entry.file_name().to_string_lossy())).count()
}

/// Whether a directory holds more than so many files.
fn has_more(directory: &Path, most: usize) -> bool {
    let (mut open, mut found) = (vec![directory.to_owned()], 0);
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                open.push(entry.path());
            } else {
                found += 1;
            }
        }
        if found > most {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::Arc;

    use git2::Oid;
    use sprint_core::committing::Committing;
    use sprint_core::ids::CommitId;
    use sprint_core::time::Timestamp;

    use super::super::{CompareAndSwap, NewCommit};
    use super::*;

    /// A repository with more loose objects than it may have; nothing reaches those that are answered.
    fn untidy(path: &Path) -> (GitRepo, Vec<Oid>) {
        git2::Repository::init_bare(path).expect("is made");
        let repo = GitRepo::open(path.to_owned()).expect("is opened");
        let blobs =
            (0..2 * LOOSE).map(|number| repo.objects().blob(number.to_string().as_bytes()).expect("is written"));
        let blobs = blobs.collect();
        (repo, blobs)
    }

    #[tokio::test]
    async fn packing_drops_nothing_and_an_open_handle_finds_everything() {
        let dir = tempfile::tempdir().expect("a directory");
        let (repo, blobs) = untidy(dir.path());
        assert!(repo.is_untidy());
        let found = |repo: &GitRepo| blobs.iter().all(|blob| repo.objects().find_blob(*blob).is_ok());
        // libgit2 has looked at the directory of packs before there was any.
        assert!(found(&repo));
        repo.tidy().await.expect("is packed");
        assert!(!repo.is_untidy());
        assert!(found(&repo));
        // What is young stays, whether anything reaches it or not.
        repo.reclaim().await.expect("is packed anew");
        assert!(found(&repo));
        assert!(found(&GitRepo::open(dir.path().to_owned()).expect("is opened")));
    }

    #[tokio::test]
    async fn refs_are_removed_together_and_those_that_are_gone_are_no_error() {
        let dir = tempfile::tempdir().expect("a directory");
        git2::Repository::init_bare(dir.path()).expect("is made");
        let repo = GitRepo::open(dir.path().to_owned()).expect("is opened");
        let blob = repo.objects().blob(b"x").expect("is written");
        let names: Vec<_> = (0..LOOSE_REFS * 2).map(|number| format!("refs/sprint/work/{number}/1")).collect();
        for name in &names {
            repo.objects().reference(name, blob, true, "test").expect("is made");
        }
        assert!(repo.is_untidy());
        repo.tidy().await.expect("is packed");
        assert!(!repo.is_untidy());
        let (gone, kept) = names.split_at(LOOSE_REFS);
        repo.delete_refs(gone).await.expect("are removed");
        repo.delete_refs(gone).await.expect("are gone");
        let left: Vec<_> =
            repo.refs_like("refs/sprint/*").expect("are read").into_iter().map(|(name, _)| name).collect();
        assert_eq!(left.len(), kept.len());
        assert!(left.iter().all(|name| kept.contains(name)));
    }

    /// What a landing does: makes a commit on main, names it, moves the branch, and names it no more.
    fn land(repo: &GitRepo, number: usize) -> CommitId {
        let tip = repo.tip("main").expect("there is a tip");
        let (tree, by) = (repo.tree_of(&tip).expect("is found"), Committing::default());
        let (parents, message, at) = ([&tip], format!("land {number}"), Timestamp::from_millis(1_000));
        let commit = repo.commit(&NewCommit::new(&tree, &parents, &message, &by, at)).expect("is written");
        let candidate = format!("refs/sprint/candidate/{commit}");
        repo.set_ref(&format!("refs/sprint/work/{number}/1"), &commit).expect("is set");
        repo.set_ref(&candidate, &commit).expect("is set");
        assert_eq!(repo.compare_and_swap("main", &tip, &commit, "land").expect("is tried"), CompareAndSwap::Moved);
        repo.delete_ref(&candidate).expect("is removed");
        commit
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn landings_beside_packing_neither_fail_nor_lose_anything() {
        let dir = tempfile::tempdir().expect("a directory");
        let bare = git2::Repository::init_bare(dir.path()).expect("is made");
        let who = git2::Signature::now("x", "x@localhost").expect("a signature");
        let empty = bare.find_tree(bare.treebuilder(None).expect("begun").write().expect("written")).expect("is found");
        bare.commit(Some("refs/heads/main"), &who, &who, "begin", &empty, &[]).expect("is written");
        let repo = Arc::new(GitRepo::open(dir.path().to_owned()).expect("is opened"));
        let landing = tokio::task::spawn_blocking({
            let repo = Arc::clone(&repo);
            move || (0..300).map(|number| land(&repo, number)).collect::<Vec<_>>()
        });
        let mut packings = 0;
        while !landing.is_finished() || packings == 0 {
            repo.tidy().await.expect("is packed");
            if packings % 3 == 0 {
                repo.reclaim().await.expect("is packed anew");
            }
            packings += 1;
        }
        let commits = landing.await.expect("all have landed");
        repo.tidy().await.expect("is packed");
        let left = repo.refs_like("refs/sprint/*").expect("are read");
        assert!(!left.iter().any(|(name, _)| name.contains("candidate")), "removed refs stay away");
        assert_eq!(left.len(), commits.len());
        assert!(commits.iter().all(|commit| repo.tree_of(commit).is_ok()));
        assert_eq!(repo.tip("main").ok().as_ref(), commits.last());
        program::run(dir.path(), &["fsck", "--strict"], LIMIT).await.expect("nothing is missing");
    }

    #[tokio::test]
    async fn what_nothing_reaches_goes_when_it_is_old_unless_something_young_needs_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let bare = git2::Repository::init_bare(dir.path()).expect("is made");
        let blobs = ["old", "needed", "kept"].map(|text| bare.blob(text.as_bytes()).expect("is written"));
        let [old, needed, kept] = blobs;
        bare.reference("refs/sprint/wip/1/1", kept, true, "test").expect("is made");
        let age = SystemTime::now() - Duration::from_hours(24 * 15);
        for blob in blobs {
            let name = blob.to_string();
            let path = dir.path().join("objects").join(&name[..2]).join(&name[2..]);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("is set");
            fs::File::options().write(true).open(&path).and_then(|file| file.set_modified(age)).expect("is set");
        }
        // What a worker has made is on its way: no ref reaches it yet.
        let mut tree = bare.treebuilder(None).expect("is begun");
        tree.insert("file", needed, 0o100_644).expect("is put in");
        let tree = tree.write().expect("is written");
        let repo = GitRepo::open(dir.path().to_owned()).expect("is opened");
        assert!(repo.reclaimed_at().expect("is known") <= repo.reclaimed_at().expect("is known"));
        for _ in 0..2 {
            repo.reclaim().await.expect("is packed anew");
            let is_there = |blob| repo.objects().find_blob(blob).is_ok();
            assert!(is_there(kept) && is_there(needed) && repo.objects().find_tree(tree).is_ok());
            assert!(!is_there(old));
            assert!(repo.holds_unreached(), "the tree waits for its time");
        }
        repo.tidy().await.expect("is packed");
        assert!(repo.holds_unreached(), "packing leaves what waits for its time apart");
        repo.drop_unreached_since("now").await.expect("is packed anew");
        assert!(repo.objects().find_blob(kept).is_ok() && repo.objects().find_tree(tree).is_err());
        assert!(!repo.holds_unreached());
    }
}
