//! Git repositories as other people have them.

use std::io::{Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs git, which must succeed, and answers what it printed.
#[track_caller]
pub fn git(directory: &Path, args: &[&str]) -> String {
    let output = try_git(directory, args);
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

pub(crate) fn try_git(directory: &Path, args: &[&str]) -> std::process::Output {
    git_as(directory, &[], args)
}

/// Runs git with additional variables.
pub fn git_as(directory: &Path, variables: &[(&str, &str)], args: &[&str]) -> std::process::Output {
    Command::new("git")
        .args(["-c", "user.name=owner", "-c", "user.email=owner@example.invalid", "-c", "init.defaultBranch=main"])
        .args(args)
        .current_dir(directory)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .envs(variables.iter().copied())
        .output()
        .expect("git runs")
}

/// Runs git with an input, and answers what it printed.
#[track_caller]
pub fn git_fed(directory: &Path, args: &[&str], input: &[u8]) -> String {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(input).and_then(|()| file.rewind()).expect("is written");
    let output = Command::new("git").args(args).current_dir(directory).stdin(file).output().expect("git runs");
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

/// A worker's command line that commits one line to a file.
pub fn commit(file: &str, line: &str) -> String {
    format!("echo '{line}' > '{file}' && git add '{file}' && git commit -qm '{file}: {line}'")
}

/// A managed repo, and its upstream.
#[derive(Debug, Clone)]
pub struct Repo {
    pub name: String,
    pub upstream: PathBuf,
}

impl Repo {
    /// Makes an upstream with a first commit of these files.
    pub(crate) fn make(parent: &Path, name: &str, files: &[(&str, &str)]) -> Self {
        let repo = Self { name: name.to_owned(), upstream: parent.join(format!("{name}-upstream.git")) };
        let path = repo.upstream.display().to_string();
        git(parent, &["init", "--quiet", "--bare", &path]);
        let mut all = vec![("README", "A project.\n")];
        all.extend(files);
        repo.push(&all);
        repo
    }

    /// Commits files to the upstream's main as another person would.
    pub fn push(&self, files: &[(&str, &str)]) {
        self.push_to("main", files);
    }

    /// Commits files to a branch of the upstream, which starts from its main, and answers the commit.
    pub fn push_to(&self, branch: &str, files: &[(&str, &str)]) -> String {
        let clone = tempfile::tempdir().expect("a directory");
        let url = self.upstream.display().to_string();
        git(clone.path(), &["clone", "--quiet", &url, "."]);
        let remote = format!("origin/{branch}");
        if try_git(clone.path(), &["rev-parse", "--verify", &remote]).status.success() {
            git(clone.path(), &["checkout", "--quiet", "--detach", &remote]);
        }
        for (name, content) in files {
            let path = clone.path().join(name);
            std::fs::create_dir_all(path.parent().expect("it is in the clone")).expect("is made");
            std::fs::write(path, content).expect("is written");
        }
        git(clone.path(), &["add", "-A"]);
        git(clone.path(), &["commit", "--quiet", "-m", "Change it by hand"]);
        git(clone.path(), &["push", "--quiet", "origin", &format!("HEAD:refs/heads/{branch}")]);
        git(clone.path(), &["rev-parse", "HEAD"])
    }

    /// Where the upstream's main is.
    pub fn tip(&self) -> String {
        git(&self.upstream, &["rev-parse", "main"])
    }

    /// What is on the upstream's main, as `git log --graph` draws it.
    pub fn log(&self) -> String {
        git(&self.upstream, &["log", "--graph", "--oneline", "--no-decorate", "main"])
    }

    /// A file on the upstream's main, if it is there.
    pub fn file(&self, path: &str) -> Option<String> {
        let output = try_git(&self.upstream, &["show", &format!("main:{path}")]);
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// How many landings of an item the upstream's main has.
    pub fn landings(&self, item: u64) -> usize {
        let trailer = format!("^Sprint-Item: {item}$");
        git(&self.upstream, &["log", "--format=%H", "--grep", &trailer, "main"]).lines().count()
    }
}
