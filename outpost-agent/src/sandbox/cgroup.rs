//! A control group for each worker, where this host lets us have one.
//!
//! The hierarchy that a host offers is found once; the shim makes the worker's
//! group, moves each command into it, and removes it at its end.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::limits::Limits;
use crate::shim::processes::descendants;

/// How often what a process has forked is looked for.
const ROUNDS: usize = 4;
/// How often new processes are looked for that are to be stopped.
const STOPS: usize = 64;

/// What a hierarchy can limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Holds {
    Processes,
    Memory,
}

impl Holds {
    fn controller(self) -> &'static str {
        match self {
            Self::Processes => "pids",
            Self::Memory => "memory",
        }
    }

    /// The file of a group and what is to be in it.
    fn limit(self, limits: &Limits) -> Option<(&'static str, u64)> {
        match self {
            Self::Processes => Some(("pids.max", limits.processes)),
            Self::Memory => limits.memory.map(|memory| ("memory.max", memory)),
        }
    }
}

/// A group that can be given children, or such a child.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Group {
    pub(crate) path: PathBuf,
    holds: Vec<Holds>,
}

impl Group {
    pub(crate) fn holds(&self, what: Holds) -> bool {
        self.holds.contains(&what)
    }

    /// The group of that name below this one.
    pub(crate) fn child(&self, name: &str) -> Self {
        Self { path: self.path.join(name), holds: self.holds.clone() }
    }

    /// Makes it, with its limits; one that an earlier round has left is taken over.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn make(&self, limits: &Limits) -> io::Result<()> {
        match fs::create_dir(&self.path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        for (file, most) in self.holds.iter().filter_map(|holds| holds.limit(limits)) {
            fs::write(self.path.join(file), most.to_string())?;
        }
        Ok(())
    }

    /// Puts a process and what it has started meanwhile into it.
    ///
    /// The kernel takes some 10 ms for a move, so that the process runs already. What it
    /// forks once it has moved is born here; what it has forked before is found and moved.
    /// All of it stands still meanwhile: what forks faster than it is moved would get away.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn take(&self, main: Pid) -> io::Result<()> {
        let stopped = stop_all(main);
        let taken = self.take_stopped(main);
        for pid in stopped {
            // It may have been ended meanwhile.
            kill(pid, Signal::SIGCONT).ok();
        }
        taken
    }

    fn take_stopped(&self, main: Pid) -> io::Result<()> {
        let file = self.path.join("cgroup.procs");
        fs::write(&file, main.to_string())?;
        for _ in 0..ROUNDS {
            let inside = fs::read_to_string(&file)?;
            let inside: HashSet<&str> = inside.lines().collect();
            let outside = descendants(main).into_iter().filter(|pid| !inside.contains(pid.to_string().as_str()));
            // One that cannot be moved has ended.
            if outside.filter(|pid| fs::write(&file, pid.to_string()).is_ok()).count() == 0 {
                break;
            }
        }
        Ok(())
    }

    /// Removes it, once nothing runs in it.
    pub(crate) fn remove(&self) {
        fs::remove_dir(&self.path).ok();
    }
}

/// Stops a process and everything below it, until nothing below it runs; answers whom.
fn stop_all(main: Pid) -> HashSet<Pid> {
    let mut stopped = HashSet::new();
    for _ in 0..STOPS {
        let new: Vec<Pid> =
            std::iter::once(main).chain(descendants(main)).filter(|pid| !stopped.contains(pid)).collect();
        if new.is_empty() {
            break;
        }
        for pid in new {
            kill(pid, Signal::SIGSTOP).ok();
            stopped.insert(pid);
        }
    }
    stopped
}

