//! A worker that tries: what it must not read, change, reach or end, and what it must be able to do.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use sprint_core::assignment::{AttemptOutcome, Outcome};
use sprint_core::ids::WorkerId;
use sprint_test_needs::{Need, is_skipped, missing};

use crate::support::{Site, eventually, lost, refused};

/// Two workers on one outpost: a victim that has things, and one that wants them.
struct Scene {
    site: Site,
    victim: WorkerId,
    /// Of the victim's command.
    victim_pid: i32,
    tmux_pid: i32,
    /// Shared memory of this process.
    shared: String,
}

impl Drop for Scene {
    fn drop(&mut self) {
        Command::new("ipcrm").args(["-m", &self.shared]).output().ok();
    }
}

const SECRET: &str = "the-secret";

/// Sets the limits of a process by its number.
fn limit(pid: i32) -> String {
    format!("python3 -c \"import resource; resource.prlimit({pid}, resource.RLIMIT_CPU, (1, 1))\"")
}

/// Makes a system call; succeeds if the kernel does more than say that it may not be made.
fn call(number: i64, arguments: &[i32]) -> String {
    let arguments = arguments.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    format!(
        "python3 -c \"import ctypes,errno; c=ctypes.CDLL(None,use_errno=True); r=c.syscall({number},{arguments}); \
         exit(r<0 and ctypes.get_errno() in (errno.EPERM,errno.ENOSYS,errno.ESRCH))\""
    )
}

const ADD_KEY: i64 = nix::libc::SYS_add_key;
const BPF: i64 = nix::libc::SYS_bpf;
const CLONE3: i64 = nix::libc::SYS_clone3;
const IO_URING_SETUP: i64 = nix::libc::SYS_io_uring_setup;
const KEYCTL: i64 = nix::libc::SYS_keyctl;
const PERF_EVENT_OPEN: i64 = nix::libc::SYS_perf_event_open;
const PTRACE: i64 = nix::libc::SYS_ptrace;
const PTRACE_ATTACH: i32 = 16;
const SETNS: i64 = nix::libc::SYS_setns;
const USERFAULTFD: i64 = nix::libc::SYS_userfaultfd;

impl Scene {
    async fn new(options: &[&str]) -> Self {
        let site = Site::start(options).await;
        assert!(site.data().join("identity/key.pem").exists());
        let coordinator = site.path().join("coordinator");
        fs::create_dir_all(&coordinator).expect("is made");
        fs::write(coordinator.join("sprint.db"), SECRET).expect("is written");
        let run = format!("echo {SECRET} > mine.txt; echo ready; sleep 1000");
        let mut assignment = site.item(1, &run);
        SECRET.clone_into(&mut assignment.prompt);
        let victim = site.assign(assignment).await;
        site.logged(victim, "ready").await;
        // As the host knows it: in its namespace it has another number.
        let socket = format!("SPRINT_SOCKET={}", site.worker_dir(victim).join("worker.sock").display());
        let sleeping = || pids_with(&socket, b"sleep\x001000\0").pop();
        eventually("it sleeps", || sleeping().is_some()).await;
        let victim_pid = sleeping().expect("it sleeps");
        let tmux_pid = pids_with_argument(&site.data().join("tmux.sock"));
        let made = Command::new("ipcmk").args(["-M", "4096"]).output().expect("ipcmk runs");
        let shared = String::from_utf8_lossy(&made.stdout).rsplit(' ').next().expect("an id").trim().to_owned();
        Self { site, victim, victim_pid, tmux_pid, shared }
    }

    /// Runs a script as a worker and returns what it printed.
    async fn run(&self, number: u64, script: &str) -> String {
        let file = self.site.outside().join(format!("try-{number}"));
        fs::write(&file, script).expect("is written");
        let worker = self.site.assign(self.site.item(number, &format!("bash '{}'", file.display()))).await;
        self.site.finished(worker).await;
        let log = fs::read(self.site.worker_dir(worker).join("terminal.log")).expect("a log");
        String::from_utf8_lossy(&log).replace("\r\n", "\n")
    }

