//! The grants as Landlock rules. They hold for root as well, and keep a worker from
//! tracing, reading the secrets of, or signalling any process outside its own.

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::path::Path;

use landlock::{
    ABI, Access as _, AccessFs, BitFlags, Compatible as _, PathBeneath, PathFd, Ruleset, RulesetAttr as _,
    RulesetCreated, RulesetCreatedAttr as _, RulesetStatus, Scope,
};

use super::process;
use super::spec::{Access, Sandbox, Unconfined};

/// The newest interface whose rights are handled; an older kernel handles what it knows.
const NEWEST: ABI = ABI::V7;

/// Where a worker finds devices when it sees the host's own `/dev`.
const DEVICES: &[&str] = &[
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/tty",
    "/dev/ptmx",
    "/dev/pts",
    "/dev/shm",
];

/// The kernel's version of the interface, if it has any.
pub(super) fn version() -> Option<i32> {
    let probe = || -> Result<landlock::RestrictionStatus, landlock::RulesetError> {
        Ruleset::default().handle_access(AccessFs::from_all(NEWEST))?.create()?.restrict_self()
    };
    // A thread of its own: what is restricted stays so.
    let status = std::thread::spawn(probe).join().ok()?.ok()?;
    match status.landlock {
        landlock::LandlockStatus::Available { effective_abi, kernel_abi }
            if status.ruleset != RulesetStatus::NotEnforced =>
        {
            Some(kernel_abi.unwrap_or(effective_abi as i32))
        }
        landlock::LandlockStatus::Available { .. }
        | landlock::LandlockStatus::NotEnabled
        | landlock::LandlockStatus::NotImplemented => None,
    }
}

/// Restricts this process to the grants.
///
/// # Errors
/// [`Unconfined`].
pub(super) fn restrict(sandbox: &Sandbox) -> Result<(), Unconfined> {
    let failed = |error: &dyn std::error::Error| Unconfined::at("Landlock")(io::Error::other(error.to_string()));
    let status = ruleset(sandbox).and_then(RulesetCreated::restrict_self).map_err(|error| failed(&error))?;
    if status.ruleset == RulesetStatus::NotEnforced {
        return Err(Unconfined::at("Landlock")(io::ErrorKind::Unsupported.into()));
    }
    Ok(())
}

fn ruleset(sandbox: &Sandbox) -> Result<RulesetCreated, landlock::RulesetError> {
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?
        .set_compatibility(landlock::CompatLevel::BestEffort);
    for grant in &sandbox.grants {
        let access = match &grant.access {
            Access::Named | Access::Hidden => continue,
            Access::Read => AccessFs::from_read(NEWEST),
            Access::Write | Access::Private { .. } | Access::Layered { .. } => AccessFs::from_all(NEWEST),
        };
        rules = allow(rules, &grant.path, access)?;
    }
    for path in ["/proc", "/sys"] {
        rules = allow(rules, Path::new(path), AccessFs::from_read(NEWEST))?;
    }
    if sandbox.mechanisms.view.is_some() {
        rules = allow(rules, Path::new("/dev"), AccessFs::from_all(NEWEST))?;
    } else {
        for path in DEVICES {
            rules = allow(rules, Path::new(path), AccessFs::from_all(NEWEST))?;
        }
    }
    // Its own terminal may be opened again, as by way of /dev/stdout.
    if let Some(terminal) = process::terminal() {
        rules = rules.add_rule(PathBeneath::new(terminal.as_fd(), AccessFs::from_file(NEWEST)))?;
    }
    Ok(rules)
}

/// What has gone since the grants were made is not granted.
fn allow(
    rules: RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, landlock::RulesetError> {
    let Ok(fd) = PathFd::new(path) else { return Ok(rules) };
    let is_dir = fd.as_fd().try_clone_to_owned().map(File::from).and_then(|file| file.metadata());
    let is_dir = is_dir.is_ok_and(|metadata| metadata.is_dir());
    let access = if is_dir { access } else { access & AccessFs::from_file(NEWEST) };
    rules.add_rule(PathBeneath::new(fd, access))
}
