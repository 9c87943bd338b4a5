//! Merges without a checkout: one long-lived `git merge-tree --stdin` per repository,
//! which is git's own merge (`ort`) at 0.2 ms a merge instead of 10 ms for a process.
//!
//! git keeps its answers in a buffer until it ends, so it runs under `stdbuf` of coreutils
//! (docs/decisions/0003-merge-tree-under-stdbuf.md).

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::Signal;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use sprint_core::bounds::{LISTED_PATHS, MERGE_MEMORY, REASON};
use sprint_core::ids::{CommitId, TreeId};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::attributes::Attributes;
use super::{GitError, program};

/// A merge of very large trees takes seconds; beyond this git does not answer any more.
const LIMIT: Duration = Duration::from_mins(2);

/// More than the longest path that Linux takes, with what stands before it.
const LONGEST_FIELD: usize = 8 << 10;

/// Once it answers no more, it has ended, or does so at once.
const LAST_BREATH: Duration = Duration::from_secs(5);

/// What came of a merge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Merged {
    Clean {
        tree: TreeId,
    },
    /// The paths that do not merge by themselves; none, when git cannot merge the two at all, perhaps with the reason.
    Conflict {
        paths: Vec<String>,
        why: Option<String>,
    },
}

/// The running `git merge-tree`.
pub(super) struct MergeTree {
    /// It read these when it began, and never again.
    pub(super) attributes: Attributes,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    /// What it says of errors.
    stderr: File,
    /// Ended when this is dropped.
    child: Child,
    limit: Duration,
}

impl MergeTree {
    /// Starts it with these attributes and with the settings of the repository alone: on every machine, the same two
    /// commits come to the same tree. `checkout` is a directory of its own.
    pub(super) fn start(repository: &Path, checkout: &Path, attributes: Attributes) -> Result<Self, GitError> {
        attributes.write(checkout)?;
        let mut command = program::command_of("stdbuf", checkout);
        command.args(["-o0", "git", "-c", "core.attributesFile=/dev/null", "merge-tree", "--write-tree", "--stdin"]);
        command.env("GIT_DIR", repository).env("GIT_WORK_TREE", checkout);
        Self::begin(command, checkout, attributes)
    }

