use sprint_core::attempt_ref::RefKind;
use sprint_core::fixtures;
use sprint_core::hand_off::HandOffText;
use sprint_core::ids::{Attempt, ChangeId, ItemId, RepoName, WorkerId};
use sprint_core::item::{Feedback, StageName};
use sprint_core::time::Timestamp;

use super::*;

fn sample(id: u64, stage: StageName, title: &str) -> ItemView {
    ItemView {
        id: ItemId::new(id),
        repo: RepoName::new("web").unwrap(),
        kind: ItemKind::Task,
        title: title.to_owned(),
        stage,
        priority: Priority::Medium,
        parent: None,
        discovered_from: None,
        needs: [].into(),
        attempt: Attempt::new(0),
        worker: None,
        reason: String::new(),
        change: None,
        commit: None,
        failures: 0,
        conflict: None,
        description: String::new(),
        acceptance: vec![],
        labels: [].into(),
        requires: [].into(),
        run: None,
        feedback: vec![],
        created_at: Timestamp::from_millis(1_763_700_000_000),
        updated_at: Timestamp::from_millis(1_763_700_060_000),
    }
}

fn layout(width: Option<u16>) -> Layout {
    Layout { width, colour: false, now: Timestamp::from_millis(1_763_700_100_000) }
}

fn samples() -> Vec<ItemView> {
    let running = ItemView {
        attempt: Attempt::new(2),
        worker: Some(WorkerId::new(41)),
        priority: Priority::Urgent,
        ..sample(7, StageName::InProgress, "Teach the parser that a comment may stand at the end of a line")
    };
    let blocked = ItemView {
        attempt: Attempt::new(3),
        needs: (1..=6).map(ItemId::new).collect(),
        reason: "attempt 3 of 3 failed: the command exited with 1\n\nlast lines:\nno".to_owned(),
        ..sample(12, StageName::Blocked, "Fix the flaky test\u{1b}[2J")
    };
    vec![sample(3, StageName::Ready, "Greet"), running, blocked]
}

#[test]
fn items_fit_a_terminal() {
    insta::assert_snapshot!(list(&samples(), &layout(Some(80))));
}

#[test]
fn items_in_a_pipe_are_one_line_each() {
    insta::assert_snapshot!(list(&samples(), &layout(None)));
}

#[test]
fn an_item_shows_what_it_learnt_and_what_it_waits_for() {
    let item = ItemView {
        description: "Comments are dropped today.\n\nKeep them.".to_owned(),
        acceptance: vec!["a test covers it".to_owned()],
        labels: ["parser".to_owned()].into(),
        feedback: vec![Feedback { attempt: Attempt::new(1), text: "gate \"test\" failed\nnot ok 3".to_owned() }],
        failures: 1,
        conflict: Some(fixtures::conflict(ChangeId::new(5))),
        ..samples().swap_remove(1)
    };
    let explanation =
        Explained { reasons: vec![], lines: vec!["worker 41 works on attempt 2".to_owned()], stuck: false };
    let kept = Kept {
        attempt: Attempt::new(1),
        kind: RefKind::Wip,
        label: None,
        late: true,
        name: "refs/sprint/late/wip/7/1".to_owned(),
        commit: fixtures::commit("a"),
    };
    let left = Kept {
        kind: RefKind::Left,
        label: Some("heads/topic".to_owned()),
        late: false,
        name: "refs/sprint/left/7/1/heads/topic".to_owned(),
        ..kept.clone()
    };
    let text = HandOffText {
        completed: vec!["the tokenizer keeps comments".to_owned()],
        open_issues: vec!["the printer drops them".to_owned(), "CRLF".to_owned()],
        test_status: "2 of 5 fail".to_owned(),
        ..HandOffText::default()
    };
    let hand_off =
        HandOffView { attempt: Attempt::new(1), worker: WorkerId::new(40), written_at: item.created_at, text };
    let progress = Some(ProgressSaid { text: "half of it".to_owned(), at: item.updated_at });
    let work = KeptWork { kept: vec![left, kept], term: Term::Open };
    let item = ItemView { discovered_from: Some(ItemId::new(3)), ..item };
    let shown = ItemDetails::new(item, progress, vec![hand_off], work);
    insta::assert_snapshot!(details(&shown, &explanation, &layout(Some(80))));
}

#[test]
fn an_item_says_for_how_long_its_work_is_kept_and_when_it_is_no_longer() {
    let explanation = Explained { reasons: vec![], lines: vec!["it is done".to_owned()], stuck: false };
    let kept = Kept {
        attempt: Attempt::new(1),
        kind: RefKind::Work,
        label: None,
        late: false,
        name: "refs/sprint/work/7/1".to_owned(),
        commit: fixtures::commit("a"),
    };
    let (time, keep) = (Timestamp::from_millis(1_763_700_060_000), std::time::Duration::from_hours(24 * 30));
    let shown = |kept: Vec<Kept>, term| {
        let work = KeptWork { kept, term };
        details(&ItemDetails::new(sample(7, StageName::Done, "Greet"), None, vec![], work), &explanation, &layout(None))
    };
    let says = "keeps work for 30days after an item is done or cancelled (--keep-work)";
    let until = shown(vec![kept.clone()], Term::Until { time, keep });
    assert!(until.contains("at refs/sprint/work/7/1\n  until 2025-11-21T") && until.contains(says), "{until}");
    let gone = shown(vec![], Term::Past { time, keep });
    assert!(gone.contains("nothing: its time ended at 2025-11-21T") && gone.contains(says), "{gone}");
    assert!(!shown(vec![kept], Term::Open).contains("--keep-work"));
    // It left nothing, and its time is not over: nothing went.
    assert!(!shown(vec![], Term::Until { time, keep }).contains("kept"));
}
