//! Whether a landing changes only what its changes touch.

use std::collections::BTreeSet;

use sprint_core::ids::CommitId;
use sprint_core::trial::Member;

use crate::git::GitRepo;
use crate::service::ServiceError;

/// A path that a landing would change, and none of its changes touches.
///
/// # Errors
/// What git says.
pub async fn strange_path(
    git: &GitRepo,
    tip: &CommitId,
    commit: &CommitId,
    members: &[Member],
) -> Result<Option<String>, ServiceError> {
    let mut intended = BTreeSet::new();
    for Member { head, .. } in members {
        for base in git.parting(tip, head)?.bases {
            intended.extend(git.changed_paths(Some(&base), head)?);
        }
    }
    let landing = git.changed_paths(Some(tip), commit)?;
    // Where one side renamed a directory, git brings what the other side adds to the new place.
    let known = |path: &String| {
        let name = path.rsplit('/').next();
        intended.contains(path) || intended.iter().any(|other| other.rsplit('/').next() == name)
    };
    let strange = landing.into_iter().filter(|path| !known(path)).collect::<Vec<_>>();
    if strange.is_empty() {
        return Ok(None);
    }
    // What a change does to a file comes to where that was renamed to meanwhile. The commits of a branch count one by
    // one, as a rebase brings them: a merge among them may have taken back what they did.
    let mut moved = BTreeSet::new();
    // A rebase merges each onto what the one before it came to: git finds other renames there than on the tip.
    let mut onto = git.commits_since(tip, commit)?;
    onto.push(tip.clone());
    for Member { head, .. } in members {
        let commits = git.single_commits(std::slice::from_ref(tip), head)?.into_iter();
        let whole = git.parting(tip, head)?.bases.into_iter().map(|base| (head.clone(), base));
        for (to, from) in commits.chain(whole) {
            let touched = git.changed_paths(Some(&from), &to)?;
            for at in &onto {
                moved.extend(git.renames_of(&touched, &from, at).await?.into_iter().map(|(_, new)| new));
                let renames = git.renames(&from, at).await?.into_iter();
                moved.extend(renames.filter(|(old, _)| touched.contains(old)).map(|(_, new)| new));
            }
            moved.extend(touched);
        }
    }
    Ok(strange.into_iter().find(|path| !moved.contains(path)))
}
