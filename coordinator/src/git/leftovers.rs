//! What a git that was killed has left in a repository: nobody else removes it, since `git gc` never runs here.

use std::ffi::OsStr;
use std::fs::{self, DirEntry, FileType};
use std::path::Path;
use std::sync::LazyLock;
use std::time::SystemTime;

use super::GitError;

/// When this process began: what is younger belongs to a git of this process, which may still write it.
static BEGAN: LazyLock<SystemTime> = LazyLock::new(SystemTime::now);

/// Says that this process begins; before it runs its first git.
pub(super) fn begin() {
    LazyLock::force(&BEGAN);
}

/// Removes the locks of refs that a killed process left behind; no other process does, and each
/// blocks its ref forever. Called before this process, which holds the data directory alone,
/// first uses the repository; an orphan that still holds one fails its update and is tried again.
///
/// # Errors
/// [`GitError::Io`].
pub(super) fn remove_locks(repository: &Path) -> Result<(), GitError> {
    let mut open = vec![repository.join("refs")];
    // Git fails while there is a packed-refs.new, whether anybody has the lock or not.
    let mut locks = ["packed-refs.lock", "packed-refs.new", "config.lock"].map(|name| repository.join(name)).to_vec();
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                open.push(entry.path());
            } else if entry.path().extension().is_some_and(|extension| extension == "lock") {
                locks.push(entry.path());
            }
        }
    }
    for lock in locks {
        match fs::remove_file(&lock) {
            Ok(()) => tracing::warn!(lock = %lock.display(), "removed a lock that a killed process left"),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Removes half-written packs and objects, the objects of pushes that did not end, and the marks that hold a pack
/// back from packing. An orphan that still writes one of them fails, and what was there before stays.
pub(super) fn remove_half_written(repository: &Path) {
    let objects = repository.join("objects");
    let packs = objects.join("pack");
    for entry in entries(&objects) {
        let is_fan = |name: &OsStr| name.len() == 2 && name.as_encoded_bytes().iter().all(u8::is_ascii_hexdigit);
        if is_fan(&entry.file_name()) {
            entries(&entry.path()).filter(is_temporary).for_each(|entry| remove(&entry));
        } else if is_temporary(&entry) {
            remove(&entry);
        }
    }
    for directory in ["lfs/tmp", "lfs/logs"] {
        entries(&repository.join(directory)).for_each(|entry| remove(&entry));
    }
    for entry in entries(&packs) {
        if is_temporary(&entry) || is_mark(&entry) {
            remove(&entry);
        }
    }
}

fn entries(directory: &Path) -> impl Iterator<Item = DirEntry> + use<> {
    fs::read_dir(directory).into_iter().flatten().flatten()
}

/// Whether git and libgit2 name so what is not whole yet.
fn is_temporary(entry: &DirEntry) -> bool {
    let name = entry.file_name();
    let name = name.as_encoded_bytes();
    name.starts_with(b"tmp_") || name.starts_with(b".tmp-")
}

/// Whether it is the mark of a push or a fetch, which removes it once its refs are there; people make others.
fn is_mark(entry: &DirEntry) -> bool {
    let path = entry.path();
    path.extension().is_some_and(|extension| extension == "keep")
        && fs::read(&path).is_ok_and(|text| text.starts_with(b"receive-pack ") || text.starts_with(b"fetch-pack "))
}

fn remove(entry: &DirEntry) {
    if entry.metadata().and_then(|data| data.modified()).is_ok_and(|modified| modified >= *BEGAN) {
        return;
    }
    let path = entry.path();
    let removed = match entry.file_type().as_ref().map(FileType::is_dir) {
        Ok(true) => fs::remove_dir_all(&path),
        Ok(false) | Err(_) => fs::remove_file(&path),
    };
    match removed {
        Ok(()) => tracing::info!(path = %path.display(), "removed what a killed git has left half-written"),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "what a killed git has left half-written cannot be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_a_killed_git_has_left_goes_and_what_this_process_writes_stays() {
        let dir = tempfile::tempdir().expect("a directory");
        git2::Repository::init_bare(dir.path()).expect("is made");
        let write = |name: &str, text: &str| {
            let path = dir.path().join("objects").join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("is made");
            fs::write(&path, text).expect("is written");
            path
        };
        let old = [
            "pack/tmp_pack_x",
            "pack/.tmp-12-pack-y.pack",
            "17/tmp_obj_x",
            "tmp_object_git2_x",
            "tmp_objdir-incoming-x/pack/tmp_pack_x",
        ]
        .map(|name| write(name, "half"));
        let marks = ["receive-pack 12 on host", "fetch-pack 12 on host"];
        let marks = marks.map(|text| write(&format!("pack/pack-{}.keep", text.len()), text));
        let own = ["pack/pack-z.keep", "17/0123456789", "pack/pack-z.pack"].map(|name| write(name, "whole"));
        begin();
        let new = write("pack/tmp_pack_new", "of this process");
        let later = SystemTime::now() + Duration::from_secs(1);
        fs::File::options().write(true).open(&new).and_then(|file| file.set_modified(later)).expect("is set");
        remove_half_written(dir.path());
        assert!(old.iter().chain(&marks).all(|path| !path.exists()));
        assert!(!dir.path().join("objects/tmp_objdir-incoming-x").exists());
        assert!(own.iter().chain([&new]).all(|path| path.exists()));
    }

    #[test]
    fn a_packing_of_refs_that_was_killed_holds_up_no_other() {
        let dir = tempfile::tempdir().expect("a directory");
        let bare = git2::Repository::init_bare(dir.path()).expect("is made");
        let blob = bare.blob(b"x").expect("is written");
        bare.reference("refs/sprint/work/1/1", blob, true, "test").expect("is made");
        let pack = || {
            let status = Command::new("git").args(["pack-refs", "--all"]).current_dir(dir.path()).status();
            status.expect("git runs").success()
        };
        for name in ["packed-refs.new", "packed-refs.lock"] {
            fs::write(dir.path().join(name), "# half").expect("is written");
            assert!(!pack(), "{name}");
            remove_locks(dir.path()).expect("are removed");
            assert!(pack(), "{name}");
        }
    }
}
