//! The paths that a worker may use: the system and its tools to read, its own directories to write.
//!
//! A list of what is allowed, never of what is denied: what the list does not name is out of reach.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::cgroup::Group;
use super::grants::{HiddenIn, List};
use super::host_paths::HostPaths;
use super::limits::Limits;
use super::spec::{Access, Mechanisms, Sandbox};
use crate::host::paths::{DataDir, WorkerDir};

/// Programs, libraries and what they need to know of the host; its resolver lives in `/run`.
const SYSTEM: &[&str] = &[
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/etc",
    "/opt",
    "/nix",
    "/gnu",
    "/snap",
    "/var/cache/fontconfig",
    "/var/lib/ca-certificates",
    "/run/current-system",
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/run/NetworkManager/resolv.conf",
];

/// Secrets among it: a worker may not read them, whichever user it runs as.
const SECRETS: &[&str] = &[
    "/etc/shadow",
    "/etc/shadow-",
    "/etc/gshadow",
    "/etc/gshadow-",
    "/etc/krb5.keytab",
    "/etc/kubernetes",
    "/etc/rancher",
    "/etc/sprint",
    "/etc/ssl/private",
    "/etc/wireguard",
    "/etc/NetworkManager/system-connections",
];

/// In the home directory: tools that do not change when they are used.
const TOOLS: &[&str] = &[
    "bin",
    ".asdf",
    ".conda",
    ".config/git",
    ".deno",
    ".dotnet",
    ".ghcup",
    ".goenv",
    ".jenv",
    ".linuxbrew",
    ".local/bin",
    ".local/lib",
    ".local/share/claude",
    ".local/share/fnm",
    ".local/share/mise",
    ".local/share/pipx",
    ".local/share/pnpm",
    ".local/share/uv",
    ".nix-profile",
    ".nodenv",
    ".nvm",
    ".opam",
    ".pyenv",
    ".rbenv",
    ".rustup",
    ".sdkman",
    ".volta",
    "anaconda3",
    "miniconda3",
    "miniforge3",
    "sdk",
];

/// In the home directory: files that their own programs change all the time.
const STATE: &[&str] = &[
    ".bun",
    ".bundle",
    ".cabal",
    ".cargo",
    ".claude",
    ".codex",
    ".config/goose",
    ".config/opencode",
    ".gem",
    ".gemini",
    ".gradle",
    ".julia",
    ".local/share/opencode",
    ".m2",
    ".npm",
    ".nuget",
    ".pub-cache",
    ".stack",
    ".yarn",
    "go",
];

/// In the home directory: secrets below what is granted above or by the settings.
const HOME_SECRETS: &[&str] = &[
    ".aws",
    ".azure",
    ".cargo/credentials",
    ".cargo/credentials.toml",
    ".config/gcloud",
    ".config/gh",
    ".config/sprint",
    ".docker",
    ".gem/credentials",
    ".git-credentials",
    ".gnupg",
    ".kube",
    ".local/share/keyrings",
    ".local/state/sprint",
    ".m2/settings.xml",
    ".netrc",
    ".npmrc",
    ".password-store",
    ".pypirc",
    ".sprint",
    ".ssh",
];

/// In the home directory: small files that a worker gets a copy of.
const COPIED: &[&str] = &[".claude.json", ".gitconfig"];
/// The largest file that counts as a configuration.
const COPIED_MOST: u64 = 4 << 20;

/// The part of the policy that is the same for every worker of this outpost.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    pub(crate) mechanisms: Mechanisms,
    pub(crate) limits: Limits,
    pub(crate) groups: Vec<Group>,
    /// Tells this outpost's groups from another's on the same host.
    pub(crate) group_prefix: String,
    pub(crate) home: Option<PathBuf>,
    /// The directories of `PATH`.
    pub(crate) programs: Vec<PathBuf>,
    pub(crate) allow_read: Vec<PathBuf>,
    pub(crate) allow_write: Vec<PathBuf>,
    /// This program.
    pub(crate) program: PathBuf,
    pub(crate) host: HostPaths,
}

impl Policy {
    /// The sandbox of the worker of a directory, with the host as it is now; `files` are the outpost's for the repo.
    pub(crate) fn sandbox(&self, data: &DataDir, dir: &WorkerDir, mirror: &Path, files: Option<&Path>) -> Sandbox {
        let mut list = List::new(&self.host);
        self.own(&mut list, dir, mirror);
        for path in &self.allow_write {
            list.add(path, Access::Write);
        }
        for path in self.allow_read.iter().map(PathBuf::as_path).chain(files) {
            list.add(path, Access::Read);
        }
        self.of_home(&mut list, dir);
        for path in SYSTEM {
            list.add(Path::new(path), Access::Read);
        }
        for path in self.programs.iter().filter(|path| self.holds_programs(path, data)) {
            list.add(path, Access::Read);
        }
        for path in self.host.beyond(self.own_programs()).iter().filter(|path| self.holds_programs(path, data)) {
            list.add(path, Access::Read);
        }
        self.hide(&mut list, data);
        let name = dir.path().file_name().unwrap_or_default().to_string_lossy();
        let group = format!("{}-{name}", self.group_prefix);
        Sandbox {
            mechanisms: self.mechanisms,
            grants: list.finish(self.mechanisms.view.is_some()),
            links: list.links.into_iter().collect(),
            stage: data.stage(),
            limits: self.limits,
            cgroups: self.groups.iter().map(|parent| parent.child(&group)).collect(),
        }
    }

