//! What a worker's repository holds besides the commits of its HEAD and its files: other refs, stashes, other
//! worktrees, and repositories within it.
//!
//! Git reads all of it within the worker's confinement. What it says is a worker's word: names become labels, and
//! objects count once they are here.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sprint_core::attempt_ref::{Label, SNAPSHOT_MESSAGE};
use sprint_core::ids::CommitId;
use tokio::time::Instant;

use super::git::{Git, GitError};
use super::nested;
use super::own_git::OwnGit;
use super::refs::Given;
use super::save::{Remains, Workspace, changed, limited, path_of};
use super::scratch::Scratch;
use super::submodules::GivenSubmodule;

/// How long reading may take, of the worker's own repository and of all others together: a pipe in the place of a file
/// would be waited for without end.
const OWN_LIMIT: Duration = Duration::from_secs(30);
const NESTED_LIMIT: Duration = Duration::from_mins(2);
/// More things than a worker leaves that means to leave them.
const MOST: usize = 100;

/// Something besides, to be saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Extra {
    pub(crate) label: Label,
    /// The branch, if it is one of the worker's own repository.
    pub(crate) branch: Option<String>,
    /// A commit, or whatever object the ref names.
    pub(crate) object: CommitId,
    /// The repository that has it.
    pub(crate) git_dir: PathBuf,
}

/// Everything besides.
#[derive(Debug, Default)]
pub(crate) struct Extras {
    pub(crate) found: Vec<Extra>,
    /// What could not be read, and why.
    pub(crate) unread: Vec<String>,
    /// The directories of repositories that are not part of the worker's own, from its workspace.
    pub(crate) nested: Vec<PathBuf>,
}

impl Extras {
    /// The branches with commits that HEAD does not have.
    pub(crate) fn branches(&self) -> Vec<&str> {
        self.found.iter().filter_map(|extra| extra.branch.as_deref()).collect()
    }
}

/// One repository: the worker's own, or one within it.
struct Place<'a> {
    workspace: &'a Workspace,
    scratch: &'a Scratch,
    git_dir: PathBuf,
    /// What the labels of everything in it begin with.
    prefix: Vec<Vec<u8>>,
}

impl Workspace {
    /// Looks for what is there besides; `branch` is the one that the worker was given.
    pub(crate) async fn extras(&self, branch: &str, remains: &Remains, scratch: &Scratch) -> Extras {
        let mut extras = Extras::default();
        let workspace = self.path();
        let own = workspace.join(".git");
        let given = fs::read(self.dir.given_refs()).unwrap_or_default();
        let refs = Given::read(&given);
        let is_plain = match OwnGit::open(&workspace).map(|git| git.has_only(branch, &refs)) {
            Ok(Ok(is_plain)) => is_plain,
            Ok(Err(error)) => {
                extras.unread.push(format!("its other branches and stashes: {error}"));
                true
            }
            // It is gone.
            Err(_) => true,
        };
        if !is_plain {
            let place = Place { workspace: self, scratch, git_dir: own.clone(), prefix: vec![] };
            let given: Vec<_> = remains.head.iter().chain([&self.base]).cloned().collect();
            if let Err(error) = within(OWN_LIMIT, place.gather(&given, &refs, &mut extras)).await {
                extras.unread.push(format!("its other branches and stashes: {error}"));
            }
        }
        let deadline = Instant::now() + NESTED_LIMIT;
        let nested = self.nested(remains, scratch).await.unwrap_or_else(|error| {
            extras.unread.push(format!("repositories within its workspace: {error}"));
            vec![]
        });
        for dir in nested {
            let prefix = vec![b"nested".to_vec(), dir.as_os_str().as_encoded_bytes().to_vec()];
            let git_dir = workspace.join(&dir).join(".git");
            let place = Place { workspace: self, scratch, git_dir, prefix };
            let left = deadline.saturating_duration_since(Instant::now());
            if let Err(error) = within(left, place.gather_nested(&own, &workspace.join(&dir), &mut extras)).await {
                extras.unread.push(format!("the repository {}: {error}", dir.display()));
            }
            extras.nested.push(dir);
        }
        if extras.found.len() > MOST {
            extras.unread.push(format!("{} of its refs, of more than {MOST}", extras.found.len() - MOST));
            extras.found.truncate(MOST);
        }
        extras
    }

