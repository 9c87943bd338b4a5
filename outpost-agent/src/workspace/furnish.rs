//! What a workspace gets besides its commit: files that git ignores, and directories that an earlier setup has filled.

use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sprint_core::assignment::Assignment;
use sprint_core::inner_path::InnerPath;
use sprint_core::recipe::{Cache, Recipe};
use tokio::process::Command;

use super::error::PrepareError;
use super::git::{Git, GitError};
use super::tree::Tree;
use crate::host::disk;
use crate::host::paths::{DataDir, WorkerDir};
use crate::shim::plan::Kept;

/// How many contents of each cached directory are kept.
const KEPT_CACHES: usize = 8;

/// What a workspace was given, and what its setup is to leave.
#[derive(Debug, Default)]
pub(crate) struct Furnished {
    /// For the worker's terminal.
    pub(crate) notes: Vec<String>,
    /// Whether every cached directory was there; none when the recipe names none.
    pub(crate) cache_hit: Option<bool>,
    /// The directories to keep once the setup has filled them.
    pub(crate) keep: Vec<Kept>,
}

/// A tree, and the worker that it is for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Site<'a> {
    pub(super) tree: &'a Tree,
    pub(super) assignment: &'a Assignment,
    pub(super) dir: &'a WorkerDir,
    pub(super) data: &'a DataDir,
    pub(super) mirror: &'a Path,
}

/// Follows a recipe, before the worker's own git repository was used by anybody else.
///
/// # Errors
/// [`PrepareError`]; what is missing is none.
pub(super) async fn furnish(site: Site<'_>, files: Option<&Path>) -> Result<Furnished, PrepareError> {
    let Recipe { bring, cache, notes, .. } = &site.assignment.recipe;
    let mut furnished = Furnished { notes: notes.clone(), ..Furnished::default() };
    if !bring.is_empty() {
        match files.filter(|files| files.is_dir()) {
            Some(files) => self::bring(site, files, bring, &mut furnished.notes).await?,
            None => furnished.notes.push(format!(
                "the repo asks for files that git ignores ({}), and there are none for it on this outpost{}",
                bring.join(", "),
                files.map_or_else(
                    || "; start outpost-agent with --files".to_owned(),
                    |files| format!(": {} is no directory", files.display())
                ),
            )),
        }
    }
    let mut used = vec![];
    for one in cache {
        used.extend(lay(site, one, &mut furnished).await?);
    }
    if !cache.is_empty() {
        prune(&site.data.caches(&site.assignment.repo), KEPT_CACHES * cache.len(), &used, &site.data.trash());
    }
    Ok(furnished)
}

/// Copies the files that the patterns name, if git ignores them here, too.
async fn bring(site: Site<'_>, files: &Path, patterns: &[String], notes: &mut Vec<String>) -> Result<(), PrepareError> {
    let list = site.dir.path().join("bring");
    fs::write(&list, patterns.join("\n") + "\n")?;
    let matching = Git::at(site.mirror)
        .work_tree(files)
        .env("GIT_INDEX_FILE", site.dir.path().join("no-index"))
        .args(["ls-files", "--others", "--ignored", "-z"])
        .args([&format!("--exclude-from={}", list.display())])
        .output()
        .await?;
    let matching = names(&matching);
    if matching.is_empty() {
        notes.push(format!("nothing in {} matches {}", files.display(), patterns.join(", ")));
        return Ok(());
    }
    // Git answers for none of them when one lies behind a link.
    let (mut within, mut behind) = (vec![], vec![]);
    for path in matching {
        match parents(&site.tree.path, &path) {
            Ok(_) => within.push(path),
            Err(error) => behind.push(format!("{} is not brought: {error}", path.display())),
        }
    }
    notes.extend(behind);
    let ignored = ignored(site, &within).await?;
    for path in &within {
        let shown = path.display();
        if !ignored.contains(path) {
            notes.push(format!("{shown} is not brought, since git does not ignore it: it could land"));
        } else if let Err(error) = copy(&files.join(path), &site.tree.path, path) {
            if disk::says_full(&error) {
                return Err(error.into());
            }
            notes.push(format!("{shown} is not brought: {error}"));
        }
    }
    Ok(())
}

