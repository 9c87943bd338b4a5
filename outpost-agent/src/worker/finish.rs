//! The end of a round: the work is inspected, judged and saved, and the end is reported.

use std::fs;
use std::path::Path;
use std::time::Duration;

use sprint_core::assignment::{AttemptOutcome, GateRunOutcome, Leftovers, Outcome, ReportBody};
use sprint_core::gates::GateOutcome;
use sprint_core::ids::TreeId;
use sprint_failpoint::{Point, pass};
use tokio::time::Instant;

use super::brief;
use super::decide::RoundEnd;
use super::life::Life;
use super::missing::{self, Host};
use super::outcome::{Evidence, NOT_FOUND, Verdict, judge};
use super::own_sandbox;
use super::risk::{self, Risk};
use super::saving::SaveResult;
use super::secrets;
use super::tail;
use crate::host::disk::{self, Durability};
use crate::shim::channel;
use crate::workspace::extras::Extras;
use crate::workspace::git::GitError;
use crate::workspace::save::{Remains, Workspace, tree_of};
use crate::workspace::scratch::Scratch;

/// How long the shim may take to write the last bytes of a terminal, and how long it is waited for where it has
/// most likely died itself.
const LOG_LIMIT: Duration = Duration::from_secs(5);
const LOG_LIMIT_VANISHED: Duration = Duration::from_secs(1);
impl Life {
    /// Brings a round to its end. Whatever stops this in the middle, it can be done again.
    pub(super) async fn finish(&mut self, ended: &RoundEnd) {
        let mut ended = ended.clone();
        self.end_snapshots().await;
        if let RoundEnd::Vanished(reason) = &ended {
            tracing::warn!(worker = %self.handle.id(), reason, "lost");
            self.end_strays().await;
        }
        let risk = match Risk::take(&self.handle.dir.risk("look")) {
            Ok(risk) => risk,
            Err(ends) => return self.set_aside(ends).await,
        };
        pass(Point::LookUnderway);
        let workspace = self.workspace();
        let mut scratch = Scratch::new(&self.handle.dir);
        let looked = match &workspace {
            Some(workspace) if self.handle.assignment.job.attempt().is_some() => {
                self.look(workspace, &mut scratch).await
            }
            Some(_) | None => Ok(Remains::default()),
        };
        if let Err(error) = &looked {
            let reason = format!("its workspace cannot be read: {error}");
            let own_doing = matches!(error, GitError::Failed { .. }) && !error.says_full();
            ended = if own_doing { RoundEnd::Unreadable(reason) } else { RoundEnd::Vanished(reason) };
        }
        let nothing = Remains::default();
        let extras = match (&workspace, &looked, self.handle.assignment.job.attempt()) {
            (Some(workspace), Ok(left), Some(job)) => workspace.extras(&job.branch(), left, &scratch).await,
            _ => Extras::default(),
        };
        drop(risk);
        let tree = match (&workspace, self.handle.assignment.job.gate().is_some()) {
            (Some(workspace), true) => self.tree(&workspace.mirror).await,
            (Some(_) | None, _) => None,
        };
        let stop = self.handle.stop();
        let nothing_to_do = fs::read_to_string(self.handle.dir.nothing_to_do()).ok();
        let missing = self.missing(&ended).await;
        let agent = channel::read(&self.handle.dir.agent());
        let verdict = judge(&Evidence {
            assignment: &self.handle.assignment,
            ended: &ended,
            stop: stop.as_ref(),
            left: looked.as_ref().unwrap_or(&nothing),
            extras: &extras,
            sent_back: self.progress.sent_back.len(),
            handed_over: self.progress.handed_over.as_ref(),
            nothing_to_do: nothing_to_do.as_deref(),
            disk_full: disk::is_full(self.agent.data.root()),
            agent: agent.as_ref(),
            missing: missing.as_deref(),
            tree: tree.as_ref(),
        });
        match verdict {
            Verdict::SendBack { reason, result } => {
                self.close_terminal(&ended).await;
                tracing::info!(worker = %self.handle.id(), reason, "sent back");
                // The next round is known by this report alone.
                self.tell_for_sure(ReportBody::SentBack { reason, result }).await;
            }
            Verdict::End(outcome) => {
                pass(Point::SaveBefore);
                let files = looked.as_ref().map_or_else(|_| nothing.clone(), Clone::clone);
                let saving = self.save(workspace.as_ref(), looked, extras, &mut scratch);
                let (saved, ()) = tokio::join!(saving, self.close_terminal(&ended));
                drop(scratch);
                self.conclude(&ended, outcome, &files, saved).await;
            }
        }
    }

