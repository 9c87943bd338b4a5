//! `worker attach` from another host, in a real terminal.

use std::os::fd::AsFd;
use std::time::Duration;

use nix::sys::termios::{LocalFlags, tcgetattr};
use pty_process::{Pty, Size};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Child;

use crate::scripted::{Running, Scripted};

const LONG: Duration = Duration::from_secs(20);

struct Person {
    pty: Pty,
    child: Child,
    seen: Vec<u8>,
}

impl Person {
    fn attach(running: &Running) -> Self {
        let (pty, pts) = pty_process::open().expect("a pty");
        pty.resize(Size::new(30, 90)).expect("takes a size");
        let child = pty_process::Command::new(env!("CARGO_BIN_EXE_sprintctl"))
            .args(["worker", "attach", "1"])
            .env("SPRINT_CONFIG_DIR", running.script.home.path())
            .env_remove("SPRINT_COORDINATOR")
            .env_remove("SPRINT_CONTEXT")
            .env_remove("SPRINT_TOKEN")
            .kill_on_drop(true)
            .spawn(pts)
            .expect("starts");
        Self { pty, child, seen: vec![] }
    }

    async fn see(&mut self, what: &str) {
        let seen = async {
            let mut buffer = [0; 1024];
            while !String::from_utf8_lossy(&self.seen).contains(what) {
                let count = self.pty.read(&mut buffer).await.expect("shows something");
                self.seen.extend(&buffer[..count]);
            }
        };
        let in_time = tokio::time::timeout(LONG, seen).await.is_ok();
        assert!(in_time, "{what:?} was not shown, but {:?}", String::from_utf8_lossy(&self.seen));
    }

    /// Waits until keys go to the worker, Ctrl-C among them.
    async fn join(&mut self) {
        self.see("leave it with Ctrl-]").await;
        let raw = async {
            while self.is_ordinary() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(LONG, raw).await.expect("the terminal becomes raw");
    }

    async fn type_keys(&mut self, keys: &[u8]) {
        self.pty.write_all(keys).await.expect("takes keys");
    }

    async fn exit_code(&mut self) -> Option<i32> {
        tokio::time::timeout(LONG, self.child.wait()).await.expect("ends").expect("is waited for").code()
    }

    /// Whether the terminal shows what is typed and reads lines, as a shell left it.
    fn is_ordinary(&self) -> bool {
        let flags = tcgetattr(self.pty.as_fd()).expect("is a terminal").local_flags;
        flags.contains(LocalFlags::ECHO | LocalFlags::ICANON | LocalFlags::ISIG)
    }
}

#[tokio::test]
async fn keys_and_sizes_go_up_bytes_come_down_and_the_terminal_is_put_back() {
    let running = Scripted::default().start().await;
    let mut person = Person::attach(&running);
    person.join().await;
    person.type_keys(b"hello\x03").await;
    person.see("HELLO").await;
    person.pty.resize(Size::new(40, 120)).expect("takes a size");
    person.type_keys(b"more").await;
    person.see("MORE").await;
    // The signal of a new size may come after the keys.
    let resized = async {
        let is_new = |input: &sprint_proto::v1::AttachInput| (input.columns, input.rows) == (120, 40);
        while !running.script.with(|script| script.typed.iter().any(is_new)) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LONG, resized).await.expect("the size goes up");
    person.type_keys(b"\x1d").await;
    person.see("left worker 1; it goes on").await;
    assert_eq!(person.exit_code().await, Some(0));
    assert!(person.is_ordinary());
    let typed = running.script.with(|script| script.typed.clone());
    assert_eq!((typed[0].worker, typed[0].columns, typed[0].rows), (1, 90, 30));
    assert_eq!(typed.iter().flat_map(|input| input.data.to_vec()).collect::<Vec<_>>(), b"hello\x03more");
}

#[tokio::test]
async fn the_end_of_the_worker_and_a_signal_put_the_terminal_back() {
    let running = Scripted::default().start().await;
    let mut person = Person::attach(&running);
    person.join().await;
    person.type_keys(b"a").await;
    person.see("A").await;
    person.type_keys(b"end").await;
    person.see("the terminal of worker 1 has ended").await;
    assert_eq!((person.exit_code().await, person.is_ordinary()), (Some(0), true));

    let mut person = Person::attach(&running);
    person.join().await;
    person.type_keys(b"b").await;
    person.see("B").await;
    let pid = nix::unistd::Pid::from_raw(person.child.id().expect("runs").try_into().expect("is a pid"));
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("is signalled");
    person.see("told to end").await;
    assert_eq!((person.exit_code().await, person.is_ordinary()), (Some(1), true));
}

#[tokio::test]
async fn a_worker_that_has_ended_has_no_terminal() {
    let running = Scripted::default().start().await;
    running.script.with(|script| script.worker_ended = true);
    let mut person = Person::attach(&running);
    person.see("see its log with: sprintctl worker logs 1").await;
    assert_eq!(person.exit_code().await, Some(1));
}
