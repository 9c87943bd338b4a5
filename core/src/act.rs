//! What a person can do next: a value that each face words its own way (a command, a button, a code).

use crate::access::TokenKind;
use crate::ids::{ChangeId, ItemId, OutpostName, RepoName, WorkerId};

/// Defines [`Act`] with the word and the target of each act.
macro_rules! acts {
    (
        plain { $($(#[$pmeta:meta])* $plain:ident => $pword:literal),+ $(,)? }
        targeted { $($(#[$tmeta:meta])* $targeted:ident($target:ty) => $tword:literal),+ $(,)? }
    ) => {
        /// What a person can do next.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Act {
            $($(#[$pmeta])* $plain,)+
            $($(#[$tmeta])* $targeted($target),)+
        }

        impl Act {
            /// The words of all acts.
            pub const WORDS: &'static [&'static str] = &[$($pword,)+ $($tword,)+];

            /// The stable word of this act.
            pub const fn word(&self) -> &'static str {
                match self {
                    $(Self::$plain => $pword,)+
                    $(Self::$targeted(_) => $tword,)+
                }
            }

            /// The number or name of its target.
            pub fn target(&self) -> Option<String> {
                match self {
                    $(Self::$plain => None,)+
                    $(Self::$targeted(target) => Some(target.to_string()),)+
                }
            }

            /// The act with this word; `None` for one that this version does not know.
            pub fn of(word: &str, target: &str) -> Option<Self> {
                match word {
                    $($pword => Some(Self::$plain),)+
                    $($tword => Some(Self::$targeted(target.parse().ok()?)),)+
                    _ => None,
                }
            }
        }
    };
}

acts! {
    plain {
        ListItems => "list_items",
        ListRepos => "list_repos",
        ListWorkers => "list_workers",
        ListChanges => "list_changes",
        ListOutposts => "list_outposts",
        ListTokens => "list_tokens",
        ListSecrets => "list_secrets",
        AddRepo => "add_repo",
        /// Halt the merge queues for a moment.
        HaltQueues => "halt_queues",
        /// Start an outpost, and let it join.
        JoinOutpost => "join_outpost",
        /// Start an outpost that has certain labels.
        JoinLabelledOutpost => "join_labelled_outpost",
        /// Authenticate with a token.
        LogIn => "log_in",
    }
    targeted {
        ShowItem(ItemId) => "show_item",
        ReadyItem(ItemId) => "ready_item",
        RetryItem(ItemId) => "retry_item",
        /// Take the item as done.
        ResolveItem(ItemId) => "resolve_item",
        /// Add an item below this one.
        AddChild(ItemId) => "add_child",
        ShowRepo(RepoName) => "show_repo",
        /// Give the repo a command line for its workers.
        SetRepoCommand(RepoName) => "set_repo_command",
        /// Give the repo a gate.
        SetRepoGates(RepoName) => "set_repo_gates",
        ForceRemoveRepo(RepoName) => "force_remove_repo",
        /// Let the repo's merge queue continue after a halt or a freeze.
        UnpauseRepo(RepoName) => "unpause_repo",
        /// Choose whose history counts after the upstream was rewritten.
        ChooseUpstream(RepoName) => "choose_upstream",
        /// Read what a worker printed.
        ReadLog(WorkerId) => "read_log",
        /// Watch what a worker prints.
        FollowLog(WorkerId) => "follow_log",
        RetryChange(ChangeId) => "retry_change",
        /// Let a change of protected paths land.
        ApproveChange(ChangeId) => "approve_change",
        DrainOutpost(OutpostName) => "drain_outpost",
        RemoveOutpost(OutpostName) => "remove_outpost",
        ForceRemoveOutpost(OutpostName) => "force_remove_outpost",
        CreateToken(TokenKind) => "create_token",
    }
}

/// One of each kind, for tests of what words them.
#[cfg(any(test, feature = "testing"))]
pub fn samples() -> Vec<Act> {
    let targets = ["7", "web", "outpost"];
    let of = |word: &&'static str| targets.iter().find_map(|target| Act::of(word, target));
    Act::WORDS.iter().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_act_survives_its_word_and_target() {
        let samples = samples();
        assert_eq!(samples.len(), Act::WORDS.len());
        for act in samples {
            assert_eq!(Act::of(act.word(), &act.target().unwrap_or_default()), Some(act));
        }
        assert_eq!(Act::of("dance", ""), None);
        assert_eq!(Act::of("retry_item", "seven"), None);
    }
}