    fn refused(&self) -> Vec<(&'static str, String)> {
        let victim = self.site.worker_dir(self.victim);
        let (data, victim) = (self.site.data().display(), victim.display());
        let (agent, other) = (self.site.agent_pid(), self.victim_pid);
        let beside = self.site.path().join("coordinator/sprint.db");
        let connect = |path: &str| {
            format!("python3 -c \"import socket,sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])\" \"{path}\"")
        };
        vec![
            ("another's file", format!("cat \"{victim}/workspace/mine.txt\"")),
            ("another's prompt", format!("cat \"{victim}/context/prompt.md\"")),
            ("another's log", format!("cat \"{victim}/terminal.log\"")),
            ("another's names", format!("ls \"{victim}\"")),
            ("writing to another", format!("echo x > \"{victim}/workspace/planted\"")),
            ("removing another's", format!("rm -r \"{victim}/workspace\"")),
            ("changing another's mode", format!("chmod 777 \"{victim}/workspace\"")),
            ("the agent's key", format!("cat \"{data}/identity/key.pem\"")),
            ("the coordinator's database", format!("cat '{}'", beside.display())),
            ("the agent's environment", format!("cat /proc/{agent}/environ")),
            ("the agent's memory", format!("head -c 1 /proc/{agent}/mem")),
            ("the agent's root", format!("ls /proc/{agent}/root/")),
            ("the agent's directory", format!("ls /proc/{agent}/cwd/")),
            ("the agent's files", format!("ls /proc/{agent}/fd/")),
            ("another's environment", format!("cat /proc/{other}/environ")),
            ("another's directory", format!("cat /proc/{other}/cwd/mine.txt")),
            ("another's root", format!("ls /proc/{other}/root/")),
            ("the first process's root", "ls /proc/1/root/".to_owned()),
            ("ending the agent", format!("kill -9 {agent}")),
            ("ending another", format!("kill -9 {other}")),
            ("ending its shim", "kill -9 $(ps -o ppid= $PPID)".to_owned()),
            ("tracing another", format!("timeout 2 strace -p {other} -o /dev/null; test $? = 124")),
            ("another's socket", connect(&format!("{victim}/worker.sock"))),
            ("tmux", connect(&format!("{data}/tmux.sock"))),
            ("tmux by its program", format!("tmux -S \"{data}/tmux.sock\" run-shell 'touch /root/escaped'")),
            ("the mirror's configuration", format!("echo '[x]' >> \"{data}/mirrors/web.git/config\"")),
            ("the mirror's hooks", format!("mkdir -p \"{data}/mirrors/web.git/hooks\"")),
            ("the mirror's refs", format!("echo x > \"{data}/mirrors/web.git/refs/heads/planted\"")),
            ("the mirror's objects", format!("echo x > \"{data}/mirrors/web.git/objects/planted\"")),
            ("removing the mirror", format!("rm -r \"{data}/mirrors/web.git/objects/info\"")),
            ("a link out", format!("ln -s \"{data}/identity\" out && cat out/key.pem")),
            ("a hard link out", format!("ln \"{data}/identity/key.pem\" out.pem && cat out.pem")),
            ("forging its end", "echo '{}' > \"$SPRINT_WORKSPACE/../exit.json\"".to_owned()),
            ("changing its plan", "echo '{}' > \"$SPRINT_WORKSPACE/../exec.json\"".to_owned()),
            ("changing its claim", "echo 1 > \"$SPRINT_WORKSPACE\"/../exit-1.new".to_owned()),
            ("removing its assignment", "rm \"$SPRINT_WORKSPACE/../assignment.json\"".to_owned()),
            ("changing its prompt", "echo x > \"$SPRINT_PROMPT_FILE\"".to_owned()),
            ("writing to the system", "touch /usr/planted /etc/planted".to_owned()),
            ("the system's passwords", "grep . /etc/shadow".to_owned()),
            ("the kernel's settings", "echo x > /proc/sys/kernel/core_pattern".to_owned()),
            ("a mount", "mount -t tmpfs none /mnt".to_owned()),
            ("a way out of its root", "unshare -Ur chroot . true".to_owned()),
            ("a raw disk", "mknod disk b 254 0 && head -c 1 disk".to_owned()),
            ("an operator's keys", "ls ~/.ssh ~/.config/sprint".to_owned()),
            ("an inherited file", "test -n \"$(ls /proc/self/fd | grep -v -x -e 0 -e 1 -e 2 -e 3)\"".to_owned()),
            ("tmux's variables", "env | grep TMUX".to_owned()),
            ("what is in the host's /tmp", format!("ls -d '{}'/outside/../git", self.site.path().display())),
            ("the agent's limits", limit(agent)),
            ("another's limits", limit(other)),
            ("the limits of tmux", limit(self.tmux_pid)),
            ("the agent's priority", format!("renice -n 19 -p {agent}")),
            ("the agent's affinity", format!("taskset -p 1 {agent}")),
            ("the agent's scheduling", format!("chrt -b -p 0 {agent}")),
            ("the agent's disk priority", format!("ionice -c 3 -p {agent}")),
            ("another's memory", call(PTRACE, &[PTRACE_ATTACH, other, 0, 0, 0, 0])),
            ("another's descriptor", format!("python3 -c \"import os; os.pidfd_open({other})\"")),
            ("shared memory of others", format!("ipcrm -m {}", self.shared)),
            ("seeing it", "test \"$(ipcs -m | grep -c ^0x)\" != 0".to_owned()),
            ("keys of its user", call(KEYCTL, &[0, -3, 1, 0, 0, 0])),
            ("adding one", call(ADD_KEY, &[0, 0, 0, 0, 0, 0])),
            ("a ring past the filter", call(IO_URING_SETUP, &[8, 0, 0, 0, 0, 0])),
            ("a program in the kernel", call(BPF, &[0, 0, 0, 0, 0, 0])),
            ("counters of the host", call(PERF_EVENT_OPEN, &[0, 0, -1, -1, 0, 0])),
            ("faults in user space", call(USERFAULTFD, &[1, 0, 0, 0, 0, 0])),
            ("a user namespace", "unshare -U true".to_owned()),
            ("one by clone3", call(CLONE3, &[0, 0, 0, 0, 0, 0])),
            ("another's namespace", call(SETNS, &[0, 0, 0, 0, 0, 0])),
            (
                "a new mount's handle",
                "python3 -c \"import ctypes; f=ctypes.CDLL(None,use_errno=True).syscall(430,b'tmpfs',0); exit(f<0)\""
                    .to_owned(),
            ),
            ("typing into its terminal", "python3 -c \"import fcntl,sys; fcntl.ioctl(0, 0x5412, b'x')\"".to_owned()),
            ("the kernel's log", "dmesg".to_owned()),
            ("the host's name", "python3 -c \"import socket; socket.sethostname('planted')\"".to_owned()),
        ]
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_a_worker_must_not_do_succeeds() {
    let scene = Scene::new(&[]).await;
    let attempts = scene.refused();
    let script: String = attempts
        .iter()
        .enumerate()
        .map(|(number, (_, attempt))| format!("if ( {attempt} ) >said 2>&1; then echo \"{number} done: $(head -c 200 said)\"; else echo {number} refused; fi\n"))
        .chain(["exit 1\n".to_owned()])
        .collect();
    let said = scene.run(2, &script).await;
    for (number, (what, _)) in attempts.iter().enumerate() {
        let line = format!("{number} refused");
        assert!(said.lines().any(|found| found == line), "{what} succeeded:\n{said}");
    }
    assert!(!said.contains(SECRET) && !said.contains("PRIVATE KEY"), "{said}");
    // And no process was harmed.
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(scene.victim_pid), None).expect("it runs");
    let nice = |pid: i32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
        stat.rsplit_once(')').and_then(|(_, after)| after.split(' ').nth(17)).map(ToOwned::to_owned)
    };
    assert_eq!((nice(scene.victim_pid), nice(scene.site.agent_pid())), (Some("0".to_owned()), Some("0".to_owned())));
    assert!(Command::new("ipcs").args(["-m", "-i", &scene.shared]).output().expect("runs").status.success());
    assert!(scene.site.worker_dir(scene.victim).join("workspace/mine.txt").exists());
    assert!(!Path::new("/root/escaped").exists());
    let planted = |path: &str| !scene.site.data().join("mirrors/web.git").join(path).exists();
    assert!(planted("hooks") && planted("refs/heads/planted") && planted("objects/planted"));
    let next = scene.site.assign(scene.site.item(3, "echo a > a; git add a; git commit -qm a")).await;
    assert!(matches!(scene.site.finished(next).await.outcome, Outcome::Attempt(AttemptOutcome::Committed { .. })));
}

