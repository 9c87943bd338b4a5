//! A file system of the worker's own: a mount namespace that holds the grants and nothing else.
//!
//! What is not granted is not there. That covers what Landlock leaves open up to
//! Linux 6.18: connecting to sockets (tmux's would run any command outside),
//! changing modes and owners, and looking at names.

use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Gid, Uid, pivot_root};

use super::spec::{Access, Grant, Mechanisms, Namespace, Sandbox, Unconfined};
use super::{process, processes};

/// The devices that every program may expect.
const DEVICES: &[&str] = &["null", "zero", "full", "random", "urandom", "tty"];
const DEVICE_LINKS: &[(&str, &str)] = &[
    ("ptmx", "pts/ptmx"),
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];
const NONE: Option<&str> = None;

/// Begins a view in a mount namespace of its own, with what is in every worker's. Where workers have process namespaces
/// this returns in the first command of one; see [`processes::enter`] for `life`.
///
/// # Errors
/// [`Unconfined`].
pub(super) fn begin(
    mechanisms: Mechanisms,
    namespace: Namespace,
    stage: &Path,
    life: BorrowedFd<'_>,
) -> Result<View, Unconfined> {
    let own_processes = mechanisms.processes;
    separate(namespace, own_processes).map_err(Unconfined::at("making a mount namespace"))?;
    if own_processes {
        processes::enter(life).map_err(Unconfined::at("making a process namespace"))?;
    }
    let view = View { root: stage.to_owned(), namespace, own_processes };
    view.start().map_err(Unconfined::at("making a root directory"))?;
    view.system().map_err(Unconfined::at("showing /proc, /sys and /dev"))?;
    Ok(view)
}

fn separate(namespace: Namespace, own_processes: bool) -> io::Result<()> {
    // Shared memory, semaphores and message queues have numbers that are everybody's otherwise.
    let mut own = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWUTS;
    own.set(CloneFlags::CLONE_NEWPID, own_processes);
    match namespace {
        Namespace::Mount => unshare(own)?,
        Namespace::User => {
            let (user, group) = (Uid::effective(), Gid::effective());
            unshare(CloneFlags::CLONE_NEWUSER | own)?;
            fs::write("/proc/self/setgroups", "deny")?;
            fs::write("/proc/self/uid_map", format!("{user} {user} 1"))?;
            fs::write("/proc/self/gid_map", format!("{group} {group} 1"))?;
        }
    }
    // Nothing that is mounted here is seen outside. What the host lets go of is let go of here as well: the worker may
    // come hours later.
    Ok(mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_SLAVE, NONE)?)
}

/// Whether what is mounted may be written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writing {
    Allowed,
    Refused,
}

/// The view in the making.
pub(super) struct View {
    root: PathBuf,
    namespace: Namespace,
    own_processes: bool,
}

impl View {
    /// Shows what the sandbox grants, and moves this process into the view.
    ///
    /// # Errors
    /// [`Unconfined`].
    pub(super) fn enter(self, sandbox: &Sandbox) -> Result<(), Unconfined> {
        for Grant { path, access } in &sandbox.grants {
            self.show(path, access).map_err(Unconfined::at(format!("showing {}", path.display())))?;
        }
        for (link, target) in &sandbox.links {
            self.link(link, target).map_err(Unconfined::at(format!("showing {}", link.display())))?;
        }
        for hidden in sandbox.grants.iter().filter(|grant| grant.access == Access::Hidden) {
            self.seal(&hidden.path).map_err(Unconfined::at(format!("hiding {}", hidden.path.display())))?;
        }
        self.finish().map_err(Unconfined::at("entering the new root directory"))
    }

