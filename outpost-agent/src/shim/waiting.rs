//! What a command waits for that does not end by itself, as far as the kernel shows it.

use std::fs;

use nix::libc;
use nix::unistd::Pid;

use super::processes::descendants;

/// How much of a path is shown.
const SHOWN: usize = 200;

/// What a process is doing, the most telling last.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Wait {
    Sleeps,
    OtherThread,
    Reads(String),
    Network,
    Lock(String),
    Terminal,
}

/// The sentence about what is below `root` and waits; none where nothing can be seen.
pub(super) fn below(root: Pid) -> Option<String> {
    let all = descendants(root);
    let waits = all.into_iter().filter_map(|pid| Some((wait_of(pid)?, pid)));
    let (wait, pid) = waits.max_by(|(one, _), (other, _)| one.cmp(other))?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let name: String = name.trim().chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect();
    let what = match wait {
        Wait::Terminal => "reads its terminal, where nobody types".to_owned(),
        Wait::Lock(path) => format!("waits for a lock of {path}"),
        Wait::Network => "waits for the network".to_owned(),
        Wait::Reads(path) => format!("reads {path}"),
        Wait::OtherThread => "waits for another thread".to_owned(),
        Wait::Sleeps => "sleeps".to_owned(),
    };
    Some(format!("{name} (process {pid}) {what}"))
}

/// What a process's main thread waits for; none while it computes, for a parent that waits for its child, and where the
/// kernel does not tell.
fn wait_of(pid: Pid) -> Option<Wait> {
    let text = fs::read_to_string(format!("/proc/{pid}/syscall")).ok()?;
    let (number, first) = call(&text)?;
    let target =
        || fs::read_link(format!("/proc/{pid}/fd/{first}")).ok().map(|path| path.to_string_lossy().into_owned());
    match number {
        libc::SYS_read | libc::SYS_readv | libc::SYS_pread64 => Some(reading(&target()?)),
        libc::SYS_flock | libc::SYS_fcntl => Some(Wait::Lock(shown(&target()?))),
        libc::SYS_recvfrom | libc::SYS_recvmsg | libc::SYS_connect | libc::SYS_accept | libc::SYS_accept4 => {
            Some(Wait::Network)
        }
        libc::SYS_futex => Some(Wait::OtherThread),
        libc::SYS_nanosleep | libc::SYS_clock_nanosleep => Some(Wait::Sleeps),
        _ => None,
    }
}

/// How a process waits in the opening of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opening {
    /// For the other end of a pipe, as the kernel says.
    Pipe,
    /// For that, or for a file system that is far away.
    Unknown,
}

/// Whether a process waits in the opening of a file.
pub(super) fn opening(pid: Pid) -> Option<Opening> {
    let text = fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
    let opens = |number| match number {
        #[cfg(target_arch = "x86_64")]
        libc::SYS_open => true,
        libc::SYS_openat | libc::SYS_openat2 => true,
        _ => false,
    };
    // In a sleep that a signal ends, which no disk causes.
    let sleeps = || fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") S "));
    if !call(&text).is_some_and(|(number, _)| opens(number)) || !sleeps() {
        return None;
    }
    let place = fs::read_to_string(format!("/proc/{pid}/wchan")).unwrap_or_default();
    Some(if place == "wait_for_partner" { Opening::Pipe } else { Opening::Unknown })
}

/// The number of a system call and its first argument in the text of `/proc/PID/syscall`.
fn call(text: &str) -> Option<(libc::c_long, u64)> {
    let mut words = text.split_whitespace();
    let number = words.next()?.parse().ok()?;
    let first = u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok()?;
    Some((number, first))
}

fn reading(target: &str) -> Wait {
    if target.starts_with("/dev/pts/") || target.starts_with("/dev/tty") {
        return Wait::Terminal;
    }
    if target.starts_with("socket:") {
        return Wait::Network;
    }
    let what = if target.starts_with("pipe:") { "a pipe".to_owned() } else { shown(target) };
    Wait::Reads(what)
}

/// A path that a worker may have chosen.
fn shown(path: &str) -> String {
    path.chars().map(|letter| if letter.is_control() { '?' } else { letter }).take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sprint_core::fuzz::texts;

    use super::*;

    #[test]
    fn a_call_is_read_as_the_kernel_writes_it() {
        assert_eq!(call("0 0x3 0x7ffd 0x400 0x0 0x0 0x0 0x7ffc 0x7f1b\n"), Some((0, 3)));
        assert_eq!(call("running\n"), None);
        assert_eq!(call("-1 0x7ffd 0x7f1b\n"), Some((-1, 0x7ffd)));
        assert_eq!(reading("/dev/pts/7"), Wait::Terminal);
        assert_eq!(reading("pipe:[12]"), Wait::Reads("a pipe".to_owned()));
        assert_eq!(reading("/tmp/a\u{1b}[2Jb"), Wait::Reads("/tmp/a?[2Jb".to_owned()));
        assert!(Wait::Terminal > Wait::Lock(String::new()) && Wait::Lock(String::new()) > Wait::Sleeps);
    }

    proptest! {
        #[test]
        fn fuzz_any_text_of_a_call_is_read(text in texts(&["0 0x3 0x7ffd\n", "73 0x4 0x2\n"])) {
            call(&text);
            prop_assert!(shown(&text).chars().all(|letter| !letter.is_control()));
        }
    }
}
