//! The end of a round: the work is looked at, judged, saved, and the end is told.

use std::path::Path;
use std::time::Duration;

use sprint_core::ids::TreeId;
use sprint_core::job::{Outcome, ReportBody};
use sprint_failpoint::{Point, pass};
use tokio::time::Instant;

use super::brief;
use super::life::Ended;
use super::outcome::{Evidence, Verdict, judge};
use super::saving::Saved;
use super::tail;
use super::task::Life;
use crate::disk::{self, Durability};
use crate::shim::processes;
use crate::workspace::save::{Left, Workspace, tree_of};
use crate::workspace::scratch::Scratch;

/// How long the capture may take to write the last bytes of a terminal.
const LOG_LIMIT: Duration = Duration::from_secs(5);
impl Life {
    /// Brings a round to its end. Whatever stops this in the middle, it can be done again.
    pub(super) async fn finish(&mut self, ended: &Ended) {
        let mut ended = ended.clone();
        self.end_snapshots().await;
        if let Ended::Vanished(reason) = &ended {
            tracing::warn!(worker = %self.cell.id(), reason, "lost");
            self.end_strays().await;
        }
        let workspace = self.workspace();
        let mut scratch = Scratch::new(&self.cell.dir);
        let looked = match &workspace {
            Some(workspace) if !self.cell.assignment.is_gate() => self.look(workspace, &mut scratch).await,
            Some(_) | None => Ok(Left::default()),
        };
        if let Err(error) = &looked {
            ended = Ended::Vanished(format!("its workspace cannot be read: {error}"));
        }
        let nothing = Left::default();
        let tree = match (&workspace, self.cell.assignment.is_gate()) {
            (Some(workspace), true) => self.tree(&workspace.mirror).await,
            (Some(_) | None, _) => None,
        };
        let stop = self.cell.stop();
        let verdict = judge(&Evidence {
            assignment: &self.cell.assignment,
            ended: &ended,
            stop: stop.as_ref(),
            left: looked.as_ref().unwrap_or(&nothing),
            sent_back: self.told.sent_back.len(),
            disk_full: disk::is_full(self.agent.data.root()),
            tree: tree.as_ref(),
        });
        match verdict {
            Verdict::SendBack(reason) => {
                self.close_terminal(&ended).await;
                tracing::info!(worker = %self.cell.id(), reason, "sent back");
                // The next round is known by this report alone.
                self.tell_for_sure(ReportBody::SentBack { reason }).await;
            }
            Verdict::End(outcome) => {
                pass(Point::SaveBefore);
                let saving = self.save(workspace.as_ref(), looked, &mut scratch);
                let (saved, ()) = tokio::join!(saving, self.close_terminal(&ended));
                drop(scratch);
                self.conclude(&ended, outcome, saved).await;
            }
        }
    }

    async fn conclude(&mut self, ended: &Ended, mut outcome: Outcome, saved: Saved) {
        if let Some(trouble) = saved.trouble {
            tracing::error!(worker = %self.cell.id(), %trouble, "not all of its work could be saved");
            if matches!(outcome, Outcome::Committed { .. }) && !saved.commits {
                outcome = Outcome::Failed { reason: "its commits cannot be read".to_owned() };
            }
            append(&mut outcome, &format!("; {trouble}; {}", self.keep(&trouble)));
        }
        let wip = saved.wip;
        let tail = tail::read(&self.cell.dir.log()).unwrap_or_else(|error| {
            tracing::warn!(worker = %self.cell.id(), %error, "its log cannot be read");
            tail::Tail::default()
        });
        let (exit_code, steps) = match ended {
            Ended::Exited(exit) => (exit.code, exit.steps.clone()),
            Ended::Vanished(_) | Ended::NotRun(_) | Ended::NeverStarted => (None, vec![]),
        };
        tracing::info!(worker = %self.cell.id(), ?outcome, "finished");
        self.close_socket();
        self.tell_for_sure(ReportBody::Finished {
            exit_code,
            steps,
            wip,
            log_bytes: tail.bytes,
            log_tail: tail.text,
            outcome,
        })
        .await;
        self.cell.set_finished();
    }

    pub(super) fn workspace(&self) -> Option<Workspace> {
        self.plan.as_ref()?;
        let repository = self.agent.repositories.get(&self.cell.assignment.repo);
        let workspace = Workspace {
            dir: self.cell.dir.clone(),
            mirror: repository.mirror.path().to_owned(),
            base: self.cell.assignment.base.clone(),
            program: self.agent.program(),
        };
        self.cell.dir.workspace().is_dir().then_some(workspace)
    }

    async fn tree(&self, mirror: &Path) -> Option<TreeId> {
        match tree_of(mirror, &self.cell.assignment.base).await {
            Ok(tree) => TreeId::new(tree).ok(),
            Err(error) => {
                tracing::warn!(worker = %self.cell.id(), %error, "the candidate's tree cannot be read");
                None
            }
        }
    }

    /// Has its directory kept when it is removed; says where it will be.
    fn keep(&self, why: &str) -> String {
        let kept = self.agent.data.kept(&self.cell.assignment);
        match disk::write_atomic(&self.cell.dir.keep(), why.as_bytes(), Durability::Power) {
            Ok(()) => format!("its directory is kept on the outpost as {}", kept.display()),
            Err(error) => format!("and that its directory is to be kept could not be written down: {error}"),
        }
    }

    /// Waits for the last bytes of the terminal, and makes sure that its session is gone.
    async fn close_terminal(&self, ended: &Ended) {
        match ended {
            Ended::NotRun(_) | Ended::NeverStarted => {}
            Ended::Exited(_) | Ended::Vanished(_) => {
                let end = self.cell.dir.log_end(self.told.round());
                let limit = Instant::now() + LOG_LIMIT;
                while !end.exists() && Instant::now() < limit {
                    self.pause(LOG_LIMIT / 10).await;
                }
            }
        }
        self.agent.tmux.kill_session(self.cell.id()).await;
    }

    /// Kills what a shim that was itself killed has left behind.
    async fn end_strays(&self) {
        let mark = brief::mark(&self.cell.dir);
        match tokio::task::spawn_blocking(move || processes::kill_marked(&mark)).await {
            Ok(0) => {}
            Ok(killed) => tracing::warn!(worker = %self.cell.id(), killed, "killed processes that it left behind"),
            Err(error) => tracing::error!(%error, "looking for processes left behind panicked"),
        }
    }
}

fn append(outcome: &mut Outcome, text: &str) {
    match outcome {
        Outcome::Committed { .. } | Outcome::Gated { .. } => {}
        Outcome::Failed { reason } | Outcome::Lost { reason } | Outcome::Stopped { reason } => reason.push_str(text),
    }
}
