//! The channel of an agent: what it is told on its standard input, and what it says on its standard output, in lines of
//! JSON. The pane shows it as a person wants to see it; what counts of it is kept in `agent.json`.

mod acp;
mod claude;
mod codex;
mod dialect;
mod grok;
mod pane;
mod value;

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use sprint_core::agent::{AgentFault, AgentSaid, AgentState, Doing, FaultKind};
use sprint_core::bounds::AGENT_LINE;
use sprint_core::runtime::Channel;
use sprint_core::time::Timestamp;

use super::plan::AgentStep;
use crate::host::disk::{self, Durability};
use crate::host::unblock::unblock;
use crate::redactor::Redactor;
use dialect::{Dialect, Heard};
use pane::Pane;

/// As much as is read at once.
const CHUNK: usize = 16 << 10;
/// The pause between two times at which it is kept what an agent has said: one that says much costs little.
const KEEP_AGAIN: Duration = Duration::from_millis(200);
/// How much is read before anything else is looked at, in these.
const CHUNKS: usize = 16;
/// How long an agent may take to end after its last word, and how long one may be silent that has not dealt with a message.
const ENDING: Duration = Duration::from_secs(30);
const SILENCE: Duration = Duration::from_mins(2);
/// Refusals of its login in a row after which an agent is not to try again.
const HOPELESS: u32 = 2;
/// The most bytes that wait for an agent to read them.
const PENDING: usize = 8 << 20;

/// The conversation with a running agent.
pub(super) struct Conversation {
    dialect: Box<dyn Dialect>,
    /// Where it takes messages; closed when it is to end.
    input: Option<File>,
    output: Option<File>,
    /// What it has not taken yet.
    pending: VecDeque<u8>,
    /// The messages that it has not dealt with.
    open: Vec<String>,
    /// What it has printed of a line that is not whole yet; none while a line is passed over that is too long.
    line: Option<Vec<u8>>,
    pane: Pane,
    typed: Vec<u8>,
    before: AgentSaid,
    said: AgentSaid,
    file: PathBuf,
    /// Hides its secrets before anything that it says is cut.
    redactor: Redactor,
    /// When that was written last, and whether there is more by now.
    kept_at: Option<Instant>,
    is_new: bool,
    /// When its last turn was over; none while there is another.
    over: Option<Instant>,
    heard_at: Instant,
    /// How often its login was refused since the model has answered: it is not to try for minutes.
    refusals: u32,
    /// It does not take what it is told.
    is_deaf: bool,
}

/// Prepares the command of an agent with a channel.
pub(super) fn prepare(command: &mut Command, step: &AgentStep) {
    let takes = dialect(step).is_some_and(|dialect| dialect.takes_messages());
    command.stdin(if takes { Stdio::piped() } else { Stdio::null() }).stdout(Stdio::piped());
}

fn dialect(step: &AgentStep) -> Option<Box<dyn Dialect>> {
    match step.channel {
        Channel::None => None,
        Channel::StreamJson => Some(Box::new(claude::Claude::default())),
        Channel::CodexJson => Some(Box::new(codex::Codex)),
        Channel::GrokJson => Some(Box::new(grok::Grok)),
        Channel::Acp => Some(Box::new(acp::Acp::new(&step.workspace, step.resumed.as_deref(), step.tools.as_ref()))),
    }
}

/// What an agent has said of itself so far.
pub(crate) fn read(file: &Path) -> Option<AgentSaid> {
    serde_json::from_slice(&fs::read(file).ok()?).ok()
}

impl Conversation {
    /// Begins with the step's opening. None for an agent without a channel.
    ///
    /// # Errors
    /// Those of its pipes.
    pub(super) fn begin(step: &AgentStep, secrets: Option<&Path>, child: &mut Child) -> io::Result<Option<Self>> {
        let file = step.file.clone();
        let redactor = secrets.map(Redactor::load).transpose()?.unwrap_or_default();
        let Some(dialect) = dialect(step) else { return Ok(None) };
        let input = child.stdin.take().map(|input| unblocked(OwnedFd::from(input))).transpose()?;
        let output = child.stdout.take().map(|output| unblocked(OwnedFd::from(output))).transpose()?;
        let mut conversation = Self {
            dialect,
            input,
            output,
            pending: VecDeque::new(),
            open: vec![],
            line: Some(vec![]),
            pane: Pane::new(),
            typed: vec![],
            before: read(&file).unwrap_or_default(),
            said: AgentSaid { runtime: step.runtime.clone(), model: step.model.clone(), ..AgentSaid::default() },
            file,
            redactor,
            kept_at: None,
            is_new: false,
            over: None,
            heard_at: Instant::now(),
            refusals: 0,
            is_deaf: false,
        };
        conversation.say(&step.opening);
        conversation.does(Doing::Starting, None);
        conversation.keep();
        Ok(Some(conversation))
    }

    /// Sends a message, and shows it.
    fn say(&mut self, text: &str) {
        self.pane.message(text);
        let id = uuid();
        if self.input.is_some() && self.dialect.takes_messages() {
            self.pending.extend(self.dialect.message(&id, text));
            self.open.push(id);
        }
    }

