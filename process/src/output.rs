//! What a program prints, as far as there is room for it.

use std::io;
use std::process::{ExitStatus, Stdio};

use sprint_core::bounds::{PROGRAM_OUTPUT, REASON};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;

use crate::Group;

/// How the sentence ends that says why a program was ended before its time.
pub const AND_WAS_ENDED: &str = "and was ended";

/// How a program ended, and what it printed.
#[derive(Debug)]
pub struct Captured {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    /// The beginning and the end, where it was long.
    pub stderr: Vec<u8>,
}

/// Runs a program to its end and takes in what it prints.
///
/// # Errors
/// It cannot be started, or prints more than [`PROGRAM_OUTPUT`]: then it is ended.
pub async fn output(command: &mut Command) -> io::Result<Captured> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    capture(Group::start(command)?).await
}

/// As [`output`], for one that runs already; a pipe that is missing prints nothing.
///
/// # Errors
/// As [`output`].
pub async fn capture(mut group: Group) -> io::Result<Captured> {
    let (stdout, stderr) = (group.child.stdout.take(), group.child.stderr.take());
    let read_all = async {
        let Some(stdout) = stdout else { return Ok(vec![]) };
        whole(stdout, PROGRAM_OUTPUT).await
    };
    let read_ends = async {
        let Some(stderr) = stderr else { return Ok(vec![]) };
        ends(stderr, REASON).await
    };
    let (stdout, stderr) = tokio::try_join!(read_all, read_ends)?;
    Ok(Captured { status: group.wait().await?, stdout, stderr })
}

/// All of it, or an error.
async fn whole(from: impl AsyncRead + Unpin, most: usize) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    from.take(most as u64 + 1).read_to_end(&mut all).await?;
    if all.len() > most {
        return Err(too_much("in all"));
    }
    Ok(all)
}

fn too_much(of: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::FileTooLarge,
        format!("it printed more than {PROGRAM_OUTPUT} bytes {of}, {AND_WAS_ENDED}"),
    )
}

/// The beginning and the end; what is between is read, counted and dropped, so that nobody waits for a full pipe.
async fn ends(mut from: impl AsyncRead + Unpin, most: usize) -> io::Result<Vec<u8>> {
    let half = most / 2;
    let (mut first, mut last) = (Vec::new(), Vec::new());
    let mut dropped = 0_u64;
    let mut buffer = vec![0; 8 << 10];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            break;
        }
        let (head, rest) = buffer[..read].split_at(read.min(half - first.len()));
        first.extend_from_slice(head);
        last.extend_from_slice(rest);
        if let Some(old) = last.len().checked_sub(half).filter(|old| *old > 0) {
            last.drain(..old);
            dropped += old as u64;
        }
        if dropped > PROGRAM_OUTPUT as u64 {
            return Err(too_much("of errors"));
        }
    }
    if dropped > 0 {
        first.extend_from_slice(format!("\n… ({dropped} bytes left out) …\n").as_bytes());
    }
    first.extend_from_slice(&last);
    Ok(first)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn what_a_program_says_is_kept_in_part_and_never_waited_for() {
        let captured = output(&mut shell("yes error | head -c 5000000 >&2; echo last >&2; echo out; exit 3")).await;
        let Captured { status, stdout, stderr } = captured.expect("runs");
        assert_eq!((status.code(), stdout.as_slice()), (Some(3), b"out\n".as_slice()));
        let said = String::from_utf8_lossy(&stderr);
        assert!(said.starts_with("error\n") && said.ends_with("last\n") && stderr.len() < REASON + 100, "{said:.80}");
        assert!(said.contains("… (4983621 bytes left out) …"), "{}", &said[said.len() / 2 - 60..said.len() / 2 + 60]);
    }

    /// Waits until the child that a script has noted is gone.
    async fn child_ends(noted: &std::path::Path) {
        let pid: i32 = std::fs::read_to_string(noted).expect("is noted").trim().parse().expect("a number");
        let runs = || {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            !stat.is_empty() && !stat.contains(") Z ")
        };
        while runs() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn one_that_prints_without_end_is_ended_with_what_it_started() {
        let mark = tempfile::tempdir().expect("a directory");
        let noted = mark.path().join("pid");
        let script = format!("sleep 1000 & echo $! > '{}'; exec yes", noted.display());
        let error = output(&mut shell(&script)).await.expect_err("is too much");
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        child_ends(&noted).await;
    }

    #[tokio::test]
    async fn one_that_nobody_waits_for_any_more_is_ended_with_what_it_started() {
        let mark = tempfile::tempdir().expect("a directory");
        let noted = mark.path().join("pid");
        let script = format!("sleep 1000 & echo $! > '{0}.new'; mv '{0}.new' '{0}'; sleep 1000", noted.display());
        let mut command = shell(&script);
        let is_noted = async {
            while !noted.exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            ended = output(&mut command) => panic!("it ended: {ended:?}"),
            () = is_noted => {}
        }
        child_ends(&noted).await;
    }

    #[tokio::test]
    async fn what_it_leaves_running_by_its_end_goes_on() {
        let mark = tempfile::tempdir().expect("a directory");
        let alive = mark.path().join("alive");
        let script = format!("(sleep 0.1; touch '{}') >/dev/null 2>&1 &", alive.display());
        output(&mut shell(&script)).await.expect("runs");
        while !alive.exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