    /// Ends a worker at whose work the agent has ended several times, without a look at it.
    async fn set_aside(&mut self, ends: u32) {
        let why = risk::in_words(ends);
        let ended = RoundEnd::Vanished(why.clone());
        let outcome = Outcome::failed(&self.handle.assignment.job, "its work could not be looked at".to_owned());
        self.close_terminal(&ended).await;
        let saved = SaveResult { trouble: Some(why), ..SaveResult::default() };
        self.conclude(&ended, outcome, &Remains::default(), saved).await;
    }

    async fn conclude(&mut self, ended: &RoundEnd, mut outcome: Outcome, remains: &Remains, saved: SaveResult) {
        outcome.each_text(&mut |text| self.handle.redactor.text(text));
        let mut left = Leftovers { saved: saved.extras, ..Leftovers::default() };
        if !saved.extras_unsaved.is_empty() {
            let unsaved = saved.extras_unsaved.join("; ");
            tracing::warn!(worker = %self.handle.id(), unsaved, "not everything that it left besides could be saved");
            left.unsaved = Some(format!("{unsaved}; {}", self.keep(&unsaved)));
        }

        if let Some(trouble) = saved.trouble {
            tracing::error!(worker = %self.handle.id(), %trouble, "not all of its work could be saved");
            if matches!(outcome, Outcome::Attempt(AttemptOutcome::Committed { .. })) && !saved.commits {
                outcome = Outcome::failed(&self.handle.assignment.job, "its commits cannot be read".to_owned());
            }
            append(&mut outcome, &format!("; {trouble}; {}", self.keep(&trouble)));
        }
        if matches!(outcome, Outcome::Attempt(AttemptOutcome::Committed { .. })) {
            left.files.clone_from(&remains.uncommitted);
            left.file_count = remains.uncommitted_count as u64;
        }
        let words = || tail::words(&self.handle.dir.log()).unwrap_or_default();
        if self.agent.policy.is_some()
            && is_failure(&outcome)
            && let Some(why) = own_sandbox::explain(&words())
        {
            append(&mut outcome, &format!("; {why}"));
        }
        let wip = saved.wip;
        let tail = tail::read(&self.handle.dir.log()).unwrap_or_else(|error| {
            tracing::warn!(worker = %self.handle.id(), %error, "its log cannot be read");
            tail::Tail::default()
        });
        let (exit_code, steps) = match ended {
            RoundEnd::Exited(exit) => (exit.code, exit.steps.clone()),
            RoundEnd::Vanished(_) | RoundEnd::Unreadable(_) | RoundEnd::NotRun(_) | RoundEnd::NeverStarted => {
                (None, vec![])
            }
        };
        tracing::info!(worker = %self.handle.id(), ?outcome, "finished");
        self.close_socket();
        self.tell_for_sure(ReportBody::Finished {
            exit_code,
            steps,
            wip,
            log_bytes: tail.bytes,
            log_tail: tail.text,
            outcome,
            left: Box::new(left),
            agent: channel::read(&self.handle.dir.agent()).map(Box::new),
        })
        .await;
        // Once the report is made, which they are looked for in.
        if let Err(error) = secrets::remove(&self.handle.dir) {
            tracing::warn!(worker = %self.handle.id(), %error, "its secrets could not be removed; they go with its directory");
        }
        self.handle.set_finished(self.progress.seq);
    }

    /// Which command was not found, if that is how the round ended.
    async fn missing(&self, ended: &RoundEnd) -> Option<String> {
        let RoundEnd::Exited(exit) = ended else { return None };
        let last = exit.steps.last().or(exit.setup.as_ref())?;
        if last.exit_code != Some(NOT_FOUND) {
            return None;
        }
        // The shell's last words are on their way to the log.
        self.log_ended(LOG_LIMIT_VANISHED).await;
        let tail = tail::read(&self.handle.dir.log()).ok()?;
        missing::explain(&tail.text, &Host::of_agent(self.agent.policy.is_some()))
    }

