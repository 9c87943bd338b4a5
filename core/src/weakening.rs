//! What a new configuration takes away from what the one before asks of changes, and the gates that it adds to it.

use crate::config::{Landing, RepoConfig};
use crate::gates::{Comparison, Gate, Threshold};
use crate::protection::Protect;
use crate::tree_rules::{TreeRule, TreeRules};

/// What follows the name of a gate that stands under the same name in the configuration before.
const NEW: &str = " (new)";

/// The gates of a new configuration that are not in the one before as they are: a change that brings them passes both.
pub fn new_gates(before: &[Gate], after: &[Gate]) -> Vec<Gate> {
    let mut new: Vec<Gate> = after.iter().filter(|gate| !before.contains(gate)).cloned().collect();
    for gate in &mut new {
        while before.iter().any(|old| old.name == gate.name) {
            gate.name.push_str(NEW);
        }
    }
    new
}

/// What is asked no more, a phrase for each; its subject is the change.
pub fn weakened(before: &RepoConfig, after: &RepoConfig) -> Vec<String> {
    let mut found = vec![];
    for old in &before.gates {
        match after.gates.iter().find(|gate| gate.name == old.name) {
            None => found.push(format!("removes gate \"{}\"", old.name)),
            Some(new) => weakened_gate(old, new, &mut found),
        }
    }
    if before.merge.landing == Landing::Strict && after.merge.landing == Landing::Relaxed {
        found.push("lets trees land that were not gated as a whole (merge.landing)".to_owned());
    }
    weakened_tree(&before.tree, &after.tree, &mut found);
    match (&before.protect, &after.protect) {
        (Protect::Paths(_), Protect::Off) => found.push("switches the protection of paths off".to_owned()),
        (Protect::Paths(old), Protect::Paths(new)) => {
            let gone = old.iter().filter(|path| !new.contains(path));
            found.extend(gone.map(|path| format!("protects {path} no more")));
        }
        (Protect::Off, _) => {}
    }
    found
}

fn weakened_gate(old: &Gate, new: &Gate, found: &mut Vec<String>) {
    let name = &old.name;
    if old.run != new.run {
        found.push(format!("lets gate \"{name}\" run another command"));
    }
    if new.retries > old.retries {
        found.push(format!("lets gate \"{name}\" fail {} times instead of {}", new.retries, old.retries));
    }
    for report in old.report.iter().filter(|report| !new.report.contains(report)) {
        found.push(format!("removes the report {} of gate \"{name}\"", report.path));
    }
    for threshold in &old.require {
        let same: Vec<&Threshold> = new.require.iter().filter(|new| new.metric == threshold.metric).collect();
        if same.iter().any(|new| implies(new, threshold)) {
            continue;
        }
        found.push(match same.last() {
            Some(new) => format!("lowers the threshold of gate \"{name}\" from {threshold} to {new}"),
            None => format!("removes the threshold {threshold} of gate \"{name}\""),
        });
    }
}

/// Whether each figure that meets one threshold meets another of the same metric.
fn implies(new: &Threshold, old: &Threshold) -> bool {
    use Comparison::{Above, AtLeast, AtMost, Below, Exactly};
    let (new_bound, bound) = (new.bound, old.bound);
    match (old.comparison, new.comparison) {
        (AtLeast, AtLeast | Above | Exactly) | (Above, Above) => new_bound >= bound,
        (Above, AtLeast | Exactly) => new_bound > bound,
        (AtMost, AtMost | Below | Exactly) | (Below, Below) => new_bound <= bound,
        (Below, AtMost | Exactly) => new_bound < bound,
        (Exactly, Exactly) => new_bound == bound,
        (AtLeast | Above, AtMost | Below) | (AtMost | Below, AtLeast | Above) | (Exactly, _) => false,
    }
}

fn weakened_tree(before: &TreeRules, after: &TreeRules, found: &mut Vec<String>) {
    let TreeRules { same_but_case, windows_names, conflict_markers, unknown_submodules, lfs_pointers, max_blob } =
        before;
    let rules = [
        ("same_but_case", same_but_case, after.same_but_case),
        ("windows_names", windows_names, after.windows_names),
        ("conflict_markers", conflict_markers, after.conflict_markers),
        ("unknown_submodules", unknown_submodules, after.unknown_submodules),
        ("lfs_pointers", lfs_pointers, after.lfs_pointers),
    ];
    for (name, old, new) in rules {
        if *old == TreeRule::Refuse && new == TreeRule::Allow {
            found.push(format!("switches the rule tree.{name} off"));
        }
    }
    if let Some(old) = max_blob
        && after.max_blob.is_none_or(|new| new > *old)
    {
        found.push("lets larger files land (tree.max_blob)".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    const BEFORE: &str = r#"
        protect = ["ci/**"]
        [[gate]]
        name = "test"
        run = "make test"
        report = { kind = "lcov", path = "cover.info" }
        require = ["coverage >= 80"]
        [[gate]]
        name = "lint"
        run = "make lint"
    "#;

    fn phrases(after: &str) -> Vec<String> {
        let read = |text: &str| parse(text).expect("a configuration");
        weakened(&read(BEFORE), &read(after))
    }

    #[test]
    fn what_is_taken_away_is_named() {
        assert_eq!(phrases(BEFORE), Vec::<String>::new());
        let after = BEFORE.replace("80", "60").replace("\"ci/**\"", "").replace("make lint", "true");
        insta::assert_snapshot!(phrases(&after).join("\n"), @r#"
        lowers the threshold of gate "test" from coverage >= 80% to coverage >= 60%
        lets gate "lint" run another command
        protects ci/** no more
        "#);
        insta::assert_snapshot!(phrases("protect = \"off\"\nmerge.landing = \"relaxed\"\ntree.lfs_pointers = \"allow\"\ntree.max_blob = \"none\"").join("\n"), @r#"
        removes gate "test"
        removes gate "lint"
        lets trees land that were not gated as a whole (merge.landing)
        switches the rule tree.lfs_pointers off
        lets larger files land (tree.max_blob)
        switches the protection of paths off
        "#);
    }

    #[test]
    fn more_that_is_asked_weakens_nothing() {
        for require in ["coverage >= 80.5", "coverage > 80", "coverage = 90"] {
            assert_eq!(phrases(&BEFORE.replace("coverage >= 80", require)), Vec::<String>::new(), "{require}");
        }
        for require in ["coverage > 79", "coverage <= 80", "coverage = 0"] {
            assert_eq!(phrases(&BEFORE.replace("coverage >= 80", require)).len(), 1, "{require}");
        }
    }

    #[test]
    fn a_gate_that_is_changed_runs_beside_the_old_one() {
        let (old, new) = (Gate::new("test", "make test"), Gate::new("test", "true"));
        let lint = Gate::new("lint", "make lint");
        let added = new_gates(std::slice::from_ref(&old), &[new, old.clone(), lint.clone()]);
        let names: Vec<_> = added.iter().map(|gate| (gate.name.as_str(), gate.run.as_str())).collect();
        assert_eq!(names, [("test (new)", "true"), ("lint", "make lint")]);
        assert_eq!(new_gates(&[old.clone(), lint], &[old]), vec![]);
    }
}
