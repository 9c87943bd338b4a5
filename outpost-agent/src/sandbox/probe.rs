//! The host's means to confine a worker, tested once when the agent starts.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};

use super::host_paths::HostPaths;
use super::limits::Limits;
use super::policy::Policy;
use super::spec::{Mechanisms, Namespace};
use super::{cgroup, rules, syscalls};
use crate::host::environment;
use crate::host::paths::{DataDir, WorkerDir};
use crate::settings::SandboxMode;
use crate::shim::plan::Plan;

/// The label of an outpost that says how its workers are confined.
pub(crate) const LABEL: &str = "sandbox";

/// The sandbox settings.
#[derive(Debug)]
pub(crate) struct SandboxSettings {
    pub(crate) mode: SandboxMode,
    pub(crate) limits: Limits,
    pub(crate) allow_read: Vec<std::path::PathBuf>,
    pub(crate) allow_write: Vec<std::path::PathBuf>,
}

/// How workers are confined here.
#[derive(Debug)]
pub(crate) struct Confinement {
    /// None when confinement is switched off.
    pub(crate) policy: Option<Policy>,
    /// What this host lacks of what could be.
    pub(crate) lacks: Option<String>,
}

impl Confinement {
    /// Tells who runs the agent.
    pub(crate) fn log(&self) {
        let Self { policy, lacks } = self;
        let sandbox = label(policy.as_ref());
        match (policy, lacks) {
            (None, _) => tracing::warn!(
                "workers are not confined: they can read and change everything that this user can (--sandbox off)"
            ),
            (Some(_), Some(why)) => tracing::warn!(why, sandbox, "workers are not fully confined"),
            (Some(policy), None) => tracing::info!(sandbox, limits = limited(policy), "workers are confined"),
        }
    }
}

/// Finds out what works here.
///
/// # Errors
/// Confinement is required and not available; the text is for a person.
pub(crate) fn policy(wishes: SandboxSettings, data: &DataDir, program: &Path) -> anyhow::Result<Confinement> {
    let SandboxSettings { mode, limits, allow_read, allow_write } = wishes;
    if mode == SandboxMode::Off {
        return Ok(Confinement { policy: None, lacks: None });
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let home = std::env::var_os("HOME").map(std::path::PathBuf::from);
    let mut policy = Policy {
        mechanisms: Mechanisms::default(),
        limits,
        groups: cgroup::find(),
        group_prefix: format!("sprint-{:08x}", checksum(data.root())),
        home: home.filter(|home| home.is_absolute() && home.parent().is_some() && home.is_dir()),
        programs: std::env::split_paths(&path).collect(),
        allow_read: existing(allow_read)?,
        allow_write: existing(allow_write)?,
        program: program.to_owned(),
        host: HostPaths::default(),
    };
    let landlock = rules::version();
    let (mechanisms, lacks) = best(&mut policy, landlock, data, program)?;
    policy.mechanisms = mechanisms;
    if let Some(why) = lacks.as_ref().filter(|_| mode == SandboxMode::Require) {
        bail!(
            "workers cannot be confined as --sandbox require demands; {why}; use another host, or --sandbox best-effort"
        );
    }
    Ok(Confinement { policy: Some(policy), lacks })
}

/// How workers are confined, in one word.
pub(crate) fn label(policy: Option<&Policy>) -> String {
    let Mechanisms { landlock, view, layers: _, processes, filter } =
        policy.map(|policy| policy.mechanisms).unwrap_or_default();
    let words = [
        landlock.map(|version| format!("landlock-abi{version}")),
        view.map(|_| "namespace".to_owned()),
        processes.then(|| "processes".to_owned()),
        filter.then(|| "seccomp".to_owned()),
    ];
    let words: Vec<String> = words.into_iter().flatten().collect();
    if words.is_empty() { "none".to_owned() } else { words.join("+") }
}

fn limited(policy: &Policy) -> &'static str {
    if policy.groups.is_empty() { "rlimits" } else { "cgroup" }
}

/// The best that works, and what is missing from what could be.
fn best(
    policy: &mut Policy,
    landlock: Option<i32>,
    data: &DataDir,
    program: &Path,
) -> anyhow::Result<(Mechanisms, Option<String>)> {
    let no_landlock = "this kernel has no Landlock (Linux 5.13 or newer with lsm=…,landlock)";
    let no_filter = "this kernel filters no system calls (CONFIG_SECCOMP_FILTER)";
    let filter = syscalls::is_supported();
    let (mut no_view, mut no_processes) = (None, None);
    let ways = [Some(Namespace::Mount), Some(Namespace::User)].into_iter();
    let ways =
        ways.flat_map(|view| [(view, true, true), (view, true, false), (view, false, true), (view, false, false)]);
    for (view, processes, layers) in ways.chain([(None, false, false)]) {
        policy.mechanisms = Mechanisms { landlock, view, layers, processes, filter };
        match attempt(policy, data, program)? {
            Ok(()) => {
                let missing = [
                    landlock.is_none().then(|| no_landlock.to_owned()),
                    no_view.filter(|_| view.is_none()),
                    no_processes.filter(|_| view.is_some() && !processes),
                    (!filter).then(|| no_filter.to_owned()),
                ];
                let missing: Vec<String> = missing.into_iter().flatten().collect();
                return Ok((policy.mechanisms, (!missing.is_empty()).then(|| missing.join("; "))));
            }
            Err(said) => {
                let kept = if processes { &mut no_processes } else { &mut no_view };
                let what = if processes { "a process namespace" } else { "a file system view" };
                *kept = Some(format!("workers cannot have {what} of their own: {said}"));
            }
        }
    }
    Ok((Mechanisms::default(), no_view))
}

/// Runs git as a worker would be run.
fn attempt(policy: &Policy, data: &DataDir, program: &Path) -> anyhow::Result<Result<(), String>> {
    let dir = WorkerDir::new(data.root().join("probe"));
    let what = || format!("{} cannot be used", dir.path().display());
    let mirror = data.mirrors();
    for path in [dir.workspace(), dir.context(), dir.artifacts(), mirror.join("objects")] {
        fs::create_dir_all(path).with_context(what)?;
    }
    let sandbox = policy.sandbox(data, &dir, &mirror, None);
    policy.prepare(&sandbox, &dir).with_context(what)?;
    let plan = Plan::bare(&dir, Some(sandbox));
    fs::write(dir.plan(), serde_json::to_vec(&plan)?).with_context(what)?;
    let output = Command::new(program)
        .arg("within")
        .arg(dir.path())
        .arg(dir.artifacts())
        .args(["git", "--version"])
        .env_clear()
        .envs(environment::plain())
        .output()
        .context("this program cannot start itself")?;
    crate::host::disk::discard(dir.path(), &data.trash()).with_context(what)?;
    fs::remove_dir(mirror.join("objects")).ok();
    if output.status.success() {
        return Ok(Ok(()));
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Ok(Err(if said.is_empty() { output.status.to_string() } else { said }))
}

/// The real paths of what people allow.
fn existing(paths: Vec<std::path::PathBuf>) -> anyhow::Result<Vec<std::path::PathBuf>> {
    let real = |path: std::path::PathBuf| {
        path.canonicalize().with_context(|| format!("{} cannot be granted to workers; create it first", path.display()))
    };
    paths.into_iter().map(real).collect()
}

/// FNV-1a, for a short name that stays.
fn checksum(path: &Path) -> u32 {
    use std::os::unix::ffi::OsStrExt as _;
    path.as_os_str().as_bytes().iter().fold(0x811c_9dc5, |sum, byte| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}
