//! Attempts that go on with the work of an earlier one.

use sprint_core::assignment::{Assignment, AttemptOutcome, Outcome};
use sprint_core::ids::{Attempt, CommitId};
use sprint_core::job::{AttemptJob, EarlierWork, Job};

use crate::support::{Site, lost};

/// What the next attempt at a worker's item goes on with, once it is over.
async fn resumed(site: &Site, worker: u64, run: &str, from_ref: &str) -> EarlierWork {
    let worker = site.assign(site.item(worker, run)).await;
    let finished = site.finished(worker).await;
    let from = site.git(&["rev-parse", from_ref]).parse::<CommitId>().expect("a commit");
    match finished.wip {
        Some(wip) => {
            let commit = site.git(&["rev-parse", &format!("{wip}^")]).parse().expect("a commit");
            EarlierWork { attempt: Attempt::new(1), commit, uncommitted: Some(wip), from_ref: from_ref.to_owned() }
        }
        None => {
            EarlierWork { attempt: Attempt::new(1), commit: from, uncommitted: None, from_ref: from_ref.to_owned() }
        }
    }
}

fn next(site: &Site, worker: u64, run: &str, resumed: EarlierWork) -> Assignment {
    let first = site.item(worker, run);
    let job = AttemptJob { attempt: Attempt::new(2), ..*first.job.attempt().expect("an attempt") };
    Assignment { job: Job::Attempt(job), resumed: Some(resumed), ..first }
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_and_uncommitted_changes_are_there_again() {
    let site = Site::start(&["--warm", "1"]).await;
    let first = "echo 1 > committed; mkdir sub; echo 2 > sub/gone; git add -A; git commit -qm first; \
                 rm sub/gone; echo more >> README; printf '#!/bin/sh\\n' > tool; chmod +x tool; ln -s README link; exit 1";
    let resumed = resumed(&site, 1, first, "refs/sprint/wip/101/1").await;
    let look = "git log -1 --format=%s; git branch --show-current; git status --porcelain; cat README; readlink link; \
                test -x tool && echo runs; tail -1 \"$SPRINT_PROMPT_FILE\"; git add -A; git commit -qm second";
    let second = site.assign(next(&site, 2, look, resumed)).await;
    let finished = site.finished(second).await;
    let Outcome::Attempt(AttemptOutcome::Committed { head }) = &finished.outcome else { panic!("{finished:?}") };
    let seen: Vec<_> = finished.log_tail.split('\n').map(str::trim_end).filter(|line| !line.is_empty()).collect();
    let status = [" M README", " D sub/gone", "?? link", "?? tool"];
    let expected =
        [&["first", "sprint/102/2"], &status[..], &["hello", "more", "README", "runs", "Please do it."]].concat();
    assert_eq!(seen, expected);
    assert_eq!(site.git(&["log", "--format=%s", &format!("{}..{head}", site.base)]), "second\nfirst");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_adds_nothing_delivers_the_branch_it_resumed() {
    let site = Site::start(&[]).await;
    let first = "echo 1 > a; git add a; git commit -qm first; exit 1";
    let resumed = resumed(&site, 3, first, "refs/sprint/work/103/1").await;
    let commit = resumed.commit.clone();
    let second = site.assign(next(&site, 4, "git status --porcelain", resumed)).await;
    let finished = site.finished(second).await;
    assert_eq!(finished.outcome, Outcome::Attempt(AttemptOutcome::Committed { head: commit.clone() }));
    assert_eq!(site.git(&["rev-parse", "refs/sprint/work/104/2"]), commit.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_whose_earlier_work_is_gone_is_not_counted_as_failed() {
    let site = Site::start(&[]).await;
    let commit: CommitId = "0123456789012345678901234567890123456789".parse().expect("a commit");
    let from_ref = "refs/sprint/wip/105/1".to_owned();
    let resumed = EarlierWork { attempt: Attempt::new(1), commit, uncommitted: None, from_ref };
    let worker = site.assign(next(&site, 5, "true", resumed)).await;
    let reason = lost(&site.finished(worker).await.outcome);
    assert!(
        reason.starts_with("the workspace could not be made: the work of attempt 1 cannot be restored: "),
        "{reason}"
    );
}
