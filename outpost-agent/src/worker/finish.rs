//! The end of a round: the work is looked at, judged, saved, and the end is told.

use std::path::Path;
use std::time::Duration;

use sprint_core::ids::{CommitId, TreeId, late_ref, wip_ref, work_ref};
use sprint_core::job::{Outcome, ReportBody};
use tokio::time::Instant;

use super::brief;
use super::life::Ended;
use super::outcome::{Evidence, Verdict, judge, snapshot_parent};
use super::tail;
use super::task::Life;
use crate::disk;
use crate::shim::processes;
use crate::workspace::git::GitError;
use crate::workspace::save::{Left, Scratch, Workspace, tree_of};

/// How long the capture may take to write the last bytes of a terminal.
const LOG_LIMIT: Duration = Duration::from_secs(5);
/// How often something on this host is tried that has no reason to fail.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(200);
/// How long to wait between pushes, at most; they go on for ever, since work is never given up.
const PUSH_PAUSE_MAX: Duration = Duration::from_secs(10);

/// What became of a worker's work.
struct Saved {
    commits: Result<(), GitError>,
    /// The snapshot of what was not committed, if there was anything.
    wip: Result<Option<CommitId>, GitError>,
}

impl Life {
    /// Brings a round to its end. Whatever stops this in the middle, it can be done again.
    pub(super) async fn finish(&mut self, ended: &Ended) {
        let mut ended = ended.clone();
        if let Ended::Vanished(reason) = &ended {
            tracing::warn!(worker = %self.cell.id(), reason, "lost");
            self.end_strays().await;
        }
        let workspace = self.workspace();
        let mut scratch = Scratch::new(&self.cell.dir);
        let left = match &workspace {
            Some(workspace) if self.cell.assignment.change.is_none() => {
                match self.look(workspace, &mut scratch).await {
                    Ok(left) => left,
                    Err(error) => {
                        ended = Ended::Vanished(format!("its workspace cannot be read: {error}"));
                        Left::default()
                    }
                }
            }
            Some(_) | None => Left::default(),
        };
        let tree = match (&workspace, self.cell.assignment.change) {
            (Some(workspace), Some(_)) => self.tree(&workspace.mirror).await,
            (Some(_) | None, _) => None,
        };
        let stop = self.cell.stop_reason();
        let verdict = judge(&Evidence {
            assignment: &self.cell.assignment,
            ended: &ended,
            stop: stop.as_deref(),
            left: &left,
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
                let saving = self.save(workspace.as_ref(), &left, &mut scratch);
                let (saved, ()) = tokio::join!(saving, self.close_terminal(&ended));
                drop(scratch);
                self.conclude(&ended, outcome, saved).await;
            }
        }
    }