/// Those of the paths that git ignores in the workspace.
async fn ignored(site: Site<'_>, paths: &[PathBuf]) -> Result<Vec<PathBuf>, PrepareError> {
    let list = site.dir.path().join("bring");
    let lines: Vec<u8> = paths.iter().flat_map(|path| [path.as_os_str().as_bytes(), b"\0"].concat()).collect();
    fs::write(&list, lines)?;
    let git = || Git::at(&site.tree.path.join(".git")).work_tree(&site.tree.path);
    let asked = git().stdin(File::open(&list)?).args(["check-ignore", "-z", "--stdin"]).output().await;
    fs::remove_file(&list).ok();
    match asked {
        Ok(output) => Ok(names(&output)),
        Err(GitError::Failed { said, .. }) if said.contains("exit status: 1") => Ok(vec![]),
        // One of them, such as one in a submodule, keeps git from saying anything of the others.
        Err(_) => {
            let mut ignored = vec![];
            for path in paths.iter().take(MOST_ONE_BY_ONE) {
                if git().args(["check-ignore", "--quiet", "--"]).args([path]).run().await.is_ok() {
                    ignored.push(path.clone());
                }
            }
            Ok(ignored)
        }
    }
}

/// Of how many files git is asked one by one.
const MOST_ONE_BY_ONE: usize = 200;

fn names(listed: &[u8]) -> Vec<PathBuf> {
    let names = listed.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    names.map(|name| PathBuf::from(std::ffi::OsStr::from_bytes(name))).collect()
}

/// Copies a file or a link to the same place in a workspace, where nothing may be yet.
fn copy(from: &Path, workspace: &Path, path: &Path) -> io::Result<()> {
    let to = place(workspace, path)?;
    let kind = fs::symlink_metadata(from)?.file_type();
    if kind.is_symlink() {
        std::os::unix::fs::symlink(fs::read_link(from)?, to)
    } else if kind.is_file() {
        fs::copy(from, to).map(drop)
    } else {
        Err(io::Error::other("it is neither a file nor a link"))
    }
}

/// The directories above a path in a workspace, from the outermost. A commit may hold links that lead out of the
/// workspace; they are not followed.
pub(super) fn parents(workspace: &Path, path: &Path) -> io::Result<Vec<PathBuf>> {
    let inside = InnerPath::new(path.as_os_str().as_bytes());
    inside.map_err(|why| io::Error::other(format!("it is not within the repository: {why}")))?;
    let mut found: Vec<_> = path.ancestors().skip(1).filter(|parent| *parent != Path::new("")).collect();
    found.reverse();
    for parent in &found {
        if fs::symlink_metadata(workspace.join(parent)).is_ok_and(|found| !found.is_dir()) {
            return Err(io::Error::other(format!("{} is no directory here", parent.display())));
        }
    }
    Ok(found.into_iter().map(|parent| workspace.join(parent)).collect())
}

/// A path in a workspace at which nothing is, below directories that are made where they are missing.
fn place(workspace: &Path, path: &Path) -> io::Result<PathBuf> {
    for parent in parents(workspace, path)? {
        if !parent.is_dir() {
            fs::create_dir(&parent)?;
        }
    }
    let at = workspace.join(path);
    if fs::symlink_metadata(&at).is_ok() {
        return Err(io::Error::other("the repository has something there"));
    }
    Ok(at)
}

