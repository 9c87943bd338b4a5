//! What a git that packs beside us is in the way of, for a moment.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use git2::{ErrorClass, ErrorCode};

/// How long a lock is waited for: as long as git itself waits for that of the packed refs.
const LIMIT: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(5);
/// How often a write is tried: a directory vanishes once in a packing.
const WRITES: usize = 4;

/// Does once more what libgit2 refuses at once because a lock is held.
///
/// # Errors
/// What libgit2 says; that of the lock, when it is held for longer.
pub(super) fn until_unlocked<T>(mut attempt: impl FnMut() -> Result<T, git2::Error>) -> Result<T, git2::Error> {
    let began = Instant::now();
    loop {
        match attempt() {
            Err(error) if error.code() == ErrorCode::Locked && began.elapsed() < LIMIT => std::thread::sleep(PAUSE),
            result => return result,
        }
    }
}

/// Writes an object or a ref once more when that failed: git removes a directory of which it has packed the last, and
/// libgit2 may have found it there just before.
///
/// # Errors
/// What libgit2 says each time.
pub(super) fn written<T>(mut write: impl FnMut() -> Result<T, git2::Error>) -> Result<T, git2::Error> {
    let is_vanished = |error: &git2::Error| {
        error.class() == ErrorClass::Os && matches!(error.code(), ErrorCode::GenericError | ErrorCode::NotFound)
    };
    for _ in 1..WRITES {
        match write() {
            Err(error) if is_vanished(&error) => {}
            result => return result,
        }
    }
    write()
}

/// Whether a git packs refs at present. It writes back what it has read before, also a ref that libgit2 removes
/// meanwhile: libgit2 takes no lock of the packed refs for one that is not among them.
#[derive(Debug, Default)]
pub(super) struct RefPacking {
    packs: Mutex<bool>,
    ended: Condvar,
}

/// Refs are packed until this is dropped.
#[derive(Debug)]
pub(super) struct RefsArePacked<'a>(&'a RefPacking);

impl RefPacking {
    /// Begins, once no removal is under way.
    pub(super) fn begin(&self) -> RefsArePacked<'_> {
        self.set(true);
        RefsArePacked(self)
    }

    /// Removes a ref when no packing is under way; after a second of waiting, all the same.
    pub(super) fn apart<T>(&self, remove: impl FnOnce() -> T) -> T {
        let packs = self.packs.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.ended.wait_timeout_while(packs, LIMIT, |packs| *packs);
        let _packs = waited.unwrap_or_else(PoisonError::into_inner);
        remove()
    }

    fn set(&self, packs: bool) {
        *self.packs.lock().unwrap_or_else(PoisonError::into_inner) = packs;
    }
}

impl Drop for RefsArePacked<'_> {
    fn drop(&mut self) {
        self.0.set(false);
        self.0.ended.notify_all();
    }
}
