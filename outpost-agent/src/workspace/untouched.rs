//! Files that git calls changed right after it has written them: their blobs have other line ends than the attributes
//! want, or a filter does not give back what it took. They are nobody's work.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::fcntl::OFlag;

use super::git::Git;
use crate::host::disk;

/// How many files are looked at, and of what size: more than one by accident is rather work.
const MOST: usize = 1_000;
const LARGEST: u64 = 4 << 20;

/// Those of the paths in what `git status --porcelain -z` prints at which is exactly what a checkout puts there; `git` is
/// one on the workspace, which may write into `scratch`.
pub(super) async fn find(git: Git, workspace: &Path, scratch: &Path, status: &[u8]) -> BTreeSet<Vec<u8>> {
    let modified: Vec<&[u8]> = modified(status).take(MOST).collect();
    if modified.is_empty() {
        return BTreeSet::new();
    }
    // What cannot be told apart is work.
    compare(git, workspace, scratch, &modified).await.unwrap_or_default()
}

/// The paths that differ in the worktree alone.
fn modified(status: &[u8]) -> impl Iterator<Item = &[u8]> {
    status.split(|byte| *byte == 0).filter_map(|entry| entry.strip_prefix(b" M ")).filter(|path| !path.is_empty())
}

async fn compare(git: Git, workspace: &Path, scratch: &Path, paths: &[&[u8]]) -> io::Result<BTreeSet<Vec<u8>>> {
    let (list, out) = (scratch.join("untouched"), scratch.join("checkout"));
    fs::write(&list, paths.join(&0))?;
    let prefix = format!("--prefix={}/", out.display());
    let checkout =
        git.stdin(File::open(&list)?).args(["checkout-index", "--force", "--quiet", "-z", "--stdin", &prefix]);
    checkout.run().await.map_err(io::Error::other)?;
    let is_same = |path: &Path| io::Result::Ok(read(&out.join(path))? == read(&workspace.join(path))?);
    let same = paths.iter().filter(|path| is_same(Path::new(OsStr::from_bytes(path))).unwrap_or(false));
    let same = same.map(|path| path.to_vec()).collect();
    disk::remove_dir(&out)?;
    Ok(same)
}

/// The content of a file, which may be a trap of the worker's.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = File::options().read(true).custom_flags(flags.bits()).open(path)?;
    let data = file.metadata()?;
    if !data.is_file() || data.len() > LARGEST {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut content = vec![];
    file.take(LARGEST).read_to_end(&mut content)?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_in_the_worktree_alone_is_looked_at() {
        let status = b" M a b\0M  c\0MM d\0?? e\0 D f\0 M g\0";
        assert_eq!(modified(status).collect::<Vec<_>>(), [&b"a b"[..], b"g"]);
    }
}
