//! Objects of Git LFS that a worker has made: they go to the coordinator before the commits that name them.
//!
//! They go by the mirror, which takes one only if its content is what its name says.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _};
use std::path::{Path, PathBuf};

use sprint_core::lfs::{LfsObject, LfsOid, POINTER_MOST};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};

use super::git::{Git, GitError};
use super::lfs::{objects, reading};
use super::own_git::OwnGit;
use super::remote::Remote;
use super::save::Workspace;
use super::scratch::Scratch;
use super::submodules::GivenSubmodule;

/// Names in one command line.
const AT_ONCE: usize = 200;
/// The largest object, and the most of them in objects and in bytes, that are handed over at once. A worker makes a file
/// of any size, and of nothing, at no cost.
const LARGEST: u64 = 2 << 30;
const MOST: usize = 10_000;
const MOST_BYTES: u64 = 8 << 30;

impl Workspace {
    /// Brings the objects that commits name, and that the worker has made, to the coordinator; they are looked for in its
    /// own repository, in its submodules, and in `further` ones of its workspace.
    ///
    /// # Errors
    /// [`GitError`]; then it is to be done again, unless the coordinator has refused one.
    pub(super) async fn hand_over_objects(
        &self,
        remote: &Remote,
        repo: &str,
        commits: &[&str],
        further: &[PathBuf],
        scratch: &Scratch,
    ) -> Result<(), GitError> {
        let workspace = self.path();
        // Its own git has made some, or ours within its confinement, when it looked at its files.
        let mut places = vec![OwnGit::open(&workspace), OwnGit::open_dir(&scratch.look)];
        let submodules = GivenSubmodule::of(&self.dir).into_iter().map(|module| module.git_dir);
        let further = further.iter().filter_map(|path| Some(path.strip_prefix(&workspace).ok()?.to_owned()));
        let within: BTreeSet<PathBuf> = submodules.chain(further).collect();
        places.extend(within.iter().map(|path| OwnGit::open_at(&workspace, path)));
        let places: Vec<_> = places.into_iter().flatten().filter(OwnGit::has_lfs_objects).collect();
        if places.is_empty() {
            return Ok(());
        }
        let pointers = self.new_pointers(commits, scratch).await?;
        let mirror = self.mirror.clone();
        let keep_all = move || -> io::Result<Vec<LfsOid>> {
            let (mut kept, mut left) = (vec![], MOST_BYTES);
            for object in pointers {
                let is_within = object.size <= LARGEST && object.size <= left;
                if is_within && keep(&mirror, &places, &object)? {
                    left -= object.size;
                    kept.push(object.oid);
                }
            }
            Ok(kept)
        };
        let kept =
            tokio::task::spawn_blocking(keep_all).await.map_err(|error| GitError::Start(io::Error::other(error)))?;
        let mut refused = Ok(());
        for some in kept.map_err(GitError::Start)?.chunks(AT_ONCE) {
            let push = reading(Git::at(&self.mirror), &self.mirror).args(["lfs", "push", "--object-id"]);
            match push.args([remote.address(repo)]).args(some.iter().map(ToString::to_string)).run().await {
                Err(error) if error.says_object_refused() => refused = Err(error),
                pushed => pushed.map(drop)?,
            }
        }
        refused
    }

    /// The objects that these commits name, and the start commit does not.
    async fn new_pointers(&self, commits: &[&str], scratch: &Scratch) -> Result<BTreeSet<LfsObject>, GitError> {
        let filter = format!("--filter=combine:object:type=blob+blob:limit={POINTER_MOST}");
        let list = ["rev-list", "--objects", "--no-object-names", &filter];
        let list = Git::at(&scratch.saved).args(list).args(commits).args(["--not", self.base.as_str()]);
        let names = scratch.saved.join("small");
        fs::write(&names, list.output().await?).map_err(GitError::Start)?;
        let names = File::open(names).map_err(GitError::Start)?;
        let mut reading = Git::at(&scratch.saved).stdin(names).args(["cat-file", "--batch"]).spawn()?;
        let printed = reading.child.stdout.take().ok_or_else(|| GitError::Start(io::ErrorKind::BrokenPipe.into()))?;
        let found = pointers(BufReader::new(printed)).await.map_err(GitError::Start)?;
        drop(reading);
        Ok(found)
    }
}

/// The pointers in what `git cat-file --batch` prints, up to the most.
async fn pointers(mut printed: impl tokio::io::AsyncBufRead + Unpin) -> io::Result<BTreeSet<LfsObject>> {
    let mut found = BTreeSet::new();
    let mut head = vec![];
    while found.len() < MOST {
        head.clear();
        if printed.read_until(b'\n', &mut head).await? == 0 {
            break;
        }
        let line = String::from_utf8_lossy(&head);
        let mut fields = line.trim_end().split(' ').skip(1);
        let (kind, size) = (fields.next(), fields.next().and_then(|size| size.parse::<u64>().ok()));
        let Some(size) = size else { continue };
        // With the line break after it.
        let mut content = vec![];
        (&mut printed).take(size.saturating_add(1)).read_to_end(&mut content).await?;
        content.pop();
        if kind == Some("blob") {
            found.extend(LfsObject::of_pointer(&content));
        }
    }
    Ok(found)
}

