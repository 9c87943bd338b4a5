//! A worker's work is brought to the coordinator, however long it takes, before anything of it goes.

use std::path::PathBuf;
use std::time::Duration;

use sprint_core::bounds::{SAVED_BYTES, SAVED_FILE, paths_in_words};
use sprint_core::ids::{CommitId, late_ref, left_ref, wip_ref, work_ref};
use sprint_core::job::AttemptJob;
use sprint_failpoint::{Point, pass};

use super::life::Life;
use super::outcome::snapshot_parent;
use super::risk::{self, Risk};
use super::snapshots;
use crate::workspace::extras::{self, Extra, Extras};
use crate::workspace::git::GitError;
use crate::workspace::save::{Remains, Workspace};
use crate::workspace::scratch::Scratch;

/// How often something on this host is tried that has no reason to fail.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(200);
/// The longest wait between tries to push; they continue without end, since work is never given up.
const PUSH_PAUSE_MAX: Duration = Duration::from_secs(10);

/// The result of saving a worker's work.
#[derive(Debug, Default)]
pub(super) struct SaveResult {
    /// The snapshot of what was not committed, if there was anything.
    pub(super) wip: Option<CommitId>,
    /// Whether its commits are at the coordinator.
    pub(super) commits: bool,
    /// Why not everything is.
    pub(super) trouble: Option<String>,
    /// What else is at the coordinator, by its label.
    pub(super) extras: Vec<String>,
    /// What else is not, and why.
    pub(super) extras_unsaved: Vec<String>,
}

/// Why some files are not saved.
fn too_large(files: &[PathBuf]) -> Option<String> {
    let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    let most = format!("{} MiB each and {} MiB in all", SAVED_FILE >> 20, SAVED_BYTES >> 20);
    let words = || format!("files larger than is saved ({most}) are left out: {}", paths_in_words(&names));
    (!files.is_empty()).then(words)
}

/// What was taken over from a worker, to be pushed.
struct Takeover {
    wip: Option<CommitId>,
    /// What of the files could not be read.
    left_out: Option<GitError>,
}

impl Life {
    pub(super) async fn look(&self, workspace: &Workspace, scratch: &mut Scratch) -> Result<Remains, GitError> {
        let mut tries = 1;
        loop {
            match workspace.look(scratch).await {
                Err(error) if tries < TRIES && !error.says_beyond() => {
                    tracing::warn!(worker = %self.handle.id(), %error, "its workspace cannot be read; trying again");
                    tries += 1;
                    *scratch = Scratch::after(&error, &self.handle.dir);
                    tokio::time::sleep(PAUSE).await;
                }
                looked => return looked,
            }
        }
    }

    /// Brings commits and uncommitted changes to the coordinator.
    pub(super) async fn save(
        &self,
        workspace: Option<&Workspace>,
        looked: Result<Remains, GitError>,
        extras: Extras,
        scratch: &mut Scratch,
    ) -> SaveResult {
        let Some(workspace) = workspace else { return SaveResult { commits: true, ..SaveResult::default() } };
        // A gate leaves nothing to take.
        let Some(job) = self.handle.assignment.job.attempt() else {
            return SaveResult { commits: true, ..SaveResult::default() };
        };
        let (item, attempt) = (job.item, job.attempt);
        let mut refspecs = vec![];
        let risk = match Risk::take(&self.handle.dir.risk("save")) {
            Ok(risk) => risk,
            Err(ends) => return SaveResult { trouble: Some(risk::in_words(ends)), ..SaveResult::default() },
        };
        pass(Point::SaveUnderway);
        let taken = match looked {
            Ok(left) => self.take(workspace, &left, &extras, scratch).await.map(|taken| (left, taken)),
            Err(error) => Err(error),
        };
        let mut saved = match taken {
            Ok((left, Takeover { wip, left_out })) => {
                refspecs.extend(left.head.iter().map(|head| format!("{head}:{}", work_ref(item, attempt))));
                // An earlier snapshot must not seem newer than the work.
                let stale = snapshots::may_exist(&self.handle.dir);
                let newest = wip.clone().or_else(|| stale.then(|| snapshot_parent(&left, &self.handle.assignment)));
                refspecs.extend(newest.map(|commit| format!("+{commit}:{}", wip_ref(item, attempt))));
                let unread = left_out.map(|error| format!("some of its files could not be saved: {error}"));
                let trouble = too_large(&left.large).or(unread);
                SaveResult { wip, commits: true, trouble, ..SaveResult::default() }
            }
            Err(error) => {
                tracing::warn!(worker = %self.handle.id(), %error, "its repository is unusable; only its files are saved");
                *scratch = Scratch::after(&error, &self.handle.dir);
                let (wip, files) = match workspace.rescue(scratch).await {
                    Ok((wip, None)) => (Some(wip), "its files are saved as uncommitted work".to_owned()),
                    Ok((wip, Some(_))) => (Some(wip), "most of its files are saved as uncommitted work".to_owned()),
                    Err(error) => (None, format!("its files could not be saved either: {error}")),
                };
                refspecs.extend(wip.iter().map(|wip| format!("+{wip}:{}", wip_ref(item, attempt))));
                let trouble = format!("its commits could not be saved: {error}; {files}");
                SaveResult { wip, commits: false, trouble: Some(trouble), ..SaveResult::default() }
            }
        };
        // From here on it may be the coordinator that is waited for.
        drop(risk);
        if !refspecs.is_empty() {
            pass(Point::PushWorkBefore);
            self.push(workspace, &refspecs, &[], scratch).await.ok();
            pass(Point::PushWorkAfter);
        }
        self.save_extras(workspace, job, extras, scratch, &mut saved).await;
        saved
    }

