//! systemd's user units.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use sprint_identity::private;

use crate::failure::Failure;
use crate::local::place::Running;
use crate::local::program::Program;

const COORDINATOR: &str = include_str!("../../../deploy/systemd/sprint-coordinator.service");
const OUTPOST: &str = include_str!("../../../deploy/systemd/sprint-outpost.service");

fn run(program: &str, args: &[&str]) -> Result<String, String> {
    let output: std::io::Result<Output> = Command::new(program).args(args).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{program} cannot be run: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(if said.is_empty() { format!("{program} {} failed", args.join(" ")) } else { said })
}

fn systemctl(args: &[&str]) -> Result<String, Failure> {
    run("systemctl", &[&["--user"], args].concat())
        .map_err(|said| Failure::new("client.local", format!("systemd says: {said}")))
}

/// Whether this user has a manager of services.
pub(super) fn is_there() -> bool {
    run("systemctl", &["--user", "show-environment"]).is_ok()
}

/// Has this user's services go on after a logout; why not, when that may not be.
pub(super) fn linger() -> Result<(), String> {
    let user = env::var("USER").or_else(|_| run("id", &["-un"]).map(|name| name.trim().to_owned()))?;
    if run("loginctl", &["show-user", &user, "--property=Linger"]).is_ok_and(|said| said.trim() == "Linger=yes") {
        return Ok(());
    }
    run("loginctl", &["enable-linger", &user]).map(drop)
}

pub(super) fn start(program: &Program, secret: &Path) -> Result<Running, Failure> {
    let unit = unit_of(program);
    let dir = dir()?;
    let path = dir.join(&unit);
    let text = text(program, secret);
    if fs::read_to_string(&path).ok().as_deref() != Some(&text) {
        fs::create_dir_all(&dir)
            .and_then(|()| fs::write(&path, text))
            .map_err(Failure::io(format!("writing {}", path.display())))?;
        systemctl(&["daemon-reload"])?;
    }
    if let Some((key, value)) = &program.secret {
        private::write(secret, format!("{key}={value}\n").as_bytes()).map_err(Failure::io("writing the token"))?;
    }
    systemctl(&["enable", &unit])?;
    systemctl(&["restart", &unit])?;
    Ok(Running::Systemd { unit })
}

pub(super) fn lives(unit: &str) -> bool {
    systemctl(&["is-active", unit]).is_ok()
}

pub(super) fn stop(unit: &str) -> Result<(), Failure> {
    systemctl(&["disable", "--now", unit]).map(drop)
}

/// Removes the unit's file.
pub(super) fn remove(unit: &str) -> Result<(), Failure> {
    fs::remove_file(dir()?.join(unit)).ok();
    systemctl(&["daemon-reload"]).map(drop)
}

fn unit_of(program: &Program) -> String {
    match program.name {
        "coordinator" => "sprint-coordinator.service".to_owned(),
        _ => "sprint-outpost.service".to_owned(),
    }
}

fn dir() -> Result<PathBuf, Failure> {
    let home = || env::var_os("HOME").map(|home| PathBuf::from(home).join(".config"));
    let config = env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).or_else(home);
    config.map(|config| config.join("systemd/user")).ok_or_else(|| Failure::new("client.local", "HOME is not set"))
}

/// The unit that is installed with the programs, with this program's place, arguments and search path.
fn text(program: &Program, secret: &Path) -> String {
    let template = if program.name == "coordinator" { COORDINATOR } else { OUTPOST };
    let words = [program.path.display().to_string()].into_iter().chain(program.args.iter().cloned());
    let command = words.map(|word| quoted(&word)).collect::<Vec<_>>().join(" ");
    let path = env::var("PATH").unwrap_or_default();
    let lines = template.lines().filter(|line| !line.starts_with('#')).map(|line| match line.split_once('=') {
        Some(("ExecStart", _)) => format!("ExecStart={command}"),
        // Workers find their agents where this shell finds them.
        Some(("EnvironmentFile", _)) => {
            format!(
                "Environment={}\nEnvironmentFile=-{}",
                quoted(&format!("PATH={path}")),
                escaped(&secret.display().to_string())
            )
        }
        _ => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

/// `%` begins a specifier.
fn escaped(text: &str) -> String {
    text.replace('%', "%%")
}

fn quoted(word: &str) -> String {
    format!("\"{}\"", escaped(word).replace('\\', "\\\\").replace('"', "\\\"").replace('$', "$$"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_the_installed_one_with_this_programs_place_and_arguments() {
        let program = Program {
            name: "outpost-agent",
            path: "/home/ann b/100%/outpost-agent".into(),
            args: vec!["join".to_owned(), "--data-dir".to_owned(), "/d \"q\" $x".to_owned()],
            secret: None,
        };
        let text = text(&program, Path::new("/s/outpost.env"));
        let line = |begin: &str| text.lines().filter(|line| line.starts_with(begin)).collect::<Vec<_>>();
        assert_eq!(
            line("ExecStart="),
            [r#"ExecStart="/home/ann b/100%%/outpost-agent" "join" "--data-dir" "/d \"q\" $$x""#]
        );
        assert_eq!(line("EnvironmentFile="), ["EnvironmentFile=-/s/outpost.env"]);
        assert_eq!((line("KillMode=").len(), line("Environment=").len()), (1, 1));
        assert!(line("#").is_empty());
    }
}
