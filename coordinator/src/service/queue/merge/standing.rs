//! How changes stand in their queue, for people.

use std::collections::HashMap;
use std::sync::Arc;

use sprint_core::change::Change;
use sprint_core::ids::ChangeId;
use sprint_core::merge_queue::{Outlook, Standing};
use sprint_core::trial::{Trial, TrialState};

use crate::service::Coordinator;

/// How each of these changes stands, if it is in its queue and has been looked at.
pub fn of(sprint: &Coordinator, changes: &[Change]) -> HashMap<ChangeId, Standing> {
    let mut standings = HashMap::new();
    let mut repos =
        changes.iter().filter(|change| change.state.is_pending()).map(|change| &change.repo).collect::<Vec<_>>();
    repos.sort();
    repos.dedup();
    for repo in repos {
        let trials = sprint.store.live().trials(repo);
        let shown = sprint.queues.shown(repo);
        for change in changes.iter().filter(|change| change.repo == *repo && change.state.is_pending()) {
            if let Some(outlook) = shown.outlook.get(&change.id) {
                let mut standing = standing(sprint, change, outlook, &trials, shown.usual_duration);
                standing.prior = shown.priors.get(&change.id).copied();
                standings.insert(change.id, standing);
            }
        }
    }
    standings
}

fn standing(
    sprint: &Coordinator,
    change: &Change,
    outlook: &Outlook,
    trials: &[Arc<Trial>],
    usual: Option<std::time::Duration>,
) -> Standing {
    let trial = outlook.trial.and_then(|id| trials.iter().find(|trial| trial.id == id));
    // One that was begun since the plan was made.
    let trial = trial.or_else(|| trials.iter().rfind(|trial| trial.holds(change.id)));
    let gating = trial.filter(|trial| matches!(trial.state, TrialState::Gating));
    let expected = usual.map(|usual| match gating {
        Some(trial) => usual.saturating_sub(sprint.now().since(trial.created_at)),
        None => usual,
    });
    Standing {
        position: outlook.position,
        waits_for: outlook.waits_for.clone(),
        trial: trial.map(|trial| trial.id),
        trial_state: trial.map(|trial| trial.state.name()),
        with: trial
            .map(|trial| trial.members.iter().map(|member| member.change).filter(|id| *id != change.id).collect())
            .unwrap_or_default(),
        chance: outlook.chance,
        prior: None,
        expected,
    }
}