    /// Brings to the coordinator what is there besides, after everything else.
    async fn save_extras(
        &self,
        workspace: &Workspace,
        job: &AttemptJob,
        extras: Extras,
        scratch: &Scratch,
        saved: &mut SaveResult,
    ) {
        saved.extras_unsaved.clone_from(&extras.unread);
        if extras.found.is_empty() {
            return;
        }
        let limit = self.agent.settings.max_left;
        let (taken, refused) = extras::take_over(workspace, &extras, limit, scratch).await;
        saved.extras_unsaved.extend(refused);
        if taken.is_empty() {
            return;
        }
        let target = |extra: &Extra| left_ref(job.item, job.attempt, extra.label.as_str());
        let refspecs: Vec<_> = taken.iter().map(|extra| format!("+{}:{}", extra.object, target(extra))).collect();
        let labels = taken.iter().map(|extra| extra.label.to_string());
        let places: Vec<_> = taken.iter().map(|extra| extra.git_dir.clone()).collect();
        match self.push(workspace, &refspecs, &places, scratch).await {
            Ok(()) => saved.extras.extend(labels),
            Err(error) => saved.extras_unsaved.extend(labels.map(|label| format!("{label} ({error})"))),
        }
    }

    /// Takes everything over that its repository holds.
    async fn take(
        &self,
        workspace: &Workspace,
        left: &Remains,
        extras: &Extras,
        scratch: &mut Scratch,
    ) -> Result<Takeover, GitError> {
        let mut tries = 1;
        loop {
            let taking = async {
                let (wip, left_out) = if left.uncommitted_count > 0 {
                    let parent = snapshot_parent(left, &self.handle.assignment);
                    let without = [&extras.nested[..], &left.large].concat();
                    let (wip, left_out) = workspace.snapshot(&parent, &without, scratch).await?;
                    (Some(wip), left_out)
                } else {
                    (None, None)
                };
                let commits: Vec<_> = left.head.iter().chain(&wip).collect();
                if !commits.is_empty() {
                    workspace.take_over(&commits, scratch).await?;
                }
                Ok::<_, GitError>(Takeover { wip, left_out })
            };
            match taking.await {
                Err(error) if tries < TRIES && !error.says_beyond() => {
                    tracing::warn!(worker = %self.handle.id(), %error, "its work cannot be taken over; trying again");
                    tries += 1;
                    tokio::time::sleep(PAUSE).await;
                    // On another disk, perhaps.
                    *scratch = Scratch::after(&error, &self.handle.dir);
                    workspace.look(scratch).await?;
                }
                taken => return taken,
            }
        }
    }

    /// Pushes what was taken over, however long it takes; objects of Git LFS may be in further repositories.
    ///
    /// # Errors
    /// The coordinator refuses what an older version of it does not know, or a limit of its own forbids; its
    /// workers' commits it takes.
    async fn push(
        &self,
        workspace: &Workspace,
        refspecs: &[String],
        places: &[PathBuf],
        scratch: &Scratch,
    ) -> Result<(), GitError> {
        let mut known = self.agent.repositories.remote.subscribe();
        let repo = self.handle.assignment.repo.as_str();
        let mut refspecs = refspecs.to_vec();
        let mut pause = PAUSE;
        loop {
            let remote = known.wait_for(Option::is_some).await.ok().and_then(|remote| remote.clone());
            // None: the agent is ending.
            let Some(remote) = remote else { return Ok(()) };
            match workspace.push(&remote, repo, &refspecs, places, scratch).await {
                Ok(()) => return Ok(()),
                Err(error) if error.says_late() && !refspecs.iter().any(|spec| is_late(spec)) => {
                    tracing::warn!(worker = %self.handle.id(), "its attempt is over; its work is kept under a late ref");
                    refspecs = refspecs.iter().map(|spec| late(spec)).collect();
                    continue;
                }
                Err(error) if error.says_refused() && refspecs.iter().all(|spec| is_extra(spec)) => return Err(error),
                Err(error) => {
                    tracing::warn!(
                        worker = %self.handle.id(),
                        %error,
                        "the push of its work failed; the work is kept and the push is tried again"
                    );
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PUSH_PAUSE_MAX);
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

fn is_extra(refspec: &str) -> bool {
    refspec.contains(":refs/sprint/left/") || refspec.contains(":refs/sprint/late/left/")
}
