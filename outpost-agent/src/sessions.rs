//! Sessions on the private tmux server: workers' that have gone, and strangers, which are saved and left alone.

use std::collections::{BTreeSet, VecDeque};
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::agent::Agent;
use crate::disk::{self, Durability};
use crate::tmux::Tmux;

/// How long a burst of ended sessions is collected before tmux is asked.
const SETTLE: Duration = Duration::from_millis(100);
/// The longest name of a file that is made of a session's.
const NAME: usize = 100;

/// A session that is no worker's, and where what it shows was saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) session: String,
    pub(crate) saved_to: PathBuf,
}

/// What strangers have shown: a file for each, and one beside it once the coordinator was told.
#[derive(Debug)]
pub(crate) struct Strangers {
    dir: PathBuf,
    untold: Mutex<VecDeque<Found>>,
    fresh: Notify,
}

impl Strangers {
    /// Finds those that an earlier run of the agent has saved and not told of.
    pub(crate) fn open(dir: PathBuf) -> Self {
        let saved = fs::read_dir(&dir).into_iter().flatten().flatten().map(|entry| entry.path());
        let untold = saved.filter(|path| path.extension().is_some_and(|extension| extension == "txt"));
        let untold = untold.filter(|path| !path.with_extension("told").exists());
        let found = untold.filter_map(|saved_to| {
            let session = saved_to.file_stem()?.to_str()?.to_owned();
            Some(Found { session, saved_to })
        });
        Self { untold: Mutex::new(found.collect()), dir, fresh: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Found>> {
        self.untold.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self, session: &str) -> PathBuf {
        self.dir.join(format!("{}.txt", sanitised(session)))
    }

    fn save(&self, session: &str, shown: &str) -> io::Result<PathBuf> {
        let saved_to = self.file(session);
        fs::create_dir_all(&self.dir)?;
        disk::write_atomic(&saved_to, shown.as_bytes(), Durability::Power)?;
        self.lock().push_back(Found { session: session.to_owned(), saved_to: saved_to.clone() });
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
    pub(crate) fn first(&self) -> Option<Found> {
        self.lock().front().cloned()
    }

    /// The first was told of.
    pub(crate) fn told(&self) {
        if let Some(found) = self.lock().pop_front()
            && let Err(error) = fs::write(found.saved_to.with_extension("told"), b"")
        {
            tracing::warn!(session = found.session, %error, "that a session was reported cannot be written down");
        }
    }
}

fn sanitised(session: &str) -> String {
    let plain = |char: char| if char.is_ascii_alphanumeric() || char == '-' { char } else { '_' };
    session.chars().map(plain).take(NAME).collect()
}

/// Wakes workers whose sessions have gone: those that end by themselves are known
/// by their exit, this is for the others. Saves what strangers show.
pub(crate) async fn watch(agent: Arc<Agent>) {
    let mut known = BTreeSet::new();
    loop {
        let (now, others) = loop {
            tokio::time::sleep(SETTLE).await;
            // Lost in the middle: the next answer comes from a new connection, and
            // perhaps from a new server, which has none of the sessions.
            if let Ok(sessions) = agent.tmux.sessions().await {
                break sessions;
            }
        };
        for cell in agent.fleet.all() {
            if known.contains(&cell.id()) && !now.contains(&cell.id()) {
                cell.wake.notify_one();
            }
        }
        let unknown = now.iter().filter(|worker| agent.fleet.get(**worker).is_none()).map(|w| Tmux::session(*w));
        for stranger in others.into_iter().chain(unknown) {
            if !agent.strangers.file(&stranger).exists() {
                save(&agent, &stranger).await;
            }
        }
        known = now;
        agent.tmux.sessions_changed().await;
    }
}

async fn save(agent: &Agent, session: &str) {
    // It may be gone by now.
    let Ok(shown) = agent.tmux.shown(session).await else { return };
    match agent.strangers.save(session, &shown) {
        Ok(saved_to) => {
            let saved_to = saved_to.display();
            tracing::warn!(session, %saved_to, "tmux has a session that belongs to no worker; it is saved and left alone");
        }
        Err(error) => tracing::warn!(session, %error, "what a session shows that is no worker's cannot be saved"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sprint_core::fuzz::texts;

    use super::*;

    #[test]
    fn what_was_not_told_is_told_after_a_restart_and_what_was_told_is_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let open = || Strangers::open(dir.path().join("strangers"));
        let strangers = open();
        for session in ["w1", "my work"] {
            strangers.save(session, "x").expect("is saved");
        }
        assert_eq!(strangers.first().map(|found| found.session), Some("w1".to_owned()));
        strangers.told();
        assert_eq!(strangers.first().map(|found| found.session), Some("my work".to_owned()));
        let again = open();
        let found = again.first().expect("is told again");
        assert_eq!((found.session.as_str(), found.saved_to.exists()), ("my_work", true));
        again.told();
        assert_eq!((again.first(), open().first()), (None, None));
    }

    proptest! {
        /// Whatever a session is called, its file is in the directory of strangers.
        #[test]
        fn fuzz_a_sessions_name_leads_nowhere(name in texts(&["../../etc/passwd", "w1", "/", "é/b"])) {
            let plain = sanitised(&name);
            prop_assert!(plain.len() <= NAME && !plain.contains(['/', '.', '\0']));
        }
    }
}
