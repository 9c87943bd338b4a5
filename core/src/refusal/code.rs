//! The one table of refusal codes, and what each entity adds to it; `docs/reference/errors.md` is checked against both.

use super::Kind;

/// The refusal of a key that no entity of a kind has.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct NotFound {
    pub code: &'static str,
    pub meaning: &'static str,
    pub remedy: &'static str,
}

/// An entity that refusals speak of; [`noun!`](crate::noun) makes it one.
pub trait Noun {
    /// What people call one of its kind.
    const NAME: &'static str;
    /// The code where none has the key: its name, and `not_found`.
    const NOT_FOUND: Code;
}

/// Makes [`Noun`] of an entity, of its name and what people call its key; and of what to do about an unknown one,
/// where that is not to look into the list.
#[macro_export]
macro_rules! noun {
    ($entity:ident, $name:literal, $key:literal) => {
        $crate::noun!($entity, $name, $key, concat!("List the ", $name, "s and use a ", $key, " from the list."));
    };
    ($entity:ident, $name:literal, $key:literal, $remedy:expr) => {
        impl $crate::refusal::Noun for $entity {
            const NAME: &'static str = $name;
            const NOT_FOUND: $crate::refusal::Code = $crate::refusal::Code::NotFound(&$crate::refusal::NotFound {
                code: concat!($name, ".not_found"),
                meaning: concat!("No ", $name, " has this ", $key, "."),
                remedy: $remedy,
            });
        }
    };
}

/// Defines [`Code`] from rows of code, kind, meaning and what to do.
macro_rules! codes {
    ($($variant:ident => $code:literal, $kind:ident, $meaning:literal, $remedy:literal;)+) => {
        /// The stable code of a refusal.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $(#[doc = $meaning] $variant,)+
            /// No entity has the key; see [`Noun::NOT_FOUND`].
            NotFound(&'static NotFound),
        }

        impl Code {
            /// The codes of the table, in its order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The spelling that scripts compare with.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ Self::NotFound(of) => of.code }
            }

            pub const fn kind(self) -> Kind {
                match self { $(Self::$variant => Kind::$kind,)+ Self::NotFound(_) => Kind::NotFound }
            }

            /// What happened, in one sentence.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)+ Self::NotFound(of) => of.meaning }
            }

            /// What to do about it, in one sentence.
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$variant => $remedy,)+ Self::NotFound(of) => of.remedy }
            }
        }
    };
}

