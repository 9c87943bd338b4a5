//! `sprintctl item restore`.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use clap::Args;
use serde::Serialize;
use sprint_core::attempt_ref::{Kept, Label, RefKind, SNAPSHOT_MESSAGE};
use sprint_core::ids::{Attempt, CommitId, ItemId};
use sprint_core::item::Item;
use sprint_core::retention::KeptWork;
use sprint_proto::v1;

use crate::app::App;
use crate::failure::Failure;
use crate::git::{Remote, git, run};
use crate::output::note;
use crate::render::item::past;
use crate::render::lines;

#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// The item's number
    id: ItemId,
    /// The attempt [default: the newest of which anything is kept]
    #[arg(long, value_name = "N")]
    attempt: Option<u32>,
    /// Make this branch in the repository here, at what was not committed, or else at the commits
    #[arg(long, value_name = "BRANCH", conflicts_with = "dir")]
    to: Option<String>,
    /// With --to: work, wip, or something that was left, as `item show` names it (heads/topic)
    #[arg(long, value_name = "WHAT", requires = "to")]
    what: Option<String>,
    /// Make this directory, with everything as the worker left it [default: item-ID-ATTEMPT]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// What came back, and where it is.
#[derive(Debug, Serialize)]
struct Restored {
    what: String,
    commit: CommitId,
    place: String,
}

pub(crate) async fn restore(args: RestoreArgs, app: &App) -> Result<(), Failure> {
    let RestoreArgs { id, attempt, to, what, dir } = args;
    let item = Item::try_from(app.client.items().get(v1::ItemRequest { id: id.get() }).await?.into_inner())?;
    let KeptWork { kept: all, term } = kept(id, app).await?;
    let newest = all.iter().map(|kept| kept.attempt).max();
    let nothing = |mut why: String| {
        if let Some(past) = past(term) {
            why = format!("{why}: {past}");
        }
        Failure::new("client.nothing_kept", why).with_next(format!("see what is kept with: sprintctl item show {id}"))
    };
    let attempt =
        attempt.map(Attempt::new).or(newest).ok_or_else(|| nothing(format!("nothing is kept of item {id}")))?;
    let kept = newest_of(all.into_iter().filter(|kept| kept.attempt == attempt).collect());
    if kept.is_empty() {
        return Err(nothing(format!("nothing is kept of attempt {attempt} of item {id}")));
    }
    let remote = Remote::new(&app.target, &item.repo).await?;
    let restored = if let Some(branch) = to {
        let chosen = match &what {
            Some(what) => kept.get(what),
            None => kept.get("wip").or_else(|| kept.get("work")),
        };
        let chosen = chosen.ok_or_else(|| {
            let what = what.as_deref().unwrap_or("work");
            nothing(format!("no \"{what}\" is kept of attempt {attempt} of item {id}"))
        })?;
        vec![branch_of(chosen, &branch, &remote)?]
    } else {
        let dir = dir.unwrap_or_else(|| PathBuf::from(format!("item-{id}-{attempt}")));
        Directory::make(&dir, &format!("sprint/{id}/{attempt}"), &kept, &remote)?
    };
    app.output.one(&restored, |restored, _| {
        lines(restored.iter().map(|Restored { what, commit, place }| format!("{what}: {} at {place}", commit.short())))
    })
}

/// What the coordinator keeps of an item's attempts, and for how long.
pub(crate) async fn kept(id: ItemId, app: &App) -> Result<KeptWork, Failure> {
    Ok(app.client.items().kept(v1::ItemRequest { id: id.get() }).await?.into_inner().try_into()?)
}

fn word(kept: &Kept) -> String {
    kept.label.clone().unwrap_or_else(|| kept.kind.to_string())
}

/// By their words; of two of a kind the one that came late, which is newer.
fn newest_of(mut kept: Vec<Kept>) -> BTreeMap<String, Kept> {
    kept.sort_by_key(|kept| kept.late);
    kept.into_iter().map(|kept| (word(&kept), kept)).collect()
}