    /// Where a path of the view is while it is made.
    fn at(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    fn start(&self) -> io::Result<()> {
        // It holds mount points and links only.
        memory(&self.root, "mode=755,size=4m")
    }

    fn system(&self) -> io::Result<()> {
        let proc = self.directory(Path::new("/proc"))?;
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC | MsFlags::MS_RDONLY;
        // Of its own with privilege or with own processes only: then it shows none that Landlock keeps out of reach.
        match mount(Some("proc"), &proc, Some("proc"), flags, Some("hidepid=ptraceable")) {
            Ok(()) => {}
            // The host's would show other numbers than the worker's processes know of themselves.
            Err(error) if self.own_processes => return Err(error.into()),
            Err(_) => bind(Path::new("/proc"), &proc, Writing::Refused)?,
        }
        bind(Path::new("/sys"), &self.directory(Path::new("/sys"))?, Writing::Refused)?;
        for name in DEVICES {
            let device = Path::new("/dev").join(name);
            bind(&device, &self.file(&device)?, Writing::Allowed)?;
        }
        for (name, target) in DEVICE_LINKS {
            std::os::unix::fs::symlink(target, self.at(&Path::new("/dev").join(name)))?;
        }
        let terminals = self.directory(Path::new("/dev/pts"))?;
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
        mount(Some("devpts"), &terminals, Some("devpts"), flags, Some("newinstance,ptmxmode=0666,mode=620"))?;
        memory(&self.directory(Path::new("/dev/shm"))?, "mode=1777")?;
        // The pane's terminal is the host's: this is the name by which it can be found.
        match process::terminal().map(nix::unistd::ttyname) {
            Some(Ok(terminal)) => bind(&terminal, &self.file(Path::new("/dev/console"))?, Writing::Allowed),
            Some(Err(_)) | None => Ok(()),
        }
    }

    fn show(&self, path: &Path, access: &Access) -> io::Result<()> {
        match access {
            Access::Named | Access::Read => self.bind(path, path, Writing::Refused),
            Access::Write => self.bind(path, path, Writing::Allowed),
            Access::Private { source } => self.bind(source, path, Writing::Allowed),
            Access::Layered { layer } => self.overlay(path, layer),
            Access::Hidden if path.is_dir() => memory(&self.directory(path)?, "mode=755,size=4m"),
            Access::Hidden => self.bind(Path::new("/dev/null"), path, Writing::Refused),
        }
    }

    /// What has gone since it was granted is left out.
    fn bind(&self, source: &Path, path: &Path, writing: Writing) -> io::Result<()> {
        let target = match fs::metadata(source) {
            Ok(source) if source.is_dir() => self.directory(path)?,
            Ok(_) => self.file(path)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        bind(source, &target, writing)
    }

    fn overlay(&self, path: &Path, layer: &Path) -> io::Result<()> {
        let target = self.directory(path)?;
        // By their descriptors: a name may hold characters that are options' own.
        let open = |path: &Path| File::open(path);
        let (lower, upper, work) = (open(path)?, open(&layer.join("upper"))?, open(&layer.join("work"))?);
        let name = |file: &File| format!("/proc/self/fd/{}", file.as_raw_fd());
        let more = match self.namespace {
            Namespace::Mount => "",
            Namespace::User => ",userxattr",
        };
        let options = format!("lowerdir={},upperdir={},workdir={}{more}", name(&lower), name(&upper), name(&work));
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        Ok(mount(Some("overlay"), &target, Some("overlay"), flags, Some(options.as_str()))?)
    }

    fn link(&self, link: &Path, target: &Path) -> io::Result<()> {
        let at = self.at(link);
        if at.symlink_metadata().is_ok() {
            return Ok(());
        }
        self.parent(&at)?;
        std::os::unix::fs::symlink(target, at)
    }

    fn seal(&self, path: &Path) -> io::Result<()> {
        set_attributes(&self.at(path), Depth::This, libc::MOUNT_ATTR_RDONLY)
    }

    fn finish(&self) -> io::Result<()> {
        set_attributes(&self.root, Depth::This, libc::MOUNT_ATTR_RDONLY)?;
        std::env::set_current_dir(&self.root)?;
        // The old root ends up on top of the new one, and goes.
        pivot_root(".", ".")?;
        Ok(umount2(".", MntFlags::MNT_DETACH)?)
    }

    fn directory(&self, path: &Path) -> io::Result<PathBuf> {
        let at = self.at(path);
        fs::create_dir_all(&at)?;
        Ok(at)
    }

    fn file(&self, path: &Path) -> io::Result<PathBuf> {
        let at = self.at(path);
        self.parent(&at)?;
        if at.symlink_metadata().is_err() {
            File::create(&at)?;
        }
        Ok(at)
    }

    fn parent(&self, at: &Path) -> io::Result<()> {
        fs::create_dir_all(at.parent().unwrap_or(&self.root))
    }
}

fn memory(target: &Path, options: &str) -> io::Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    Ok(mount(Some("sprint"), target, Some("tmpfs"), flags, Some(options))?)
}

fn bind(source: &Path, target: &Path, writing: Writing) -> io::Result<()> {
    mount(Some(source), target, NONE, MsFlags::MS_BIND | MsFlags::MS_REC, NONE)?;
    // What the host mounts from here on is not shown, and could be written to.
    let attributes = match writing {
        Writing::Refused => libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID,
        Writing::Allowed => 0,
    };
    set_attributes(target, Depth::All, attributes)
}

/// Whether mounts below one are meant as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Depth {
    This,
    All,
}

/// Sets attributes of a mount, which is nobody's but this process's from then on.
#[expect(unsafe_code, reason = "no crate at hand wraps mount_setattr")]
fn set_attributes(target: &Path, depth: Depth, attributes: u64) -> io::Result<()> {
    let target = CString::new(target.as_os_str().as_bytes())?;
    let change = libc::mount_attr { attr_set: attributes, attr_clr: 0, propagation: libc::MS_PRIVATE, userns_fd: 0 };
    let flags = match depth {
        Depth::This => 0,
        Depth::All => libc::AT_RECURSIVE,
    };
    // SAFETY: the path and the structure live until the call returns, and the size is the
    // structure's own; the kernel reads both and keeps neither.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            target.as_ptr(),
            flags,
            &raw const change,
            size_of::<libc::mount_attr>(),
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
