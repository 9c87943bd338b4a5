//! Places where a daemon can be made to die: before and after each effect that its record speaks of.
//!
//! `SPRINT_FAILPOINT=NAME` aborts the process when it comes to that place, `NAME:3` when it comes there for the
//! third time. Only debug builds listen; in a release there is nothing to switch on.

macro_rules! points {
    ($($(#[$meta:meta])* $point:ident => $name:literal of $daemon:ident,)+) => {
        /// A place between an effect and the record of it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Point { $($(#[$meta])* $point),+ }

        impl Point {
            pub const ALL: &'static [Self] = &[$(Self::$point),+];

            pub const fn name(self) -> &'static str {
                match self { $(Self::$point => $name),+ }
            }

            pub const fn daemon(self) -> Daemon {
                match self { $(Self::$point => Daemon::$daemon),+ }
            }
        }
    };
}

/// The program that has the place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Daemon {
    Coordinator,
    Outpost,
}

points! {
    /// A batch of transactions is decided, and not committed.
    CommitBefore => "commit.before" of Coordinator,
    /// It is committed, and no caller has been answered.
    CommitAfter => "commit.after" of Coordinator,
    /// A report is applied, and not acknowledged.
    ReportApplied => "report.applied" of Coordinator,
    /// A worker is on record, and its outpost has not been told.
    AssignBefore => "assign.before" of Coordinator,
    AssignAfter => "assign.after" of Coordinator,
    /// Log bytes are written, and not synced.
    LogWritten => "log.written" of Coordinator,
    /// They are synced, and not acknowledged.
    LogSynced => "log.synced" of Coordinator,
    /// The candidate's ref is set, and the record does not speak of it.
    CandidateRef => "candidate.ref" of Coordinator,
    /// The intent to land is on record, and the branch has not moved.
    LandBefore => "land.before" of Coordinator,
    /// The branch has moved, and the record does not say so.
    LandAfter => "land.after" of Coordinator,
    /// The landing is on record, and the candidate's ref is still there.
    LandRecorded => "land.recorded" of Coordinator,
    /// The intent to push to the upstream is on record, and nothing was sent.
    PushBefore => "push.before" of Coordinator,
    /// The upstream has it, and the record does not say so.
    PushAfter => "push.after" of Coordinator,
    /// The landings that a rewritten upstream lacks are taken back, and the branch still has them.
    FollowBefore => "follow.before" of Coordinator,
    /// The branch has followed the rewritten upstream, and the queue is still halted.
    FollowAfter => "follow.after" of Coordinator,
    /// An outpost's push is in the repository, and it has not been told.
    WorkArrived => "work.arrived" of Coordinator,
    /// An assignment is written down, and its report is not.
    AcceptWritten => "accept.written" of Outpost,
    /// A report is to be written down.
    JournalBefore => "journal.before" of Outpost,
    /// A report is durable, and not sent.
    JournalAfter => "journal.after" of Outpost,
    /// A workspace is made, and its plan is not.
    WorkspaceMade => "workspace.made" of Outpost,
    /// The plan is written, and nothing was started.
    PlanWritten => "plan.written" of Outpost,
    /// The session runs, and that is not recorded yet.
    SessionStarted => "session.started" of Outpost,
    /// The agent looks at what a worker has left, and has noted that it does.
    LookUnderway => "look.underway" of Outpost,
    /// The same while it saves that.
    SaveUnderway => "save.underway" of Outpost,
    /// The command has ended, and nothing of it is saved.
    SaveBefore => "save.before" of Outpost,
    /// Its work is taken over, and not pushed.
    PushWorkBefore => "push-work.before" of Outpost,
    /// The coordinator has its work, and the end is not told.
    PushWorkAfter => "push-work.after" of Outpost,
    /// A snapshot is made, and not pushed.
    SnapshotBefore => "snapshot.before" of Outpost,
    SnapshotAfter => "snapshot.after" of Outpost,
    /// The end is reported, and the worker's directory is still there.
    RemoveBefore => "remove.before" of Outpost,
    /// The directory is renamed away, and not deleted.
    RemoveAfter => "remove.after" of Outpost,
}

/// Dies here, if that was asked for.
#[inline]
pub fn pass(point: Point) {
    #[cfg(debug_assertions)]
    listening::pass(point);
    #[cfg(not(debug_assertions))]
    let _ = point;
}

#[cfg(debug_assertions)]
mod listening {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::Point;

    struct Armed {
        name: String,
        left: AtomicU32,
    }

    static ARMED: LazyLock<Option<Armed>> = LazyLock::new(|| {
        let text = std::env::var("SPRINT_FAILPOINT").ok()?;
        let (name, count) = text.split_once(':').unwrap_or((&text, "1"));
        let count = count.parse().ok().filter(|count| *count > 0);
        let known = Point::ALL.iter().any(|point| point.name() == name);
        assert!(known && count.is_some(), "SPRINT_FAILPOINT={text} is not a place, or not NAME:COUNT");
        Some(Armed { name: name.to_owned(), left: AtomicU32::new(count.unwrap_or(1)) })
    });

    pub(super) fn pass(point: Point) {
        let Some(armed) = ARMED.as_ref() else { return };
        if armed.name == point.name() && armed.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            eprintln!("failpoint {}", point.name());
            std::process::abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ() {
        let mut names = Point::ALL.iter().map(|point| point.name()).collect::<Vec<_>>();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Point::ALL.len());
    }
}
