//! The attributes that a process inherits: limits, open files, capabilities.

use std::io::{self, IsTerminal};
use std::os::fd::{AsFd as _, OwnedFd};

use caps::{CapSet, Capability, CapsHashSet};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::cgroup::{Group, Holds};
use super::limits::Limits;
use super::spec::{Mechanisms, Namespace, Unconfined};

/// What root keeps where it sees only its own files: `tar` and `npm` as root change owners.
const KEPT: [Capability; 4] =
    [Capability::CAP_CHOWN, Capability::CAP_DAC_OVERRIDE, Capability::CAP_FOWNER, Capability::CAP_FSETID];

/// How much sooner than the agent a worker is ended when the host runs out of memory.
const OOM_SCORE: &str = "500";

/// The terminal that a process has as one of its standard files, whichever of them are redirected.
pub(super) fn terminal() -> Option<OwnedFd> {
    let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
    let files = [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()];
    files.into_iter().find(IsTerminal::is_terminal)?.try_clone_to_owned().ok()
}

/// Sets the limits that a process has of its own.
///
/// # Errors
/// [`Unconfined`].
pub(super) fn limit(limits: &Limits, groups: &[Group], mechanisms: Mechanisms) -> Result<(), Unconfined> {
    let set = |what: &str, resource: Resource, most: u64| {
        let (_, hard) = getrlimit(resource)?;
        let most = most.min(hard);
        setrlimit(resource, most, most).map_err(|error| io::Error::other(format!("{what}: {error}")))
    };
    let limited = |holds: Holds| groups.iter().any(|group| group.holds(holds));
    (|| {
        set("open files", Resource::RLIMIT_NOFILE, limits.open_files)?;
        // Elsewhere it counts all of a user's processes, and is not held against root.
        if !limited(Holds::Processes) && mechanisms.view == Some(Namespace::User) {
            set("processes", Resource::RLIMIT_NPROC, limits.processes)?;
        }
        match limits.memory {
            // What a process writes to; address space alone is reserved freely by many runtimes.
            Some(memory) if !limited(Holds::Memory) => set("memory", Resource::RLIMIT_DATA, memory),
            Some(_) | None => Ok(()),
        }
    })()
    .map_err(Unconfined::at("setting limits"))
}

/// Has the kernel choose a worker before the agent when memory runs out; nothing depends on it.
pub(super) fn offer_to_the_oom_killer() {
    std::fs::write("/proc/self/oom_score_adj", OOM_SCORE).ok();
}

/// Has every file but the standard ones closed by the coming exec.
///
/// # Errors
/// [`Unconfined`].
#[expect(unsafe_code, reason = "no crate at hand wraps close_range")]
pub(super) fn close_inherited_files() -> Result<(), Unconfined> {
    // SAFETY: the call takes three numbers and no memory. Marking files close-on-exec
    // leaves every descriptor that this process itself still uses open.
    let done = unsafe { libc::close_range(3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC.cast_signed()) };
    if done == 0 { Ok(()) } else { Err(Unconfined::at("closing inherited files")(io::Error::last_os_error())) }
}

/// Gives up every capability that an ordinary build has no use for.
///
/// # Errors
/// [`Unconfined`].
pub(super) fn drop_capabilities(mechanisms: Mechanisms) -> Result<(), Unconfined> {
    let kept: CapsHashSet = match mechanisms.view {
        Some(Namespace::Mount) => KEPT.into_iter().collect(),
        Some(Namespace::User) | None => CapsHashSet::new(),
    };
    let drop = || -> Result<(), caps::errors::CapsError> {
        let held = caps::read(None, CapSet::Permitted)?;
        if held.contains(&Capability::CAP_SETPCAP) {
            let bounding = caps::read(None, CapSet::Bounding)?;
            for capability in bounding.difference(&kept) {
                caps::drop(None, CapSet::Bounding, *capability)?;
            }
        }
        let kept: CapsHashSet = kept.intersection(&held).copied().collect();
        caps::clear(None, CapSet::Ambient)?;
        caps::clear(None, CapSet::Inheritable)?;
        caps::set(None, CapSet::Effective, &kept)?;
        caps::set(None, CapSet::Permitted, &kept)
    };
    drop().map_err(|error| Unconfined::at("dropping capabilities")(io::Error::other(error.to_string())))
}