    /// Starts what answers as `git merge-tree` does.
    fn begin(mut command: Command, checkout: &Path, attributes: Attributes) -> Result<Self, GitError> {
        // A pipe that nobody reads would fill up; and what follows is written at the end of what is there then.
        let stderr = tempfile::Builder::new().append(true).tempfile_in(checkout)?.into_file();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr.try_clone()?)
            .spawn()
            .map_err(|error| GitError::MergeTree(format!("stdbuf (coreutils) cannot be run: {error}")))?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (stdin, stdout) = pipes.ok_or_else(|| GitError::MergeTree("it has no pipes".to_owned()))?;
        // It has been asked nothing yet.
        limit_memory(&child)?;
        Ok(Self { attributes, stdin, stdout: BufReader::new(stdout), stderr, child, limit: LIMIT })
    }

    /// Merges two commits. After an error this process must not be used again. With [`GitError::TooHard`] these commits
    /// are to blame: they need more time or memory than there is, or meet one of git's bugs.
    pub(super) async fn merge(
        &mut self,
        base: Option<&CommitId>,
        ours: &CommitId,
        theirs: &CommitId,
    ) -> Result<Merged, GitError> {
        let Ok(asked) = tokio::time::timeout(self.limit, self.ask(base, ours, theirs)).await else {
            let limit = humantime::format_duration(self.limit);
            return Err(GitError::TooHard(format!("the merge did not end within {limit}; bring less at once")));
        };
        if asked.is_ok() {
            self.stderr.set_len(0)?;
            return asked;
        }
        match self.ended_by().await? {
            Some(Signal::SIGABRT | Signal::SIGSEGV) => {
                return Err(GitError::TooHard("git broke down over it".to_owned()));
            }
            Some(Signal::SIGKILL) => {
                let why = "git was killed over it, most likely since the host has too little memory";
                return Err(GitError::TooHard(why.to_owned()));
            }
            Some(_) | None => {}
        }
        if self.said()?.contains("ut of memory") {
            let what = format!("the merge needs more than {MERGE_MEMORY} bytes of memory");
            return Err(GitError::TooHard(format!(
                "{what}; mark very long files of text as binary, or bring less at once"
            )));
        }
        asked
    }

    /// The end of what it has said of errors since the last merge: why it ended comes last.
    fn said(&self) -> Result<String, GitError> {
        let mut said = vec![0; REASON];
        let from = self.stderr.metadata()?.len().saturating_sub(said.len() as u64);
        let read = self.stderr.read_at(&mut said, from)?;
        Ok(String::from_utf8_lossy(&said[..read]).into_owned())
    }

    /// The signal that ended it; none where it is ended here.
    async fn ended_by(&mut self) -> Result<Option<Signal>, GitError> {
        if let Ok(status) = tokio::time::timeout(LAST_BREATH, self.child.wait()).await {
            return Ok(status?.signal().and_then(|signal| Signal::try_from(signal).ok()));
        }
        self.child.kill().await?;
        Ok(None)
    }

    async fn ask(&mut self, base: Option<&CommitId>, ours: &CommitId, theirs: &CommitId) -> Result<Merged, GitError> {
        let question = match base {
            Some(base) => format!("{base} -- {ours} {theirs}\n"),
            None => format!("{ours} {theirs}\n"),
        };
        self.stdin.write_all(question.as_bytes()).await?;
        self.stdin.flush().await?;
        answer(&mut self.stdout).await
    }
}

/// Takes from a program that was just started what it may have beyond the bound.
fn limit_memory(child: &Child) -> Result<(), GitError> {
    let Some(pid) = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) else { return Ok(()) };
    let most = Rlimit { current: Some(MERGE_MEMORY), maximum: Some(MERGE_MEMORY) };
    prlimit(Some(pid), Resource::Data, most).map_err(|error| GitError::Io(error.into()))?;
    Ok(())
}

/// Reads one answer; its paths and texts are what workers have committed.
async fn answer(from: &mut (impl AsyncBufRead + Unpin)) -> Result<Merged, GitError> {
    let status = field(from).await?;
    let tree = field(from).await?;
    match status.as_str() {
        "1" => {
            messages(from).await?;
            let tree = TreeId::new(tree).map_err(|error| GitError::MergeTree(error.to_string()))?;
            Ok(Merged::Clean { tree })
        }
        "0" => {
            let mut paths = Vec::new();
            loop {
                let entry = field(from).await?;
                if entry.is_empty() {
                    break;
                }
                // "<mode> <object> <stage>\t<path>", up to three for a path.
                let path = entry.split_once('\t').map_or(entry.as_str(), |(_, path)| path);
                if paths.len() < LISTED_PATHS && paths.last().is_none_or(|last| last != path) {
                    paths.push(path.to_owned());
                }
            }
            messages(from).await?;
            Ok(Merged::Conflict { paths, why: None })
        }
        other => Err(GitError::MergeTree(format!("status {other:?}"))),
    }
}

/// Passes over the messages: each is a count, that number of paths, a type and a text.
async fn messages(from: &mut (impl AsyncBufRead + Unpin)) -> Result<(), GitError> {
    loop {
        let count = field(from).await?;
        if count.is_empty() {
            return Ok(());
        }
        let count: usize = count.parse().map_err(|_| GitError::MergeTree(format!("message count {count:?}")))?;
        for _ in 0..count.saturating_add(2) {
            field(from).await?;
        }
    }
}