codes! {
    RequestInvalid => "request.invalid", Invalid, "A field of the request is missing or cannot be read.", "Correct the field.";
    RequestTimedOut => "request.timed_out", TimedOut, "The request did not arrive completely in time.", "Check the network, then try again.";
    RequestUnknown => "request.unknown", Unimplemented, "The coordinator has no such method.", "Use a client and a coordinator of the same version.";
    LimitExceeded => "limit.exceeded", Exhausted, "The caller has too many requests or too much data under way.", "Wait, then try again with less at a time.";

    ItemInvalid => "item.invalid", Invalid, "A field of the item has a value that an item cannot have.", "Correct the field.";
    ItemTooLarge => "item.too_large", Invalid, "The item has more text than one item can hold.", "Put long texts into the repository and name their path.";
    ItemReference => "item.reference", Invalid, "A parent or a need is not an item of the same repo.", "Use the number of an item of the repo, or the key of an item in the same request.";
    ItemOver => "item.over", Precondition, "The item is done or cancelled.", "Add a new item for more work.";
    NeedsCycle => "needs.cycle", Invalid, "The needs of the items form a cycle, so none of them could start.", "Remove one need of the cycle.";
    StateNotAllowed => "state.not_allowed", Precondition, "The present state does not allow this.", "Look at the present state, then decide again.";
    AttemptStale => "attempt.stale", Precondition, "A newer attempt at the item exists.", "Nothing: the work of the older attempt is kept under its refs.";
    AttemptNoCommits => "attempt.no_commits", NotFound, "The attempt left no commits.", "Show the item and name an attempt that left work.";

    RepoExists => "repo.exists", Exists, "A repo with this name exists.", "Choose another name.";
    RepoInvalid => "repo.invalid", Invalid, "A setting of the repo has a value that it cannot have.", "Correct the setting.";
    RepoAmbiguous => "repo.ambiguous", Invalid, "Several repos exist and the request names none.", "Name the repo.";
    RepoBusy => "repo.busy", Precondition, "The repo has open items or workers that still save their work.", "Finish or cancel the items and wait for the workers.";
    RevisionNotFound => "revision.not_found", NotFound, "The name is not a branch, ref or commit of the repo.", "Check the spelling, and push the branch to the upstream.";
    ConfigInvalid => "config.invalid", Precondition, "The repo's `sprint.toml` cannot be read.", "Correct the file on the branch that the message names.";
    BranchNotFound => "branch.not_found", Precondition, "The repo's target branch does not exist.", "Create the branch at the upstream.";
    UpstreamUnreachable => "upstream.unreachable", Precondition, "The upstream cannot be reached.", "Check the address and the access rights of the coordinator's user.";
    UpstreamUnsupported => "upstream.unsupported", Precondition, "The upstream is shallow, or has an object format that is not supported.", "Name a whole repository with the object format sha1.";
    UpstreamRefused => "upstream.refused", Precondition, "The upstream does not take a push.", "Do what its words ask for, then try again.";
    UpstreamEmpty => "upstream.empty", Precondition, "The upstream has no commit.", "Push a first commit, then add the repo again.";
    UpstreamNoBranch => "upstream.no_branch", Precondition, "The upstream has no branch of this name.", "Name one of the branches that the message lists.";

    GateNone => "gate.none", Precondition, "The repo has no gate at this commit.", "Name gates in `sprint.toml` or in the repo's settings.";
    GateNotFound => "gate.not_found", NotFound, "The repo has no gate of this name at this commit.", "Use a name that the message lists.";
    ChangeSuperseded => "change.superseded", Precondition, "A newer attempt at the item exists, or the item is past this change.", "Look at the item; bring its newest attempt instead.";
    ChangeTooLarge => "change.too_large", Precondition, "The change brings more than is dealt with.", "Bring it in smaller parts, or what is generated by another way.";
    ChangeNotWaiting => "change.not_waiting", Precondition, "The change waits for no approval.", "Look at the change.";
    LandingInvalid => "landing.invalid", Invalid, "The options of the landing contradict each other, or a reason is missing.", "Correct the options.";
    LandingNothing => "landing.nothing", Precondition, "The target branch contains the commit already.", "Nothing: it has landed.";
    LandingRefused => "landing.refused", Precondition, "A check of the landing failed.", "Resolve what the message names, or skip the check with a direct landing and a reason.";

    WorkerNoTerminal => "worker.no_terminal", Precondition, "The worker has no terminal: it has not started, or it has ended.", "Read its log.";
    TerminalNotFound => "terminal.not_found", NotFound, "No viewer waits for this terminal.", "Attach to the worker again.";
    TerminalEnded => "terminal.ended", Aborted, "The terminal's connection ended.", "Attach to the worker again.";

    OutpostExists => "outpost.exists", Exists, "An outpost with this name and another key exists.", "Join with another name, or remove the other outpost first.";
    OutpostKeyInUse => "outpost.key_in_use", Exists, "The key belongs to another outpost.", "Give each outpost a data directory of its own.";
    OutpostOtherKey => "outpost.other_key", Forbidden, "The outpost asked for a certificate for a key that is not its own.", "Join again with a new token.";
    OutpostInvalid => "outpost.invalid", Invalid, "A setting of the outpost has a value that it cannot have.", "Correct the setting.";
    OutpostConnected => "outpost.connected", Precondition, "An agent is connected under this name.", "Stop that agent first.";
    OutpostOffline => "outpost.offline", Precondition, "The outpost is not connected.", "Try again when it is back.";
    OutpostBusy => "outpost.busy", Precondition, "The outpost still has workers.", "Drain it and wait for its workers.";
    OutpostClock => "outpost.clock", Precondition, "The outpost's clock differs too much from the coordinator's.", "Set the clock, then join again.";
    OutpostRemoved => "outpost.removed", Unauthenticated, "The outpost was removed.", "Join again with a new token.";
    OutpostSilent => "outpost.silent", Aborted, "No heartbeat of the outpost arrived in time.", "Nothing: the agent connects again by itself.";
    ReportOutOfOrder => "report.out_of_order", Aborted, "A report of a worker is missing before this one.", "Nothing: the agent sends all reports again, in order.";

    CallerUnauthenticated => "caller.unauthenticated", Unauthenticated, "The request carries neither a certificate nor a token.", "Log in, or join as an outpost.";
    CallerForbidden => "caller.forbidden", Forbidden, "The caller's role does not have this permission.", "Ask an admin for a token of a role that has it.";
    GitForbidden => "git.forbidden", Forbidden, "The caller may not fetch from the repository or push to the ref.", "Push to the upstream; the merge queue alone moves branches.";
    CertificateUnknown => "certificate.unknown", Unauthenticated, "The certificate belongs to no person or outpost on record.", "Join or log in again with a new token.";
    CertificateExpired => "certificate.expired", Unauthenticated, "The certificate has expired.", "Connect again with the next certificate, or join with a new token.";
    KeyInvalid => "key.invalid", Invalid, "The certificate signing request cannot be used.", "Use a client of the coordinator's version.";
    TokenUnknown => "token.unknown", Unauthenticated, "This coordinator has no such token.", "Check which coordinator made the token, or create a new one.";
    TokenMalformed => "token.malformed", Unauthenticated, "The text is not a complete token.", "Copy the whole line that `token create` printed.";
    TokenRevoked => "token.revoked", Unauthenticated, "The token was revoked.", "Ask an admin for a new token.";
    TokenExpired => "token.expired", Unauthenticated, "The token has expired.", "Ask an admin for a new token.";
    TokenUsedUp => "token.used_up", Unauthenticated, "As many outposts joined with the token as it admits.", "Ask an admin for a new token.";
    TokenWrongKind => "token.wrong_kind", Unauthenticated, "A token of this kind cannot be used for this.", "Use an outpost's token to join and a person's token to log in.";
    TokenWrongName => "token.wrong_name", Unauthenticated, "The token does not admit an outpost of this name.", "Join with a name that has the token's prefix.";
    SecretInvalid => "secret.invalid", Invalid, "The text cannot be a secret.", "Give another text, by standard input or a file.";
    SecretSealed => "secret.sealed", Precondition, "The secret was sealed with a key that is not there any more.", "Set the secret again.";
    TokenInvalid => "token.invalid", Invalid, "The options of the new token contradict each other.", "Correct the options.";

    BackupInvalid => "backup.invalid", Invalid, "The file is not a complete backup of a coordinator.", "Use a complete backup that this version can read.";
    BackupUnsettled => "backup.unsettled", Precondition, "Branches moved in each try to read them all at one moment.", "Halt the merge queues for a moment, then try again.";
    StoreUnavailable => "store.unavailable", Unavailable, "The database cannot be reached; nothing was changed.", "Try again in a moment.";
    StoreNotCommitted => "store.not_committed", Internal, "The database refused to make the change durable; nothing was changed.", "Look at the coordinator's log, then try again.";
    StoreUnknownOutcome => "store.unknown_outcome", Internal, "The connection to the database broke during the commit, so the change may have been made.", "Look whether it was made before you try again.";
    StoreNotEmpty => "store.not_empty", Precondition, "The database is not empty.", "Restore into an empty database.";
    StoreFailed => "store.failed", Internal, "The database failed.", "Look at the coordinator's log.";
    GitFailed => "git.failed", Internal, "Git failed inside the coordinator.", "Look at the coordinator's log.";
    IoFailed => "io.failed", Internal, "A file of the coordinator could not be read or written.", "Look at the coordinator's log and at the free disk space.";
    CoordinatorStopping => "coordinator.stopping", Unavailable, "The coordinator is shutting down.", "Try again when it is back.";
    Internal => "internal", Internal, "The coordinator failed.", "Look at the coordinator's log.";
}
