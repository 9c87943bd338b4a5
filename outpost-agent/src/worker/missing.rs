//! Which command was not found, from what its shell has said, and where the host has it.

use std::path::{Path, PathBuf};

use crate::host::programs;
use crate::sandbox::programs::prefix;

/// In the home directory: where programs are that nobody may have put on the agent's `PATH`.
const OWN: [&str; 6] = [".local/bin", "bin", ".cargo/bin", "go/bin", ".npm-global/bin", ".bun/bin"];

/// The host on which the command is looked for.
#[derive(Debug)]
pub(super) struct Host {
    /// The agent's `PATH`.
    pub(super) path: Vec<PathBuf>,
    pub(super) home: Option<PathBuf>,
    pub(super) confined: bool,
}

impl Host {
    /// The one that the agent runs on.
    pub(super) fn of_agent(confined: bool) -> Self {
        Self { path: programs::path(), home: programs::home(), confined }
    }
}

/// What to say of the command that was not found; none when its shell has not named it.
pub(super) fn explain(tail: &str, host: &Host) -> Option<String> {
    let name = tail.lines().rev().take(20).find_map(named)?;
    let said = format!("command not found: {name}");
    let is_program = |path: &PathBuf| programs::is_program(path);
    let on_path: Vec<PathBuf> = if name.contains('/') {
        vec![PathBuf::from(&name)]
    } else {
        host.path.iter().map(|directory| directory.join(&name)).collect()
    };
    if let Some(found) = on_path.into_iter().filter(|path| path.is_absolute()).find(is_program) {
        if !host.confined {
            return Some(said);
        }
        let needed = found.canonicalize().map_or_else(|_| found.clone(), |real| prefix(&real));
        return Some(format!(
            "{said}; it is on this host at {}, and workers cannot read it: start outpost-agent with --allow-read {}",
            found.display(),
            needed.display()
        ));
    }
    let own = host.home.iter().flat_map(|home| OWN.iter().map(|directory| home.join(directory).join(&name)));
    Some(match own.into_iter().find(is_program) {
        Some(found) => {
            let directory = found.parent().unwrap_or(Path::new("/")).display();
            format!(
                "{said}; it is on this host at {}: start outpost-agent with {directory} on its PATH",
                found.display()
            )
        }
        None => said,
    })
}

/// The command that a line of a shell, of `env` or of ours says is not there.
fn named(line: &str) -> Option<String> {
    let line = line.trim_end();
    let quoted = |text: &str| text.trim_matches(|quote| matches!(quote, '"' | '\'' | '‘' | '’' | '`')).to_owned();
    let name = if let Some((_, name)) = line.split_once("command not found: ") {
        quoted(name)
    } else if let Some(rest) = line.strip_suffix(": command not found").or_else(|| line.strip_suffix(": not found")) {
        quoted(rest.rsplit(": ").next()?)
    } else if let Some(rest) = line.strip_suffix(": No such file or directory") {
        let (program, name) = rest.split_once(": ")?;
        program.ends_with("env").then(|| quoted(name))?
    } else {
        let (name, _) = line.strip_prefix("[sprint] cannot run \"")?.split_once('"')?;
        name.to_owned()
    };
    let is_name = !name.is_empty() && name.len() <= 255 && !name.contains(char::is_whitespace);
    is_name.then_some(name)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_command_is_named_by_every_shell() {
        for line in [
            "sh: 1: npm: not found",
            "/bin/sh: 12: npm: not found",
            "bash: npm: command not found",
            "/tmp/x.sh: line 3: npm: command not found",
            "zsh:1: command not found: npm",
            "sh: npm: not found",
            "/usr/bin/env: ‘npm’: No such file or directory",
            "env: 'npm': No such file or directory",
            "[sprint] cannot run \"npm\": No such file or directory (os error 2)",
        ] {
            assert_eq!(named(line).as_deref(), Some("npm"), "{line}");
        }
        for line in ["cat: x: No such file or directory", "error: page not found: x y", "", "not found"] {
            assert_eq!(named(line), None, "{line}");
        }
    }

    #[test]
    fn where_the_host_has_it_is_said_with_what_to_do() {
        let dir = tempfile::tempdir().expect("a directory");
        let root = dir.path().canonicalize().expect("is there");
        for path in ["tools/bin/one", "home/go/bin/two"] {
            let path = root.join(path);
            fs::create_dir_all(path.parent().expect("is within")).expect("is made");
            fs::write(&path, "").expect("is written");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("is set");
        }
        fs::create_dir(root.join("tools/lib")).expect("is made");
        let host = Host { path: vec![root.join("tools/bin")], home: Some(root.join("home")), confined: true };
        let said = |name: &str| explain(&format!("sh: 1: {name}: not found\nlater\n"), &host).expect("is named");
        assert!(said("one").ends_with(&format!("--allow-read {}/tools", root.display())), "{}", said("one"));
        assert!(said("two").ends_with("home/go/bin on its PATH"), "{}", said("two"));
        assert_eq!(said("three"), "command not found: three");
        assert_eq!(explain("no word of it", &host), None);
    }
}