/// Puts a cached directory at its place, or has it kept after the setup; answers where it is kept, if it is in use.
async fn lay(site: Site<'_>, cache: &Cache, furnished: &mut Furnished) -> Result<Option<PathBuf>, PrepareError> {
    let Assignment { repo, recipe, base, target, resumed, job, .. } = site.assignment;
    let path = &cache.path;
    let mut unused = |why: &str| {
        furnished.notes.push(format!("{path} is not kept: {why}"));
        furnished.cache_hit.get_or_insert(false);
    };
    let git_dir = site.tree.path.join(".git");
    let git = || Git::at(&git_dir).work_tree(&site.tree.path);
    // Otherwise what is put there would look like work.
    if git().args(["check-ignore", "--quiet", "--", &format!("{path}/")]).run().await.is_err() {
        unused("git does not ignore it");
        return Ok(None);
    }
    let patterns = cache.key.iter().map(|pattern| format!(":(glob){pattern}"));
    let key = match git().args(["ls-files", "--stage", "-z", "--"]).args(patterns).output().await {
        Ok(key) if !key.is_empty() => key,
        Ok(_) => {
            unused(&format!("no file matches {}", cache.key.join(", ")));
            return Ok(None);
        }
        Err(error) => {
            unused(&error.to_string());
            return Ok(None);
        }
    };
    let key = [path.as_bytes(), b"\0", recipe.setup.as_bytes(), b"\0", &key].concat();
    let caches = site.data.caches(repo);
    let kept = caches.join(sprint_identity::sha256(&key));
    if kept.is_dir() {
        // The ones that are used stay longest.
        File::open(&kept).and_then(|dir| dir.set_modified(SystemTime::now())).ok();
        match place_copy(&kept, &site.tree.path, path).await {
            Ok(()) => {
                furnished.cache_hit.get_or_insert(true);
                return Ok(Some(kept));
            }
            Err(error) if disk::says_full(&error) => return Err(error.into()),
            Err(error) => furnished.notes.push(format!("{path} could not be copied: {error}")),
        }
    }
    furnished.cache_hit = Some(false);
    // What a worker may have changed is not what others begin with.
    let is_of_branch = target.as_ref().is_some_and(|target| target.tip == *base);
    if is_of_branch && resumed.is_none() && job.attempt().is_some() {
        furnished.keep.push(Kept { path: path.clone(), to: kept });
    }
    Ok(None)
}

async fn place_copy(from: &Path, workspace: &Path, path: &str) -> io::Result<()> {
    let to = place(workspace, Path::new(path))?;
    let copied = Command::new("cp")
        .args(COPY)
        .arg(from)
        .arg(&to)
        .env_clear()
        .env("LC_ALL", "C")
        .kill_on_drop(true)
        .output()
        .await;
    let said = match copied {
        Ok(output) if output.status.success() => return Ok(()),
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => error.to_string(),
    };
    disk::remove_dir(&to).ok();
    let kind = if said.contains("No space left") { io::ErrorKind::StorageFull } else { io::ErrorKind::Other };
    Err(io::Error::new(kind, said.lines().next().unwrap_or_default().to_owned()))
}

/// Copies a directory as it is; on file systems that can, without copying what is in its files.
pub(crate) const COPY: [&str; 4] = ["-a", "--reflink=auto", "-T", "--"];

/// Removes what was not used for longest, and what a shim that died has left half.
fn prune(caches: &Path, most: usize, used: &[PathBuf], trash: &Path) {
    let entries = fs::read_dir(caches).into_iter().flatten().flatten();
    let used_at = |entry: &fs::DirEntry| entry.metadata().and_then(|dir| dir.modified()).ok();
    let mut found: Vec<_> = entries.filter_map(|entry| Some((used_at(&entry)?, entry.path()))).collect();
    found.retain(|(_, path)| !used.contains(path));
    found.sort_unstable();
    let too_many = (found.len() + used.len()).saturating_sub(most).min(found.len());
    for (_, path) in &found[..too_many] {
        if let Err(error) = disk::discard(path, trash) {
            tracing::warn!(path = %path.display(), %error, "a cached directory could not be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_put_behind_a_link_or_over_something() {
        let dir = tempfile::tempdir().expect("a directory");
        let outside = tempfile::tempdir().expect("a directory");
        std::os::unix::fs::symlink(outside.path(), dir.path().join("link")).expect("is made");
        fs::write(dir.path().join("file"), "").expect("is written");
        for path in ["link/x", "link", "file", "file/x", "../x", "/x", ""] {
            assert!(place(dir.path(), Path::new(path)).is_err(), "{path}");
        }
        assert_eq!(place(dir.path(), Path::new("a/b/c")).ok(), Some(dir.path().join("a/b/c")));
        assert!(dir.path().join("a/b").is_dir());
        assert_eq!(fs::read_dir(outside.path()).expect("is read").count(), 0);
    }
}
