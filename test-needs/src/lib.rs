//! What tests need of the machine. Something that is missing fails the test, unless `SPRINT_TEST_SKIP` names it:
//! `SPRINT_TEST_SKIP=postgres,netns make test`.

mod small_disk;

use std::fmt::Display;
use std::io::Write as _;
use std::panic::Location;

pub use small_disk::SmallDisk;

/// The needs to skip, separated by commas.
const SKIP: &str = "SPRINT_TEST_SKIP";

/// A file to which each skip appends a line; `.ci/test` counts them.
const LOG: &str = "SPRINT_TEST_SKIP_LOG";

/// Something that a test needs and not every machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// The command lines of real agents, with logins.
    Agents,
    /// A browser that can be driven.
    Browser,
    /// A control group in which the agent may make others.
    Cgroups,
    /// A Docker daemon.
    Docker,
    /// The library `libfaketime`.
    Faketime,
    /// A network namespace and a pair of interfaces.
    Netns,
    /// A PostgreSQL server that the test starts itself.
    Postgres,
    /// The rights of root.
    Root,
    /// An SSH server that the test starts itself.
    Ssh,
    /// A mounted tmpfs.
    Tmpfs,
    /// User namespaces, for ordinary users too.
    Userns,
}

impl Need {
    pub const ALL: [Self; 11] = [
        Self::Agents,
        Self::Browser,
        Self::Cgroups,
        Self::Docker,
        Self::Faketime,
        Self::Netns,
        Self::Postgres,
        Self::Root,
        Self::Ssh,
        Self::Tmpfs,
        Self::Userns,
    ];

    /// The name by which it is skipped.
    pub fn name(self) -> &'static str {
        match self {
            Self::Agents => "agents",
            Self::Browser => "browser",
            Self::Cgroups => "cgroups",
            Self::Docker => "docker",
            Self::Faketime => "faketime",
            Self::Netns => "netns",
            Self::Postgres => "postgres",
            Self::Root => "root",
            Self::Ssh => "ssh",
            Self::Tmpfs => "tmpfs",
            Self::Userns => "userns",
        }
    }
}

/// Provides what the test needs. `None` when it is skipped by name.
///
/// # Panics
/// It cannot be provided, and `SPRINT_TEST_SKIP` does not name it.
#[track_caller]
pub fn have<T, E: Display>(need: Need, provide: impl FnOnce() -> Result<T, E>) -> Option<T> {
    if is_skipped(need) {
        return None;
    }
    Some(provide().unwrap_or_else(|why| panic!("{}", missing(need, why))))
}

/// Whether `SPRINT_TEST_SKIP` names this need; if so, the skip is printed and counted.
///
/// # Panics
/// `SPRINT_TEST_SKIP` holds a name that is no need's.
#[track_caller]
pub fn is_skipped(need: Need) -> bool {
    let named = parse(&std::env::var(SKIP).unwrap_or_default()).unwrap_or_else(|error| panic!("{error}"));
    if !named.contains(&need) {
        return false;
    }
    let place = Location::caller();
    let line = format!("{} {}:{}\n", need.name(), place.file(), place.line());
    print!("skipped by name: {line}");
    if let Some(log) = std::env::var_os(LOG) {
        let log = std::fs::File::options().append(true).create(true).open(log);
        log.and_then(|mut log| log.write_all(line.as_bytes())).expect("the log of skips can be written");
    }
    true
}

/// The words for a need that is not met: what, why, and what to do.
pub fn missing(need: Need, why: impl Display) -> String {
    let name = need.name();
    format!("this test needs {name}: {why}; `make setup` installs packages, {SKIP}={name} skips by name")
}

fn parse(text: &str) -> Result<Vec<Need>, String> {
    let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
    names
        .map(|name| {
            Need::ALL.into_iter().find(|need| need.name() == name).ok_or_else(|| {
                let known = Need::ALL.map(Need::name).join(", ");
                format!("{SKIP} names {name:?}, which no test needs; the names are {known}")
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needs_are_named_in_a_list() {
        assert_eq!(parse(""), Ok(vec![]));
        assert_eq!(parse("postgres, netns,"), Ok(vec![Need::Postgres, Need::Netns]));
    }

    #[test]
    fn an_unknown_name_is_an_error_and_not_a_run_of_everything() {
        let error = parse("postgres,postgre").expect_err("no such need");
        assert!(error.contains("\"postgre\"") && error.contains("tmpfs"), "{error}");
    }

    #[test]
    #[should_panic(expected = "this test needs docker: no daemon")]
    fn what_is_missing_fails_the_test() {
        have(Need::Docker, || Err::<(), _>("no daemon"));
    }
}
