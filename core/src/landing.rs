//! Whether a person's branch may land: the checks before, and which of them a person may skip.

use serde::{Deserialize, Serialize};

use crate::ids::{ChangeId, CommitId, ItemId, RepoName, WorkerId};

crate::words! {
    /// A check before a person's branch lands.
    pub enum LandingCheck as "landing check" {
        /// The merge queue runs and is not frozen.
        Queue => "queue",
        /// No worker is on its item.
        Worker => "worker",
        /// Nothing of its attempt is uncommitted.
        Clean => "clean",
        /// It merges with the target branch.
        Merge => "merge",
        /// The tree that would land passes its gates.
        Gates => "gates",
    }
}

crate::words! {
    /// The result of a check.
    pub enum CheckResult as "result of a check" {
        Passed => "passed",
        Failed => "failed",
        /// It failed or did not run, and the caller skipped it.
        Skipped => "skipped",
        /// It is found out before the landing.
        Pending => "pending",
    }
}

/// One check, with what was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    pub check: LandingCheck,
    pub result: CheckResult,
    pub found: String,
}

/// What is known of a branch that is to land.
#[derive(Debug, Clone, Default)]
pub struct LandingFacts {
    /// Why the queue of the repo stands still, or lands nothing.
    pub held: Option<String>,
    /// The worker that is on its item.
    pub worker: Option<WorkerId>,
    /// What its attempt left uncommitted.
    pub uncommitted: Option<CommitId>,
    /// Where it does not merge with the target branch.
    pub conflicts: Vec<String>,
    /// The configured gates.
    pub gates: Vec<String>,
    /// Why the configured gates are unknown.
    pub unreadable: Option<String>,
    /// The very tree that would land has passed, or failed for the given reason.
    pub known: Option<Result<(), String>>,
}

crate::words! {
    /// The outcome of landing a person's branch.
    pub enum LandingOutcome as "outcome of a landing" {
        /// Nothing was to be done.
        DryRun => "dry_run",
        Queued => "queued",
        /// The queue held an older version, whose place it takes.
        Replaced => "replaced",
        /// The queue held this very version.
        Known => "known",
        /// It lands beside the queue.
        Direct => "direct",
    }
}

/// The report on the landing of a person's branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LandingReport {
    pub outcome: LandingOutcome,
    pub repo: RepoName,
    /// The target branch.
    pub branch: String,
    /// Where the target branch is.
    pub tip: CommitId,
    pub head: CommitId,
    pub title: String,
    /// None: an item is made for it.
    pub item: Option<ItemId>,
    pub change: Option<ChangeId>,
    /// How many commits the target branch does not have.
    pub commits: u32,
    /// The files that it touches.
    pub paths: Vec<String>,
    pub checks: Vec<Checked>,
}

/// How a person wants a branch to land.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LandingWish {
    /// At once, beside the queue.
    pub direct: bool,
    /// Whatever the checks of queue, worker and clean find.
    pub force: bool,
    pub skip_gates: bool,
}

/// Looks at everything, also after a check that failed.
pub fn check(facts: &LandingFacts, wish: LandingWish) -> Vec<Checked> {
    let checked = |check, result, found: String| Checked { check, result, found };
    let forced = |check, found: Option<String>, fine: &str| match found {
        None => checked(check, CheckResult::Passed, fine.to_owned()),
        Some(found) if wish.force => checked(check, CheckResult::Skipped, found),
        Some(found) => checked(check, CheckResult::Failed, found),
    };
    let mut all = Vec::new();
    // A change in the queue waits until that goes on.
    if wish.direct {
        all.push(forced(LandingCheck::Queue, facts.held.clone(), "nothing holds up the merge queue"));
    }
    let worker = facts.worker.map(|worker| format!("worker {worker} is on its item"));
    all.push(forced(LandingCheck::Worker, worker, "no worker is on its item"));
    let left = facts.uncommitted.as_ref().map(|snapshot| {
        format!("its attempt left changes that it did not commit; they stay behind, in {}", snapshot.short())
    });
    all.push(forced(LandingCheck::Clean, left, "nothing of it is uncommitted"));
    all.push(if facts.conflicts.is_empty() {
        checked(LandingCheck::Merge, CheckResult::Passed, "it merges with the branch".to_owned())
    } else {
        checked(LandingCheck::Merge, CheckResult::Failed, format!("it conflicts in {}", facts.conflicts.join(", ")))
    });
    all.push(gates(facts, wish));
    all
}

