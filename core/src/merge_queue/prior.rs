//! How likely a change is good before anything is known of it: by what became of those before it.

use serde::{Deserialize, Serialize};

use crate::footprint::Footprint;
use crate::job::Role;

/// The prior without any history: nine of ten changes are good.
const USUAL: f64 = 0.9;

/// The number of changes at which a group's own rate weighs as much as the rate of the larger group.
const WEIGHT: f64 = 10.0;

/// What became of a change of the same repo.
#[derive(Debug, Clone)]
pub struct Past {
    /// Who made it; none: a person.
    pub role: Option<Role>,
    pub footprint: Footprint,
    pub good: bool,
}

/// The chance that a change is good, and the number of similar changes that it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Prior {
    /// From 0 to 1.
    pub chance: f64,
    /// The number of recent changes by the same role that touch the same files.
    pub like_it: u32,
    /// How many of those were good.
    pub good: u32,
}

/// The rate of the repo, moved by that of the role, moved by that of what the change touches: each group counts the
/// more the larger it is.
pub fn prior(past: &[Past], role: Option<Role>, footprint: &Footprint) -> Prior {
    let same_role = || past.iter().filter(move |past| past.role == role);
    let alike = || same_role().filter(|past| past.footprint.overlaps(footprint));
    let repo = shrink(USUAL, past.iter());
    let by_role = shrink(repo, same_role());
    let (like_it, good) = count(alike());
    Prior { chance: shrink(by_role, alike()), like_it, good }
}

fn shrink<'a>(held: f64, group: impl Iterator<Item = &'a Past>) -> f64 {
    let (all, good) = count(group);
    (held * WEIGHT + f64::from(good)) / (WEIGHT + f64::from(all))
}

fn count<'a>(group: impl Iterator<Item = &'a Past>) -> (u32, u32) {
    group.fold((0, 0), |(all, good), past| (all + 1, good + u32::from(past.good)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::footprint::Rules;

    fn footprint(path: &str) -> Footprint {
        Rules::new(&[]).expect("no rules").footprint([path])
    }

    fn past(role: Role, path: &str, good: bool, times: usize) -> Vec<Past> {
        vec![Past { role: Some(role), footprint: footprint(path), good }; times]
    }

    #[test]
    fn without_a_history_nine_of_ten_are_good() {
        let prior = prior(&[], Some(Role::Developer), &footprint("a.rs"));
        assert_eq!(prior, Prior { chance: USUAL, like_it: 0, good: 0 });
    }

    #[test]
    fn a_place_where_much_fails_makes_a_change_there_doubtful_and_others_hardly() {
        let mut history = past(Role::Developer, "parser.rs", false, 15);
        history.extend(past(Role::Developer, "docs.md", true, 40));
        let chance = |path| prior(&history, Some(Role::Developer), &footprint(path)).chance;
        assert!(chance("parser.rs") < 0.45, "{}", chance("parser.rs"));
        assert!(chance("docs.md") > 0.9, "{}", chance("docs.md"));
        let new = chance("new.rs");
        assert!((0.7..0.85).contains(&new), "what is known of the repo alone: {new}");
    }

    #[test]
    fn a_role_has_its_own_rate() {
        let mut history = past(Role::Resolver, "a.rs", false, 20);
        history.extend(past(Role::Developer, "a.rs", true, 20));
        let chance = |role| prior(&history, Some(role), &footprint("b.rs")).chance;
        assert!(chance(Role::Resolver) < 0.3 && chance(Role::Developer) > 0.8);
    }

    #[test]
    fn it_is_never_certain() {
        for good in [true, false] {
            let chance =
                prior(&past(Role::Developer, "a.rs", good, 500), Some(Role::Developer), &footprint("a.rs")).chance;
            assert!(chance > 0.0 && chance < 1.0);
        }
    }
}
