//! The intent to land: on record before the branch moves.

use sprint_core::change::{Candidate, ChangeEvent};
use sprint_core::ids::{ChangeId, CommitId};
use sprint_core::repo::Repo;
use sprint_core::trial::{Member, Trial};

use crate::git::GitRepo;
use crate::service::queue::merge::paths::strange_path;
use crate::service::repos::upstream;
use crate::service::{Actor, Coordinator, ServiceError, transition};

/// Puts an intent on record, unless the commit brings something that its changes do not.
pub(crate) async fn intend_checked(
    sprint: &Coordinator,
    git: &GitRepo,
    repo: &Repo,
    tip: &CommitId,
    members: &[Member],
    candidate: Candidate,
    passed: Option<&Trial>,
) -> Result<(), ServiceError> {
    if let Some(strange) = strange_path(git, tip, &candidate.commit, members).await? {
        let reason = format!(
            "the commit {} that was to land changes {strange:?}, which none of its changes touches; nothing was landed; look at it, and at how git merges here",
            candidate.commit.short()
        );
        return upstream::halt(sprint, &repo.name, reason).await;
    }
    intend(sprint, members.iter().map(|member| member.change).collect(), candidate, passed).await
}

/// Puts an intent on record, with the trial that has passed, if any has.
pub(crate) async fn intend(
    sprint: &Coordinator,
    changes: Vec<ChangeId>,
    candidate: Candidate,
    passed: Option<&Trial>,
) -> Result<(), ServiceError> {
    let trial = passed.map(|trial| trial.id);
    let relaxed = passed.is_some_and(|trial| trial.candidate.tree != candidate.tree);
    sprint
        .store
        .write(move |tx| {
            Box::pin(async move {
                for id in changes {
                    let event = ChangeEvent::LandingBegun { candidate: candidate.clone(), trial, relaxed };
                    transition::apply(tx, id, event, &Actor::MergeQueue).await?;
                }
                Ok(())
            })
        })
        .await
}