/// Makes a branch in the repository around the working directory.
fn branch_of(kept: &Kept, branch: &str, remote: &Remote) -> Result<Restored, Failure> {
    let here = Path::new(".");
    let refused = |why: &str| Failure::new("client.no_place", why);
    run(git(here).args(["rev-parse", "--git-dir"]))
        .map_err(|_| refused("there is no git repository here").with_next("name a new directory with --dir"))?;
    run(git(here).args(["check-ref-format", "--branch", branch]))
        .map_err(|_| refused(&format!("\"{branch}\" is no name for a branch")))?;
    let name = format!("refs/heads/{branch}");
    if run(git(here).args(["rev-parse", "--verify", "--quiet", &name])).is_ok() {
        return Err(refused(&format!("the branch \"{branch}\" is there already")).with_next("choose another name"));
    }
    remote.fetch(here, &[format!("{}:{name}", kept.name)])?;
    fetch_objects(remote, here, std::iter::once(kept));
    Ok(Restored { what: word(kept), commit: kept.commit.clone(), place: name })
}

/// Fetches the objects of Git LFS; those that nobody has hold up nothing else.
fn fetch_objects<'a>(remote: &Remote, path: &Path, kept: impl Iterator<Item = &'a Kept>) {
    if let Err(failure) = remote.fetch_objects(path, kept.map(|kept| &kept.commit)) {
        note(&format!("some files may hold pointers of Git LFS: {failure}"));
    }
}

/// A directory that becomes what a worker's workspace was.
struct Directory<'a> {
    path: &'a Path,
    restored: Vec<Restored>,
}

