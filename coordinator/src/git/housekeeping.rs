//! Housekeeping of a repository: packs instead of many files, without a landing that waits for it.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use super::program;
use super::{GitError, GitRepo};

/// The longest that packing may take.
const LIMIT: Duration = Duration::from_hours(2);
/// How many loose objects, packs and loose refs a repository may have. Git's own numbers are 6,700 and 50.
const LOOSE: usize = 3_000;
const PACKS: usize = 20;
const LOOSE_REFS: usize = 500;
/// What nothing reaches any more goes at this age: somebody may be about to need it.
const EXPIRATION: &str = "--cruft-expiration=2.weeks.ago";

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
        self.nice(&["pack-refs", "--all"]).await?;
        // The packs stay in a row in which each is at least twice as large as the next: each object is copied a few times.
        self.nice(&["repack", "-d", "--geometric=2", "--quiet"]).await?;
        self.reopen();
        Ok(())
    }

    /// Packs everything anew, and drops what nothing has reached for two weeks.
    ///
    /// # Errors
    /// As [`GitRepo::tidy`].
    pub async fn reclaim(&self) -> Result<(), GitError> {
        self.nice(&["repack", "-d", "--cruft", EXPIRATION, "--quiet"]).await?;
        self.reopen();
        Ok(())
    }

    async fn nice(&self, args: &[&str]) -> Result<(), GitError> {
        let command = program::command_of("nice", self.path());
        let args = [&["-n", "19", "git", "-c", "pack.threads=1"], args].concat();
        program::run_command(command, &args, LIMIT).await.map(drop)
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
    use git2::Oid;

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

    #[test]
    fn what_a_killed_packing_has_left_goes_at_the_next_start() {
        let dir = tempfile::tempdir().expect("a directory");
        git2::Repository::init_bare(dir.path()).expect("is made");
        let pack = dir.path().join("objects/pack");
        for name in ["tmp_pack_x", ".tmp-12-pack-y.pack", "pack-z.keep"] {
            fs::write(pack.join(name), "half").expect("is written");
        }
        GitRepo::open(dir.path().to_owned()).expect("is opened");
        assert_eq!(count(&pack, |_| true), 1);
    }
}