    fn own(&self, list: &mut List<'_>, dir: &WorkerDir, mirror: &Path) {
        list.insert(dir.path().to_owned(), Access::Named);
        list.insert(dir.workspace(), Access::Write);
        list.insert(dir.artifacts(), Access::Write);
        list.insert(dir.context(), Access::Read);
        list.insert(mirror.join("objects"), Access::Read);
        let lfs = mirror.join("lfs/objects");
        if lfs.is_dir() {
            list.insert(lfs, Access::Read);
        }
        // Its `sprintctl`.
        list.add(&self.program, Access::Read);
        if self.mechanisms.view.is_some() {
            list.add(Path::new("/tmp"), Access::Private { source: dir.temporary() });
            list.add(Path::new("/var/tmp"), Access::Private { source: dir.temporary() });
        } else {
            list.insert(dir.temporary(), Access::Write);
        }
    }

    fn of_home(&self, list: &mut List<'_>, dir: &WorkerDir) {
        let Some(home) = &self.home else { return };
        if self.mechanisms.view.is_some() {
            list.add(home, Access::Private { source: dir.home() });
        } else {
            for name in COPIED {
                list.add(&home.join(name), Access::Read);
            }
        }
        for name in TOOLS {
            list.add(&home.join(name), Access::Read);
        }
        for name in STATE {
            let layer = dir.layers().join(name.replace('/', "-"));
            list.add(&home.join(name), if self.mechanisms.layers { Access::Layered { layer } } else { Access::Read });
        }
    }

    /// The directories of programs that are neither the system's nor the workers': who can put a link there must not
    /// choose what others may read.
    fn own_programs(&self) -> impl Iterator<Item = &PathBuf> {
        let is_system = |path: &Path| SYSTEM.iter().any(|system| path.starts_with(system));
        let is_writable = |path: &Path| {
            let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
            self.allow_write.iter().any(|allowed| real.starts_with(allowed) || path.starts_with(allowed))
        };
        self.programs.iter().filter(move |path| path.is_absolute() && !is_system(path) && !is_writable(path))
    }

    /// Whether a directory of `PATH` is only that.
    fn holds_programs(&self, path: &Path, data: &DataDir) -> bool {
        let holds = |inner: &Path| inner.starts_with(path);
        // Programs install themselves there, and much else lies beside them.
        let is_shared = self.home.as_ref().is_some_and(|home| path == home.join(".local"));
        !is_shared && path.is_absolute() && !self.home.as_deref().is_some_and(holds) && !holds(data.root())
    }

    fn hide(&self, list: &mut List<'_>, data: &DataDir) {
        let home = self.home.iter().flat_map(|home| HOME_SECRETS.iter().map(|name| home.join(name)));
        let explicit = |path: &PathBuf| self.allow_read.contains(path) || self.allow_write.contains(path);
        let keys = self.host.ssh_keys();
        let secrets = SECRETS.iter().map(PathBuf::from).chain(home).chain(keys.iter().cloned());
        for path in secrets.filter(|path| !explicit(path)) {
            list.hide(&path, HiddenIn::AsItIs);
        }
        // What is made on the way to a worker's own things must not look like the agent's.
        list.hide(data.root(), HiddenIn::InAnyWay);
    }

    /// Makes the directories that a sandbox names, and the worker's copies.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn prepare(&self, sandbox: &Sandbox, dir: &WorkerDir) -> io::Result<()> {
        make_dirs(sandbox, dir)?;
        let Some(home) = self.home.as_ref().filter(|_| sandbox.mechanisms.view.is_some()) else { return Ok(()) };
        for name in COPIED {
            let (from, to) = (home.join(name), dir.home().join(name));
            if !to.exists() && fs::metadata(&from).is_ok_and(|file| file.is_file() && file.len() <= COPIED_MOST) {
                fs::copy(from, to)?;
            }
        }
        Ok(())
    }
}

/// Makes the directories that a sandbox names.
///
/// # Errors
/// Those of the file system.
pub(crate) fn make_dirs(sandbox: &Sandbox, dir: &WorkerDir) -> io::Result<()> {
    fs::create_dir_all(dir.temporary())?;
    fs::create_dir_all(&sandbox.stage)?;
    for grant in &sandbox.grants {
        match &grant.access {
            Access::Private { source } => fs::create_dir_all(source)?,
            Access::Layered { layer } => {
                fs::create_dir_all(layer.join("upper"))?;
                fs::create_dir_all(layer.join("work"))?;
            }
            Access::Named | Access::Read | Access::Write | Access::Hidden => {}
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
