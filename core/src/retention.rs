//! For how long the work of attempts is kept.

use std::time::Duration;

use crate::attempt_ref::{AttemptRef, Kept};
use crate::ids::ItemId;
use crate::item::Item;
use crate::time::Timestamp;

/// What is kept of an item's attempts, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptWork {
    pub kept: Vec<Kept>,
    pub term: Term,
}

/// For how long the work of an item is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Term {
    /// As long as it is not over.
    Open,
    /// Until then: this long after it was over.
    Until { time: Timestamp, keep: Duration },
    /// No longer, since then.
    Past { time: Timestamp, keep: Duration },
}

impl Term {
    /// The term of an item's work.
    pub fn of(item: &Item, keep: Duration, now: Timestamp) -> Self {
        match kept_until(item, keep) {
            None => Self::Open,
            Some(time) if time <= now => Self::Past { time, keep },
            Some(time) => Self::Until { time, keep },
        }
    }
}

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
    use proptest::prelude::*;

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
            assert_eq!(Term::of(&with(stage), KEEP, at(1_000)), Term::Open);
        }
        for stage in [Stage::Done { commit: None }, Stage::Cancelled { reason: "why".to_owned() }] {
            assert_eq!(kept_until(&with(stage.clone()), KEEP), Some(at(110)), "{stage:?}");
            let (time, keep) = (at(110), KEEP);
            assert_eq!(Term::of(&with(stage.clone()), KEEP, at(109)), Term::Until { time, keep });
            assert_eq!(Term::of(&with(stage), KEEP, at(110)), Term::Past { time, keep });
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

    fn names() -> impl Strategy<Value = String> {
        let kind =
            prop::sample::select(vec!["work", "wip", "late/work", "late/wip", "candidate", "upstream", "module"]);
        (kind, 1_u64..6, 1_u32..4).prop_map(|(kind, item, attempt)| format!("refs/sprint/{kind}/{item}/{attempt}"))
    }

    proptest! {
        /// Whatever there is, and whenever: what goes is an attempt's, its item is over, and has been for the whole time.
        #[test]
        fn nothing_goes_before_its_time_and_what_goes_stays_gone(
            refs in prop::collection::vec(names(), 0..40),
            over_at in prop::collection::vec(prop::option::of(0_i64..500), 6),
            now in 0_i64..1_000,
            later in 0_i64..500,
        ) {
            let item = |id: ItemId| {
                let over = over_at[usize::try_from(id.get()).expect("is small")];
                let stage = over.map_or(Stage::Ready, |_| Stage::Done { commit: None });
                Item { stage, stage_since: Some(at(over.unwrap_or(0))), ..fixtures::item(id.get(), 1) }
            };
            let until = |id: ItemId| kept_until(&item(id), KEEP);
            let gone = expired(refs.clone(), until, at(now));
            for name in &refs {
                let over = AttemptRef::parse(name).and_then(|found| over_at[usize::try_from(found.item.get()).ok()?]);
                prop_assert_eq!(gone.contains(name), over.is_some_and(|over| over + 100 <= now), "{}", name);
            }
            let gone_later = expired(refs, until, at(now + later));
            prop_assert!(gone.iter().all(|name| gone_later.contains(name)));
        }
    }
}
