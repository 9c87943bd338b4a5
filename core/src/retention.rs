//! For how long the work of attempts is kept.

use std::time::Duration;

use crate::attempt_ref::AttemptRef;
use crate::ids::ItemId;
use crate::item::Item;
use crate::time::Timestamp;

/// Until when the work of an item is kept; none while it is not over: then what its attempts left may be all there is.
pub fn kept_until(item: &Item, keep: Duration) -> Option<Timestamp> {
    item.is_over().then(|| item.stage_since.unwrap_or(item.updated_at).plus(keep))
}

/// Those of a repository's refs that hold work which is kept no longer; `until` says how long an item's is.
///
/// A ref that is none of an attempt's, and one of an item that nobody knows, stays.
pub fn expired(refs: Vec<String>, until: impl Fn(ItemId) -> Option<Timestamp>, now: Timestamp) -> Vec<String> {
    let is_expired = |name: &String| {
        let until = AttemptRef::parse(name).and_then(|found| until(found.item));
        until.is_some_and(|until| until <= now)
    };
    refs.into_iter().filter(is_expired).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::item::Stage;

    const KEEP: Duration = Duration::from_secs(100);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    #[test]
    fn only_the_work_of_items_that_are_over_is_given_up() {
        let with = |stage: Stage| Item { stage, stage_since: Some(at(10)), ..fixtures::item(1, 0) };
        for stage in [Stage::Inbox, Stage::Ready, Stage::Blocked { reason: "why".to_owned() }] {
            assert_eq!(kept_until(&with(stage.clone()), KEEP), None, "{stage:?}");
        }
        for stage in [Stage::Done { commit: None }, Stage::Cancelled { reason: "why".to_owned() }] {
            assert_eq!(kept_until(&with(stage.clone()), KEEP), Some(at(110)), "{stage:?}");
        }
    }

    #[test]
    fn every_kind_of_an_attempts_refs_goes_at_its_time_and_no_other_ref() {
        let of = |item: u64| {
            ["work/N/1", "wip/N/2", "left/N/1/stash/0", "late/work/N/1", "late/left/N/1/heads/x"]
                .map(|name| format!("refs/sprint/{}", name.replace('N', &item.to_string())))
                .to_vec()
        };
        let others = ["refs/heads/main", "refs/sprint/work/1", "refs/sprint/module/1/1", "refs/sprint/upstream/main"];
        let all = [of(1), of(2), of(3), others.map(ToOwned::to_owned).to_vec()].concat();
        let until = |item: ItemId| match item.get() {
            1 => Some(at(10)),
            2 => Some(at(11)),
            _ => None,
        };
        assert_eq!(expired(all.clone(), until, at(9)), Vec::<String>::new());
        assert_eq!(expired(all.clone(), until, at(10)), of(1));
        assert_eq!(expired(all, until, at(1_000)), [of(1), of(2)].concat());
    }
}