    /// The repositories within the workspace that git does not ignore.
    async fn nested(&self, remains: &Remains, scratch: &Scratch) -> Result<Vec<PathBuf>, GitError> {
        let workspace = self.path();
        let changed = self.changed_submodules(scratch).await?;
        let from = [&remains.new_dirs[..], &remains.gitlinks, &changed].concat();
        if from.is_empty() {
            return Ok(vec![]);
        }
        let walk = tokio::task::spawn_blocking(move || nested::below(&workspace, from));
        let found = walk.await.unwrap_or_else(|error| Err(std::io::Error::other(error))).map_err(GitError::Start)?;
        if found.is_empty() {
            return Ok(found);
        }
        let ignored = self.ignored(scratch).await?;
        Ok(found.into_iter().filter(|dir| !dir.ancestors().any(|above| ignored.contains(above))).collect())
    }
}

impl Workspace {
    /// The submodules that are not as the worker got them, in their repositories or in their files.
    async fn changed_submodules(&self, scratch: &Scratch) -> Result<Vec<PathBuf>, GitError> {
        let given = GivenSubmodule::of(&self.dir);
        if given.is_empty() {
            return Ok(vec![]);
        }
        let status =
            ["status", "--porcelain", "-z", "--no-renames", "--untracked-files=no", "--ignore-submodules=none"];
        let outermost = given.iter().filter(|one| !given.iter().any(|other| one.is_within(other)));
        let status = self.within(scratch).args(status).args(["--"]).args(outermost.map(|module| &module.path));
        let status = limited(status.output()).await?;
        let dirty: BTreeSet<_> = changed(&status).map(path_of).collect();
        let is_changed = |module: &GivenSubmodule| {
            module.path.ancestors().any(|above| dirty.contains(above)) || !module.is_as_given(&self.path())
        };
        Ok(given.iter().filter(|module| is_changed(module)).map(|module| module.path.clone()).collect())
    }
}

/// Takes over what is there besides, as long as it is not more than `limit` bytes together; answers what was taken, and
/// why something was not.
pub(crate) async fn take_over(
    workspace: &Workspace,
    extras: &Extras,
    limit: u64,
    scratch: &Scratch,
) -> (Vec<Extra>, Vec<String>) {
    let (mut taken, mut refused) = (vec![], vec![]);
    let (before, mut left) = (used(scratch), limit);
    for of_one in extras.found.chunk_by(|a, b| a.git_dir == b.git_dir) {
        if take(workspace, of_one, left, scratch).await.is_ok() {
            taken.extend_from_slice(of_one);
            left = limit.saturating_sub(used(scratch).saturating_sub(before));
            continue;
        }
        // One of them is broken or too large, which says nothing of the others.
        for extra in of_one {
            match take(workspace, std::slice::from_ref(extra), left, scratch).await {
                Ok(()) => taken.push(extra.clone()),
                Err(error) if error.says_too_large() => {
                    refused.push(format!("{} (all together would be more than {limit} bytes)", extra.label));
                }
                Err(error) => refused.push(format!("{} ({error})", extra.label)),
            }
            left = limit.saturating_sub(used(scratch).saturating_sub(before));
        }
    }
    (taken, refused)
}

async fn take(workspace: &Workspace, extras: &[Extra], limit: u64, scratch: &Scratch) -> Result<(), GitError> {
    let Some(first) = extras.first() else { return Ok(()) };
    let objects: Vec<_> = extras.iter().map(|extra| &extra.object).collect();
    // A repository within the workspace knows nothing of what the worker was given.
    let is_own = first.git_dir == workspace.path().join(".git");
    let known = if is_own { vec![&workspace.base] } else { vec![] };
    let options: &[&str] = if is_own { &["--thin", "--delta-base-offset"] } else { &["--delta-base-offset"] };
    workspace.take_over_from(&first.git_dir, options, &objects, &known, Some(limit.max(1)), scratch).await
}