/// The next field, up to its NUL; of a longer one than any path its beginning.
async fn field(from: &mut (impl AsyncBufRead + Unpin)) -> Result<String, GitError> {
    let mut bytes = Vec::new();
    loop {
        let read = from.fill_buf().await?;
        if read.is_empty() {
            return Err(GitError::MergeTree("it ended; are both commits there?".to_owned()));
        }
        let end = read.iter().position(|byte| *byte == 0);
        let field = &read[..end.unwrap_or(read.len())];
        bytes.extend(field.iter().take(LONGEST_FIELD - bytes.len()));
        let used = end.map_or(read.len(), |end| end + 1);
        from.consume(used);
        if end.is_some() {
            return Ok(String::from_utf8_lossy(&bytes).into_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use proptest::prelude::*;
    use sprint_core::fuzz::bytes;

    use super::*;

    const CLEAN: &[u8] = b"1\0aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\0\0";
    const CONFLICT: &[u8] = b"0\0aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\x00100644 b 1\ta.txt\x00100644 b 2\ta.txt\0\x001\0a.txt\0CONFLICT\0text\n\0\0";

    fn read(mut bytes: &[u8]) -> (Result<Merged, GitError>, usize) {
        let merged = answer(&mut bytes).now_or_never().expect("bytes do not wait");
        (merged, bytes.len())
    }

    #[test]
    fn an_answer_is_read_to_its_end_and_not_beyond() {
        let both = [CONFLICT, CLEAN].concat();
        let (merged, left) = read(&both);
        assert_eq!(merged.expect("is read"), Merged::Conflict { paths: vec!["a.txt".to_owned()], why: None });
        assert_eq!(left, CLEAN.len());
        assert!(matches!(read(CLEAN), (Ok(Merged::Clean { .. }), 0)));
    }

    /// What comes of a merge when this runs in git's place.
    async fn merged_by(script: &str, limit: Duration) -> Result<Merged, GitError> {
        let dir = tempfile::tempdir().expect("a directory");
        let mut command = Command::new("sh");
        command.args(["-c", script]).kill_on_drop(true);
        let mut merges = MergeTree::begin(command, dir.path(), Attributes::none()).expect("it starts");
        merges.limit = limit;
        let commit = CommitId::new("a".repeat(40)).expect("a commit");
        merges.merge(None, &commit, &commit).await
    }

    fn too_hard(merged: Result<Merged, GitError>) -> String {
        match merged {
            Err(GitError::TooHard(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_git_that_breaks_down_over_a_merge_blames_the_commits_and_one_that_ends_does_not() {
        for (script, said) in [
            ("read merge; kill -KILL $$", "too little memory"),
            ("read merge; kill -SEGV $$", "broke down"),
            ("read merge; echo 'fatal: Out of memory' >&2; exit 128", "of memory"),
        ] {
            let why = too_hard(merged_by(script, LIMIT).await);
            assert!(why.contains(said), "{script}: {why}");
        }
        for script in ["read merge; exit 0", "read merge; kill -TERM $$", "read merge; printf '7\\0tree\\0'"] {
            let merged = merged_by(script, LIMIT).await;
            assert!(matches!(merged, Err(GitError::MergeTree(_))), "{script}: {merged:?}");
        }
    }

    #[tokio::test]
    async fn a_merge_that_does_not_end_blames_the_commits() {
        let why = too_hard(merged_by("exec sleep 600", Duration::from_millis(50)).await);
        assert!(why.contains("did not end within 50ms"), "{why}");
    }

    proptest! {
        /// Whatever git says of what workers have committed is an answer, or an error.
        #[test]
        fn fuzz_any_answer_of_merge_tree_is_read_or_refused(output in bytes(vec![CLEAN.to_vec(), CONFLICT.to_vec()])) {
            if let (Ok(merged), left) = read(&output) {
                prop_assert!(left < output.len());
                let whole = output[..output.len() - left].ends_with(b"\0");
                prop_assert!(whole, "{merged:?}");
            }
        }
    }
}
