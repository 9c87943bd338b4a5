//! What keeps a program running after this command: systemd, or nothing but the kernel.

use crate::failure::Failure;
use crate::local::place::{Place, Running};
use crate::local::program::Program;
use crate::local::{process, systemd};

/// What keeps programs on this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeper {
    Systemd,
    Background,
}

impl Keeper {
    pub(crate) fn of_host() -> Self {
        if systemd::is_there() { Self::Systemd } else { Self::Background }
    }

    /// Starts a program that stays.
    ///
    /// # Errors
    /// It cannot be started.
    pub(crate) fn start(self, program: &Program, place: &Place) -> Result<Running, Failure> {
        match self {
            Self::Systemd => systemd::start(program, &place.token()),
            Self::Background => process::start(program, &place.log(program.name)),
        }
    }

    /// What a person should know of how long it stays.
    pub(crate) fn caveat(self) -> Option<String> {
        match self {
            Self::Systemd => systemd::linger().err().map(|why| {
                format!("both end when you log out, since lingering could not be switched on ({why}); see: loginctl enable-linger")
            }),
            Self::Background => Some(
                "both are background processes, since there is no systemd for users here: they do not come back after a restart of the machine, or a logout that ends a user's processes; sprintctl up starts them again".to_owned(),
            ),
        }
    }

    /// Where a person reads what a program says.
    pub(crate) fn log(self, program: &str, place: &Place) -> String {
        match self {
            Self::Systemd => {
                let unit = if program == "coordinator" { "sprint-coordinator" } else { "sprint-outpost" };
                format!("journalctl --user -u {unit}")
            }
            Self::Background => place.log(program).display().to_string(),
        }
    }
}

impl Running {
    pub(crate) fn lives(&self) -> bool {
        match self {
            Self::Systemd { unit } => systemd::lives(unit),
            Self::Background { pid, started } => process::lives(*pid, *started),
        }
    }

    /// Ends it, and waits until it is gone.
    ///
    /// # Errors
    /// It does not end.
    pub(crate) fn stop(&self) -> Result<(), Failure> {
        match self {
            Self::Systemd { unit } => systemd::stop(unit),
            Self::Background { pid, started } => process::stop(*pid, *started),
        }
    }

    /// Removes what was made to keep it.
    ///
    /// # Errors
    /// It cannot be removed.
    pub(crate) fn remove(&self) -> Result<(), Failure> {
        match self {
            Self::Systemd { unit } => systemd::remove(unit),
            Self::Background { .. } => Ok(()),
        }
    }
}
