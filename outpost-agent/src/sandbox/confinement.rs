//! A process confines itself, between fork and exec.

use std::os::fd::BorrowedFd;
use std::path::Path;

use seccompiler::BpfProgram;

use super::spec::{Mechanisms, Sandbox, Unconfined};
use super::view::View;
use super::{process, rules, syscalls, view};

/// A process whose confinement is begun: it has all of it that is the same for every worker.
pub(crate) struct Begun {
    mechanisms: Mechanisms,
    view: Option<View>,
    filter: Option<BpfProgram>,
}

impl Mechanisms {
    /// Begins to confine this process and all that it will start. `stage` is an empty directory.
    ///
    /// For a process with one thread. Where workers have process namespaces, all that it starts ends when the other end
    /// of `life` is closed.
    ///
    /// # Errors
    /// [`Unconfined`]; the process is then in between and must end.
    pub(crate) fn begin(self, stage: &Path, life: BorrowedFd<'_>) -> Result<Begun, Unconfined> {
        process::offer_to_the_oom_killer();
        nix::sys::prctl::set_no_new_privs().map_err(|error| Unconfined::at("no_new_privs")(error.into()))?;
        let view = self.view.map(|namespace| view::begin(self, namespace, stage, life)).transpose()?;
        let filter = self.filter.then(|| syscalls::program(self)).transpose().map_err(Unconfined::filter)?;
        Ok(Begun { mechanisms: self, view, filter })
    }
}

impl Begun {
    /// Confines this process as `sandbox` says, which has the same mechanisms, and goes to `cwd`: right before it becomes
    /// the worker's command.
    ///
    /// # Errors
    /// [`Unconfined`]; the process is then in between and must end.
    pub(crate) fn finish(self, sandbox: &Sandbox, cwd: &Path) -> Result<(), Unconfined> {
        let Self { mechanisms, view, filter } = self;
        if let Some(view) = view {
            view.enter(sandbox)?;
        }
        process::limit(&sandbox.limits, &sandbox.cgroups, mechanisms)?;
        std::env::set_current_dir(cwd).map_err(Unconfined::at(format!("going to {}", cwd.display())))?;
        process::close_inherited_files()?;
        process::drop_capabilities(mechanisms)?;
        if mechanisms.landlock.is_some() {
            rules::restrict(sandbox)?;
        }
        // The last step: some of those before are what it refuses.
        if let Some(filter) = filter {
            syscalls::refuse(&filter).map_err(Unconfined::filter)?;
        }
        Ok(())
    }
}

impl Sandbox {
    /// Confines this process and all that it will start, and goes to `cwd`: both parts of the above at once.
    ///
    /// # Errors
    /// [`Unconfined`]; the process is then in between and must end.
    pub(crate) fn confine(&self, cwd: &Path, life: BorrowedFd<'_>) -> Result<(), Unconfined> {
        self.mechanisms.begin(&self.stage, life)?.finish(self, cwd)
    }
}