fn gates(facts: &LandingFacts, wish: LandingWish) -> Checked {
    let names = facts.gates.join(", ");
    if let Some(why) = &facts.unreadable {
        let result = if wish.direct && wish.skip_gates { CheckResult::Skipped } else { CheckResult::Failed };
        return Checked { check: LandingCheck::Gates, result, found: why.clone() };
    }
    let (result, found) = match &facts.known {
        _ if facts.gates.is_empty() => (CheckResult::Passed, "the branch has no gates".to_owned()),
        Some(Ok(())) => (CheckResult::Passed, format!("the very tree that would land has passed {names}")),
        _ if wish.direct && wish.skip_gates => (CheckResult::Skipped, format!("{names}: not run")),
        Some(Err(reason)) => (CheckResult::Failed, format!("the very tree that would land has failed: {reason}")),
        None => (CheckResult::Pending, format!("{names}: run before it lands")),
    };
    Checked { check: LandingCheck::Gates, result, found }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    fn results(facts: &LandingFacts, wish: LandingWish) -> Vec<(&'static str, &'static str)> {
        check(facts, wish).iter().map(|checked| (checked.check.as_str(), checked.result.as_str())).collect()
    }

    fn everything_is_wrong() -> LandingFacts {
        LandingFacts {
            held: Some("frozen: release day".to_owned()),
            worker: Some(WorkerId::new(3)),
            uncommitted: Some(fixtures::commit("a")),
            conflicts: vec!["a.txt".to_owned()],
            gates: vec!["test".to_owned()],
            unreadable: None,
            known: None,
        }
    }

    const DIRECT: LandingWish = LandingWish { direct: true, force: false, skip_gates: false };

    #[test]
    fn every_failed_check_is_named_and_not_just_the_first() {
        let found = results(&everything_is_wrong(), DIRECT);
        let failed = [("queue", "failed"), ("worker", "failed"), ("clean", "failed"), ("merge", "failed")];
        assert_eq!(found[..4], failed);
        assert_eq!(found[4], ("gates", "pending"));
    }

    #[test]
    fn force_skips_neither_a_conflict_nor_the_gates() {
        let found = results(&everything_is_wrong(), LandingWish { force: true, ..DIRECT });
        let skipped = [("queue", "skipped"), ("worker", "skipped"), ("clean", "skipped"), ("merge", "failed")];
        assert_eq!(found[..4], skipped);
        assert_eq!(found[4], ("gates", "pending"));
    }

    #[test]
    fn skipping_gates_is_not_recorded_as_a_skip_where_the_tree_has_passed() {
        let facts = LandingFacts { known: Some(Ok(())), conflicts: vec![], ..everything_is_wrong() };
        let found = results(&facts, LandingWish { force: true, skip_gates: true, ..DIRECT });
        assert_eq!(found[3..], [("merge", "passed"), ("gates", "passed")]);
    }

    #[test]
    fn a_tree_that_failed_lands_only_when_its_gates_are_skipped() {
        let facts =
            LandingFacts { known: Some(Err("no".to_owned())), gates: vec!["test".to_owned()], ..Default::default() };
        assert_eq!(results(&facts, DIRECT)[4], ("gates", "failed"));
        assert_eq!(results(&facts, LandingWish { skip_gates: true, ..DIRECT })[4], ("gates", "skipped"));
    }

    #[test]
    fn unreadable_gates_are_not_treated_as_none() {
        let facts = LandingFacts { unreadable: Some("sprint.toml is broken".to_owned()), ..Default::default() };
        assert_eq!(results(&facts, DIRECT)[4], ("gates", "failed"));
        assert_eq!(results(&facts, LandingWish { skip_gates: true, ..DIRECT })[4], ("gates", "skipped"));
    }

    #[test]
    fn in_the_queue_it_waits_for_what_holds_that_up() {
        let facts = LandingFacts { held: Some("halted".to_owned()), ..Default::default() };
        let found = results(&facts, LandingWish::default());
        assert_eq!(found, [("worker", "passed"), ("clean", "passed"), ("merge", "passed"), ("gates", "passed")]);
    }
}
