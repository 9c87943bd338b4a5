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
        /// It changes no protected paths, or a person answers for that.
        Protected => "protected",
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
    /// How it fails to merge with the target branch: "it conflicts in a.txt".
    pub conflict: Option<String>,
    /// Whether it is a worker's work. For what else a person brings, that person answers.
    pub by_worker: bool,
    /// What it has to do with protected paths, in words.
    pub protected: Option<String>,
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
    /// Whatever the checks of queue, worker, clean and protected find.
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
    let Some(conflict) = &facts.conflict else {
        all.push(checked(LandingCheck::Merge, CheckResult::Passed, "it merges with the branch".to_owned()));
        all.push(protected(facts, wish));
        all.push(gates(facts, wish));
        return all;
    };
    // What would land is not known.
    all.push(checked(LandingCheck::Merge, CheckResult::Failed, conflict.clone()));
    all.push(gates(facts, wish));
    all
}

fn protected(facts: &LandingFacts, wish: LandingWish) -> Checked {
    let checked = |result, found: String| Checked { check: LandingCheck::Protected, result, found };
    match &facts.protected {
        None => checked(CheckResult::Passed, "it changes no protected paths".to_owned()),
        Some(what) if !facts.by_worker => {
            checked(CheckResult::Passed, format!("it is a branch of the upstream, and changes {what}"))
        }
        Some(what) if wish.direct => {
            let found = format!("a worker changes {what}");
            if wish.force {
                checked(CheckResult::Skipped, found)
            } else {
                checked(CheckResult::Failed, format!("{found}; read it, and force the landing with a reason"))
            }
        }
        Some(what) => {
            let found = format!("a worker changes {what}; a person approves that before it lands");
            checked(CheckResult::Pending, found)
        }
    }
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
            conflict: Some("it conflicts in a.txt".to_owned()),
            by_worker: true,
            protected: Some("sprint.toml".to_owned()),
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
        assert_eq!(found[4..], [("gates", "pending")], "what would land is not known");
        let merges = LandingFacts { conflict: None, ..everything_is_wrong() };
        assert_eq!(results(&merges, DIRECT)[4], ("protected", "failed"));
    }

    #[test]
    fn a_workers_change_of_protected_paths_waits_and_a_persons_own_does_not() {
        let facts = LandingFacts { by_worker: true, protected: Some("ci".to_owned()), ..Default::default() };
        let protected = |facts: &LandingFacts, wish| results(facts, wish)[results(facts, wish).len() - 2];
        assert_eq!(protected(&facts, LandingWish::default()), ("protected", "pending"));
        assert_eq!(protected(&facts, DIRECT), ("protected", "failed"));
        assert_eq!(protected(&facts, LandingWish { force: true, ..DIRECT }), ("protected", "skipped"));
        let facts = LandingFacts { by_worker: false, ..facts };
        for wish in [LandingWish::default(), DIRECT] {
            assert_eq!(protected(&facts, wish), ("protected", "passed"));
            assert!(
                check(&facts, wish)
                    .iter()
                    .any(|checked| checked.found == "it is a branch of the upstream, and changes ci")
            );
        }
    }

    #[test]
    fn force_skips_neither_a_conflict_nor_the_gates() {
        let found = results(&everything_is_wrong(), LandingWish { force: true, ..DIRECT });
        let skipped = [("queue", "skipped"), ("worker", "skipped"), ("clean", "skipped"), ("merge", "failed")];
        assert_eq!(found[..4], skipped);
        assert_eq!(found[4..], [("gates", "pending")]);
    }

    #[test]
    fn skipping_gates_is_not_recorded_as_a_skip_where_the_tree_has_passed() {
        let facts = LandingFacts { known: Some(Ok(())), conflict: None, protected: None, ..everything_is_wrong() };
        let found = results(&facts, LandingWish { force: true, skip_gates: true, ..DIRECT });
        assert_eq!(found[3..], [("merge", "passed"), ("protected", "passed"), ("gates", "passed")]);
    }

    #[test]
    fn a_tree_that_failed_lands_only_when_its_gates_are_skipped() {
        let facts =
            LandingFacts { known: Some(Err("no".to_owned())), gates: vec!["test".to_owned()], ..Default::default() };
        assert_eq!(results(&facts, DIRECT)[5], ("gates", "failed"));
        assert_eq!(results(&facts, LandingWish { skip_gates: true, ..DIRECT })[5], ("gates", "skipped"));
    }

    #[test]
    fn unreadable_gates_are_not_treated_as_none() {
        let facts = LandingFacts { unreadable: Some("sprint.toml is broken".to_owned()), ..Default::default() };
        assert_eq!(results(&facts, DIRECT)[5], ("gates", "failed"));
        assert_eq!(results(&facts, LandingWish { skip_gates: true, ..DIRECT })[5], ("gates", "skipped"));
    }

    #[test]
    fn in_the_queue_it_waits_for_what_holds_that_up() {
        let facts = LandingFacts { held: Some("halted".to_owned()), ..Default::default() };
        let found = results(&facts, LandingWish::default());
        let names = ["worker", "clean", "merge", "protected", "gates"];
        assert_eq!(found, names.map(|name| (name, "passed")));
    }
}