/// The groups in which this process may make others.
///
/// Of the old hierarchies only the one that counts processes is used: the others
/// are often shared with who runs the host.
pub(crate) fn find() -> Vec<Group> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mut groups = vec![];
    if let Some(path) = unified(&own, &mounts) {
        let holds = [Holds::Processes, Holds::Memory].into_iter().filter(|holds| enable(&path, *holds)).collect();
        groups.push(Group { path, holds });
    }
    if let Some(path) = counting(&own, &mounts) {
        groups.push(Group { path, holds: vec![Holds::Processes] });
    }
    groups.retain(|group| !group.holds.is_empty() && is_usable(group));
    // Each limit once.
    if groups.len() > 1 && groups[0].holds(Holds::Processes) {
        groups.truncate(1);
    }
    groups
}

/// Where this process is in the one hierarchy of version 2.
fn unified(own: &str, mounts: &str) -> Option<PathBuf> {
    let path = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
    Some(mount_point(mounts, |kind, _| kind == "cgroup2")?.join(path))
}

/// Where this process is in the old hierarchy that counts processes.
fn counting(own: &str, mounts: &str) -> Option<PathBuf> {
    let path = own.lines().find_map(|line| line.split_once(":pids:/").map(|(_, path)| path))?;
    let has = |options: &str| options.split(',').any(|option| option == "pids");
    Some(mount_point(mounts, |kind, options| kind == "cgroup" && has(options))?.join(path))
}

fn mount_point(mounts: &str, is: impl Fn(&str, &str) -> bool) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ');
        let (point, kind, options) = (fields.nth(1)?, fields.next()?, fields.next()?);
        is(kind, options).then(|| PathBuf::from(point))
    })
}

/// Lets the children of a group have a controller.
fn enable(path: &Path, holds: Holds) -> bool {
    let controller = holds.controller();
    let listed = |file: &str| {
        let list = fs::read_to_string(path.join(file)).unwrap_or_default();
        list.split_ascii_whitespace().any(|name| name == controller)
    };
    let file = "cgroup.subtree_control";
    let allow = || fs::write(path.join(file), format!("+{controller}")).is_ok();
    listed(file) || (listed("cgroup.controllers") && (allow() || (step_aside(path).is_ok() && allow())))
}

/// Leaves a group to its children, as version 2 demands, if it holds no other process.
fn step_aside(path: &Path) -> io::Result<()> {
    let own = std::process::id().to_string();
    if fs::read_to_string(path.join("cgroup.procs"))?.trim() != own {
        return Err(io::ErrorKind::ResourceBusy.into());
    }
    let aside = path.join("agent");
    fs::create_dir_all(&aside)?;
    fs::write(aside.join("cgroup.procs"), own)
}

fn is_usable(group: &Group) -> bool {
    let trial = group.child(&format!("sprint-{:016x}", fastrand::u64(..)));
    let made = trial.make(&Limits { processes: 64, memory: None, open_files: 64 }).is_ok();
    trial.remove();
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_finds_its_groups_in_either_version() {
        let mounts = "proc /proc proc rw 0 0\n\
                      cgroup /sys/fs/cgroup/pids cgroup rw,relatime,pids 0 0\n\
                      cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        let own = "8:pids:/user/7\n0::/system.slice/outpost.service\n";
        assert_eq!(unified(own, mounts), Some(PathBuf::from("/sys/fs/cgroup/unified/system.slice/outpost.service")));
        assert_eq!(counting(own, mounts), Some(PathBuf::from("/sys/fs/cgroup/pids/user/7")));
        assert_eq!(counting("0::/\n", mounts), None);
        assert_eq!(unified(own, "proc /proc proc rw 0 0\n"), None);
    }

    #[test]
    fn a_group_limits_what_its_hierarchy_holds() {
        let dir = tempfile::tempdir().expect("a directory");
        let parent = Group { path: dir.path().to_owned(), holds: vec![Holds::Processes, Holds::Memory] };
        let group = parent.child("w1");
        group.make(&Limits { processes: 10, memory: Some(1 << 20), open_files: 5 }).expect("is made");
        let read = |name: &str| fs::read_to_string(group.path.join(name)).expect("is there");
        assert_eq!((read("pids.max"), read("memory.max")), ("10".to_owned(), "1048576".to_owned()));
    }
}