/// Keeps an object in a mirror, from wherever the worker has it; says whether it is there.
fn keep(mirror: &Path, places: &[OwnGit], object: &LfsObject) -> io::Result<bool> {
    let path = objects(mirror).join(object.oid.path());
    if path.metadata().is_ok_and(|found| found.len() == object.size) {
        return Ok(true);
    }
    for place in places {
        // What is no file there is not there.
        let Ok(from) = place.lfs_object(&object.oid) else { continue };
        if copy(from, mirror, object, &path)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Copies an object if its content is what its name says; says whether it is.
fn copy(mut from: File, mirror: &Path, object: &LfsObject, to: &Path) -> io::Result<bool> {
    // What costs nothing to make is not copied before it is known to be right.
    if from.metadata()?.len() != object.size || !pass_through(&mut from, object, &mut io::sink())? {
        return Ok(false);
    }
    from.seek(io::SeekFrom::Start(0))?;
    let drafts = mirror.join("lfs/tmp");
    fs::create_dir_all(&drafts)?;
    let draft = drafts.join(format!("{}-{:016x}", object.oid, fastrand::u64(..)));
    let copied = File::create(&draft).and_then(|mut file| {
        // It may have been changed since.
        if !pass_through(&mut from, object, &mut file)? {
            return Ok(false);
        }
        to.parent().map(fs::create_dir_all).transpose()?;
        fs::rename(&draft, to)?;
        Ok(true)
    });
    fs::remove_file(&draft).ok();
    copied
}

/// Copies what an object has; says whether it is what its name says.
fn pass_through(from: &mut File, object: &LfsObject, to: &mut impl io::Write) -> io::Result<bool> {
    let mut digest = ring::digest::Context::new(&ring::digest::SHA256);
    let mut buffer = vec![0; 1 << 20];
    // It may grow, or shrink, while it is read.
    let mut left = object.size;
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let read = from.read(&mut buffer[..most])?;
        if read == 0 {
            return Ok(false);
        }
        digest.update(&buffer[..read]);
        to.write_all(&buffer[..read])?;
        left -= read as u64;
    }
    Ok(LfsOid::of_digest(digest.finish().as_ref()) == object.oid)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use futures::FutureExt as _;
    use proptest::prelude::*;
    use sprint_core::fuzz::bytes;

    use super::*;

    const CONTENT: &[u8] = b"abc";
    const OID: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn object() -> LfsObject {
        LfsObject { oid: LfsOid::new(OID).expect("is one"), size: CONTENT.len() as u64 }
    }

    #[test]
    fn an_object_is_kept_if_its_content_is_what_its_name_says() {
        let dir = tempfile::tempdir().expect("a directory");
        let (mirror, own) = (dir.path().join("m.git"), dir.path().join("look.git"));
        let kept = |prepare: &dyn Fn(&Path)| {
            fs::remove_dir_all(&own).ok();
            let path = own.join("lfs/objects").join(object().oid.path());
            fs::create_dir_all(path.parent().expect("has one")).expect("is made");
            prepare(&path);
            keep(&mirror, &[OwnGit::open_dir(&own).expect("is there")], &object()).expect("is looked at")
        };
        assert!(!kept(&|path| fs::write(path, "abd").expect("is written")));
        assert!(!kept(&|path| fs::write(path, "abcd").expect("is written")));
        let elsewhere = dir.path().join("secret");
        fs::write(&elsewhere, CONTENT).expect("is written");
        assert!(!kept(&|path| symlink(&elsewhere, path).expect("is made")));
        assert!(!kept(&|path| fs::create_dir(path).expect("is made")));
        assert!(!kept(&|_| {}));
        assert!(!mirror.exists(), "nothing wrong is copied");
        assert!(kept(&|path| fs::write(path, CONTENT).expect("is written")));
        assert_eq!(fs::read_dir(mirror.join("lfs/tmp")).expect("is there").count(), 0, "drafts go");
        assert!(kept(&|_| {}), "the mirror has it");
        assert_eq!(fs::read(objects(&mirror).join(object().oid.path())).expect("is there"), CONTENT);
    }

    proptest! {
        /// Whatever blobs are printed, only pointers are found.
        #[test]
        fn fuzz_any_batch_is_read(printed in bytes(vec![
            format!("{} blob {}\n{}\n", "1".repeat(40), object().pointer().len(), object().pointer()).into_bytes(),
            b"1111 missing\n2222 tree 3\nabc\n".to_vec(),
        ])) {
            let found = pointers(printed.as_slice()).now_or_never().expect("bytes do not wait").expect("is read");
            for found in found {
                prop_assert_eq!(found.oid.path().len(), 64 + 6);
            }
        }
    }
}
