//! The prompt of a worker on an item: the text for its `context/prompt.md`.

use std::fmt::Write as _;

use crate::config::MergeMethod;
use crate::conflict::Conflict;
use crate::hand_off::HandOff;
use crate::ids::CommitId;
use crate::item::Item;

/// The most characters of each conflicting item's description in a resolver's prompt.
const TOLD: usize = 2_000;

const END: &str = "\nCommit your work in this repository; only commits count. Exit with 0 when you are done.\n";

/// The prompt for the item's own work.
pub fn of_item(item: &Item) -> String {
    format!("# {}\n{}{END}", item.title, task(item))
}

fn task(item: &Item) -> String {
    let mut text = String::new();
    if !item.description.is_empty() {
        let _ = write!(text, "\n{}\n", item.description.trim_end());
    }
    if !item.acceptance.is_empty() {
        text.push_str("\n## Done when\n");
        for criterion in &item.acceptance {
            let _ = writeln!(text, "- {criterion}");
        }
    }
    text
}

/// What an earlier attempt has handed over.
pub fn of_hand_off(hand_off: &HandOff) -> String {
    let mut text = format!("\n## What attempt {} handed over\n", hand_off.attempt);
    for (title, lines) in hand_off.text.sections() {
        if let [first, more @ ..] = lines.as_slice() {
            let _ = write!(text, "\n{}{}:\n\n- {first}\n", title[..1].to_uppercase(), &title[1..]);
            for line in more {
                let _ = writeln!(text, "- {line}");
            }
        }
    }
    text
}

/// Where a resolver brings its branch.
#[derive(Debug, Clone, Copy)]
pub struct Onto<'a> {
    /// The target branch, without `refs/heads/`.
    pub branch: &'a str,
    /// Its tip when the attempt was given out.
    pub tip: &'a CommitId,
    pub method: MergeMethod,
}

/// The prompt for resolving a conflict of `item`; `others` are the conflicting items.
pub fn of_resolver(item: &Item, conflict: &Conflict, others: &[Item], onto: Onto<'_>) -> String {
    let Onto { branch, tip, method } = onto;
    let Conflict { change: _, attempt, head: _, paths, others: _ } = conflict;
    let mut text = format!("# Resolve a conflict: {}\n\n", item.title);
    let _ =
        write!(text, "Attempt {attempt} did the work of item {}, and its branch does not merge with {branch}", item.id);
    text.push_str(if paths.is_empty() { ".\n" } else { "; these paths conflict:\n\n" });
    for path in paths {
        let _ = writeln!(text, "- {path}");
    }
    // A rebase makes each commit again and leaves merges out, with what they resolved. A worker has a terminal, where
    // git would open an editor.
    let (what, command) = match method {
        MergeMethod::Rebase => (format!("Rebase your branch onto the tip of {branch}"), "rebase"),
        MergeMethod::Merge | MergeMethod::Squash | MergeMethod::FastForward => {
            (format!("Merge the tip of {branch} into your branch"), "merge --no-edit")
        }
    };
    let _ = write!(
        text,
        "\n{what}; your repository has its commits:\n\n    git {command} {tip}\n\nResolve every conflict so that both sides' work is kept.\n"
    );
    if !others.is_empty() {
        text.push_str("\n## The conflicting items\n");
    }
    for other in others {
        let _ = writeln!(text, "\n### Item {}: {}", other.id, other.title);
        let told = other.description.chars().take(TOLD).collect::<String>();
        if !told.is_empty() {
            let _ = write!(text, "\n{}\n", told.trim_end());
        }
    }
    let _ = write!(text, "\n## What item {} asks for\n\n{}\n{}{END}", item.id, item.title, task(item));
    text
}

#[cfg(test)]
mod tests {
    use crate::fixtures;
    use crate::ids::ChangeId;

    use super::*;

    #[test]
    fn a_resolvers_prompt_names_the_conflicting_items_and_the_merge() {
        let item = Item {
            title: "Greet in French".to_owned(),
            description: "The greeting is French.\n".to_owned(),
            acceptance: vec!["a test covers it".to_owned()],
            ..fixtures::item(3, 1)
        };
        let long = Item { description: "é".repeat(3 * TOLD), ..fixtures::item(7, 1) };
        let other = Item {
            title: "Greet everybody".to_owned(),
            description: "Not only us.".to_owned(),
            ..fixtures::item(9, 1)
        };
        let conflict = fixtures::conflict(ChangeId::new(2));
        let tip = fixtures::commit("b");
        let onto = Onto { branch: "main", tip: &tip, method: MergeMethod::Merge };
        insta::assert_snapshot!(of_resolver(&item, &conflict, &[other], onto));
        let told = of_resolver(&item, &conflict, &[long], onto);
        assert_eq!(told.matches('é').count(), TOLD);
        let rebased = of_resolver(&item, &conflict, &[], Onto { method: MergeMethod::Rebase, ..onto });
        assert!(rebased.contains(&format!("git rebase {tip}")) && !rebased.contains("conflicting items"), "{rebased}");
    }

    #[test]
    fn a_developers_prompt_has_the_texts_of_the_item() {
        let item = Item {
            title: "Greet".to_owned(),
            description: "Politely.\n\n".to_owned(),
            acceptance: vec!["it greets".to_owned()],
            ..fixtures::item(1, 0)
        };
        let text = of_item(&item);
        assert!(text.starts_with("# Greet\n\nPolitely.\n\n## Done when\n- it greets\n\nCommit your work"), "{text}");
    }
}