    async fn conclude(&mut self, ended: &Ended, mut outcome: Outcome, saved: Saved) {
        if let Err(error) = saved.commits {
            tracing::error!(worker = %self.cell.id(), %error, "its commits could not be taken over");
            if matches!(outcome, Outcome::Committed { .. }) {
                outcome = Outcome::Failed { reason: "its commits cannot be read".to_owned() };
            }
            append(&mut outcome, &format!("; its commits could not be saved: {error}"));
        }
        let wip = match saved.wip {
            Ok(wip) => wip,
            Err(error) => {
                tracing::error!(worker = %self.cell.id(), %error, "its uncommitted work could not be saved");
                append(&mut outcome, &format!("; its uncommitted work could not be saved: {error}"));
                None
            }
        };
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

    fn workspace(&self) -> Option<Workspace> {
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

    async fn look(&self, workspace: &Workspace, scratch: &mut Scratch) -> Result<Left, GitError> {
        let mut tries = 1;
        loop {
            match workspace.look(scratch).await {
                Err(error) if tries < TRIES => {
                    tracing::warn!(worker = %self.cell.id(), %error, "its workspace cannot be read; trying again");
                    tries += 1;
                    *scratch = Scratch::after(&error, &self.cell.dir);
                    tokio::time::sleep(PAUSE).await;
                }
                looked => return looked,
            }
        }
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

    /// Brings commits and uncommitted changes to the coordinator, however long it takes.
    async fn save(&self, workspace: Option<&Workspace>, left: &Left, scratch: &mut Scratch) -> Saved {
        let mut saved = Saved { commits: Ok(()), wip: Ok(None) };
        let Some(workspace) = workspace else { return saved };
        let (item, attempt) = (self.cell.assignment.item, self.cell.assignment.attempt);
        let mut refspecs = vec![];
        if left.uncommitted_count > 0 {
            saved.wip = self.snapshot(workspace, left, scratch).await.map(Some);
        }
        let wip = saved.wip.as_ref().ok().and_then(Option::as_ref);
        match self.take_over(workspace, left.head.as_ref(), wip, scratch).await {
            Ok(()) => {
                refspecs.extend(left.head.iter().map(|head| format!("{head}:{}", work_ref(item, attempt))));
                refspecs.extend(wip.map(|commit| format!("+{commit}:{}", wip_ref(item, attempt))));
            }
            Err(error) => {
                saved = Saved { commits: Err(error), wip: Ok(None) };
            }
        }
        if !refspecs.is_empty() {
            self.push(workspace, &refspecs, scratch).await;
        }
        saved
    }

    async fn snapshot(&self, workspace: &Workspace, left: &Left, scratch: &mut Scratch) -> Result<CommitId, GitError> {
        let parent = snapshot_parent(left, &self.cell.assignment);
        let mut tries = 1;
        loop {
            match workspace.snapshot(&parent, scratch).await {
                Err(error) if tries < TRIES => {
                    tracing::warn!(worker = %self.cell.id(), %error, "its uncommitted work cannot be saved; trying again");
                    tries += 1;
                    tokio::time::sleep(PAUSE).await;
                    // On another disk, perhaps.
                    *scratch = Scratch::after(&error, &self.cell.dir);
                    workspace.look(scratch).await?;
                }
                made => return made,
            }
        }
    }

    async fn take_over(
        &self,
        workspace: &Workspace,
        head: Option<&CommitId>,
        wip: Option<&CommitId>,
        scratch: &Scratch,
    ) -> Result<(), GitError> {
        let commits: Vec<_> = head.into_iter().chain(wip).collect();
        let mut tries = 1;
        while !commits.is_empty() {
            match workspace.take_over(&commits, scratch).await {
                Err(error) if tries < TRIES => {
                    tracing::warn!(worker = %self.cell.id(), %error, "its commits cannot be taken over; trying again");
                    tries += 1;
                    tokio::time::sleep(PAUSE).await;
                }
                taken => return taken,
            }
        }
        Ok(())
    }

    async fn push(&self, workspace: &Workspace, refspecs: &[String], scratch: &Scratch) {
        let mut known = self.agent.repositories.remote.subscribe();
        let repo = self.cell.assignment.repo.as_str();
        let mut refspecs = refspecs.to_vec();
        let mut pause = PAUSE;
        loop {
            let remote = known.wait_for(Option::is_some).await.ok().and_then(|remote| remote.clone());
            // None: the agent is ending.
            let Some(remote) = remote else { return };
            match workspace.push(&remote, repo, &refspecs, scratch).await {
                Ok(()) => return,
                Err(error) if error.says_late() && !refspecs.iter().any(|spec| is_late(spec)) => {
                    tracing::warn!(worker = %self.cell.id(), "its attempt is over; its work is kept as late");
                    refspecs = refspecs.iter().map(|spec| late(spec)).collect();
                    continue;
                }
                Err(error) => {
                    tracing::warn!(
                        worker = %self.cell.id(),
                        %error,
                        "its work cannot be brought to the coordinator yet; it is kept and tried again"
                    );
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PUSH_PAUSE_MAX);
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

/// A refspec to where work is kept that comes after its attempt was over.
fn late(refspec: &str) -> String {
    match refspec.split_once(':') {
        Some((from, to)) => format!("{from}:{}", late_ref(to)),
        None => late_ref(refspec),
    }
}

fn is_late(refspec: &str) -> bool {
    refspec.contains(":refs/sprint/late/")
}

fn append(outcome: &mut Outcome, text: &str) {
    match outcome {
        Outcome::Committed { .. } | Outcome::Passed { .. } => {}
        Outcome::Failed { reason } | Outcome::Lost { reason } | Outcome::Stopped { reason } => reason.push_str(text),
    }
}
