//! Which agents this host has: their programs are on `PATH`, and say a version.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use sprint_core::runtime::{Catalog, LoginFile, Runtime, version_in};

use crate::host::unblock::unblock;
use crate::host::{environment, programs};

/// How long a program may take to say its version.
const LIMIT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(10);
/// The version of one that does not say any.
const UNKNOWN: &str = "unknown";

/// The runtimes of this outpost: those that ship, changed and complemented by a file of its operator.
///
/// # Errors
/// The file cannot be read, or says what cannot be.
pub(crate) fn catalog(file: Option<&Path>) -> anyhow::Result<Catalog> {
    let Some(file) = file else { return Ok(Catalog::shipped().clone()) };
    let text = fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    Catalog::with(&text).with_context(|| format!("{} cannot be used", file.display()))
}

/// The labels of the runtimes that this host has: their versions, and whether there is a login for them.
pub(crate) fn labels(catalog: &Catalog) -> BTreeMap<String, String> {
    let home = programs::home();
    let login = |runtime: &Runtime| {
        let found = login(runtime, home.as_deref()).map_or(Runtime::NO_LOGIN, |_| "host");
        (format!("{}{}", Runtime::LOGIN_LABEL, runtime.name), found.to_owned())
    };
    let versions = versions(catalog);
    let is_here = |runtime: &&Runtime| versions.iter().any(|(here, _)| here.name == runtime.name);
    let logins: Vec<_> = catalog.iter().filter(is_here).map(login).collect();
    let label = |(runtime, version): (&Runtime, String)| (format!("{}{}", Runtime::LABEL, runtime.name), version);
    versions.into_iter().map(label).chain(logins).collect()
}

/// Where a login for a runtime is on this host: its first file or variable that is there. That it still counts is not
/// known before it is used.
pub(crate) fn login(runtime: &Runtime, home: Option<&Path>) -> Option<String> {
    let file = |file: &LoginFile| !file.settings && home.is_some_and(|home| home.join(&file.from).is_file());
    let of_file = runtime.host.files.iter().find(|found| file(found)).map(|file| format!("~/{}", file.from));
    let is_set = |name: &&String| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    of_file.or_else(|| runtime.host.env.iter().find(is_set).map(|name| format!("${name}")))
}

/// The runtimes that this host has, each with its version.
pub(crate) fn versions(catalog: &Catalog) -> Vec<(&Runtime, String)> {
    let found = catalog.iter().filter_map(|runtime| Some((runtime, programs::find(runtime.command.first()?)?)));
    // All at once: some take a second.
    std::thread::scope(|scope| {
        let asked: Vec<_> = found
            .map(|(runtime, program)| {
                let version = scope.spawn(move || version(runtime, &program));
                (runtime, version)
            })
            .collect();
        asked
            .into_iter()
            .map(|(runtime, version)| (runtime, version.join().unwrap_or_else(|_| UNKNOWN.to_owned())))
            .collect()
    })
}

fn version(runtime: &Runtime, program: &Path) -> String {
    let arguments = runtime.version.get(1..).unwrap_or_default();
    let said = if runtime.version.is_empty() { None } else { said(program, arguments) };
    said.as_deref().and_then(version_in).unwrap_or(UNKNOWN).to_owned()
}

/// What a program prints, unless it takes too long.
fn said(program: &Path, arguments: &[String]) -> Option<String> {
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(environment::plain())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .ok()?;
    let group = Pid::from_raw(i32::try_from(child.id()).ok()?);
    let deadline = Instant::now() + LIMIT;
    while child.try_wait().ok()?.is_none() {
        if Instant::now() >= deadline {
            killpg(group, Signal::SIGKILL).ok();
            child.wait().ok();
            return None;
        }
        std::thread::sleep(PAUSE);
    }
    // What is in the pipe now: what it has left behind may hold the pipe open.
    let mut stdout = child.stdout.take()?;
    unblock(&stdout).ok()?;
    let mut said = [0; 4096];
    let read = stdout.read(&mut said).ok()?;
    Some(String::from_utf8_lossy(&said[..read]).into_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use sprint_core::runtime::HostLogin;

    use super::*;

    #[test]
    fn what_is_there_says_its_version() {
        let dir = tempfile::tempdir().expect("a directory");
        let program = |name: &str, script: &str| {
            let path = dir.path().join(name);
            fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("is written");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("is changed");
            path.display().to_string()
        };
        let table = |name: &str, path: &str| {
            format!("[runtime.{name}]\ncommand = [{path:?}]\nversion = [{path:?}, \"--version\"]\n")
        };
        let text = [
            table("good", &program("good", "echo good-cli 1.2.3")),
            table("mute", &program("mute", "exit 3")),
            table("daemon", &program("daemon", "sleep 31 & echo 3.4.5")),
            table("gone", "/nonexistent/agent"),
        ];
        let catalog = Catalog::with(&text.concat()).expect("is read");
        let labels = labels(&catalog);
        assert_eq!(labels.get("runtime.good").map(String::as_str), Some("1.2.3"));
        assert_eq!(labels.get("runtime.mute").map(String::as_str), Some("unknown"));
        assert_eq!(
            labels.get("runtime.daemon").map(String::as_str),
            Some("3.4.5"),
            "what it leaves behind is not waited for"
        );
        assert!(!labels.contains_key("runtime.gone") && !labels.contains_key("login.gone"));
        assert_eq!(labels.get("login.good").map(String::as_str), Some(Runtime::NO_LOGIN));
    }

    #[test]
    fn a_login_is_the_first_of_its_files_or_variables_that_is_there() {
        let home = tempfile::tempdir().expect("a directory");
        let codex = Catalog::shipped().get("codex").expect("it ships");
        let files = Runtime { host: HostLogin { env: vec![], ..codex.host.clone() }, ..codex.clone() };
        assert_eq!(login(&files, Some(home.path())), None);
        fs::create_dir(home.path().join(".codex")).expect("is made");
        fs::write(home.path().join(".codex/auth.json"), "{}").expect("is written");
        assert_eq!(login(&files, Some(home.path())).as_deref(), Some("~/.codex/auth.json"));
        let env = vec!["CARGO_MANIFEST_DIR".to_owned()];
        let variable = Runtime { host: HostLogin { files: vec![], env }, ..codex.clone() };
        assert_eq!(login(&variable, None).as_deref(), Some("$CARGO_MANIFEST_DIR"));
    }

    #[test]
    fn a_file_that_cannot_be_used_is_named() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("runtimes.toml");
        let error = catalog(Some(&file)).expect_err("is not there");
        assert!(error.to_string().contains("runtimes.toml"), "{error}");
        fs::write(&file, "[runtime.x]\nmodel = 3\n").expect("is written");
        let error = format!("{:#}", catalog(Some(&file)).expect_err("is wrong"));
        assert!(error.contains("runtimes.toml") && error.contains("runtime.x"), "{error}");
    }
}