/// A process that has a path among its arguments.
fn pids_with_argument(path: &Path) -> i32 {
    let path = path.as_os_str().as_encoded_bytes();
    let pids = fs::read_dir("/proc").expect("is there").flatten();
    let mut pids = pids.filter_map(|pid| pid.file_name().to_str()?.parse::<i32>().ok());
    let has = |pid: &i32| {
        fs::read(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|line| line.split(|byte| *byte == 0).any(|found| found == path))
    };
    pids.find(has).expect("it runs")
}

/// The processes that have an entry in their environment, and these arguments.
fn pids_with(entry: &str, arguments: &[u8]) -> Vec<i32> {
    let pids = fs::read_dir("/proc").expect("is there").flatten();
    let pids = pids.filter_map(|pid| pid.file_name().to_str()?.parse::<i32>().ok());
    let has = |pid: &i32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|found| found == entry.as_bytes())
            && fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line == arguments)
    };
    pids.filter(has).collect()
}

/// A line of a script that says how a command went.
fn attempt(command: &str, what: &str) -> String {
    format!("if ( {command} ) >/tmp/said 2>&1; then echo 'ok: {what}'; else echo 'failed: {what}'; cat /tmp/said; fi\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn ordinary_work_works() {
    let scene = Scene::new(&[]).await;
    let work = [
        ("a commit", "echo a > a && git add a && git commit -qm a && git log --oneline | grep -q a"),
        ("a branch", "git checkout -qb other && git checkout -q - && git gc -q"),
        ("python", "python3 -c 'import json, ssl, multiprocessing; multiprocessing.Lock()'"),
        ("a temporary file", "test -w \"$(mktemp)\" && echo x > /tmp/x && echo x > /var/tmp/y"),
        ("devices", "echo x > /dev/null && head -c 1 /dev/urandom > /dev/null && echo x > /dev/shm/x"),
        ("its standard files", "echo x > /dev/stdout && echo x > /dev/stderr"),
        ("its terminal", "test -t 0 && stty size && echo x > /dev/tty"),
        ("a terminal of its own", "python3 -c 'import pty; import sys; sys.exit(pty.spawn([\"true\"]))'"),
        ("its home", "echo x > ~/.new && test -r ~/.gitconfig || test ! -e /root/.gitconfig"),
        ("its toolchains", "test ! -d /root/.rustup || (cd /tmp && rustc --version && cargo --version)"),
        ("its caches", "test ! -d ~/.cargo || (mkdir -p ~/.cargo/registry/new && touch ~/.cargo/registry/new/x)"),
        ("its context", "grep -q Please \"$SPRINT_PROMPT_FILE\" && echo x > \"$SPRINT_ARTIFACTS/x\""),
        (
            "its socket",
            "python3 -c 'import os,socket; s=socket.socket(socket.AF_UNIX); s.connect(os.environ[\"SPRINT_SOCKET\"]); \
                        s.sendall(b\"{\\\"op\\\":\\\"show\\\"}\\n\"); assert b\"item\" in s.recv(999)'",
        ),
        ("processes", "sleep 100 & kill $!; cat /proc/self/status > /dev/null; ps > /dev/null"),
        (
            "the network",
            "python3 -c 'import socket; s=socket.socket(); s.bind((\"127.0.0.1\",0)); s.listen(); \
                         c=socket.create_connection(s.getsockname())'",
        ),
        ("names", "getent passwd root && getent hosts localhost"),
        ("owners", "touch owned && test \"$(id -u)\" != 0 || chown 1:1 owned"),
    ];
    let tries: Vec<_> = work.iter().map(|(what, command)| attempt(command, what)).collect();
    let said = scene.run(2, &tries.concat()).await;
    for (what, _) in work {
        assert!(said.lines().any(|line| line == format!("ok: {what}")), "{what}:\n{said}");
    }
    // What it did to its home is its own.
    let home = std::env::var("HOME").expect("a home");
    assert!(!Path::new(&home).join(".new").exists() && !Path::new(&home).join(".cargo/registry/new").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_cannot_have_the_agents_git_run_anything() {
    let site = Site::start(&[]).await;
    let mark = site.path().join("ran");
    let inside = site.outside().join("inside");
    let trap = format!(
        "printf '#!/bin/sh\\ntouch \"{}\" \"{}\"; cat\\n' > trap.sh; chmod +x trap.sh; trap=$PWD/trap.sh; \
         for key in core.fsmonitor core.pager core.sshCommand gpg.program diff.external filter.x.clean filter.x.smudge \
           filter.x.process diff.x.textconv uploadpack.packObjectsHook core.editor credential.helper; do \
           git config $key \"$trap\"; git config --global $key \"$trap\"; done; \
         git config core.hooksPath \"$PWD/hooks\"; mkdir hooks; \
         for hook in pre-commit post-checkout pre-push reference-transaction post-index-change; do cp trap.sh hooks/$hook; done; \
         echo '* filter=x diff=x' > .gitattributes; echo change >> README; \
         git init -q nested; cp .gitattributes nested; (cd nested; git config core.fsmonitor \"$trap\"; git config filter.x.clean \"$trap\"; \
           echo n > n; git -c core.fsmonitor= -c filter.x.clean= add -A; git -c core.fsmonitor= -c filter.x.clean= commit -qm n; echo m > n); \
         rm -f '{}'",
        mark.display(),
        inside.display(),
        inside.display()
    );
    let worker = site.assign(site.item(1, &trap)).await;
    let finished = site.finished(worker).await;
    assert!(finished.wip.is_some(), "{finished:?}");
    assert!(!mark.exists(), "what a worker prepared was run outside of its confinement");
}

#[tokio::test(flavor = "multi_thread")]
async fn work_is_saved_whatever_a_worker_does_to_its_repository() {
    let site = Site::start(&[]).await;
    let cases = [
        "rm -rf .git",
        "rm .git/index",
        "echo nonsense > .git/index",
        "echo nonsense > .git/config",
        "rm .git/HEAD; mkfifo .git/HEAD",
        "rm -r .git; ln -s / .git",
        "touch .git/index.lock",
        "mkfifo .git/packed-refs.new; mv .git/packed-refs.new .git/packed-refs",
    ];
    for (number, case) in (10..).zip(cases) {
        site.assign(site.item(number, &format!("echo precious > precious.txt; {case}; exit 1"))).await;
    }
    for (number, case) in (10_u64..).zip(cases) {
        let finished = site.finished(WorkerId::new(number)).await;
        let wip = finished.wip.unwrap_or_else(|| panic!("{case}: {:?}", finished.outcome));
        assert_eq!(site.git(&["show", &format!("{wip}:precious.txt")]), "precious", "{case}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_that_are_not_whole_fail_their_worker_and_not_the_agent() {
    let site = Site::start(&[]).await;
    let run = "echo a > a; git add a; git commit -qm a; rm .git/objects/$(git rev-parse HEAD:a | sed 's|^..|&/|')";
    let worker = site.assign(site.item(1, run)).await;
    let outcome = site.finished(worker).await.outcome;
    assert!(matches!(outcome, Outcome::Attempt(AttemptOutcome::Failed { .. })), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_bomb_is_bounded() {
    if is_skipped(Need::Cgroups) {
        return;
    }
    let site = Site::start(&["--max-processes", "50"]).await;
    let limited = site.agent_log().contains("limits=\"cgroup\"");
    assert!(limited, "{}", missing(Need::Cgroups, "the agent found none that it may use"));
    let run = "for i in $(seq 200); do sleep 1000 & done 2>/dev/null; jobs | wc -l";
    let worker = site.assign(site.item(1, run)).await;
    site.finished(worker).await;
    let log = fs::read_to_string(site.worker_dir(worker).join("terminal.log")).expect("a log");
    assert!(!log.contains("200"), "{log}");
    let plan = fs::read(site.worker_dir(worker).join("exec.json")).expect("a plan");
    let plan: serde_json::Value = serde_json::from_slice(&plan).expect("JSON");
    let group = plan["sandbox"]["cgroups"][0]["path"].as_str().expect("a group").to_owned();
    eventually("its group goes", || !Path::new(&group).exists()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_memory_hog_is_bounded() {
    let site = Site::start(&["--max-memory", "200MiB"]).await;
    let hog = "python3 -c 'x = bytearray(400 << 20); print(\"has it\")'";
    let worker = site.assign(site.item(1, &format!("{hog}; python3 -c 'print(\"goes\", \"on\")'"))).await;
    site.finished(worker).await;
    let log = fs::read_to_string(site.worker_dir(worker).join("terminal.log")).expect("a log");
    assert!(!log.contains("has it") && log.contains("goes on"), "{log}");
}

/// Runs an agent where a system call fails, as on another kernel.
fn agent_without(site: &Site, calls: &[i32]) -> Command {
    let agent = site.agent_command();
    let mut command = Command::new("python3");
    command.args(["-c", WITHOUT]).arg(calls.iter().map(ToString::to_string).collect::<Vec<_>>().join(","));
    command.arg(agent.get_program()).args(agent.get_args());
    command
}

/// Has the kernel answer ENOSYS to the calls of the first argument, and becomes the rest.
const WITHOUT: &str = r#"
import ctypes, os, struct, sys
calls = [int(call) for call in sys.argv[1].split(",")]
step = lambda code, jt, jf, k: struct.pack("HBBI", code, jt, jf, k)
rules = [step(0x20, 0, 0, 0)]
for index, call in enumerate(calls):
    rules.append(step(0x15, len(calls) - index, 0, call))
rules += [step(0x06, 0, 0, 0x7fff0000), step(0x06, 0, 0, 0x00050000 | 38)]
code = b"".join(rules)
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
program = Program(len(rules), code)
assert libc.prctl(22, 2, ctypes.byref(program), 0, 0) == 0, ctypes.get_errno()
os.execv(sys.argv[2], sys.argv[2:])
"#;

const LANDLOCK_CREATE_RULESET: i32 = 444;
const MOUNT_SETATTR: i32 = 442;
const SECCOMP: i32 = 317;

#[tokio::test(flavor = "multi_thread")]
async fn required_confinement_that_is_not_to_be_had_keeps_the_agent_from_starting() {
    let site = Site::without_agent(&["--sandbox", "require"]).await;
    let lacking = [
        (LANDLOCK_CREATE_RULESET, "no Landlock"),
        (MOUNT_SETATTR, "view of their own"),
        (SECCOMP, "filters no system calls"),
    ];
    for (call, what) in lacking {
        let output = agent_without(&site, &[call]).output().expect("runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(what) && said.contains("--sandbox require"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_label_and_the_log_name_what_a_host_lacks() {
    let cases = [
        (vec![LANDLOCK_CREATE_RULESET], "namespace+processes+seccomp"),
        (vec![MOUNT_SETATTR], "landlock-abi7+seccomp"),
        (vec![LANDLOCK_CREATE_RULESET, MOUNT_SETATTR], "seccomp"),
        (vec![SECCOMP], "landlock-abi7+namespace+processes"),
    ];
    for (calls, label) in cases {
        let mut site = Site::without_agent(&[]).await;
        let mut command = agent_without(&site, &calls);
        site.start_agent_by(&mut command);
        site.joined(1).await;
        let told = site.coordinator.with(|state| state.hellos[0].labels["sandbox"].clone());
        assert_eq!(told, label);
        assert!(site.agent_log().contains("workers are not fully confined"), "{}", site.agent_log());
        let worker = site.assign(site.item(1, "echo a > a; git add a; git commit -qm a; mktemp")).await;
        let outcome = site.finished(worker).await.outcome;
        assert!(matches!(outcome, Outcome::Attempt(AttemptOutcome::Committed { .. })), "{label}: {outcome:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_landlock_alone_files_and_processes_are_safe() {
    let mut site = Site::without_agent(&[]).await;
    let mut command = agent_without(&site, &[MOUNT_SETATTR]);
    site.start_agent_by(&mut command);
    site.joined(1).await;
    let data = site.data().display();
    let agent = site.agent_pid();
    let run = format!(
        "cat \"{data}/identity/key.pem\"; cat /proc/{agent}/environ; cat /etc/shadow; ls /tmp; kill -9 {agent}; \
         echo x > \"$SPRINT_WORKSPACE/../exit.json\"; echo x > ~/.cargo/x; exit 7"
    );
    let worker = site.assign(site.item(1, &run)).await;
    let finished = site.finished(worker).await;
    assert_eq!(finished.exit_code, Some(7));
    let refusals =
        finished.log_tail.matches("ermission denied").count() + finished.log_tail.matches("not permitted").count();
    assert_eq!(refusals, 7, "{}", finished.log_tail);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_cannot_be_confined_does_not_run_and_does_not_count_as_failed() {
    let site = Site::start(&["--warm", "0"]).await;
    // A stage that is no directory any more.
    let broken = site.data().join("stage");
    fs::remove_dir(&broken).expect("is empty");
    fs::write(&broken, b"").expect("is written");
    let ran = site.outside().join("ran");
    let worker = site.assign(site.item(1, &format!("touch '{}'", ran.display()))).await;
    lost(&site.finished(worker).await.outcome);
    assert!(!ran.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ordinary_users_worker_is_confined_as_well() {
    if is_skipped(Need::Root) || is_skipped(Need::Userns) {
        return;
    }
    let is_root = nix::unistd::Uid::effective().is_root();
    assert!(is_root, "{}", missing(Need::Root, "only root can start an agent as another user"));
    let mut site = Site::without_agent(&[]).await;
    let all = fs::Permissions::from_mode(0o777);
    for path in [site.path().to_owned(), site.outside(), site.path().join("git")] {
        fs::set_permissions(path, all.clone()).expect("is opened");
    }
    let home = site.path().join("home");
    fs::create_dir_all(home.join(".claude")).expect("is made");
    // The program lies where the user `nobody` has no access.
    let program = site.outside().join("agent");
    fs::copy(env!("CARGO_BIN_EXE_outpost-agent"), &program).expect("is copied");
    let agent = site.agent_command();
    let chown = Command::new("chown").args(["-R", "nobody"]).arg(site.path()).status();
    assert!(chown.expect("chown runs").success());
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(&program).args(agent.get_args());
    command.env("HOME", &home).env("SECRET_OF_THE_AGENT", SECRET);
    site.start_agent_by(&mut command);
    site.joined(1).await;
    let told = site.coordinator.with(|state| state.hellos[0].labels["sandbox"].clone());
    assert!(
        told.ends_with("+namespace+processes+seccomp"),
        "{}",
        missing(Need::Userns, format_args!("the agent offers {told}"))
    );
    let agent = site.agent_pid();
    let data = site.data().display();
    let run = format!(
        "echo a > a && git add a && git commit -qm a && touch ~/.claude/x && cat /proc/self/status | grep Cap; \
         cat /proc/{agent}/environ; kill -9 {agent}; ls \"{data}/tmux.sock\"; tmux -S \"{data}/tmux.sock\" ls; true"
    );
    let worker = site.assign(site.item(1, &run)).await;
    let finished = site.finished(worker).await;
    assert!(
        matches!(finished.outcome, Outcome::Attempt(AttemptOutcome::Committed { .. })),
        "{finished:?}\n{}",
        site.agent_log()
    );
    assert!(!finished.log_tail.contains(SECRET), "{}", finished.log_tail);
    assert!(finished.log_tail.contains("No such file"), "{}", finished.log_tail);
    assert!(finished.log_tail.contains("CapBnd:\t0000000000000000"), "{}", finished.log_tail);
    assert!(!home.join(".claude/x").exists());
}

/// A program at a path, which prints its own name.
fn program(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::create_dir_all(path.parent().expect("is within")).expect("is made");
    fs::write(path, text).expect("is written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("is set");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_on_path_works_wherever_it_leads_and_one_that_does_not_is_named_with_what_to_do() {
    let mut site = Site::without_agent(&[]).await;
    let root = site.path().canonicalize().expect("is there");
    let own = root.join("own");
    // As npm and Homebrew link them, and a script of a virtual environment's interpreter.
    program(
        &root.join("npm/lib/node_modules/tool/cli"),
        "#!/bin/sh\n. \"$(dirname \"$(readlink -f \"$0\")\")/more\"\n",
    );
    fs::write(root.join("npm/lib/node_modules/tool/more"), "echo from npm\n").expect("is written");
    program(&root.join("venv/bin/python"), "#!/bin/sh\ncat \"$(dirname \"$0\")/../lib/text\"\n");
    fs::create_dir(root.join("venv/lib")).expect("is made");
    fs::write(root.join("venv/lib/text"), "from venv\n").expect("is written");
    program(&own.join("script"), &format!("#!/bin/sh\nexec {}/venv/bin/python\n", root.display()));
    program(&own.join("venv-script"), &format!("#!{}/venv/bin/python\n", root.display()));
    std::os::unix::fs::symlink("../npm/lib/node_modules/tool/cli", own.join("tool")).expect("is made");
    program(&root.join("hidden/bin/secretive"), "#!/bin/sh\n");
    let path = format!("{}:{}", own.display(), std::env::var("PATH").expect("is set"));
    let mut command = site.agent_command();
    command.env("PATH", &path);
    site.start_agent_by(&mut command);
    site.joined(1).await;
    let run = "tool && venv-script && script; echo a > a; git add a; git commit -qm a";
    let worker = site.assign(site.item(1, run)).await;
    let finished = site.finished(worker).await;
    assert!(finished.log_tail.contains("from npm"), "{finished:?}");
    assert_eq!(finished.log_tail.matches("from venv").count(), 2, "{finished:?}");

    let hidden = root.join("hidden/bin/secretive");
    let worker = site.assign(site.item(2, &hidden.display().to_string())).await;
    let Outcome::Attempt(AttemptOutcome::Unfit { reason }) = site.finished(worker).await.outcome else { panic!() };
    let expected = format!("workers cannot read it: start outpost-agent with --allow-read {}", hidden.display());
    assert!(reason.ends_with(&expected), "{reason}");
    let worker = site.assign(site.gates(3, &[("test", "nosuchtool --version")])).await;
    let finished = site.finished(worker).await;
    let (_, reason) = refused(&finished.outcome);
    assert_eq!(reason, "gate \"test\": command not found: nosuchtool");
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_that_are_too_long_for_an_argument_work() {
    let site = Site::start(&[]).await;
    let long = format!("echo begun; : {}; echo ended\n", "x".repeat(200 << 10));
    let mut item = site.item(1, &long);
    item.title = "t".repeat(200 << 10);
    let worker = site.assign(item).await;
    let finished = site.finished(worker).await;
    assert!(finished.log_tail.contains("begun") && finished.log_tail.contains("ended"), "{:?}", finished.outcome);
    let mut by_argument = site.item(2, "");
    by_argument.prompt = "p".repeat(200 << 10);
    by_argument.steps[0].runtime.command = vec!["/bin/echo".to_owned()];
    by_argument.steps[0].runtime.prompt = sprint_core::runtime::PromptDelivery::Argument;
    let worker = site.assign(by_argument).await;
    let finished = site.finished(worker).await;
    assert!(finished.log_tail.contains("context/prompt.md: read all of it"), "{}", finished.log_tail);
}