impl Directory<'_> {
    /// Makes it, whole or not at all.
    fn make(
        wanted: &Path,
        branch: &str,
        kept: &BTreeMap<String, Kept>,
        remote: &Remote,
    ) -> Result<Vec<Restored>, Failure> {
        if fs::read_dir(wanted).map_or_else(|_| wanted.symlink_metadata().is_ok(), |mut list| list.next().is_some()) {
            let why = format!("{} is there already", wanted.display());
            return Err(Failure::new("client.no_place", why).with_next("name a directory that is not there with --dir"));
        }
        let parent = wanted.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let begun = tempfile::Builder::new().prefix(".restore-").tempdir_in(parent);
        let begun = begun.map_err(Failure::io(format!("making a directory in {}", parent.display())))?;
        let path = begun.path().join("workspace");
        let mut directory = Directory { path: &path, restored: vec![] };
        directory.begin(branch, kept, remote)?;
        directory.add_left(kept)?;
        let restored = directory.restored;
        fs::remove_dir(wanted).ok();
        fs::rename(&path, wanted).map_err(Failure::io(format!("making {}", wanted.display())))?;
        let place = |place: String| format!("{}{place}", wanted.display());
        Ok(restored.into_iter().map(|one| Restored { place: place(one.place), ..one }).collect())
    }

    fn add(&mut self, kept: &Kept, place: impl Into<String>) {
        self.restored.push(Restored { what: word(kept), commit: kept.commit.clone(), place: place.into() });
    }

    /// Fetches everything, and checks the commits out with what was not committed on top.
    fn begin(&mut self, branch: &str, kept: &BTreeMap<String, Kept>, remote: &Remote) -> Result<(), Failure> {
        init(self.path, branch)?;
        let refspecs: Vec<_> = kept.values().map(|kept| format!("+{name}:{name}", name = kept.name)).collect();
        remote.fetch(self.path, &refspecs)?;
        fetch_objects(remote, self.path, kept.values());
        let (work, wip) = (kept.get("work"), kept.get("wip"));
        let head = work.or(wip);
        let Some(head) = head else { return Ok(()) };
        let uncommitted = wip.map(|wip| self.parent_of_snapshot(&wip.commit)).transpose()?.flatten();
        let commit = match (work, &uncommitted) {
            (Some(work), _) => &work.commit,
            (None, Some(parent)) => parent,
            (None, None) => &head.commit,
        };
        check_out(self.path, &format!("refs/heads/{branch}"), commit, wip.map_or(commit, |wip| &wip.commit))?;
        if let Some(work) = work {
            self.add(work, format!(", branch {branch}"));
        }
        if let Some(wip) = wip {
            let place = if uncommitted.is_some() { ", not committed".to_owned() } else { format!(", branch {branch}") };
            self.add(wip, place);
        }
        Ok(())
    }

    /// What a snapshot of uncommitted work stands on; none for a commit of the worker's.
    fn parent_of_snapshot(&self, commit: &CommitId) -> Result<Option<CommitId>, Failure> {
        let shown = run(git(self.path).args(["show", "--no-patch", "--format=%P%n%B", commit.as_str()]))?;
        let Some((parents, message)) = shown.split_once('\n') else { return Ok(None) };
        let is_snapshot = message.trim_end() == SNAPSHOT_MESSAGE;
        Ok(CommitId::new(parents.to_owned()).ok().filter(|_| is_snapshot))
    }

    fn add_left(&mut self, kept: &BTreeMap<String, Kept>) -> Result<(), Failure> {
        let mut stash = vec![];
        let mut nested: BTreeMap<Vec<u8>, Vec<Inner<'_>>> = BTreeMap::new();
        for kept in kept.values().filter(|kept| kept.kind == RefKind::Left) {
            let parts = kept.label.as_deref().and_then(Label::parse).map(|label| label.parts()).unwrap_or_default();
            match parts.iter().map(Vec::as_slice).collect::<Vec<_>>().as_slice() {
                [b"stash", number] => stash.push((String::from_utf8_lossy(number).parse().unwrap_or(0_u32), kept)),
                [b"nested", dir, rest @ ..] => {
                    let name = if let [state] = rest { state.to_vec() } else { place_of(rest) };
                    nested.entry(dir.to_vec()).or_default().push(Inner { name, kept });
                }
                [b"refs", rest @ ..] | rest => self.name(self.path, &place_of(rest), kept, ""),
            }
        }
        // The newest entry is the one that is stored last.
        stash.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
        for (number, kept) in stash {
            let commit = kept.commit.as_str();
            let subject = run(git(self.path).args(["show", "--no-patch", "--format=%s", commit]))?;
            run(git(self.path).args(["stash", "store", "--message", &subject, commit]))?;
            self.add(kept, format!(", stash@{{{number}}}"));
        }
        for (dir, inner) in nested {
            self.add_nested(Path::new(OsStr::from_bytes(&dir)), &inner)?;
        }
        Ok(())
    }

    /// Gives something its name in a repository; where git does not take that, it stays at the name that it is kept by.
    fn name(&mut self, at: &Path, name: &[u8], kept: &Kept, of: &str) {
        let full = [b"refs/", name].concat();
        let named = run(git(at).arg("update-ref").arg(OsStr::from_bytes(&full)).arg(kept.commit.as_str())).is_ok();
        let name = if named { String::from_utf8_lossy(&full).into_owned() } else { kept.name.clone() };
        self.add(kept, format!("{of}, {name}"));
    }

    /// Makes a repository within the workspace again.
    fn add_nested(&mut self, dir: &Path, inner: &[Inner<'_>]) -> Result<(), Failure> {
        let shown = format!("/{}", dir.display());
        let path = self.below(dir)?;
        init(&path, "main")?;
        let names: Vec<_> =
            inner.iter().map(|Inner { kept, .. }| format!("+{name}:{name}", name = kept.name)).collect();
        let from = self.path.canonicalize().map_err(Failure::io("reading the directory"))?;
        run(git(&path).args(["fetch", "--quiet", "--no-tags", "--no-write-fetch-head"]).arg(from).args(names))?;
        for Inner { name, kept } in inner.iter().filter(|inner| !inner.is_state()) {
            self.name(&path, name, kept, &shown);
        }
        let find = |name: &[u8]| inner.iter().find(|inner| inner.name == name).map(|inner| inner.kept);
        let (head, wip) = (find(HEAD), find(WIP));
        let branch = inner.iter().find(|inner| inner.name.starts_with(b"heads/"));
        let parent = wip.map(|wip| self.parent_of_snapshot(&wip.commit)).transpose()?.flatten();
        let commit = parent.as_ref().or(head.map(|head| &head.commit)).or(branch.map(|branch| &branch.kept.commit));
        match (commit, wip) {
            (Some(commit), wip) => {
                let at = branch_at(&path, commit);
                check_out(&path, at.as_deref().unwrap_or("HEAD"), commit, wip.map_or(commit, |wip| &wip.commit))?;
            }
            // Its first commit was never made.
            (None, Some(wip)) => {
                run(git(&path).args(["read-tree", "-m", "-u", wip.commit.as_str()]))?;
                run(git(&path).args(["rm", "-r", "--cached", "--quiet", "."]))?;
            }
            (None, None) => {}
        }
        for kept in head.into_iter().chain(wip) {
            self.add(kept, shown.as_str());
        }
        Ok(())
    }

    /// A path within the directory: no name leads out of it, and no link that was restored before.
    fn below(&self, dir: &Path) -> Result<PathBuf, Failure> {
        let refused = || Failure::new("client.git", format!("{} leads out of the directory", dir.display()));
        let mut path = self.path.to_owned();
        for component in dir.components() {
            let Component::Normal(name) = component else { return Err(refused()) };
            path.push(name);
            let is_link = path.symlink_metadata().is_ok_and(|data| data.is_symlink());
            if is_link || name.eq_ignore_ascii_case(".git") {
                return Err(refused());
            }
        }
        Ok(path)
    }
}

