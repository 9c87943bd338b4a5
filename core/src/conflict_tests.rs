use super::*;
use crate::explain::{ItemSurroundings, explain_item};
use crate::fixtures::{self, lease};
use crate::item::{Item, ItemEvent, Stage};
use crate::job::Role;
use crate::pipeline::role;
use crate::repo::Repo;
use crate::runtime::Runtime;
use crate::time::Timestamp;

const CHANGE: ChangeId = ChangeId::new(5);

/// Its first attempt came back.
fn conflicted(max_attempts: u32) -> Item {
    let mut item = Item { stage: Stage::Merging { change: CHANGE, landed: None }, ..fixtures::item(1, 1) };
    apply(&mut item, rejected(max_attempts));
    item
}

fn rejected(max_attempts: u32) -> ItemEvent {
    ItemEvent::Rejected {
        change: CHANGE,
        reason: "it conflicts".to_owned(),
        detail: String::new(),
        conflict: Some(fixtures::conflict(CHANGE)),
        max_attempts,
    }
}

fn apply(item: &mut Item, event: ItemEvent) {
    item.apply(event, Timestamp::default()).expect("it is taken");
}

fn leased(item: &mut Item) -> Attempt {
    apply(item, ItemEvent::Leased { attempt: item.attempt.next(), lease: lease(7) });
    item.attempt
}

fn with_resolver() -> Repo {
    Repo { run: [(Role::Resolver, "./merge".to_owned())].into(), ..fixtures::repo() }
}

#[test]
fn only_a_change_that_does_not_merge_leaves_a_conflict() {
    let change = fixtures::change(5, 1, crate::change::ChangeState::Queued);
    let paths = vec!["a.txt".to_owned()];
    let event = ChangeEvent::Conflicted { paths, others: vec![ItemId::new(9)] };
    assert_eq!(Conflict::of(&change, &event), Some(fixtures::conflict(CHANGE)));
    assert_eq!(Conflict::of(&change, &ChangeEvent::ParentFailed { parent: CHANGE }), None);
}

#[test]
fn a_conflict_goes_to_a_resolver_where_there_is_one() {
    let item = conflicted(3);
    let runtime = Repo { runtimes: [(Role::Resolver, Runtime::shell())].into(), ..fixtures::repo() };
    assert_eq!(role(&with_resolver(), &item), Role::Resolver);
    assert_eq!(role(&runtime, &item), Role::Resolver);
    assert_eq!(role(&fixtures::repo(), &item), Role::Developer);
    assert_eq!(role(&with_resolver(), &fixtures::item(1, 1)), Role::Developer, "it has none");
}

#[test]
fn a_resolver_starts_from_the_branch_that_conflicts() {
    let start = fixtures::conflict(CHANGE).start(ItemId::new(1));
    assert_eq!((start.attempt, start.commit), (Attempt::new(1), fixtures::commit("a")));
    assert_eq!((start.uncommitted, start.from_ref.as_str()), (None, "refs/sprint/work/1/1"));
}

#[test]
fn a_conflict_outlives_attempts_that_fail_or_are_lost() {
    let mut item = conflicted(3);
    let attempt = leased(&mut item);
    let reason = || "no".to_owned();
    apply(
        &mut item,
        ItemEvent::AttemptLost { attempt, reason: reason(), retry_at: Timestamp::from_millis(9), avoid: None },
    );
    apply(&mut item, ItemEvent::Retried);
    let attempt = leased(&mut item);
    apply(
        &mut item,
        ItemEvent::AttemptFailed { attempt, reason: reason(), detail: String::new(), max_attempts: 3, avoid: None },
    );
    assert_eq!((item.conflict.clone(), item.failures), (Some(fixtures::conflict(CHANGE)), 2));
    let attempt = leased(&mut item);
    apply(
        &mut item,
        ItemEvent::AttemptFailed { attempt, reason: reason(), detail: String::new(), max_attempts: 3, avoid: None },
    );
    assert_eq!(item.stage, Stage::Blocked { reason: "attempt 3 of 3 failed: no".to_owned() });
    assert!(item.conflict.is_some(), "who looks at it sees what is left to do");
}

#[test]
fn a_new_result_or_a_person_ends_it() {
    let mut delivered = conflicted(3);
    let attempt = leased(&mut delivered);
    apply(&mut delivered, ItemEvent::Delivered { attempt, change: ChangeId::new(6) });
    let mut requeued = conflicted(3);
    apply(&mut requeued, ItemEvent::Requeued { change: CHANGE });
    let mut cancelled = conflicted(3);
    apply(&mut cancelled, ItemEvent::Cancelled { reason: "why".to_owned() });
    let mut retried = conflicted(1);
    assert!(retried.conflict.is_some() && matches!(retried.stage, Stage::Blocked { .. }), "{retried:?}");
    apply(&mut retried, ItemEvent::Retried);
    for item in [delivered, requeued, cancelled, retried] {
        assert_eq!(item.conflict, None, "{}", item.stage.name());
    }
}

#[test]
fn the_explanation_names_the_role_that_resolves_it() {
    let item = conflicted(3);
    let first = |item: &Item, role| {
        let around = ItemSurroundings { role, ..ItemSurroundings::default() };
        explain_item(item, &around).reasons.swap_remove(0).reason.to_string()
    };
    let what = "change 5 of attempt 1 conflicts in a.txt, with item 9";
    assert_eq!(first(&item, Some(Role::Resolver)), format!("{what}; a resolver is to merge it"));
    assert_eq!(first(&item, Some(Role::Developer)), format!("{what}; a developer is to bring it again"));
    assert_eq!(first(&fixtures::item(1, 1), Some(Role::Developer)), "the scheduler assigns it in its next pass");
}

#[test]
fn an_item_of_an_older_record_has_no_conflict() {
    let mut older = serde_json::to_value(conflicted(3)).expect("it is JSON");
    older.as_object_mut().expect("an object").remove("conflict");
    assert_eq!(serde_json::from_value::<Item>(older).expect("it is read").conflict, None);
}
