//! Sessions on the private tmux server that belong to no worker: what they show is saved, and reported once.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::disk::{self, Durability};

/// The longest name of a file that is made of a session's.
const NAME: usize = 100;

/// A session that is no worker's, and where what it shows was saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OrphanSession {
    pub(crate) session: String,
    pub(crate) saved_to: PathBuf,
}

/// What orphan sessions have shown: a file for each, and a mark beside it once the coordinator has the report.
#[derive(Debug)]
pub(crate) struct OrphanSessions {
    dir: PathBuf,
    unreported: Mutex<VecDeque<OrphanSession>>,
    fresh: Notify,
}

impl OrphanSessions {
    /// Finds those that an earlier run of the agent has saved and not reported.
    pub(crate) fn open(dir: PathBuf) -> Self {
        let saved = fs::read_dir(&dir).into_iter().flatten().flatten().map(|entry| entry.path());
        let unreported = saved.filter(|path| path.extension().is_some_and(|extension| extension == "txt"));
        let unreported = unreported.filter(|path| !path.with_extension("told").exists());
        let found = unreported.filter_map(|saved_to| {
            let session = saved_to.file_stem()?.to_str()?.to_owned();
            Some(OrphanSession { session, saved_to })
        });
        Self { unreported: Mutex::new(found.collect()), dir, fresh: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<OrphanSession>> {
        self.unreported.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn file(&self, session: &str) -> PathBuf {
        self.dir.join(format!("{}.txt", sanitised(session)))
    }

    pub(super) fn save(&self, session: &str, shown: &str) -> io::Result<PathBuf> {
        let saved_to = self.file(session);
        fs::create_dir_all(&self.dir)?;
        disk::write_atomic(&saved_to, shown.as_bytes(), Durability::Power)?;
        self.lock().push_back(OrphanSession { session: session.to_owned(), saved_to: saved_to.clone() });
        self.fresh.notify_one();
        Ok(saved_to)
    }

    /// Prepares a new session with the coordinator.
    pub(crate) fn restart(&self) {
        self.fresh.notify_one();
    }

    /// Waits until there is something to tell; may also return for no reason.
    pub(crate) async fn wait(&self) {
        self.fresh.notified().await;
    }

    /// The next to tell of.
    pub(crate) fn first(&self) -> Option<OrphanSession> {
        self.lock().front().cloned()
    }

    /// The first was reported.
    pub(crate) fn mark_reported(&self) {
        if let Some(found) = self.lock().pop_front()
            && let Err(error) = fs::write(found.saved_to.with_extension("told"), b"")
        {
            tracing::warn!(session = found.session, %error, "the mark of a reported session cannot be written");
        }
    }
}

fn sanitised(session: &str) -> String {
    let plain = |char: char| if char.is_ascii_alphanumeric() || char == '-' { char } else { '_' };
    session.chars().map(plain).take(NAME).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sprint_core::fuzz::texts;

    use super::*;

    #[test]
    fn a_session_is_reported_once_and_after_a_restart_if_it_was_not_reported_before() {
        let dir = tempfile::tempdir().expect("a directory");
        let open = || OrphanSessions::open(dir.path().join("strangers"));
        let sessions = open();
        for session in ["w1", "my work"] {
            sessions.save(session, "x").expect("is saved");
        }
        assert_eq!(sessions.first().map(|found| found.session), Some("w1".to_owned()));
        sessions.mark_reported();
        assert_eq!(sessions.first().map(|found| found.session), Some("my work".to_owned()));
        let again = open();
        let found = again.first().expect("is told again");
        assert_eq!((found.session.as_str(), found.saved_to.exists()), ("my_work", true));
        again.mark_reported();
        assert_eq!((again.first(), open().first()), (None, None));
    }

    proptest! {
        /// Whatever a session is called, its file is in the directory of orphan sessions.
        #[test]
        fn fuzz_a_sessions_name_leads_nowhere(name in texts(&["../../etc/passwd", "w1", "/", "é/b"])) {
            let plain = sanitised(&name);
            prop_assert!(plain.len() <= NAME && !plain.contains(['/', '.', '\0']));
        }
    }
}
