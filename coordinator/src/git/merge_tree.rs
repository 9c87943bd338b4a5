//! Merges without a checkout: one long-lived `git merge-tree --stdin` per repository,
//! which is git's own merge (`ort`) at 0.2 ms a merge instead of 10 ms for a process.
//!
//! git keeps its answers in a buffer until it ends, so it runs under `stdbuf` of coreutils
//! (docs/decisions/0003-merge-tree-under-stdbuf.md).

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::Signal;
use sprint_core::ids::{CommitId, TreeId};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout};

use super::attributes::Attributes;
use super::{GitError, program};

/// A merge of very large trees takes seconds; beyond this git does not answer any more.
const LIMIT: Duration = Duration::from_mins(2);

/// Once it answers no more, it has ended, or does so at once.
const LAST_BREATH: Duration = Duration::from_secs(5);

/// What came of a merge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Merged {
    Clean {
        tree: TreeId,
    },
    /// The paths that do not merge by themselves; none, when git cannot merge the two at all.
    Conflict {
        paths: Vec<String>,
    },
}

/// The running `git merge-tree`.
pub(super) struct MergeTree {
    /// It read these when it began, and never again.
    pub(super) attributes: Attributes,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    /// Ended when this is dropped.
    child: Child,
}

impl MergeTree {
    /// Starts it with these attributes and with the settings of the repository alone: on every machine, the same two
    /// commits come to the same tree. `checkout` is a directory of its own.
    pub(super) fn start(repository: &Path, checkout: &Path, attributes: Attributes) -> Result<Self, GitError> {
        attributes.write(checkout)?;
        let mut child = program::command_of("stdbuf", checkout)
            .args(["-o0", "git", "-c", "core.attributesFile=/dev/null", "merge-tree", "--write-tree", "--stdin"])
            .env("GIT_DIR", repository)
            .env("GIT_WORK_TREE", checkout)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| GitError::MergeTree(format!("stdbuf (coreutils) cannot be run: {error}")))?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (stdin, stdout) = pipes.ok_or_else(|| GitError::MergeTree("it has no pipes".to_owned()))?;
        Ok(Self { attributes, stdin, stdout: BufReader::new(stdout), child })
    }

    /// Merges two commits. After an error this process must not be used again; with [`GitError::BrokeDown`] it has ended
    /// by a fault of its own: git has bugs, and a worker's commits may meet one.
    pub(super) async fn merge(
        &mut self,
        base: Option<&CommitId>,
        ours: &CommitId,
        theirs: &CommitId,
    ) -> Result<Merged, GitError> {
        let asked = tokio::time::timeout(LIMIT, self.ask(base, ours, theirs))
            .await
            .map_err(|_| GitError::TimedOut { command: "merge-tree".to_owned(), limit: LIMIT })?;
        if asked.is_err()
            && let Ok(Some(Signal::SIGABRT | Signal::SIGSEGV)) = self.ended_by().await
        {
            return Err(GitError::BrokeDown);
        }
        asked
    }

    /// The signal that ended it, which is about to end or is ended now.
    async fn ended_by(&mut self) -> Result<Option<Signal>, GitError> {
        if tokio::time::timeout(LAST_BREATH, self.child.wait()).await.is_err() {
            self.child.start_kill()?;
        }
        let status = self.child.wait().await?;
        Ok(status.signal().and_then(|signal| Signal::try_from(signal).ok()))
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
                let path = entry.split_once('\t').map_or(entry.as_str(), |(_, path)| path).to_owned();
                if paths.last() != Some(&path) {
                    paths.push(path);
                }
            }
            messages(from).await?;
            paths.dedup();
            Ok(Merged::Conflict { paths })
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

/// The next field, up to its NUL.
async fn field(from: &mut (impl AsyncBufRead + Unpin)) -> Result<String, GitError> {
    let mut bytes = Vec::new();
    from.read_until(0, &mut bytes).await?;
    if bytes.pop() != Some(0) {
        return Err(GitError::MergeTree("it ended; are both commits there?".to_owned()));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
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
        assert_eq!(merged.expect("is read"), Merged::Conflict { paths: vec!["a.txt".to_owned()] });
        assert_eq!(left, CLEAN.len());
        assert!(matches!(read(CLEAN), (Ok(Merged::Clean { .. }), 0)));
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