/// Something of a repository within the workspace.
struct Inner<'a> {
    /// Its name below `refs/`; a state of the repository has a bare word.
    name: Vec<u8>,
    kept: &'a Kept,
}

impl Inner<'_> {
    /// Whether it is where the repository stood, and not a ref of its own.
    fn is_state(&self) -> bool {
        self.name == HEAD || self.name == WIP
    }
}

/// A detached HEAD, and what was not committed.
const HEAD: &[u8] = b"HEAD";
const WIP: &[u8] = b"wip";

/// The name below `refs/` of something that was left.
fn place_of(parts: &[&[u8]]) -> Vec<u8> {
    let known = matches!(parts, [b"heads" | b"tags" | b"notes", _, ..]);
    if known { parts.join(&b'/') } else { [b"heads/", &parts.join(&b'/')[..]].concat() }
}

fn init(path: &Path, branch: &str) -> Result<(), Failure> {
    fs::create_dir_all(path).map_err(Failure::io(format!("making {}", path.display())))?;
    // An object's name is its SHA-1 everywhere here.
    run(git(path).args(["init", "--quiet", "--object-format=sha1", "--initial-branch", branch])).map(drop)
}

/// The first branch that is at a commit.
fn branch_at(path: &Path, commit: &CommitId) -> Option<String> {
    let points = format!("--points-at={commit}");
    let list = run(git(path).args(["for-each-ref", "--count=1", "--format=%(refname)", &points, "refs/heads"])).ok()?;
    Some(list).filter(|name| !name.is_empty())
}

/// What could be had of Git LFS was fetched before; a worker's files name nobody else to ask.
const NO_SERVER: &str = "lfs.url=https://none.invalid/";

/// Puts a branch, or HEAD itself, at a commit, and the files of another commit into the directory.
fn check_out(path: &Path, branch: &str, commit: &CommitId, files: &CommitId) -> Result<(), Failure> {
    run(git(path).args(["-c", NO_SERVER, "checkout", "--quiet", "--force", "--detach", files.as_str()]))?;
    if branch != "HEAD" {
        run(git(path).args(["update-ref", branch, commit.as_str()]))?;
        run(git(path).args(["symbolic-ref", "HEAD", branch]))?;
    }
    if commit != files || branch == "HEAD" {
        run(git(path).args(["reset", "--quiet", "--mixed", commit.as_str()]))?;
    }
    Ok(())
}
