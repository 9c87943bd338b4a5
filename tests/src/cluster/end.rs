//! A cluster's end: what it leaves is checked, and what it started is ended.

use std::path::Path;
use std::process::Command;

use super::Cluster;
use crate::processes;

impl Cluster {
    fn tell(&self) {
        for (name, daemon) in self
            .outposts
            .iter()
            .map(|(name, daemon)| (name.as_str(), daemon))
            .chain([("coordinator", &self.coordinator)])
        {
            let log = daemon.log();
            let from = log.lines().count().saturating_sub(60);
            let end = log.lines().skip(from).collect::<Vec<_>>().join("\n");
            eprintln!("--- the log of {name} ---\n{end}");
        }
        for args in [["item", "list"], ["worker", "list"], ["change", "list"]] {
            let answer = self.sprintctl(&args);
            eprintln!("--- sprintctl {} ---\n{}{}", args.join(" "), answer.text(), answer.stderr);
        }
    }

    /// Ends the coordinator, and checks that what it leaves is sound.
    fn check(&mut self) {
        self.coordinator.kill_9();
        let data = self.coordinator_data().display().to_string();
        // A test that wants a database to be unreadable has none to check.
        let answer = self.binary("coordinator", &["check", "--data-dir", &data]);
        let unreadable = ["newer than this coordinator", "there is no data directory"];
        if !unreadable.iter().any(|words| answer.stderr.contains(words)) {
            answer.succeeded();
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.check();
        }
        if std::thread::panicking() {
            self.tell();
            if self.keep {
                eprintln!("the directory stays: {}", self.dir.path().display());
                self.dir.disable_cleanup(true);
            }
        }
        let sockets = self.outposts.keys().map(|name| self.outpost_data(name));
        let sockets = sockets.flat_map(|data| [data.join("tmux.sock"), data.join("run/tmux.sock")]).collect::<Vec<_>>();
        for outpost in self.outposts.values_mut() {
            outpost.kill_9();
        }
        self.coordinator.kill_9();
        for socket in sockets.iter().filter(|socket| socket.exists()) {
            Command::new("tmux").arg("-S").arg(socket).arg("kill-server").output().ok();
        }
        // The directory's name is this cluster's alone.
        processes::end_all(&self.dir.path().display().to_string());
        unmount_below(self.dir.path());
    }
}

/// Lets go of what a test has mounted in its directory: with a mount in it, it cannot be removed.
fn unmount_below(dir: &Path) {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let paths = mounts.lines().filter_map(|line| line.split(' ').nth(1)).map(Path::new);
    for path in paths.filter(|path| path.starts_with(dir)) {
        Command::new("umount").arg("--lazy").arg(path).output().ok();
    }
}