    /// What to wait for, for reading and for writing.
    pub(super) fn waits(&self) -> (Vec<BorrowedFd<'_>>, Vec<BorrowedFd<'_>>) {
        let mut reads: Vec<_> = self.output.iter().map(|file| file.as_fd()).collect();
        if self.input.is_some() && self.pane.takes_typing() {
            reads.push(self.pane.terminal());
        }
        let writes = self.input.iter().filter(|_| !self.pending.is_empty()).map(|file| file.as_fd()).collect();
        (reads, writes)
    }

    /// By when the agent is to have ended, if it is over with its work, or is not to go on.
    pub(super) fn deadline(&self) -> Option<Instant> {
        if self.refusals >= HOPELESS || self.is_deaf {
            return Some(Instant::now());
        }
        // One that never says that it has dealt with a message is over when it is silent.
        self.over.map(|over| if self.open.is_empty() { over + ENDING } else { self.heard_at.max(over) + SILENCE })
    }

    /// When it has something to do by itself.
    pub(super) fn wakes_at(&self) -> Option<Instant> {
        self.kept_at.filter(|_| self.is_new).map(|at| at + KEEP_AGAIN)
    }

    /// Moves what can be moved without waiting.
    pub(super) fn turn(&mut self) {
        self.listen();
        if self.is_new && self.wakes_at().is_none_or(|at| Instant::now() >= at) {
            self.keep();
        }
        if self.input.is_some() {
            self.pane.typed(&mut self.typed);
            while let Some(end) = self.typed.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.typed.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line).trim().to_owned();
                if !line.is_empty() {
                    self.over = None;
                    self.say(&line);
                }
            }
        }
        while let (Some(input), false) = (&mut self.input, self.pending.is_empty()) {
            match input.write(self.pending.as_slices().0) {
                Ok(written) => drop(self.pending.drain(..written)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // It has ended, or reads no more.
                Err(_) => self.input = None,
            }
        }
        if self.over.is_some() && self.open.is_empty() {
            // Its sign to end.
            self.input = None;
        }
    }

    /// Takes what it has printed, up to a bound: signals and deadlines are not to wait for one that prints without end.
    fn listen(&mut self) {
        let mut piece = [0; CHUNK];
        for _ in 0..CHUNKS {
            let Some(output) = &mut self.output else { return };
            match output.read(&mut piece) {
                Ok(0) => self.output = None,
                Ok(read) => self.take(&piece[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => self.output = None,
            }
        }
    }

    fn take(&mut self, mut printed: &[u8]) {
        while let Some(end) = printed.iter().position(|byte| *byte == b'\n') {
            let (rest, after) = printed.split_at(end);
            printed = &after[1..];
            if let Some(mut line) = self.line.replace(vec![]) {
                line.extend_from_slice(rest);
                self.hear(&line);
            }
        }
        if let Some(line) = &mut self.line {
            line.extend_from_slice(printed);
            if line.len() > AGENT_LINE {
                self.pane.note(&format!("a line of more than {AGENT_LINE} bytes was passed over"));
                self.line = None;
            }
        }
    }

    fn hear(&mut self, line: &[u8]) {
        let line = self.redactor.bytes(line).into_owned();
        let Ok(line) = serde_json::from_slice::<serde_json::Value>(&line) else {
            // A warning, or a word to a person.
            return self.pane.text(&String::from_utf8_lossy(&line));
        };
        self.heard_at = Instant::now();
        for heard in self.dialect.hear(&line) {
            self.note(heard);
        }
    }

    fn note(&mut self, heard: Heard) {
        match heard {
            Heard::Session(session) => {
                self.said.session = Some(session);
                self.goes_on(None);
            }
            Heard::Model(model) => self.said.model = Some(model),
            Heard::Turn => {
                self.said.turns += 1;
                // It has been answered after all.
                (self.said.fault, self.refusals) = (None, 0);
                self.goes_on(None);
            }
            Heard::Text(text) => self.pane.text(&text),
            Heard::Tool { name, what } => {
                self.pane.tool(&name, &what);
                self.goes_on(Some(pane::tool(&name, &what)));
            }
            Heard::ToolEnded { failed, said } => {
                self.pane.tool_ended(failed, &said);
                self.goes_on(None);
            }
            Heard::Usage(usage) => {
                // What is of no model by name is of the one that it works with.
                let named = |model: String| {
                    if model.is_empty() { self.said.model.clone().unwrap_or(self.said.runtime.clone()) } else { model }
                };
                let usage = usage.into_iter().map(|(model, usage)| (named(model), usage)).collect();
                self.said.usage = usage;
            }
            Heard::Send(bytes) => {
                self.pending.extend(bytes);
                if self.pending.len() > PENDING {
                    let why = "it does not read what it is answered".to_owned();
                    self.said.fault = Some(AgentFault { kind: FaultKind::Other, why, until: None });
                    self.is_deaf = true;
                }
            }
            Heard::Settled(id) => self.open.retain(|open| *open != id),
            Heard::Retries(fault) => {
                self.pane.note(&fault.why);
                self.refusals += u32::from(fault.kind == FaultKind::NotLoggedIn);
                self.said.fault = Some(fault);
                self.does(Doing::Retrying, None);
            }
            Heard::Ended(fault) => {
                self.said.fault = fault;
                self.over = Some(Instant::now());
                // One that takes messages says which are dealt with, or has none of them when it gives up.
                if self.said.fault.is_some() {
                    self.open.clear();
                }
                self.pane.ended(&self.said);
                self.does(Doing::Idle, None);
            }
        }
        self.said.shorten();
        self.is_new = true;
    }

    /// A turn is under way.
    fn goes_on(&mut self, tool: Option<String>) {
        self.over = None;
        self.does(Doing::Busy, tool);
    }

    fn does(&mut self, doing: Doing, tool: Option<String>) {
        self.said.state = Some(AgentState { doing, tool, at: Timestamp::from(SystemTime::now()) });
    }

    /// Takes its last words, and says whether its last turn came to a good end, though its process may not have. One whose
    /// process came to a good end without the end of its turn has not.
    pub(super) fn end(mut self, exit_code: Option<i32>) -> bool {
        while self.output.is_some() {
            let before = self.heard_at;
            self.listen();
            if self.heard_at == before {
                break;
            }
        }
        if let Some(line) = self.line.take().filter(|line| !line.is_empty()) {
            self.hear(&line);
        }
        if self.over.is_none() && self.said.fault.is_none() && exit_code == Some(0) {
            let why = "it ended with 0, and without the end of its turn".to_owned();
            self.said.fault = Some(AgentFault { kind: FaultKind::Other, why, until: None });
        }
        self.does(Doing::Ended, None);
        self.keep();
        self.over.is_some() && self.said.fault.is_none()
    }

    fn keep(&mut self) {
        (self.kept_at, self.is_new) = (Some(Instant::now()), false);
        let mut all = self.before.clone();
        all.add(self.said.clone(), self.dialect.usage_of());
        let written = serde_json::to_vec(&all).map_err(io::Error::from);
        let written = written.and_then(|all| disk::write_atomic(&self.file, &all, Durability::Process));
        if let Err(error) = written {
            self.pane.note(&format!("what the agent says of itself cannot be kept: {error}"));
        }
    }
}

fn unblocked(fd: OwnedFd) -> io::Result<File> {
    unblock(&fd)?;
    Ok(File::from(fd))
}

/// A random UUID.
pub(crate) fn uuid() -> String {
    let random = (fastrand::u128(..) & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let digits = format!("{random:032x}");
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sprint_core::fuzz::texts;

    use super::*;

    const LINES: [&str; 9] = [
        r#"{"type":"system","subtype":"init","session_id":"s","model":"m"}"#,
        r#"{"type":"assistant","message":{"id":"i","model":"m","content":[{"type":"tool_use","name":"Bash","input":{"command":"ls"}}]}}"#,
        r#"{"type":"result","is_error":true,"api_error_status":429,"result":"x","modelUsage":{"m":{"inputTokens":3,"costUSD":0.1}}}"#,
        r#"{"type":"rate_limit_event","rate_limit_info":{"status":"rejected","resetsAt":1800000000}}"#,
        r#"{"type":"item.completed","item":{"type":"file_change","changes":[{"path":"a"}]}}"#,
        r#"{"type":"turn.completed","usage":{"input_tokens":10,"cached_input_tokens":40}}"#,
        r#"{"type":"end","stopReason":"EndTurn","num_turns":2,"modelUsage":{"m":{"inputTokens":3}}}"#,
        r#"{"id":7,"method":"session/request_permission","params":{"options":[{"optionId":"o","kind":"allow_once"}]}}"#,
        r#"{"method":"session/update","params":{"update":{"sessionUpdate":"tool_call","title":"t","rawInput":{"command":"c"}}}}"#,
    ];

    fn step(channel: Channel) -> AgentStep {
        AgentStep {
            runtime: "x".to_owned(),
            channel,
            opening: String::new(),
            resumed: None,
            workspace: PathBuf::from("/w"),
            model: None,
            tools: None,
            file: PathBuf::from("/f"),
        }
    }

    proptest! {
        /// Whatever a program says in the place of an agent is understood or passed over, in every language.
        #[test]
        fn fuzz_any_line_of_an_agent_is_heard(lines in prop::collection::vec(texts(&LINES), 1..4)) {
            for channel in Channel::ALL {
                let Some(mut dialect) = dialect(&step(*channel)) else { continue };
                for line in &lines {
                    let Ok(line) = serde_json::from_str(line) else { continue };
                    let heard = dialect.hear(&line);
                    prop_assert!(heard.len() <= 20_000, "{} things", heard.len());
                }
            }
        }
    }

    #[test]
    fn a_uuid_is_one_of_version_4() {
        for _ in 0..100 {
            let id = uuid();
            assert_eq!(id.len(), 36, "{id}");
            assert_eq!(&id[14..15], "4", "{id}");
            assert!("89ab".contains(&id[19..20]), "{id}");
        }
    }
}
