//! What a worker is told once when it ends and has left something that would not land.

use crate::workspace::extras::Extras;
use crate::workspace::save::Remains;

/// It has commits, and further changes beside them.
pub(super) fn forgotten(left: &Remains, extras: &Extras) -> String {
    format!(
        "the command exited with 0, and its commits lack these changes: {}; {}commit what belongs to the task, remove the rest, and exit again; otherwise the commits land without them",
        files(left),
        of_nested(extras)
    )
}

/// It has no commit on its branch; none when it has left nothing at all.
pub(super) fn without_result(left: &Remains, extras: &Extras) -> Option<String> {
    let branches = extras.branches();
    let uncommitted = left.uncommitted_count > 0;
    match (branches.is_empty(), uncommitted) {
        (true, false) => None,
        (true, true) => Some(format!(
            "the command exited with 0 and left changes that are not committed: {}; {}commit what belongs to the task, remove the rest, and exit again",
            files(left),
            of_nested(extras)
        )),
        (false, _) => {
            let also = if uncommitted { format!("; not committed at all: {}", files(left)) } else { String::new() };
            Some(format!(
                "the command exited with 0, and its commits are on {}, which is not checked out{also}; merge them into the branch that is checked out, or check theirs out, and exit again",
                branches.join(", ")
            ))
        }
    }
}

/// What an agent is told that ends its turn and has left nothing at all.
pub(super) const NOTHING: &str = "your turn ended, and there is no commit and no change: do the task and commit it here; if nothing needs to be done, run: sprintctl item resolve --nothing-to-do \"WHY\"";

/// The same, once it has been told as often as it may be.
pub(super) fn in_vain(left: &Remains, extras: &Extras, told: usize) -> String {
    let often = if told > 1 { format!("{} times", told + 1) } else { "twice".to_owned() };
    let branches = extras.branches();
    if branches.is_empty() {
        return format!("left changes uncommitted {often}");
    }
    let also = if left.uncommitted_count > 0 { ", and changes uncommitted" } else { "" };
    format!("left its commits on {}, which was not checked out, {often}{also}", branches.join(", "))
}

/// Its commits hold repositories that nobody could get.
pub(super) fn orphans(paths: &[String]) -> String {
    let (are, them) =
        if paths.len() == 1 { ("is a repository of its own", "it") } else { ("are repositories of their own", "them") };
    let paths = paths.join(", ");
    format!(
        "in its commits {paths} {are} without an entry in .gitmodules, so nobody else could get {them}: commit the files instead (git rm --cached, remove the .git below, git add), or make {them} a submodule"
    )
}

fn files(left: &Remains) -> String {
    let more = left.uncommitted_count.saturating_sub(left.uncommitted.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    left.uncommitted.join(", ") + &more
}

fn of_nested(extras: &Extras) -> String {
    let Some(first) = extras.nested.first() else { return String::new() };
    let first = first.display();
    format!(
        "{first} is a git repository of its own, so a commit cannot hold its files unless {first}/.git is removed; "
    )
}
