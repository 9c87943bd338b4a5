//! Watches the sessions on the private tmux server: workers' that have gone, and orphans, which are saved and left alone.

use std::sync::Arc;
use std::time::Duration;

use crate::context::Agent;
use crate::tmux::{Sessions, Tmux};

/// How long a burst of ended sessions is collected before tmux is asked.
const SETTLE: Duration = Duration::from_millis(100);

/// Wakes workers that have no session: those that end by themselves are known
/// by their exit, this is for the others. Saves the contents of orphan sessions.
pub(crate) async fn run(agent: Arc<Agent>) {
    loop {
        let Sessions { workers: now, warm, others } = loop {
            tokio::time::sleep(SETTLE).await;
            // Lost in the middle: the next answer comes from a new connection, and
            // perhaps from a new server, which has none of the sessions.
            if let Ok(sessions) = agent.tmux.sessions().await {
                break sessions;
            }
        };
        agent.warm_sessions.retain(&warm);
        // Also one that no list has shown: a session may come and go between two of them.
        for handle in agent.fleet.all().into_iter().filter(|handle| !now.contains(&handle.id())) {
            handle.wake.notify_one();
        }
        let unknown = now.iter().filter(|worker| agent.fleet.get(**worker).is_none()).map(|w| Tmux::session(*w));
        for orphan in others.into_iter().chain(unknown) {
            if !agent.orphan_sessions.file(&orphan).exists() {
                save(&agent, &orphan).await;
            }
        }
        agent.tmux.sessions_changed().await;
    }
}

async fn save(agent: &Agent, session: &str) {
    // It may be gone by now.
    let Ok(shown) = agent.tmux.shown(session).await else { return };
    match agent.orphan_sessions.save(session, &shown) {
        Ok(saved_to) => {
            let saved_to = saved_to.display();
            tracing::warn!(session, %saved_to, "tmux has a session that belongs to no worker; its contents are saved and the session is left alone");
        }
        Err(error) => tracing::warn!(session, %error, "the contents of an orphan session cannot be saved"),
    }
}
