//! Objects of Git LFS that a worker has made: they go to the coordinator before the commits that name them.
//!
//! They go by the mirror, which takes one only if its content is what its name says.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use sprint_core::lfs::{LfsObject, LfsOid, POINTER_MOST};

use super::git::{Git, GitError};
use super::lfs::{objects, reading};
use super::own_git::OwnGit;
use super::remote::Remote;
use super::save::Workspace;
use super::scratch::Scratch;

/// Names in one command line.
const AT_ONCE: usize = 200;

impl Workspace {
    /// Brings the objects that commits name, and that the worker has made, to the coordinator.
    ///
    /// # Errors
    /// [`GitError`].
    pub(super) async fn hand_over_objects(
        &self,
        remote: &Remote,
        repo: &str,
        commits: &[&str],
        scratch: &Scratch,
    ) -> Result<(), GitError> {
        // Its own git has made some, or ours within its confinement, when it looked at its files.
        let places = [OwnGit::open(&self.path()), OwnGit::open_dir(&scratch.look)];
        let places: Vec<_> = places.into_iter().flatten().filter(OwnGit::has_lfs_objects).collect();
        if places.is_empty() {
            return Ok(());
        }
        let pointers = self.new_pointers(commits, scratch).await?;
        let mirror = self.mirror.clone();
        let kept = move || -> Vec<LfsOid> {
            let kept = pointers.into_iter().filter(|object| keep(&mirror, &places, object));
            kept.map(|object| object.oid).collect()
        };
        let kept = tokio::task::spawn_blocking(kept).await.map_err(|error| GitError::Start(io::Error::other(error)))?;
        for some in kept.chunks(AT_ONCE) {
            let push = reading(Git::at(&self.mirror), &self.mirror).args(["lfs", "push", "--object-id"]);
            push.args([remote.address(repo)]).args(some.iter().map(ToString::to_string)).run().await?;
        }
        Ok(())
    }

    /// The objects that these commits name, and the start commit does not.
    async fn new_pointers(&self, commits: &[&str], scratch: &Scratch) -> Result<Vec<LfsObject>, GitError> {
        let filter = format!("--filter=combine:object:type=blob+blob:limit={POINTER_MOST}");
        let list = ["rev-list", "--objects", "--no-object-names", &filter];
        let list = Git::at(&scratch.saved).args(list).args(commits).args(["--not", self.base.as_str()]);
        let names = scratch.saved.join("small");
        fs::write(&names, list.output().await?).map_err(GitError::Start)?;
        let names = File::open(names).map_err(GitError::Start)?;
        let content = Git::at(&scratch.saved).stdin(names).args(["cat-file", "--batch"]).output().await?;
        Ok(pointers(&content))
    }
}

/// The pointers in what `git cat-file --batch` prints.
fn pointers(mut printed: &[u8]) -> Vec<LfsObject> {
    let mut found = vec![];
    while let Some(end) = printed.iter().position(|byte| *byte == b'\n') {
        let head = String::from_utf8_lossy(&printed[..end]).into_owned();
        printed = &printed[end + 1..];
        let mut fields = head.split(' ').skip(1);
        let (kind, size) = (fields.next(), fields.next().and_then(|size| size.parse::<usize>().ok()));
        let Some(size) = size.filter(|size| *size < printed.len()) else { continue };
        if kind == Some("blob") {
            found.extend(LfsObject::of_pointer(&printed[..size]));
        }
        printed = &printed[size + 1..];
    }
    found
}

/// Keeps an object in a mirror, from wherever the worker has it; says whether it is there.
fn keep(mirror: &Path, places: &[OwnGit], object: &LfsObject) -> bool {
    let path = objects(mirror).join(object.oid.path());
    if path.metadata().is_ok_and(|found| found.len() == object.size) {
        return true;
    }
    let copied = places.iter().find_map(|place| {
        let from = place.lfs_object(&object.oid).ok()?;
        match copy(from, mirror, object, &path) {
            Ok(is_it) => is_it.then_some(()),
            Err(error) => {
                tracing::warn!(oid = %object.oid, %error, "an object of Git LFS could not be copied");
                None
            }
        }
    });
    copied.is_some()
}

/// Copies an object if its content is what its name says; says whether it is.
fn copy(mut from: File, mirror: &Path, object: &LfsObject, to: &Path) -> io::Result<bool> {
    if from.metadata()?.len() != object.size {
        return Ok(false);
    }
    let drafts = mirror.join("lfs/tmp");
    fs::create_dir_all(&drafts)?;
    let draft = drafts.join(format!("{}-{:016x}", object.oid, fastrand::u64(..)));
    let copied = (|| {
        let mut file = File::create(&draft)?;
        let mut digest = ring::digest::Context::new(&ring::digest::SHA256);
        let mut buffer = vec![0; 1 << 20];
        // It may grow while it is read.
        let mut left = object.size;
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            let read = from.read(&mut buffer[..most])?;
            if read == 0 {
                return Ok(false);
            }
            digest.update(&buffer[..read]);
            file.write_all(&buffer[..read])?;
            left -= read as u64;
        }
        if LfsOid::of_digest(digest.finish().as_ref()) != object.oid {
            return Ok(false);
        }
        to.parent().map(fs::create_dir_all).transpose()?;
        fs::rename(&draft, to)?;
        Ok(true)
    })();
    fs::remove_file(&draft).ok();
    copied
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

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
            keep(&mirror, &[OwnGit::open_dir(&own).expect("is there")], &object())
        };
        assert!(!kept(&|path| fs::write(path, "abd").expect("is written")));
        assert!(!kept(&|path| fs::write(path, "abcd").expect("is written")));
        let elsewhere = dir.path().join("secret");
        fs::write(&elsewhere, CONTENT).expect("is written");
        assert!(!kept(&|path| symlink(&elsewhere, path).expect("is made")));
        assert!(!kept(&|path| fs::create_dir(path).expect("is made")));
        assert!(!kept(&|_| {}));
        assert_eq!(fs::read_dir(mirror.join("lfs/tmp")).expect("is there").count(), 0, "drafts go");
        assert!(kept(&|path| fs::write(path, CONTENT).expect("is written")));
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
            for found in pointers(&printed) {
                prop_assert_eq!(found.oid.path().len(), 64 + 6);
            }
        }
    }
}
