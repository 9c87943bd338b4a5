//! A PostgreSQL of the test's own: a fresh cluster on a free port, gone with the test.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// How a server ends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stop {
    /// Sessions are ended, and the database is closed.
    Fast,
    /// `kill -9`.
    Kill,
}

/// A running server in a temporary directory.
pub(crate) struct Cluster {
    directory: tempfile::TempDir,
    bin: PathBuf,
    port: u16,
    databases: AtomicU32,
}

impl Cluster {
    /// Starts a server, or says why it cannot be.
    pub(crate) fn start() -> Result<Self, String> {
        let bin = find_bin().ok_or("it is not installed (Debian: apt-get install postgresql)")?;
        let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .map_err(|error| error.to_string())?
            .port();
        let cluster = Self { directory, bin, port, databases: AtomicU32::new(0) };
        if is_root() {
            // PostgreSQL refuses to run as root.
            run(Command::new("chown").arg("postgres").arg(cluster.directory.path()))?;
        }
        let data = cluster.data();
        run(cluster.tool("initdb").args(["-A", "trust", "-U", "postgres", "--no-sync", "-D"]).arg(&data))?;
        cluster.begin()?;
        Ok(cluster)
    }

    fn begin(&self) -> Result<(), String> {
        let (data, port) = (self.data(), self.port);
        let options =
            format!("-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories='' -c fsync=off");
        let mut start = self.tool("pg_ctl");
        start.args(["-w", "-s", "-o", &options, "-l"]).arg(data.join("log")).arg("-D").arg(&data).arg("start");
        run(&mut start)
    }

    /// Ends the server as an administrator, or as a crash does.
    pub(crate) fn stop(&self, how: Stop) {
        match how {
            Stop::Fast => run(self.tool("pg_ctl").args(["-s", "-w", "-m", "fast", "-D"]).arg(self.data()).arg("stop")),
            Stop::Kill => {
                let pid = std::fs::read_to_string(self.data().join("postmaster.pid")).expect("a server that runs");
                run(Command::new("kill").arg("-9").arg(pid.lines().next().unwrap_or_default()))
            }
        }
        .expect("the server ends");
    }

    /// Starts the server again; after a crash its children may take a moment to end.
    pub(crate) fn start_again(&self) {
        let tried = (0..20).map(|_| self.begin()).find(|begun| {
            if begun.is_err() {
                std::thread::sleep(std::time::Duration::from_millis(200));
            }
            begun.is_ok()
        });
        assert!(tried.is_some(), "the server does not start again");
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn tool(&self, name: &str) -> Command {
        let path = self.bin.join(name);
        let mut command = if is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]).arg(path);
            command
        } else {
            Command::new(path)
        };
        command.current_dir(self.directory.path()).env("LC_ALL", "C");
        command
    }

    /// The address of a new, empty database.
    pub(crate) fn fresh_database(&self) -> String {
        let name = format!("sprint_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let port = self.port.to_string();
        run(self.tool("createdb").args(["-h", "127.0.0.1", "-p", &port, "-U", "postgres", &name])).unwrap();
        format!("postgres://postgres@127.0.0.1:{port}/{name}")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let data = self.data();
        let stopped = run(self.tool("pg_ctl").args(["-s", "-m", "immediate", "-D"]).arg(data).arg("stop"));
        if let Err(why) = stopped {
            eprintln!("PostgreSQL was not stopped: {why}");
        }
    }
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.starts_with(b"0\n"))
}

/// Debian keeps the server's programs out of the PATH, by version.
fn find_bin() -> Option<PathBuf> {
    let mut versions = std::fs::read_dir("/usr/lib/postgresql").ok()?.flatten().collect::<Vec<_>>();
    versions.sort_by_key(std::fs::DirEntry::file_name);
    let bin = versions.pop()?.path().join("bin");
    bin.join("initdb").is_file().then_some(bin)
}

fn run(command: &mut Command) -> Result<(), String> {
    // A server that inherited a pipe would keep it open, and this waiting, for as long as it runs.
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{} ended with {status}", command.get_program().display())),
        Err(error) => Err(format!("{} cannot be run: {error}", command.get_program().display())),
    }
}