    pub(super) fn workspace(&self) -> Option<Workspace> {
        self.plan.as_ref()?;
        let repository = self.agent.repositories.get(&self.handle.assignment.repo);
        let workspace = Workspace {
            dir: self.handle.dir.clone(),
            mirror: repository.mirror.path().to_owned(),
            base: self.handle.assignment.base.clone(),
            program: self.agent.program(),
        };
        self.handle.dir.workspace().is_dir().then_some(workspace)
    }

    async fn tree(&self, mirror: &Path) -> Option<TreeId> {
        match tree_of(mirror, &self.handle.assignment.base).await {
            Ok(tree) => TreeId::new(tree).ok(),
            Err(error) => {
                tracing::warn!(worker = %self.handle.id(), %error, "the candidate's tree cannot be read");
                None
            }
        }
    }

    /// Has its directory kept when it is removed; says where it will be.
    fn keep(&self, why: &str) -> String {
        let kept = self.agent.data.kept(&self.handle.assignment);
        match disk::write_atomic(&self.handle.dir.keep(), why.as_bytes(), Durability::Power) {
            Ok(()) => format!("its directory is kept on the outpost as {}", kept.display()),
            Err(error) => format!("and the mark to keep its directory could not be written: {error}"),
        }
    }

    /// Waits for the last bytes of the terminal, and makes sure that its session is gone.
    async fn close_terminal(&self, ended: &RoundEnd) {
        let limit = match ended {
            RoundEnd::NotRun(_) | RoundEnd::NeverStarted => Duration::ZERO,
            RoundEnd::Exited(_) | RoundEnd::Unreadable(_) => LOG_LIMIT,
            RoundEnd::Vanished(_) => LOG_LIMIT_VANISHED,
        };
        self.log_ended(limit).await;
        self.agent.tmux.kill_session(self.handle.id()).await;
    }

    /// Waits until the last bytes of the terminal are in the log.
    async fn log_ended(&self, limit: Duration) {
        let end = self.handle.dir.log_end(self.progress.round());
        let deadline = Instant::now() + limit;
        while !end.exists() && Instant::now() < deadline {
            self.pause(limit / 10).await;
        }
        if let Some(why) = std::fs::read_to_string(end).ok().filter(|why| !why.is_empty()) {
            tracing::warn!(worker = %self.handle.id(), why, "its log could not be written to its end");
        }
    }

    /// Kills what a shim that was itself killed has left behind.
    async fn end_strays(&self) {
        let (key, value) = brief::mark(&self.handle.dir);
        let kill = move || sprint_process::kill_marked((key, value.as_ref()));
        match tokio::task::spawn_blocking(kill).await {
            Ok(0) => {}
            Ok(killed) => tracing::warn!(worker = %self.handle.id(), killed, "killed processes that it left behind"),
            Err(error) => tracing::error!(%error, "looking for processes left behind panicked"),
        }
    }
}

/// Whether a command came to a bad end by itself.
fn is_failure(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Attempt(
            AttemptOutcome::Failed { .. } | AttemptOutcome::Unfit { .. } | AttemptOutcome::NotSetUp { .. },
        ) => true,
        Outcome::Gate(GateRunOutcome::Judged { verdicts, .. }) => {
            verdicts.iter().any(|verdict| verdict.outcome != GateOutcome::Passed)
        }
        Outcome::Attempt(_) | Outcome::Gate(_) => false,
    }
}

fn append(outcome: &mut Outcome, text: &str) {
    match outcome {
        Outcome::Gate(GateRunOutcome::Judged { verdicts, .. }) => {
            let failed = verdicts.iter_mut().find(|verdict| verdict.outcome != GateOutcome::Passed);
            if let Some(verdict) = failed {
                verdict.reason.push_str(text);
            }
        }
        Outcome::Attempt(AttemptOutcome::Committed { .. } | AttemptOutcome::NothingToDo { .. }) => {}
        Outcome::Attempt(
            AttemptOutcome::Failed { reason }
            | AttemptOutcome::Unfit { reason }
            | AttemptOutcome::NotSetUp { reason }
            | AttemptOutcome::Lost { reason }
            | AttemptOutcome::Stopped { reason },
        )
        | Outcome::Gate(
            GateRunOutcome::Failed { reason } | GateRunOutcome::Lost { reason } | GateRunOutcome::Stopped { reason },
        ) => reason.push_str(text),
    }
}
