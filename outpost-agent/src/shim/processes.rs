//! Processes as `/proc` shows them: who descends from whom, and who carries a mark.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, SysconfVar, sysconf};

/// The pids in `/proc`.
fn pids() -> impl Iterator<Item = i32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str().and_then(|name| name.parse().ok()))
}

/// The fields in the text of a `/proc/PID/stat`, from the state on; the name before them may hold anything.
fn fields(stat: &str) -> Option<impl Iterator<Item = &str>> {
    let (_, after) = stat.rsplit_once(')')?;
    Some(after.split_ascii_whitespace())
}

fn parent(stat: &str) -> Option<i32> {
    fields(stat)?.nth(1)?.parse().ok()
}

/// The time that a process and its children that are over have computed, in ticks.
fn ticks(stat: &str) -> Option<u64> {
    fields(stat)?.skip(11).take(4).map(|field| field.parse::<u64>().ok()).sum()
}

/// Whether a process descends from `root`, or is it.
pub(crate) fn descends(pid: Pid, root: Pid) -> bool {
    let mut pid = pid.as_raw();
    // Nothing is nested as deep as that.
    for _ in 0..10_000 {
        if pid == root.as_raw() {
            return true;
        }
        let stat = fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
        match parent(&String::from_utf8_lossy(&stat)) {
            Some(above) if above > 1 => pid = above,
            Some(_) | None => return false,
        }
    }
    false
}

/// The children of a process as the kernel lists them; none where it does not.
fn listed_children(pid: i32) -> Vec<i32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    threads
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok())
        .flat_map(|list| list.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect()
}

/// Every process below `root`, in no particular order; a list that is made while
/// processes come and go may miss some.
pub(crate) fn descendants(root: Pid) -> Vec<Pid> {
    let mut found = vec![];
    let mut open = listed_children(root.as_raw());
    while let Some(pid) = open.pop() {
        found.push(Pid::from_raw(pid));
        open.extend(listed_children(pid));
    }
    if found.is_empty() { searched(root) } else { found }
}

/// The same from every process's own word: slower, and everywhere possible.
fn searched(root: Pid) -> Vec<Pid> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    for pid in pids() {
        let stat = fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
        if let Some(parent) = parent(&String::from_utf8_lossy(&stat)) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = vec![];
    let mut open = vec![root.as_raw()];
    while let Some(pid) = open.pop() {
        for child in children.remove(&pid).unwrap_or_default() {
            found.push(Pid::from_raw(child));
            open.push(child);
        }
    }
    found
}

/// Whether a process has a path among its arguments, or in one of them.
pub(crate) fn any_names(path: &Path) -> bool {
    let path = path.as_os_str().as_encoded_bytes();
    let own = Pid::this().as_raw();
    let lines = pids().filter(|pid| *pid != own).filter_map(|pid| fs::read(format!("/proc/{pid}/cmdline")).ok());
    lines.into_iter().any(|line| line.windows(path.len()).any(|window| window == path))
}

/// What every process has computed, as one look at `/proc` shows it.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    children: HashMap<i32, Vec<i32>>,
    ticks: HashMap<i32, u64>,
}

impl Usage {
    pub(crate) fn look() -> Self {
        let mut usage = Self::default();
        for pid in pids() {
            let stat = fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
            let stat = String::from_utf8_lossy(&stat);
            if let (Some(parent), Some(ticks)) = (parent(&stat), ticks(&stat)) {
                usage.children.entry(parent).or_default().push(pid);
                usage.ticks.insert(pid, ticks);
            }
        }
        usage
    }

    /// The time that `root` and everything below it have computed.
    pub(crate) fn below(&self, root: Pid) -> Duration {
        let mut ticks = 0;
        let mut open = vec![root.as_raw()];
        while let Some(pid) = open.pop() {
            ticks += self.ticks.get(&pid).copied().unwrap_or_default();
            open.extend(self.children.get(&pid).into_iter().flatten());
        }
        Duration::from_millis(ticks * 1_000 / ticks_per_second())
    }
}

fn ticks_per_second() -> u64 {
    let known = sysconf(SysconfVar::CLK_TCK).ok().flatten();
    known.and_then(|ticks| u64::try_from(ticks).ok()).filter(|ticks| *ticks > 0).unwrap_or(100)
}

/// Sends a signal to every process below `root`.
pub(crate) fn signal_descendants(root: Pid, signal: Signal) {
    for pid in descendants(root) {
        // It may have ended since it was listed.
        kill(pid, signal).ok();
        if signal == Signal::SIGTERM {
            // A stopped process takes the signal only once it goes on.
            kill(pid, Signal::SIGCONT).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sprint_core::fuzz::texts;

    use super::*;

    #[test]
    fn the_parent_is_found_behind_a_name_with_brackets_and_spaces() {
        assert_eq!(parent("12 (a) b) (c)) S 7 12 12 0"), Some(7));
        assert_eq!(parent("12 nonsense"), None);
    }

    #[test]
    fn what_a_process_and_its_children_computed_is_added_up() {
        assert_eq!(ticks("12 (a) b) S 7 12 12 0 -1 4194304 1 2 3 4 100 20 3 4 20 0 1"), Some(127));
        assert_eq!(ticks("12 (a) S 7"), Some(0));
        let mut child =
            std::process::Command::new("sh").args(["-c", "sh -c 'while :; do :; done'; true"]).spawn().expect("starts");
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
        while Usage::look().below(pid) < Duration::from_millis(50) {
            std::thread::sleep(Duration::from_millis(5));
        }
        signal_descendants(pid, Signal::SIGKILL);
        child.wait().expect("ends");
    }

    #[test]
    fn a_child_is_a_descendant() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep starts");
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
        assert!(descendants(Pid::this()).contains(&pid));
        assert!(searched(Pid::this()).contains(&pid));
        assert!(descends(pid, Pid::this()) && !descends(Pid::this(), pid));
        child.kill().expect("can be killed");
        child.wait().expect("ends");
    }
    proptest! {
        /// Whatever a process calls itself, its parent is its parent.
        #[test]
        fn fuzz_no_name_of_a_process_changes_its_parent(name in texts(&["sh", ") R 1 (", "a b) S 1 1 1"]), above in 2..4_194_304_i32) {
            let stat = format!("9 ({name}) S {above} 9 9 0 -1 4194304 0");
            prop_assert_eq!(parent(&stat), Some(above));
            prop_assert!(parent(&name).is_none_or(|found| name.contains(&found.to_string())));
        }
    }
}
