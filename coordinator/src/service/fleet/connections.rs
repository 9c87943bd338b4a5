//! The outposts that are connected now. Nothing here is stored: after a restart the outposts connect again.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sprint_core::clock::Awake;
use sprint_core::ids::{OutpostName, WorkerId};
use sprint_core::outpost::Load;
use sprint_core::time::Timestamp;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Terminals that may be asked of one outpost at one moment.
const ATTACH_QUEUE: usize = 16;

/// Keystrokes or screen output under way in one terminal, in messages.
const TERMINAL_QUEUE: usize = 64;

/// A person's wish to see a worker's terminal.
#[derive(Debug, Clone, Copy)]
pub struct AttachRequest {
    pub session: u64,
    pub worker: WorkerId,
    pub columns: u32,
    pub rows: u32,
}

/// What a person types or does to the window.
#[derive(Debug, Clone)]
pub struct Typed {
    pub data: Vec<u8>,
    pub columns: u32,
    pub rows: u32,
}

/// What the terminal shows; an error text ends it.
pub type ScreenOutput = Result<Vec<u8>, String>;

/// One side of an open terminal.
pub struct TerminalEnd<Out, In> {
    pub sender: mpsc::Sender<Out>,
    pub receiver: mpsc::Receiver<In>,
}

/// The outposts' ends of terminals that were asked for, and of whom.
type Terminals = HashMap<u64, (OutpostName, TerminalEnd<ScreenOutput, Typed>)>;

struct Live {
    instance: String,
    number: u64,
    stop: CancellationToken,
    /// The last heartbeat: when it came, and what it said of the host.
    heartbeat: Option<(Timestamp, Option<Load>)>,
    attach: mpsc::Sender<AttachRequest>,
}

/// A session's hold on its outpost's name.
#[derive(Debug)]
pub struct SessionHold {
    pub outpost: OutpostName,
    number: u64,
    /// Cancelled when a newer session of the same agent takes over.
    pub stop: CancellationToken,
    pub attach: mpsc::Receiver<AttachRequest>,
}

impl SessionHold {
    /// The session's number among those of this process.
    pub const fn number(&self) -> u64 {
        self.number
    }
}

/// The outposts that are connected now, and the terminals that are open.
pub struct Connections {
    live: Mutex<HashMap<OutpostName, Live>>,
    heard: Mutex<Heard>,
    terminals: Mutex<Terminals>,
    numbers: AtomicU64,
}

/// When each outpost was last heard of, in time during which this process was awake.
struct Heard {
    awake: Awake,
    /// One that was never heard of counts from this process's start.
    last: HashMap<OutpostName, Duration>,
}

impl Connections {
    /// An empty table; `at` is the present time of a monotonic clock.
    pub fn new(at: Duration) -> Self {
        Self {
            live: Mutex::default(),
            heard: Mutex::new(Heard { awake: Awake::new(at), last: HashMap::new() }),
            terminals: Mutex::default(),
            numbers: AtomicU64::default(),
        }
    }

    /// Records that a message of an outpost arrived.
    pub fn hear(&self, outpost: &OutpostName, at: Duration) {
        let mut heard = self.heard();
        let now = heard.awake.look(at);
        heard.last.insert(outpost.clone(), now);
    }

    /// For how long nothing was heard of an outpost.
    pub fn silence(&self, outpost: &OutpostName, at: Duration) -> Duration {
        let mut heard = self.heard();
        let now = heard.awake.look(at);
        now.saturating_sub(heard.last.get(outpost).copied().unwrap_or_default())
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn live(&self) -> MutexGuard<'_, HashMap<OutpostName, Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an outpost's name for a session. The same agent's older session ends;
    /// none while another agent holds the name.
    pub fn hold(&self, outpost: &OutpostName, instance: &str) -> Option<SessionHold> {
        let mut live = self.live();
        if let Some(holder) = live.get(outpost) {
            if holder.instance != instance {
                return None;
            }
            holder.stop.cancel();
        }
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let stop = CancellationToken::new();
        let (attach, requests) = mpsc::channel(ATTACH_QUEUE);
        live.insert(
            outpost.clone(),
            Live { instance: instance.to_owned(), number, stop: stop.clone(), heartbeat: None, attach },
        );
        Some(SessionHold { outpost: outpost.clone(), number, stop, attach: requests })
    }

    /// Gives the name back; says whether the outpost is without a session now.
    pub fn release(&self, held: &SessionHold) -> bool {
        let mut live = self.live();
        if live.get(&held.outpost).is_some_and(|holder| holder.number == held.number) {
            live.remove(&held.outpost);
            return true;
        }
        false
    }

    pub fn beat(&self, outpost: &OutpostName, at: Timestamp, load: Option<Load>) {
        if let Some(holder) = self.live().get_mut(outpost) {
            holder.heartbeat = Some((at, load));
        }
    }

    /// The last heartbeat of an outpost's present session.
    pub fn heartbeat(&self, outpost: &OutpostName) -> Option<(Timestamp, Option<Load>)> {
        self.live().get(outpost).and_then(|holder| holder.heartbeat)
    }

    pub fn is_live(&self, outpost: &OutpostName) -> bool {
        self.live().contains_key(outpost)
    }

    /// Asks an outpost to open a worker's terminal, and answers the person's end of it;
    /// none when the outpost is not connected.
    pub fn attach(
        &self,
        outpost: &OutpostName,
        worker: WorkerId,
        size: (u32, u32),
    ) -> Option<TerminalEnd<Typed, ScreenOutput>> {
        let session = self.numbers.fetch_add(1, Ordering::Relaxed);
        let (typed, keys) = mpsc::channel(TERMINAL_QUEUE);
        let (shown, screen) = mpsc::channel(TERMINAL_QUEUE);
        self.terminals().insert(session, (outpost.clone(), TerminalEnd { sender: shown, receiver: keys }));
        let (columns, rows) = size;
        let asked = self
            .live()
            .get(outpost)
            .is_some_and(|holder| holder.attach.try_send(AttachRequest { session, worker, columns, rows }).is_ok());
        if asked {
            Some(TerminalEnd { sender: typed, receiver: screen })
        } else {
            self.terminals().remove(&session);
            None
        }
    }

    /// The outpost's end of a terminal that was asked of it; each is taken once.
    pub fn take_terminal(&self, session: u64, outpost: &OutpostName) -> Option<TerminalEnd<ScreenOutput, Typed>> {
        let mut terminals = self.terminals();
        if terminals.get(&session).is_none_or(|(asked, _)| asked != outpost) {
            return None;
        }
        terminals.remove(&session).map(|(_, end)| end)
    }

    fn terminals(&self) -> MutexGuard<'_, Terminals> {
        self.terminals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
