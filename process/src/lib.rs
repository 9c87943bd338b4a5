//! Programs that touch what others have made: in a group of their own that ends with who waits for it, and with what they
//! print within bounds.

mod output;
mod stray;

pub use output::{AND_WAS_ENDED, Captured, capture, output};
pub use stray::{kill_marked, mark};

use std::io;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

/// A program with all that it starts, which end when this is dropped before the program has ended.
#[derive(Debug)]
pub struct Group {
    pub child: Child,
    leader: Option<Pid>,
}

impl Group {
    /// Starts a program as the first of a group.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        let child = command.process_group(0).kill_on_drop(true).spawn()?;
        let leader = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        Ok(Self { child, leader })
    }

    /// Waits for its end. What it has left running on purpose, such as a person's password cache, goes on.
    ///
    /// # Errors
    /// Those of waiting.
    pub async fn wait(&mut self) -> io::Result<std::process::ExitStatus> {
        let status = self.child.wait().await?;
        // Its number may be another's from here on.
        self.leader = None;
        Ok(status)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.leader.filter(|_| self.child.id().is_some()) {
            killpg(leader, Signal::SIGKILL).ok();
        }
    }
}
