use super::super::spec::Namespace;
use super::*;

const LIMITS: Limits = Limits { processes: 8, memory: None, open_files: 64 };

/// A host of its own in a directory: a home, an agent's data, one worker.
struct Host {
    root: tempfile::TempDir,
    policy: Policy,
}

impl Host {
    fn new(view: Option<Namespace>) -> Self {
        let root = tempfile::tempdir().expect("a directory");
        let path = |name: &str| root.path().join(name);
        for name in ["home/.ssh", "home/.cargo/bin", "home/.rustup", "home/data/workers/7", "srv/public", "srv/data"] {
            fs::create_dir_all(path(name)).expect("is made");
        }
        fs::write(path("home/.cargo/credentials.toml"), b"secret").expect("is written");
        let policy = Policy {
            mechanisms: Mechanisms { landlock: Some(7), view, layers: view.is_some(), ..Mechanisms::default() },
            limits: LIMITS,
            groups: vec![],
            group_prefix: "sprint-0".to_owned(),
            home: Some(path("home")),
            programs: vec![path("home"), path("srv/public")],
            allow_read: vec![],
            allow_write: vec![],
            program: PathBuf::from("/usr/bin/outpost-agent"),
            host: HostPaths::default(),
        };
        Self { root, policy }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().canonicalize().expect("is there").join(name)
    }

    fn sandbox(&self, data: &str) -> Sandbox {
        let data = DataDir::new(self.path(data));
        let dir = WorkerDir::new(data.workers().join("7"));
        self.policy.sandbox(&data, &dir, &data.mirrors().join("web.git"), None)
    }

    /// What applies to a path: the nearest grant.
    fn access(&self, sandbox: &Sandbox, name: &str) -> Option<Access> {
        let path = self.path(name);
        let nearest = sandbox.grants.iter().rev().find(|grant| path.starts_with(&grant.path));
        nearest.map(|grant| grant.access.clone())
    }
}

#[test]
fn a_home_is_the_workers_own_and_holds_tools_and_no_secret() {
    let host = Host::new(Some(Namespace::Mount));
    let sandbox = host.sandbox("home/data");
    let access = |name: &str| host.access(&sandbox, name);
    assert!(matches!(access("home/.anything"), Some(Access::Private { .. })));
    assert!(matches!(access("home/.ssh"), Some(Access::Private { .. })), "it is not shown at all");
    assert!(matches!(access("home/.cargo/bin"), Some(Access::Layered { .. })));
    assert_eq!(access("home/.cargo/credentials.toml"), Some(Access::Hidden));
    assert_eq!(access("home/.rustup"), Some(Access::Read));
    assert_eq!(access("home/data/identity/key.pem"), Some(Access::Hidden));
    assert_eq!(access("home/data/workers/8/workspace"), Some(Access::Hidden));
    assert_eq!(access("home/data/workers/7/exec.json"), Some(Access::Named));
    assert_eq!(access("home/data/workers/7/workspace/a"), Some(Access::Write));
}

#[test]
fn without_a_view_a_home_is_granted_by_what_is_safe_in_it() {
    let mut host = Host::new(None);
    host.policy.allow_read = vec![host.path("home")];
    let sandbox = host.sandbox("home/data");
    let access = |name: &str| host.access(&sandbox, name);
    assert_eq!(access("home/.rustup/x"), Some(Access::Read));
    assert_eq!(access("home/.cargo/bin"), Some(Access::Read));
    for secret in
        ["home/.ssh/id", "home/.cargo/credentials.toml", "home/data/identity/key.pem", "home/data/workers/8/x"]
    {
        assert_eq!(access(secret), None, "{secret}");
    }
    assert_eq!(access("home/data/workers/7/workspace/a"), Some(Access::Write));
    assert!(sandbox.grants.iter().all(|grant| grant.access != Access::Hidden));
}

#[test]
fn a_directory_of_programs_is_read_unless_it_holds_more() {
    let host = Host::new(Some(Namespace::Mount));
    let sandbox = host.sandbox("home/data");
    assert_eq!(host.access(&sandbox, "srv/public/tool"), Some(Access::Read));
    let sandbox = host.sandbox("srv/public");
    assert_ne!(host.access(&sandbox, "srv/public/identity"), Some(Access::Read));
}

#[test]
fn what_is_allowed_by_name_does_not_show_the_agents_data() {
    let mut host = Host::new(Some(Namespace::Mount));
    host.policy.allow_write = vec![host.path("srv")];
    host.policy.allow_read = vec![host.path("home/.ssh")];
    let sandbox = host.sandbox("srv/data");
    assert_eq!(host.access(&sandbox, "srv/other"), Some(Access::Write));
    assert_eq!(host.access(&sandbox, "srv/data/tmux.sock"), Some(Access::Hidden));
    assert_eq!(host.access(&sandbox, "home/.ssh/id"), Some(Access::Read), "the settings grant it");
}

#[test]
fn parents_come_before_what_lies_in_them() {
    let sandbox = Host::new(Some(Namespace::Mount)).sandbox("home/data");
    for (index, grant) in sandbox.grants.iter().enumerate() {
        assert!(sandbox.grants[..index].iter().all(|earlier| !earlier.path.starts_with(&grant.path)), "{grant:?}");
    }
}

#[test]
fn what_programs_on_path_lead_to_is_granted_unless_workers_can_put_programs_there() {
    let mut host = Host::new(Some(Namespace::Mount));
    fs::create_dir_all(host.path("elsewhere")).expect("is made");
    fs::write(host.path("elsewhere/tool"), b"").expect("is written");
    std::os::unix::fs::symlink(host.path("elsewhere/tool"), host.path("srv/public/tool")).expect("is made");
    let sandbox = host.sandbox("home/data");
    assert_eq!(host.access(&sandbox, "elsewhere/tool"), Some(Access::Read));
    host.policy.host = HostPaths::default();
    host.policy.allow_write = vec![host.path("srv")];
    let sandbox = host.sandbox("home/data");
    assert_ne!(host.access(&sandbox, "elsewhere/tool"), Some(Access::Read));
}
