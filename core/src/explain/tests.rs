use std::collections::BTreeSet;

use super::*;
use crate::change::{Change, ChangeState};
use crate::fixtures;
use crate::ids::{ChangeId, ItemId, WorkerId};
use crate::item::{Item, Stage};
use crate::merge_queue::Standing;
use crate::schedule::{Hold, Unplaced};

fn view(explanation: Explanation) -> String {
    let lines = explanation.reasons.into_iter().map(ReasonView::from).map(|view| {
        let since = view.since.map(|since| format!(" since {since}")).unwrap_or_default();
        let act = view.act.map(|act| format!(" [{} {}]", act.word(), act.target().unwrap_or_default()));
        format!("{} {}{since}: {}{}", view.severity, view.code, view.message, act.unwrap_or_default())
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn item(stage: Stage) -> Item {
    Item { stage, ..fixtures::item(1, 1) }
}

#[test]
fn an_item_says_what_it_waits_for() {
    let reason = || "no".to_owned();
    let ready = || item(Stage::Ready);
    let none = ItemSurroundings::default;
    let wanting = Item { requires: [("gpu".to_owned(), "a100".to_owned())].into(), ..ready() };
    let need = (Item { id: ItemId::new(9), title: "Parse".to_owned(), ..item(Stage::Ready) }, true);
    let explained = [
        (item(Stage::Inbox), none()),
        (item(Stage::Blocked { reason: reason() }), none()),
        (
            Item {
                nothing_to_do: true,
                ..item(Stage::Blocked { reason: "nothing to do, says attempt 1: it is there".to_owned() })
            },
            none(),
        ),
        (item(Stage::Cancelled { reason: reason() }), none()),
        (item(Stage::Done { commit: Some(fixtures::commit("a")) }), none()),
        (ready(), ItemSurroundings { hold: Some(Hold::Container), ..none() }),
        (ready(), ItemSurroundings { hold: Some(Hold::Needs { open: BTreeSet::new() }), needs: vec![need], ..none() }),
        (ready(), ItemSurroundings { nothing_to_run: true, ..none() }),
        (ready(), ItemSurroundings { unplaced: Some(Unplaced::NoOutpost), ..none() }),
        (wanting, ItemSurroundings { unplaced: Some(Unplaced::NoMatchingLabels), ..none() }),
        (
            ready(),
            ItemSurroundings {
                unplaced: Some(Unplaced::NoFreeSlot),
                ahead: 2,
                paused: vec![(fixtures::outpost_name(), "its disk is full".to_owned())],
                ..none()
            },
        ),
        (ready(), none()),
    ];
    let explained = explained.map(|(item, around)| view(explain_item(&item, &around)));
    insta::assert_snapshot!(explained.join("\n"));
}

#[test]
fn a_reason_of_a_stage_is_dated_where_its_beginning_is_known() {
    let (at, until) = (Timestamp::from_millis(5), Timestamp::from_millis(60_000));
    let since = |item: &Item, around: &ItemSurroundings| {
        explain_item(item, around).reasons.iter().map(|dated| dated.since).collect::<Vec<_>>()
    };
    let none = ItemSurroundings::default();
    let edited = Timestamp::from_millis(9);
    let entered = |stage| Item { stage_since: Some(at), updated_at: edited, ..item(stage) };
    assert_eq!(since(&entered(Stage::Inbox), &none), [Some(at)], "an edit does not count");
    assert_eq!(since(&entered(Stage::Merging { change: ChangeId::new(5), landed: None }), &none), [Some(at)]);
    let paused = ItemSurroundings { hold: Some(Hold::Pause { until }), ..none.clone() };
    assert_eq!(since(&entered(Stage::Ready), &paused), [Some(at)], "the loss that began the pause");
    let child = entered(Stage::Blocked { reason: "no".to_owned() });
    let container = ItemSurroundings { hold: Some(Hold::Container), children: vec![child], ..none.clone() };
    assert_eq!(since(&item(Stage::Ready), &container), [Some(at)], "the child's stage");
    assert_eq!(since(&entered(Stage::Ready), &none), [None], "when the slots were taken is not known");
    let older = Item { stage_since: None, ..entered(Stage::Inbox) };
    assert_eq!(since(&older, &none), [None], "an older record does not say");
}

#[test]
fn a_change_says_what_it_waits_for() {
    let change = || fixtures::change(5, 1, ChangeState::Queued);
    let standing = Standing {
        position: 2,
        waits_for: vec![ChangeId::new(3), ChangeId::new(4)],
        trial: None,
        trial_state: None,
        with: vec![],
        chance: 0.9,
        prior: None,
        expected: None,
    };
    let mut trial = fixtures::trial(7, &[]);
    trial.runs[0].state = crate::trial::RunState::Running { worker: WorkerId::new(8) };
    let why = || Some("release day".to_owned());
    let none = ChangeSurroundings::default;
    let candidate = fixtures::candidate();
    let failed = ChangeState::Failed { reason: "gate \"test\" failed".to_owned() };
    let explained = [
        (change(), none()),
        (change(), ChangeSurroundings { halted: why(), ..none() }),
        (change(), ChangeSurroundings { standing: Some(standing), trial: Some(trial), frozen: why(), ..none() }),
        (Change { state: ChangeState::Landed { candidate }, ..change() }, none()),
        (Change { state: failed, ..change() }, none()),
    ];
    let stuck = explained.clone().map(|(change, around)| explain_change(&change, &around).is_stuck());
    assert_eq!(stuck, [false, true, true, false, true]);
    let explained = explained.map(|(change, around)| view(explain_change(&change, &around)));
    insta::assert_snapshot!(explained.join("\n"));
}

#[test]
fn a_reason_carries_its_data() {
    let view = ReasonView::from(DatedReason::from(Reason::RoleLimit { max: 3 }));
    assert_eq!((view.code.as_str(), view.data), ("repo.role_limit", serde_json::json!({ "max": 3 })));
    let view = ReasonView::from(DatedReason::from(Reason::NoOutpost));
    assert_eq!(view.data, serde_json::json!({}));
}

#[test]
fn each_code_of_a_reason_is_in_the_reference() {
    let page = include_str!("../../../docs/reference/errors.md");
    let section = page.split("\n## ").find(|section| section.starts_with("Reasons")).expect("a section");
    let row = |code: &ReasonCode| format!("| `{code}` | {} |", code.severity());
    let missing = ReasonCode::ALL.iter().map(row).filter(|row| !section.contains(row.as_str())).collect::<Vec<_>>();
    assert!(missing.is_empty(), "docs/reference/errors.md lacks these reasons:\n{}", missing.join("\n"));
    let listed = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let unknown = listed.filter(|code| code.parse::<ReasonCode>().is_err()).collect::<Vec<_>>();
    assert!(unknown.is_empty(), "docs/reference/errors.md lists reasons that do not exist: {unknown:?}");
}
