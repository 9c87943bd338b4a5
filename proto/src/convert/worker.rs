use sprint_core::ids::{CommitId, OutpostName, RepoName, WorkerId};
use sprint_core::note::{NoteCount, ProgressSaid};
use sprint_core::time::Timestamp;
use sprint_core::worker::{Terminal, Worker, WorkerState, WorkerStateName};

use super::{Malformed, required, time, time_ms};
use crate::v1;

impl From<Worker> for v1::Worker {
    fn from(worker: Worker) -> Self {
        let Worker {
            id,
            repo,
            job,
            outpost,
            state,
            base,
            resumed,
            stop_reason,
            terminal,
            assigned_at,
            started_at,
            ended_at,
            report_seq,
            log_bytes,
            agent,
            progress,
            notes,
        } = worker;
        let name = state.name().to_string();
        let (exit_code, reason) = match state {
            WorkerState::Assigned | WorkerState::Starting | WorkerState::Running => (None, None),
            WorkerState::Finishing { exit_code } | WorkerState::Done { exit_code } => (exit_code, None),
            WorkerState::Failed { exit_code, reason } => (exit_code, Some(reason)),
            WorkerState::Lost { reason } => (None, Some(reason)),
        };
        Self {
            id: id.get(),
            repo: repo.into(),
            job: Some(job.into()),
            outpost: outpost.into(),
            state: name,
            exit_code,
            reason,
            base: base.into(),
            resumed: resumed.map(Into::into),
            stop_reason,
            terminal: terminal.map(Into::into),
            assigned_at_ms: assigned_at.as_millis(),
            started_at_ms: time_ms(started_at),
            ended_at_ms: time_ms(ended_at),
            report_seq,
            log_bytes,
            agent: agent.map(|agent| (*agent).into()),
            progress: progress.map(|ProgressSaid { text, at }| v1::ProgressSaid { text, at_ms: at.as_millis() }),
            notes: Some(v1::NoteCount { notes: notes.notes, bytes: notes.bytes, found: notes.found }),
        }
    }
}

impl TryFrom<v1::Worker> for Worker {
    type Error = Malformed;

    fn try_from(worker: v1::Worker) -> Result<Self, Malformed> {
        let v1::Worker {
            id,
            repo,
            job,
            outpost,
            state,
            exit_code,
            reason,
            base,
            stop_reason,
            terminal,
            assigned_at_ms,
            started_at_ms,
            ended_at_ms,
            report_seq,
            log_bytes,
            resumed,
            agent,
            progress,
            notes,
        } = worker;
        let state = match state.parse::<WorkerStateName>()? {
            WorkerStateName::Assigned => WorkerState::Assigned,
            WorkerStateName::Starting => WorkerState::Starting,
            WorkerStateName::Running => WorkerState::Running,
            WorkerStateName::Finishing => WorkerState::Finishing { exit_code },
            WorkerStateName::Done => WorkerState::Done { exit_code },
            WorkerStateName::Failed => {
                WorkerState::Failed { exit_code, reason: required(reason, "the worker's reason")? }
            }
            WorkerStateName::Lost => WorkerState::Lost { reason: required(reason, "the worker's reason")? },
        };
        Ok(Self {
            id: WorkerId::new(id),
            repo: RepoName::new(repo)?,
            job: required(job, "the worker's job")?.try_into()?,
            outpost: OutpostName::new(outpost)?,
            state,
            base: CommitId::new(base)?,
            resumed: resumed.map(TryInto::try_into).transpose()?,
            stop_reason,
            terminal: terminal.map(Into::into),
            assigned_at: Timestamp::from_millis(assigned_at_ms),
            started_at: time(started_at_ms),
            ended_at: time(ended_at_ms),
            report_seq,
            log_bytes,
            agent: agent.map(|agent| Ok::<_, Malformed>(Box::new(agent.try_into()?))).transpose()?,
            progress: progress
                .map(|v1::ProgressSaid { text, at_ms }| ProgressSaid { text, at: Timestamp::from_millis(at_ms) }),
            notes: notes
                .map(|v1::NoteCount { notes, bytes, found }| NoteCount { notes, bytes, found })
                .unwrap_or_default(),
        })
    }
}

impl From<Terminal> for v1::Terminal {
    fn from(terminal: Terminal) -> Self {
        let Terminal { boot_id, tmux_socket, tmux_session } = terminal;
        Self { boot_id, tmux_socket, tmux_session }
    }
}

impl From<v1::Terminal> for Terminal {
    fn from(terminal: v1::Terminal) -> Self {
        let v1::Terminal { boot_id, tmux_socket, tmux_session } = terminal;
        Self { boot_id, tmux_socket, tmux_session }
    }
}
