//! Each daemon dies at every place between an effect and its record; nothing is lost, and nothing happens twice.

use sprint_failpoint::{Daemon, Point};
use sprint_tests::{Cluster, OutpostOptions, Repo, eventually};

/// A command line that has uncommitted changes under way, long enough for a snapshot where one is wanted.
fn run(part: Part) -> String {
    let pause = if part == Part::Run { "1.5" } else { "0.2" };
    format!(
        "echo one; echo half > f$SPRINT_ITEM; sleep {pause}; echo two; echo whole > f$SPRINT_ITEM; git add -A; \
         git commit -qm work; echo three"
    )
}

/// What a place belongs to: the places of each are walked side by side with the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Commit,
    Exchange,
    Landing,
    Start,
    Run,
    End,
    /// Walked in `tests/upstream.rs`, where a person chooses.
    Choice,
}

const fn part(point: Point) -> Part {
    match point {
        Point::CommitBefore | Point::CommitAfter => Part::Commit,
        Point::ReportApplied
        | Point::AssignBefore
        | Point::AssignAfter
        | Point::LogWritten
        | Point::LogSynced
        | Point::WorkArrived => Part::Exchange,
        Point::CandidateRef
        | Point::LandBefore
        | Point::LandAfter
        | Point::LandRecorded
        | Point::PushBefore
        | Point::PushAfter => Part::Landing,
        Point::FollowBefore | Point::FollowAfter => Part::Choice,
        Point::AcceptWritten | Point::WorkspaceMade | Point::PlanWritten | Point::SessionStarted => Part::Start,
        Point::JournalBefore | Point::JournalAfter | Point::SnapshotBefore | Point::SnapshotAfter => Part::Run,
        Point::LookUnderway
        | Point::SaveUnderway
        | Point::SaveBefore
        | Point::PushWorkBefore
        | Point::PushWorkAfter
        | Point::RemoveBefore
        | Point::RemoveAfter => Part::End,
    }
}

fn walk_all(wanted: Part, times: &[u32]) {
    for point in Point::ALL.iter().filter(|point| part(**point) == wanted) {
        for time in times {
            walk(*point, *time);
        }
    }
}

#[test]
fn a_coordinator_that_dies_around_a_commit_goes_on() {
    walk_all(Part::Commit, &[1, 2, 3, 5, 8, 13]);
}

#[test]
fn a_coordinator_that_dies_during_an_outposts_session_goes_on() {
    walk_all(Part::Exchange, &[1, 2]);
}

#[test]
fn a_coordinator_that_dies_around_a_landing_lands_once() {
    walk_all(Part::Landing, &[1, 2]);
}

#[test]
fn an_outpost_that_dies_while_it_starts_a_worker_goes_on() {
    walk_all(Part::Start, &[1, 2]);
}

#[test]
fn an_outpost_that_dies_while_a_worker_runs_goes_on() {
    walk_all(Part::Run, &[1, 2]);
}

#[test]
fn an_outpost_that_dies_while_it_saves_a_worker_goes_on() {
    walk_all(Part::End, &[1, 2]);
}

/// A worker may leave something that the agent cannot look at and live.
#[test]
fn a_directory_at_which_an_outpost_dies_each_time_is_set_aside_and_the_next_start_goes_on() {
    for point in [Point::LookUnderway, Point::SaveUnderway] {
        let mut cluster = Cluster::start(0);
        let repo = cluster.repo("web", &[], &["--gate", "ok=true", "--max-attempts", "1"]);
        cluster.add_outpost("local-1", OutpostOptions { max_workers: 1, ..OutpostOptions::default() });
        cluster.online("local-1");
        cluster.kill_outpost("local-1");
        let fatal = cluster.add(&repo, "Fatal", "echo x > fatal; git add -A; git commit -qm x");
        let next = cluster.add(&repo, "Next", "echo x > next; git add -A; git commit -qm x");
        for time in 1..=3 {
            cluster.start_outpost_to_die("local-1", point, 1);
            eventually(&format!("{} strikes at start {time}", point.name()), || !cluster.outpost_runs("local-1"));
            cluster.kill_outpost("local-1");
        }
        cluster.start_outpost("local-1");
        let blocked = cluster.until(fatal, "blocked")["reason"].to_string();
        assert!(
            blocked.contains("the agent has ended 3 times while it looked at what this worker has left"),
            "{blocked}"
        );
        assert!(blocked.contains("kept"), "{blocked}");
        let kept = cluster.outpost_data("local-1").join("kept").join(format!("{fatal}-1-1"));
        // The item says where once its worker is recorded; the directory moves after that.
        eventually(&format!("{}: its work is there", kept.display()), || kept.join("workspace/fatal").exists());
        cluster.landed(&repo, next);
        cluster.nothing_is_left("web");
    }
}

/// Comes to `point` for the `time`th time with two items on their way, and then goes on.
fn walk(point: Point, time: u32) {
    eprintln!("{}:{time}", point.name());
    let mut cluster = Cluster::start_with(0, &["--snapshot-every", "200ms"]);
    let repo = cluster.repo("web", &[], &["--gate", "ok=true"]);
    cluster.add_outpost("local-1", OutpostOptions::default());
    cluster.online("local-1");
    cluster.kill_outpost("local-1");
    let run = run(part(point));
    let one = cluster.add(&repo, "One", &run);
    // Two that are there at once may land at once, and there would be no second landing to come to.
    let first = one.to_string();
    let after: &[&str] = if part(point) == Part::Landing { &["--needs", &first] } else { &[] };
    let items = [one, cluster.add_with(&repo, "Two", &run, after)];
    match point.daemon() {
        Daemon::Coordinator => {
            cluster.kill_coordinator();
            cluster.start_coordinator_to_die(point, time);
            cluster.start_outpost("local-1");
            eventually(&format!("{} strikes", point.name()), || !cluster.coordinator_runs());
            assert!(cluster.coordinator_log().contains(&format!("failpoint {}", point.name())));
            cluster.kill_coordinator();
            cluster.start_coordinator();
        }
        Daemon::Outpost => {
            cluster.start_outpost_to_die("local-1", point, time);
            eventually(&format!("{} strikes", point.name()), || !cluster.outpost_runs("local-1"));
            assert!(cluster.outpost_log("local-1").contains(&format!("failpoint {}", point.name())));
            cluster.kill_outpost("local-1");
            cluster.start_outpost("local-1");
        }
    }
    all_is_well(&cluster, &repo, items);
}

fn all_is_well(cluster: &Cluster, repo: &Repo, items: [u64; 2]) {
    for id in items {
        let item = cluster.landed(repo, id);
        assert_eq!((&item["attempt"], &item["failures"]), (&1.into(), &0.into()), "a kill is not the item's fault");
        assert_eq!(cluster.changes(id).len(), 1);
        assert_eq!(cluster.count(id, "item_landed"), 1);
        assert_eq!(repo.file(&format!("f{id}")).as_deref(), Some("whole\n"));
        let workers = cluster.workers(id);
        let mut developers = workers.iter().filter(|worker| worker["role"] == "developer");
        let (worker, other) = (developers.next().expect("a worker"), developers.next());
        assert_eq!(other, None, "one attempt has one worker");
        let log = cluster.sprintctl(&["worker", "logs", &worker["id"].to_string()]).succeeded().text();
        assert_eq!(log, "one\r\ntwo\r\nthree\r\n");
    }
    cluster.nothing_is_left("web");
    let seqs = cluster.events().iter().filter_map(|event| event["seq"].as_u64()).collect::<Vec<_>>();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>(), "the record has no gap");
}
