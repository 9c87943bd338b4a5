//! What the `git` program does in a checkout, as a person would have it done.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, SystemTime};

/// What came of merging: the tree, or the paths that conflict.
pub(crate) type Came = Result<String, BTreeSet<String>>;

/// Stands for the paths where git finds conflicts and breaks down as it writes them to the checkout (git 2.47).
pub(crate) const BROKE_DOWN: &str = "(git broke down)";

/// A bare repository of a history, and a checkout beside it.
pub(crate) struct Reference {
    pub(crate) bare: PathBuf,
    checkout: PathBuf,
}

impl Reference {
    pub(crate) fn new(directory: &Path, script: &[u8]) -> Self {
        let (bare, checkout) = (directory.join("bare.git"), directory.join("checkout"));
        git(directory, &["init", "-q", "--bare", "--template=", "-b", "main", "bare.git"]);
        let mut import = command(&bare).args(["fast-import", "--quiet"]).stdin(Stdio::piped()).spawn().unwrap();
        import.stdin.take().unwrap().write_all(script).unwrap();
        assert!(import.wait().unwrap().success(), "the history can be imported");
        git(directory, &["init", "-q", "--template=", "-b", "main", "checkout"]);
        std::fs::create_dir_all(checkout.join(".git/objects/info")).unwrap();
        std::fs::write(checkout.join(".git/objects/info/alternates"), format!("{}/objects\n", bare.display())).unwrap();
        Self { bare, checkout }
    }

    pub(crate) fn commit(&self, place: usize) -> String {
        git(&self.bare, &["rev-parse", &format!("refs/heads/c{place}")])
    }

    /// Starts again at a commit.
    pub(crate) fn checkout(&self, commit: &str) {
        // Files that are left there could conflict with any checkout.
        for entry in std::fs::read_dir(&self.checkout).unwrap().flatten().filter(|entry| entry.file_name() != ".git") {
            let is_directory = entry.file_type().unwrap().is_dir();
            let removed =
                if is_directory { std::fs::remove_dir_all(entry.path()) } else { std::fs::remove_file(entry.path()) };
            removed.unwrap();
        }
        for left in ["index", "index.lock", "MERGE_HEAD", "CHERRY_PICK_HEAD", "SQUASH_MSG", "MERGE_MSG"] {
            std::fs::remove_file(self.checkout.join(".git").join(left)).ok();
        }
        for left in ["rebase-merge", "sequencer"] {
            std::fs::remove_dir_all(self.checkout.join(".git").join(left)).ok();
        }
        git(&self.checkout, &["update-ref", "--no-deref", "HEAD", commit]);
        git(&self.checkout, &["reset", "-q", "--hard", commit]);
        self.settle();
    }

    /// Has git believe that files whose endings it would write otherwise are as they were checked out.
    fn settle(&self) {
        let index = std::fs::File::options().append(true).open(self.checkout.join(".git/index")).unwrap();
        index.set_modified(SystemTime::now() + Duration::from_hours(1)).unwrap();
    }

    pub(crate) fn merge(&self, theirs: &str) -> Came {
        self.came(&["merge", "-q", "--no-ff", "-m", "merge", theirs])
    }

    pub(crate) fn squash(&self, theirs: &str) -> Came {
        self.came(&["merge", "-q", "--squash", theirs])?;
        self.came(&["commit", "-q", "--allow-empty", "-m", "squash"])
    }

    pub(crate) fn fast_forward(&self, theirs: &str) -> Came {
        self.came(&["merge", "-q", "--ff-only", theirs])
    }

    /// The commits of `head`, without merges and what the others hold, one by one.
    pub(crate) fn pick(&self, head: &str, without: &[String]) -> Came {
        let range =
            [&["rev-list", "--reverse", "--topo-order", "--no-merges", head, "--not"], &*texts(without)].concat();
        for commit in git(&self.checkout, &range).lines() {
            self.came(&["cherry-pick", "--allow-empty", "--keep-redundant-commits", commit])?;
        }
        Ok(self.head())
    }

    /// `git rebase` of a branch; none where git does not take the checkout for clean.
    pub(crate) fn rebase(&self, head: &str, onto: &str) -> Option<Came> {
        self.checkout(head);
        self.tried(&["rebase", "-q", "--reapply-cherry-picks", "--empty=drop", "--no-ff", onto])
    }

    /// The tree that the checkout came to.
    fn head(&self) -> String {
        self.settle();
        git(&self.checkout, &["rev-parse", "HEAD^{tree}"])
    }

    /// Runs git in the checkout, which succeeds, or leaves conflicts.
    fn came(&self, args: &[&str]) -> Came {
        self.tried(args).unwrap_or_else(|| panic!("git {args:?} does not take the checkout for clean"))
    }

    /// As [`Self::came`]; none where git does not take the checkout for clean.
    fn tried(&self, args: &[&str]) -> Option<Came> {
        let output = run(&self.checkout, args);
        if output.status.success() {
            return Some(Ok(self.head()));
        }
        let paths = unmerged(&git(&self.checkout, &["ls-files", "-u", "-z"]));
        let said = String::from_utf8_lossy(&output.stderr);
        if said.contains("BUG: ") || said.contains("Assertion ") {
            return Some(Err(BTreeSet::from([BROKE_DOWN.to_owned()])));
        }
        if said.contains("You have unstaged changes") || said.contains("would be overwritten") {
            return None;
        }
        let may_be_none = ["Not possible to fast-forward", "could not apply", "Automatic merge failed"]
            .iter()
            .any(|words| said.contains(words) || String::from_utf8_lossy(&output.stdout).contains(words));
        assert!(!paths.is_empty() || may_be_none, "git {args:?} did neither: {said}");
        Some(Err(paths))
    }
}

/// The paths of `git ls-files -u -z`.
fn unmerged(listed: &str) -> BTreeSet<String> {
    listed.split('\0').filter_map(|entry| entry.split_once('\t')).map(|(_, path)| plain(path)).collect()
}

/// A path without the name of the side, which git appends where a file and a directory meet.
pub(crate) fn plain(path: &str) -> String {
    path.split('~').next().unwrap_or_default().to_owned()
}

fn texts(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

fn command(directory: &Path) -> Command {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=a", "-c", "user.email=a@b", "-c", "advice.detachedHead=false", "-c", "gc.auto=0"]);
    command.args(["-c", "core.fsync=none", "-c", "core.quotePath=false"]).current_dir(directory).env("LC_ALL", "C");
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_ATTR_NOSYSTEM", "1");
    command
}

fn run(directory: &Path, args: &[&str]) -> Output {
    command(directory).args(args).output().expect("git runs")
}

fn git(directory: &Path, args: &[&str]) -> String {
    let output = run(directory, args);
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim_end_matches('\n').to_owned()
}
