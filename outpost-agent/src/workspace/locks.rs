//! Locks, and half-written files, that a git has left which was killed: the first would hold up everything that comes
//! after, the others stay for ever.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::shim::processes;

/// Where git locks something in a bare repository, besides below `refs`.
const PLACES: &[&str] = &["", "objects/info"];
/// Refs of ours are three deep.
const DEPTH: usize = 16;

/// Removes the locks in all mirrors that are older than `began`, when this agent started: it is alone on its data,
/// and only a git that outlived the agent before it may still hold one.
pub(crate) fn sweep(mirrors: &Path, began: SystemTime) {
    for mirror in fs::read_dir(mirrors).into_iter().flatten().flatten().map(|entry| entry.path()) {
        let mut locks = vec![];
        for place in PLACES {
            collect(&mirror.join(place), 0, &mut locks);
        }
        collect(&mirror.join("refs"), DEPTH, &mut locks);
        // Git fails while it is there, whether anybody has the lock or not.
        locks.extend(Some(mirror.join("packed-refs.new")).filter(|path| path.exists()));
        half_written(&mirror.join("objects"), &mut locks);
        for directory in ["lfs/tmp", "lfs/logs"] {
            let entries = fs::read_dir(mirror.join(directory)).into_iter().flatten().flatten();
            locks.extend(entries.map(|entry| entry.path()).filter(|path| path.is_file()));
        }
        locks.retain(|lock| is_older(lock, began));
        if locks.is_empty() {
            continue;
        }
        if processes::any_names(&mirror) {
            tracing::warn!(mirror = %mirror.display(), "locked by a git process of an earlier agent; waiting for it to end");
            continue;
        }
        for lock in locks {
            match fs::remove_file(&lock) {
                Ok(()) => tracing::warn!(lock = %lock.display(), "removed what a git process that died has left"),
                Err(error) => {
                    tracing::warn!(lock = %lock.display(), %error, "what a git process that died has left cannot be removed");
                }
            }
        }
    }
}

fn collect(dir: &Path, deeper: usize, locks: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let Ok(kind) = entry.file_type() else { continue };
        let path = entry.path();
        if kind.is_dir() && deeper > 0 {
            collect(&path, deeper - 1, locks);
        } else if kind.is_file() && path.extension().is_some_and(|extension| extension == "lock") {
            locks.push(path);
        }
    }
}

/// What a packing or a fetch had not finished, and the marks that hold a fetched pack back from packing.
fn half_written(objects: &Path, found: &mut Vec<PathBuf>) {
    let entries = |directory: &Path| fs::read_dir(directory).into_iter().flatten().flatten();
    for directory in entries(objects).filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        for entry in entries(&directory.path()) {
            let (name, path) = (entry.file_name(), entry.path());
            let name = name.as_encoded_bytes();
            let is_mark = || fs::read(&path).is_ok_and(|text| text.starts_with(b"fetch-pack "));
            if name.starts_with(b"tmp_") || name.starts_with(b".tmp-") || (name.ends_with(b".keep") && is_mark()) {
                found.push(path);
            }
        }
    }
}

fn is_older(lock: &Path, began: SystemTime) -> bool {
    lock.metadata().and_then(|data| data.modified()).is_ok_and(|modified| modified < began)
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use super::*;

    #[test]
    fn old_locks_go_and_all_else_stays() {
        let dir = tempfile::tempdir().expect("a directory");
        let mirror = dir.path().join("web.git");
        let make = |name: &str| {
            let path = mirror.join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("is made");
            fs::write(&path, "").expect("is written");
            path
        };
        let old = ["packed-refs.lock", "config.lock", "shallow.lock", "refs/sprint/base/7.lock"].map(make);
        let graph = make("objects/info/commit-graph.lock");
        let half =
            ["packed-refs.new", "objects/pack/tmp_pack_x", "objects/pack/.tmp-12-pack-y.idx", "objects/17/tmp_obj_x"];
        let half = half.map(make);
        let mark = make("objects/pack/pack-x.keep");
        fs::write(&mark, "fetch-pack 12 on host").expect("is written");
        let other = ["config", "refs/heads/main", "objects/pack/x.lock", "objects/pack/pack-y.keep"].map(make);
        let began = SystemTime::now() + Duration::from_secs(1);
        let new = make("HEAD.lock");
        fs::File::options()
            .write(true)
            .open(&new)
            .and_then(|file| file.set_modified(began + Duration::from_secs(1)))
            .expect("is set");

        let mut holder = Command::new("sh");
        holder.args(["-c", "echo up; read line", "git"]).arg(&mirror).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut holder = holder.spawn().expect("sh starts");
        // Started is not yet to be seen: the kernel shows a process's arguments only late in its `exec`.
        holder.stdout.take().expect("is piped").read_exact(&mut [0; 3]).expect("says that it is up");
        sweep(dir.path(), began);
        assert!(old[0].exists(), "a process may hold it");
        holder.kill().expect("is killed");
        holder.wait().expect("ends");
        sweep(dir.path(), began);
        assert!(old.iter().chain([&graph, &mark]).chain(&half).all(|lock| !lock.exists()));
        assert!(other.iter().chain([&new]).all(|file| file.exists()));
    }
}
