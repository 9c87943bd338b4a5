//! The commands of the README, run as they stand by a new user on a machine of their own.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::binaries::binary;
use crate::git::{Repo, git};

/// The first block of commands of a section.
///
/// # Panics
/// There is no such section with a block of commands.
pub fn commands_of(page: &str, section: &str) -> String {
    let section = page.split(&format!("\n## {section}\n")).nth(1).expect("the page has that section");
    section.split("```").nth(1).expect("with a block").to_owned()
}

/// A new user: a home with nothing in it, and a network of its own, where the default ports are free. Every process is
/// ended with the script that began it.
#[derive(Debug)]
pub struct NewUser {
    home: TempDir,
    /// A repository elsewhere.
    pub upstream: Repo,
}

impl NewUser {
    /// # Errors
    /// No such network can be made here.
    ///
    /// # Panics
    /// The machine lacks a shell.
    pub fn make() -> Result<Self, String> {
        let mut probe = Command::new("unshare");
        apart(&mut probe);
        let probed = probe.arg("true").output().map_err(|error| format!("unshare cannot be run: {error}"))?;
        if !probed.status.success() {
            return Err(String::from_utf8_lossy(&probed.stderr).trim().to_owned());
        }
        let home = tempfile::Builder::new().prefix("sprint-user.").tempdir_in("/tmp").expect("a directory");
        let upstream = Repo::make(home.path(), "web", &[("Makefile", "test:\n\ttest -e greeting.txt || true\n")]);
        std::fs::create_dir(home.path().join("bin")).expect("is made");
        let user = Self { home, upstream };
        user.tool(
            "my-agent",
            "cat > prompt.txt\necho hello > greeting.txt\ngit add greeting.txt\nrm prompt.txt\ngit commit -qm Greet\n",
        );
        Ok(user)
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Puts a shell script onto the search path.
    pub fn tool(&self, name: &str, script: &str) {
        let path = self.home().join("bin").join(name);
        std::fs::write(&path, format!("#!/bin/bash\n{script}")).expect("is written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("is changed");
    }

    /// A checkout in the home.
    pub fn checkout(&self, name: &str) -> PathBuf {
        git(self.home(), &["clone", "-q", &self.upstream.upstream.display().to_string(), name]);
        self.home().join(name)
    }

    /// Runs a script, which ends at the first command that fails; answers whether none did, and everything it printed.
    pub fn run(&self, script: &str) -> (bool, String) {
        let programs = binary("coordinator").parent().map(PathBuf::from).expect("a directory");
        let tools = self.home().join("bin");
        let system = std::env::var("PATH").unwrap_or_default();
        // What the test cannot do as it stands: building again, and reaching the Internet.
        let lines = script.lines().filter(|line| !line.starts_with("cargo build")).map(|line| {
            let line = line.replace("https://example.org/web.git", &self.upstream.upstream.display().to_string());
            match line.strip_suffix(" &") {
                Some(daemon) => format!("{daemon} >>~/daemons.log 2>&1 &"),
                None => line,
            }
        });
        let script = lines.collect::<Vec<_>>().join("\n");
        let begin = "exec 2>&1\nset -e\nip link set lo up\n\
            trap 'status=$?; [ $status = 0 ] || tail -n 30 ~/daemons.log ~/.local/state/sprint/*.log' EXIT\n";
        let mut command = Command::new("unshare");
        apart(&mut command);
        let output = command
            .args(["timeout", "100", "bash", "-c", &format!("{begin}{script}")])
            .env_clear()
            .env("PATH", format!("{}:{}:{system}", tools.display(), programs.display()))
            .env("HOME", self.home())
            .env("LANG", "C.UTF-8")
            .current_dir(self.home())
            .stdin(Stdio::null())
            .output()
            .expect("it runs");
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl Drop for NewUser {
    fn drop(&mut self) {
        crate::processes::end_all(&self.home().display().to_string());
    }
}

fn apart(command: &mut Command) {
    command.args(["--net", "--map-root-user", "--kill-child", "--pid", "--fork", "--mount-proc"]);
}
