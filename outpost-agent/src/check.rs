//! `outpost-agent check`: says before this host joins what a worker here would miss.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;

use sprint_core::runtime::{Catalog, Runtime};

use crate::host::paths::DataDir;
use crate::host::{disk, preflight, programs};
use crate::join::{lock, sandbox_settings, state_dir};
use crate::runtime::found;
use crate::sandbox::probe::{self, Confinement};
use crate::sandbox::programs::prefix;
use crate::settings::CheckSettings;
use crate::worker::rehearsal::{Rehearsed, rehearse};

/// How long a listing of all programs may take.
const LIST_LIMIT: Duration = Duration::from_mins(1);
/// Lists what a worker can run of what is on `PATH`.
const LIST: &str =
    "IFS=:; for d in $PATH; do for f in \"$d\"/*; do [ -x \"$f\" ] && [ -f \"$f\" ] && echo \"$f\"; done; done; true";
/// Programs of a directory that are named.
const NAMED: usize = 3;

/// Prints what is found; fails where work would.
pub(crate) fn run(settings: CheckSettings) -> ExitCode {
    match check(settings) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Says whether workers can run here.
fn check(settings: CheckSettings) -> anyhow::Result<bool> {
    let CheckSettings { config: _, run, timeout, sandbox } = settings;
    let mut fit = true;
    let mut failed = |what: &str| {
        println!("no    {what}");
        fit = false;
    };
    for found in preflight::look() {
        match found {
            Ok(version) => println!("ok    {version}"),
            Err(error) => failed(&error.to_string()),
        }
    }
    if programs::find("git-lfs").is_none() {
        println!("note  git-lfs was not found; a repository with Git LFS needs it (Debian: apt-get install git-lfs)");
    }
    agents();
    let program = std::env::current_exe().context("this program's own path is unknown")?;
    let root = state_dir()?.join("check");
    sprint_identity::private::make_dir(&root).with_context(|| format!("{} cannot be used", root.display()))?;
    let data = DataDir::new(root.canonicalize()?);
    let _lock = lock(&data)?;
    fs::create_dir_all(data.mirrors())?;
    let policy = match probe::policy(sandbox_settings(sandbox), &data, &program) {
        Ok(Confinement { policy, lacks }) => {
            match (&policy, lacks) {
                (None, _) => println!("note  workers are not confined (--sandbox off)"),
                (Some(_), None) => println!("ok    workers are confined: {}", probe::label(policy.as_ref())),
                (Some(_), Some(lacks)) => {
                    println!("note  workers are not fully confined ({}): {lacks}", probe::label(policy.as_ref()));
                }
            }
            policy
        }
        Err(error) => {
            failed(&format!("{error:#}"));
            return Ok(false);
        }
    };
    let try_out = |line: &str, limit| rehearse(policy.as_ref(), &data, &program, line, limit);
    let listed = try_out(LIST, LIST_LIMIT)?;
    if listed.result.as_ref().is_none_or(|result| result.exit_code != Some(0)) {
        failed(&format!("a worker's command does not run here: {}", words(&listed)));
    } else {
        for line in unreachable(&listed.printed) {
            println!("note  {line}");
        }
    }
    if let Some(line) = run {
        let tried = try_out(&line, timeout)?;
        match &tried.result {
            Some(result) if result.exit_code == Some(0) => println!("ok    the command exited with 0"),
            _ => failed(&format!("the command {}", words(&tried))),
        }
        if !tried.end.is_empty() {
            println!("--- the end of its terminal ---\n{}", tried.end);
        }
    }
    disk::remove_dir(data.root()).ok();
    Ok(fit)
}

/// Says which agents are here, in which version, and with which login.
fn agents() {
    let home = programs::home();
    for (runtime, version) in found::versions(Catalog::shipped()) {
        let Runtime { name, verified, host, .. } = runtime;
        let doubt = match verified.as_slice() {
            [] => " (not tried by Sprint's tests)".to_owned(),
            tried if tried.contains(&version) => String::new(),
            tried => format!(" (Sprint's tests have tried {})", tried.join(", ")),
        };
        match found::login(runtime, home.as_deref()) {
            Some(login) => println!("ok    {name} {version}{doubt}, with the login in {login}"),
            None => println!(
                "note  {name} {version}{doubt} has no login here: log in as this user, set {}, or give its workers a secret",
                host.env.join(" or ")
            ),
        }
    }
}

/// How a command ended, and why.
fn words(Rehearsed { result, why, .. }: &Rehearsed) -> String {
    let ended = match result {
        None => "did not run".to_owned(),
        Some(result) if result.timed_out => "took too long".to_owned(),
        Some(result) => match (result.exit_code, result.signal) {
            (Some(code), _) => format!("exited with code {code}"),
            (None, Some(signal)) => format!("was ended by signal {signal}"),
            (None, None) => "did not run".to_owned(),
        },
    };
    why.as_ref().map_or_else(|| ended.clone(), |why| format!("{ended}: {why}"))
}

/// The programs on `PATH` that this user can run, and a worker cannot, by their directories.
fn unreachable(printed: &str) -> Vec<String> {
    let reached: BTreeSet<&Path> = printed.lines().map(|line| Path::new(line.trim_end())).collect();
    let mut missing: BTreeMap<PathBuf, Vec<(String, PathBuf)>> = BTreeMap::new();
    for directory in programs::path() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            let file = entry.path();
            if programs::is_program(&file) && !reached.contains(file.as_path()) {
                let needed = file.canonicalize().map_or_else(|_| file.clone(), |real| prefix(&real));
                let name = entry.file_name().to_string_lossy().into_owned();
                missing.entry(directory.clone()).or_default().push((name, needed));
            }
        }
    }
    let sentence = |(directory, mut programs): (PathBuf, Vec<(String, PathBuf)>)| {
        programs.sort();
        let names: Vec<_> = programs.iter().take(NAMED).map(|(name, _)| name.as_str()).collect();
        let more = programs.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let needed: BTreeSet<_> = programs.iter().map(|(_, needed)| needed).take(NAMED).collect();
        let grants: Vec<_> = needed.into_iter().map(|path| format!("--allow-read {}", path.display())).collect();
        format!(
            "workers cannot run {}{more} in {}; start outpost-agent join with {}",
            names.join(", "),
            directory.display(),
            grants.join(" ")
        )
    };
    missing.into_iter().map(sentence).collect()
}