/// What was taken over so far, in bytes; removes what was taken over in part.
fn used(scratch: &Scratch) -> u64 {
    let mut used = 0;
    for entry in fs::read_dir(scratch.saved.join("objects/pack")).into_iter().flatten().flatten() {
        if entry.file_name().as_encoded_bytes().starts_with(b"tmp_") {
            fs::remove_file(entry.path()).ok();
        } else {
            used += entry.metadata().map_or(0, |data| data.len());
        }
    }
    used
}

async fn within(limit: Duration, work: impl Future<Output = Result<(), GitError>>) -> Result<(), GitError> {
    let said = || GitError::Failed { command: "within".to_owned(), said: "it took too long".to_owned() };
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| Err(said()))
}

impl Place<'_> {
    fn git(&self) -> Git {
        self.workspace.within_repository(&self.git_dir, self.scratch)
    }

    async fn lines(&self, args: &[&str]) -> Result<Vec<Vec<u8>>, GitError> {
        let output = limited(self.git().args(args).output()).await?;
        Ok(output.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect())
    }

    async fn object(&self, args: &[&str]) -> Option<CommitId> {
        let lines = self.lines(args).await.ok()?;
        lines.first().and_then(|line| CommitId::new(String::from_utf8_lossy(line).into_owned()).ok())
    }

    fn add(&self, parts: &[&[u8]], object: CommitId, branch: Option<String>, extras: &mut Extras) {
        let prefix: Vec<&[u8]> = self.prefix.iter().map(Vec::as_slice).collect();
        let number = extras.found.len().to_string();
        let taken = |label: &Label| extras.found.iter().any(|extra| extra.label == *label);
        let numbered = || Label::of(&[b"unnamed", number.as_bytes()]);
        let label = Label::of(&[&prefix[..], parts].concat()).filter(|label| !taken(label)).or_else(numbered);
        if let Some(label) = label {
            extras.found.push(Extra { label, branch, object, git_dir: self.git_dir.clone() });
        }
    }

    /// Adds what its refs, its stash and its worktrees hold that `given` does not reach.
    async fn gather(&self, given: &[CommitId], refs: &Given<'_>, extras: &mut Extras) -> Result<(), GitError> {
        let all = self.lines(&["for-each-ref", "--format=%(objecttype) %(objectname) %(refname)"]).await?;
        let known = refs.objects();
        let without: Vec<_> = given.iter().map(|commit| format!("--no-merged={commit}")).collect();
        let mut args = vec!["for-each-ref", "--format=%(refname)"];
        args.extend(without.iter().map(String::as_str));
        let open: BTreeSet<_> = self.lines(&args).await?.into_iter().collect();
        for line in all {
            let mut words = line.splitn(3, |byte| *byte == b' ');
            let (Some(kind), Some(object), Some(name)) = (words.next(), words.next(), words.next()) else { continue };
            let is_new = (kind != b"commit" || open.contains(name)) && !known.contains(object);
            let Ok(object) = CommitId::new(String::from_utf8_lossy(object).into_owned()) else { continue };
            let Some(short) = name.strip_prefix(b"refs/") else { continue };
            if !is_new || short.starts_with(b"remotes/") {
                continue;
            }
            if short == b"stash" {
                self.stash(object, extras).await;
                continue;
            }
            let parts: Vec<_> = short.split(|byte| *byte == b'/').collect();
            let branch = short.strip_prefix(b"heads/").filter(|_| self.prefix.is_empty());
            let branch = branch.map(|name| String::from_utf8_lossy(name).into_owned());
            let further: &[&[u8]] = if matches!(parts[0], b"heads" | b"tags") { &[] } else { &[b"refs"] };
            self.add(&[further, &parts].concat(), object, branch, extras);
        }
        self.worktrees(given, extras).await
    }

    /// Each entry of a stash; the newest alone where there is no list of them.
    async fn stash(&self, newest: CommitId, extras: &mut Extras) {
        let entries = self.lines(&["log", "--walk-reflogs", "--format=%H", "refs/stash", "--"]).await;
        let entries = entries.unwrap_or_default();
        let read = entries.iter().filter_map(|line| CommitId::new(String::from_utf8_lossy(line).into_owned()).ok());
        let mut read: Vec<_> = read.collect();
        if !read.contains(&newest) {
            read.insert(0, newest);
        }
        for (number, object) in read.into_iter().enumerate() {
            self.add(&[b"stash", number.to_string().as_bytes()], object, None, extras);
        }
    }

    /// The detached HEADs of its other worktrees; where they are on branches these have it.
    async fn worktrees(&self, given: &[CommitId], extras: &mut Extras) -> Result<(), GitError> {
        let listed = limited(self.git().args(["worktree", "list", "--porcelain", "-z"]).output()).await?;
        let fields: Vec<_> = listed.split(|byte| *byte == 0).collect();
        for worktree in fields.split(|field| field.is_empty()).filter(|fields| !fields.is_empty()).skip(1) {
            let field = |name: &[u8]| worktree.iter().find_map(|field| field.strip_prefix(name));
            let (Some(path), Some(head), Some(_)) = (field(b"worktree "), field(b"HEAD "), field(b"detached")) else {
                continue;
            };
            let Ok(head) = CommitId::new(String::from_utf8_lossy(head).into_owned()) else { continue };
            let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
            if self.reaches_more(head.as_str(), given).await {
                self.add(&[b"worktrees", name], head, None, extras);
            }
        }
        Ok(())
    }

    /// Whether there is a commit that `given` does not reach; also when git cannot say.
    async fn reaches_more(&self, commit: &str, given: &[CommitId]) -> bool {
        let given = given.iter().map(CommitId::as_str);
        let args: Vec<_> = ["rev-list", "--max-count=1", commit, "--not"].into_iter().chain(given).collect();
        self.lines(&args).await.map_or(true, |found| !found.is_empty())
    }

    /// Adds what a repository within the workspace holds that none of its own remotes has, and its files where they
    /// are not committed.
    async fn gather_nested(&self, own: &Path, dir: &Path, extras: &mut Extras) -> Result<(), GitError> {
        let common = self.lines(&["rev-parse", "--path-format=absolute", "--git-common-dir"]).await?;
        let is_worktree = common.first().is_some_and(|common| common == own.as_os_str().as_encoded_bytes());
        let head = self.object(&["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]).await;
        if !is_worktree {
            let remotes = self.lines(&["for-each-ref", "--format=%(objectname)", "refs/remotes"]).await?;
            let remotes: BTreeSet<_> = remotes.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect();
            let given: Vec<_> = remotes.into_iter().filter_map(|commit| CommitId::new(commit).ok()).collect();
            self.gather(&given, &Given::default(), extras).await?;
            let own_tips = extras.found.iter().filter(|extra| extra.git_dir == self.git_dir);
            let known: Vec<_> = given.into_iter().chain(own_tips.map(|extra| extra.object.clone())).collect();
            if let Some(head) = &head
                && self.reaches_more(head.as_str(), &known).await
            {
                self.add(&[b"HEAD"], head.clone(), None, extras);
            }
        }
        if let Some(files) = self.files(dir, head.as_ref()).await? {
            self.add(&[b"wip"], files, None, extras);
        }
        Ok(())
    }

    /// A commit of its files, if they are others than those of its HEAD.
    async fn files(&self, dir: &Path, head: Option<&CommitId>) -> Result<Option<CommitId>, GitError> {
        let index = self.scratch.look.join("nested-index");
        fs::remove_file(&index).ok();
        let git = || self.git().work_tree(dir).env("GIT_INDEX_FILE", &index);
        limited(git().args(["add", "--all"]).output()).await?;
        let tree = limited(git().args(["write-tree"]).run()).await?;
        let committed = match head {
            Some(head) => limited(self.git().args(["rev-parse", &format!("{head}^{{tree}}")]).run()).await?,
            // The empty tree: there is nothing to save of a repository without a file.
            None => limited(self.git().args(["hash-object", "-t", "tree", "/dev/null"]).run()).await?,
        };
        if tree == committed {
            return Ok(None);
        }
        let mut args = vec!["commit-tree", &tree, "-m", SNAPSHOT_MESSAGE];
        args.extend(head.iter().flat_map(|head| ["-p", head.as_str()]));
        let commit = limited(git().committing_as_sprint().args(args).run()).await?;
        CommitId::new(commit)
            .map(Some)
            .map_err(|error| GitError::Failed { command: "commit-tree".to_owned(), said: error.to_string() })
    }
}
