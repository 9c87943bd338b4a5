//! The requirements of a host before it joins.

use std::process::Command;

use thiserror::Error;

/// A program that workers need, and the oldest version that works.
struct Requirement {
    program: &'static str,
    flag: &'static str,
    oldest: (u32, u32),
    purpose: &'static str,
}

const REQUIREMENTS: &[Requirement] = &[
    Requirement { program: "tmux", flag: "-V", oldest: (3, 0), purpose: "workers run in it" },
    Requirement { program: "git", flag: "--version", oldest: (2, 39), purpose: "workers' code comes and goes with it" },
];

/// What is wrong with this host.
#[derive(Debug, Error)]
pub(crate) enum Unfit {
    #[error("{program} was not found; {purpose}; install it (Debian: apt-get install {program})")]
    Missing { program: &'static str, purpose: &'static str },
    #[error("{program} {found} is too old; {purpose}, and {needs} is the oldest version that works; upgrade it")]
    TooOld { program: &'static str, found: String, needs: String, purpose: &'static str },
    #[error("{program} does not work; {why}; repair or reinstall it")]
    Broken { program: &'static str, why: String },
}

/// Checks the programs that workers need.
///
/// # Errors
/// [`Unfit`], for the first that will not do.
pub(crate) fn check() -> Result<(), Unfit> {
    look().try_for_each(|found| found.map(drop))
}

/// Looks at each of the programs; answers its name and version, as it says it.
pub(crate) fn look() -> impl Iterator<Item = Result<String, Unfit>> {
    REQUIREMENTS.iter().map(Requirement::look)
}

impl Requirement {
    fn look(&self) -> Result<String, Unfit> {
        let Self { program, flag, oldest, purpose } = self;
        let output = Command::new(program).arg(flag).output().map_err(|error| {
            if error.kind() == std::io::ErrorKind::NotFound {
                Unfit::Missing { program, purpose }
            } else {
                Unfit::Broken { program, why: format!("it cannot be started: {error}") }
            }
        })?;
        let said = String::from_utf8_lossy(&output.stdout);
        let found = version(&said)
            .ok_or_else(|| Unfit::Broken { program, why: format!("it gives its version as {:?}", said.trim()) })?;
        if found < *oldest {
            let text = |(major, minor): (u32, u32)| format!("{major}.{minor}");
            return Err(Unfit::TooOld { program, found: text(found), needs: text(*oldest), purpose });
        }
        Ok(said.lines().next().unwrap_or_default().trim().to_owned())
    }
}

/// The first two numbers of a version: `tmux 3.3a`, `tmux next-3.4`, `git version 2.47.3`.
fn version(said: &str) -> Option<(u32, u32)> {
    let start = said.find(|char: char| char.is_ascii_digit())?;
    let mut numbers = said[start..].split(|char: char| !char.is_ascii_digit());
    let major = numbers.next()?.parse().ok()?;
    let minor = numbers.next().and_then(|number| number.parse().ok()).unwrap_or(0);
    Some((major, minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_the_programs_write_them() {
        assert_eq!(version("tmux 3.3a\n"), Some((3, 3)));
        assert_eq!(version("tmux next-3.4"), Some((3, 4)));
        assert_eq!(version("git version 2.39.5 (Apple Git-154)"), Some((2, 39)));
        assert_eq!(version("nonsense"), None);
        assert!(version("tmux 2.9a") < Some((3, 0)));
    }
}
