//! Workers' directories, made in advance with the empty ones in them: on a disk they take longer than a session.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::host::disk;
use crate::host::paths::{DataDir, WorkerDir};
use crate::sandbox::policy::{Policy, make_dirs};
use crate::worker_ctl;

/// The directories that are ready. One that an earlier agent has left is as good; what it lacks its worker makes.
#[derive(Debug)]
pub(crate) struct WarmDirs {
    size: usize,
    ready: Mutex<Vec<PathBuf>>,
}

impl WarmDirs {
    /// Keeps `size` directories, once their upkeep runs.
    pub(crate) fn open(data: &DataDir, size: usize) -> Self {
        let left = fs::read_dir(data.warm_workers()).into_iter().flatten().flatten();
        Self { size, ready: Mutex::new(left.map(|entry| entry.path()).collect()) }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<PathBuf>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there are fewer than there should be.
    pub(super) fn lacks(&self) -> bool {
        self.lock().len() < self.size
    }

    /// Makes one more.
    ///
    /// # Errors
    /// Those of the file system.
    pub(super) fn add(&self, data: &DataDir, policy: Option<&Policy>, program: &Path) -> io::Result<()> {
        let all = data.warm_workers();
        disk::make_spreading_dir(&all)?;
        let dir = WorkerDir::new(all.join(format!("{:016x}", fastrand::u64(..))));
        make_within(&dir, program)?;
        if let Some(policy) = policy {
            // What it may touch is decided when it starts; which directories it has of its own does not change.
            make_dirs(&policy.sandbox(data, &dir, &data.mirrors(), None), &dir)?;
        }
        self.lock().push(dir.path().to_owned());
        Ok(())
    }

    /// Makes a worker's directory, out of one that is ready if it can.
    ///
    /// # Errors
    /// Those of the file system.
    pub(super) fn make(&self, path: &Path) -> io::Result<()> {
        let ready = self.lock().pop();
        match ready.map(|ready| fs::rename(ready, path)) {
            Some(Ok(())) => Ok(()),
            Some(Err(_)) | None => fs::create_dir_all(path),
        }
    }
}

/// Makes what every worker has: its directories, and its `sprintctl`, which is this `program`.
///
/// # Errors
/// Those of the file system.
pub(super) fn make_within(dir: &WorkerDir, program: &Path) -> io::Result<()> {
    fs::create_dir_all(dir.programs())?;
    fs::create_dir_all(dir.artifacts())?;
    let link = dir.programs().join(worker_ctl::NAME);
    // One that was made in advance may be an older agent's.
    if fs::read_link(&link).is_ok_and(|target| target == program) {
        return Ok(());
    }
    match fs::remove_file(&link) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => symlink(program, link),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_gets_a_directory_that_is_ready_or_a_new_one() {
        let root = tempfile::tempdir().expect("a directory");
        let data = DataDir::new(root.path().to_owned());
        fs::create_dir(data.workers()).expect("is made");
        let worker = |number: u32| data.workers().join(number.to_string());

        let dirs = WarmDirs::open(&data, 2);
        assert!(dirs.lacks());
        let program = Path::new("/usr/bin/outpost-agent");
        dirs.add(&data, None, program).expect("is made");
        dirs.add(&data, None, program).expect("is made");
        assert!(!dirs.lacks());
        dirs.make(&worker(1)).expect("is made");
        assert!(worker(1).join("artifacts").is_dir(), "it was ready");

        // After an update the program is another.
        let (dir, other) = (WorkerDir::new(worker(1)), Path::new("/opt/outpost-agent"));
        let ctl = || fs::read_link(dir.programs().join("sprintctl")).expect("is a link");
        assert_eq!(ctl(), program);
        make_within(&dir, other).expect("is made");
        assert_eq!(ctl(), other);

        // Another agent finds what is left. A worker that was accepted before keeps what it has.
        let dirs = WarmDirs::open(&data, 2);
        assert!(dirs.lacks());
        fs::write(worker(1).join("assignment.json"), b"{}").expect("is written");
        dirs.make(&worker(1)).expect("is there");
        assert!(worker(1).join("assignment.json").exists());
        dirs.make(&worker(2)).expect("is made");
        assert!(worker(2).is_dir());
    }
}
