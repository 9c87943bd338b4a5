//! A process confines itself, between fork and exec.

use std::path::Path;

use super::spec::{Sandbox, Unconfined};
use super::{process, rules, view};

impl Sandbox {
    /// Confines this process and all that it will start, and goes to `cwd`.
    ///
    /// For a process with one thread, right before it becomes the worker's command.
    ///
    /// # Errors
    /// [`Unconfined`]; the process is then in between and must end.
    pub(crate) fn confine(&self, cwd: &Path) -> Result<(), Unconfined> {
        process::offer_to_the_oom_killer();
        nix::sys::prctl::set_no_new_privs().map_err(|error| Unconfined::at("no_new_privs")(error.into()))?;
        if let Some(namespace) = self.mechanisms.view {
            view::enter(self, namespace)?;
        }
        process::limit(&self.limits, &self.cgroups, self.mechanisms)?;
        std::env::set_current_dir(cwd).map_err(Unconfined::at(format!("going to {}", cwd.display())))?;
        process::close_inherited_files()?;
        process::drop_capabilities(self.mechanisms)?;
        if self.mechanisms.landlock.is_some() {
            rules::restrict(self)?;
        }
        Ok(())
    }
}
