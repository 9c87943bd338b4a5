//! Runtimes: how an agent program is started, driven and judged, as data.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::gates::{InvalidNeed, Need};
use crate::inner_path::{InnerPath, NotInside};

crate::words! {
    /// How a runtime is given its prompt.
    pub enum PromptDelivery as "prompt delivery" {
        /// It reads the file that `SPRINT_PROMPT_FILE` names.
        File => "file",
        /// The prompt is its standard input.
        Stdin => "stdin",
        /// The prompt is its last argument.
        Argument => "argument",
    }
}

crate::words! {
    /// How a running agent is spoken with, and says what it does.
    pub enum Channel as "channel" {
        /// Not at all: it is a command with a prompt.
        None => "none",
        /// JSON lines on its standard input and output, as `claude` has them.
        StreamJson => "stream-json",
        /// JSON lines on its standard output, as `codex exec` prints them.
        CodexJson => "codex-json",
        /// JSON lines on its standard output, as `grok` prints them.
        GrokJson => "grok-json",
        /// The Agent Client Protocol, on its standard input and output.
        Acp => "acp",
    }
}

crate::words! {
    /// Where an agent's login comes from.
    pub enum Login as "login" {
        /// The files and variables that the runtime names, as the outpost's user has them.
        Host => "host",
        /// The secrets of this coordinator: nothing of the host's.
        Secret => "secret",
        /// Nowhere.
        None => "none",
    }
}

const fn no_channel() -> Channel {
    Channel::None
}

const fn file() -> PromptDelivery {
    PromptDelivery::File
}

const fn host() -> Login {
    Login::Host
}

fn success() -> Vec<i32> {
    vec![0]
}

/// How an agent program is started. One without a command is that of its name: what ships with Sprint, or what the outpost
/// has in its place, with this model, these arguments and this environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Runtime {
    pub name: String,
    /// The program and its arguments, as templates. One that is a condition and comes to nothing is left out;
    /// `{{ arguments }}` stands for those below.
    #[serde(default)]
    pub command: Vec<String>,
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    #[serde(default = "file")]
    pub prompt: PromptDelivery,
    /// The exit codes that mean "I am done"; anything else is a failure.
    #[serde(default = "success")]
    pub success_codes: Vec<i32>,
    #[serde(default = "no_channel")]
    pub channel: Channel,
    #[serde(default)]
    pub model: Option<String>,
    /// More arguments, as they are.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// Its standard input is empty: no person sits at its terminal.
    #[serde(default)]
    pub unattended: bool,
    #[serde(default = "host")]
    pub login: Login,
    /// What a login consists of.
    #[serde(default)]
    pub host: HostLogin,
    /// Files that are made for each worker.
    #[serde(default)]
    pub files: Vec<RuntimeFile>,
    #[serde(default)]
    pub about: String,
    /// The command that prints its version.
    #[serde(default)]
    pub version: Vec<String>,
    /// The versions with which Sprint's tests have run.
    #[serde(default)]
    pub verified: Vec<String>,
}

/// Where the login of an agent is on a host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostLogin {
    /// Files, copied for each worker.
    #[serde(default)]
    pub files: Vec<LoginFile>,
    /// Variables of the outpost's own environment.
    #[serde(default)]
    pub env: Vec<String>,
}

/// A file of the host that a worker gets a copy of, if it is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoginFile {
    /// Below the home directory of the outpost's user.
    pub from: String,
    /// Below the agent's own directory, `{{ state }}`.
    pub to: String,
    /// It holds settings, and is no login by itself.
    #[serde(default)]
    pub settings: bool,
}

/// A file that an agent finds in its own directory; after what its login has there, if that brings one of this name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuntimeFile {
    /// Below the agent's own directory, `{{ state }}`.
    pub to: String,
    /// A template.
    pub text: String,
}

/// What a repository may change of a runtime.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuntimeChange {
    #[serde(default)]
    pub model: Option<String>,
    #[serde(default)]
    pub arguments: Vec<String>,
    #[serde(default)]
    pub env: BTreeMap<String, String>,
}

/// Why a runtime cannot be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidRuntime {
    #[error("\"{0}\" is no name of a runtime; write letters, digits, '-', '_' and '.' only")]
    Name(String),
    #[error(
        "runtime \"{0}\" has no command, and may change only model, arguments, env and login then; give it a name of its own and a command"
    )]
    ChangesTooMuch(String),
    #[error("runtime \"{runtime}\": {path:?} is no path below a directory: {why}")]
    Path { runtime: String, path: String, why: NotInside },
    #[error("the runtimes cannot be read: {0}")]
    Syntax(String),
}

/// The runtimes of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalog(BTreeMap<String, Runtime>);

const SHIPPED: &str = include_str!("runtimes.toml");

impl Runtime {
    /// What the labels begin with by which an outpost says which runtimes it has.
    pub const LABEL: &str = "runtime.";
    /// What the labels begin with by which it says whether it has found a login for one.
    pub const LOGIN_LABEL: &str = "login.";
    /// The value of that label where there is none.
    pub const NO_LOGIN: &str = "none";
    const SHELL: &str = "shell";

    /// One of this name, as it ships or as the outpost has it.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            command: vec![],
            env: BTreeMap::new(),
            prompt: file(),
            success_codes: success(),
            channel: no_channel(),
            model: None,
            arguments: vec![],
            unattended: false,
            login: host(),
            host: HostLogin::default(),
            files: vec![],
            about: String::new(),
            version: vec![],
            verified: vec![],
        }
    }

    /// A command line in `/bin/sh`.
    pub fn shell() -> Self {
        let command = ["/bin/sh", "-c", "{{ run }}"].map(str::to_owned).to_vec();
        Self { command, ..Self::named(Self::SHELL) }
    }

    /// Whether it is only named, and the outpost has the rest.
    pub const fn is_reference(&self) -> bool {
        self.command.is_empty()
    }

    /// The label that an outpost must carry; none for one that brings its own command.
    ///
    /// # Errors
    /// A name that is none.
    pub fn need(&self) -> Result<Option<Need>, InvalidNeed> {
        if self.is_reference() { format!("{}{}", Self::LABEL, self.name).parse().map(Some) } else { Ok(None) }
    }

    /// # Errors
    /// [`InvalidRuntime`].
    pub fn validate(&self) -> Result<(), InvalidRuntime> {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
        if self.name.is_empty() || self.name.len() > 64 || !self.name.chars().all(plain) {
            return Err(InvalidRuntime::Name(self.name.clone()));
        }
        let of_login = self.host.files.iter().flat_map(|file| [&file.from, &file.to]);
        for path in of_login.chain(self.files.iter().map(|file| &file.to)) {
            InnerPath::new(path.as_bytes()).map_err(|why| {
                let (runtime, path) = (self.name.clone(), path.clone());
                InvalidRuntime::Path { runtime, path, why }
            })?;
        }
        let Self { model, arguments, env, login, .. } = self.clone();
        let least = Self { env, model, arguments, login, ..Self::named(&self.name) };
        if self.is_reference() && *self != least {
            return Err(InvalidRuntime::ChangesTooMuch(self.name.clone()));
        }
        Ok(())
    }

    /// The same with what a repository or a reference changes.
    #[must_use]
    pub fn with(mut self, change: RuntimeChange) -> Self {
        let RuntimeChange { model, arguments, env } = change;
        self.model = model.or(self.model);
        self.arguments.extend(arguments);
        self.env.extend(env);
        self
    }

    /// The whole of a reference: the runtime that it names, with what it changes.
    #[must_use]
    pub fn resolved(self, named: Self) -> Self {
        let Self { model, arguments, env, login, .. } = self;
        // Either of them may refuse the host's.
        let login = if named.login == Login::Host { login } else { named.login };
        Self { login, ..named.with(RuntimeChange { model, arguments, env }) }
    }
}

impl Catalog {
    /// What ships with Sprint.
    pub fn shipped() -> &'static Self {
        static CATALOG: LazyLock<Catalog> =
            LazyLock::new(|| Catalog::parse(SHIPPED, None).unwrap_or_else(|error| panic!("{error}")));
        &CATALOG
    }

    /// What ships with Sprint, changed and complemented by the text of a file.
    ///
    /// # Errors
    /// [`InvalidRuntime`].
    pub fn with(text: &str) -> Result<Self, InvalidRuntime> {
        Self::parse(SHIPPED, Some(text))
    }

    fn parse(text: &str, more: Option<&str>) -> Result<Self, InvalidRuntime> {
        let read = |text: &str| text.parse::<toml::Table>().map_err(|error| InvalidRuntime::Syntax(error.to_string()));
        let mut all = read(text)?;
        if let Some(text) = more {
            merge(&mut all, read(text)?);
        }
        let runtimes = match all.remove("runtime") {
            Some(toml::Value::Table(table)) => table,
            Some(_) | None => toml::Table::new(),
        };
        if let Some(unknown) = all.keys().next() {
            let why = format!("there is no table \"{unknown}\"; write [runtime.NAME]");
            return Err(InvalidRuntime::Syntax(why));
        }
        let one = |(name, body): (String, toml::Value)| {
            let toml::Value::Table(mut body) = body else {
                return Err(InvalidRuntime::Syntax(format!("runtime.{name} is {body}, and no table")));
            };
            body.insert("name".to_owned(), name.clone().into());
            let why = |error: toml::de::Error| InvalidRuntime::Syntax(format!("[runtime.{name}]: {}", error.message()));
            let runtime: Runtime = toml::Value::Table(body).try_into().map_err(why)?;
            runtime.validate()?;
            if runtime.is_reference() {
                return Err(InvalidRuntime::Syntax(format!("[runtime.{name}] has no command")));
            }
            Ok((name, runtime))
        };
        runtimes.into_iter().map(one).collect::<Result<_, _>>().map(Self)
    }

    pub fn get(&self, name: &str) -> Option<&Runtime> {
        self.0.get(name)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Runtime> {
        self.0.values()
    }

    /// The names, for whoever has to choose one.
    pub fn names(&self) -> String {
        self.0.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
    }
}

/// Puts what one table says in the place of what the other says.
fn merge(into: &mut toml::Table, from: toml::Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(toml::Value::Table(old)), toml::Value::Table(new)) => merge(old, new),
            (_, value) => drop(into.insert(key, value)),
        }
    }
}

/// The version in what a program prints of itself: its first word that begins with a number and has a dot.
pub fn version_in(printed: &str) -> Option<&str> {
    let words = printed.split_whitespace().map(|word| word.trim_matches(['v', '(', ')', ',', ';']));
    let is_version = |word: &&str| word.starts_with(|first: char| first.is_ascii_digit()) && word.contains('.');
    words.filter(|word| word.len() <= 64).find(is_version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ships_is_whole() {
        let names: Vec<_> = Catalog::shipped().iter().map(|runtime| runtime.name.as_str()).collect();
        assert_eq!(names, ["aider", "claude", "codex", "gemini", "grok", "opencode"]);
        for runtime in Catalog::shipped().iter() {
            assert!(!runtime.version.is_empty() && !runtime.about.is_empty(), "{}", runtime.name);
            assert_eq!(runtime.verified.is_empty(), runtime.about.contains("not run"), "{}", runtime.name);
            assert_eq!(runtime.version[0], runtime.command[0], "{}", runtime.name);
        }
    }

    #[test]
    fn a_file_changes_what_ships_in_parts_and_adds_to_it() {
        let catalog = Catalog::with(
            "[runtime.claude]\nverified = [\"9.9\"]\n[runtime.claude.env]\nX = \"1\"\n[runtime.mine]\ncommand = [\"mine\"]\n",
        )
        .expect("is read");
        let claude = catalog.get("claude").expect("it is there");
        assert_eq!(claude.verified, ["9.9"]);
        assert!(claude.env.contains_key("X") && claude.env.contains_key("CLAUDE_CONFIG_DIR"));
        assert_eq!(catalog.get("mine").expect("it is new").prompt, PromptDelivery::File);
        for (text, said) in [
            ("[runtime.claude]\ncomand = [\"x\"]", "comand"),
            ("[runtime.new]\nmodel = \"x\"", "no command"),
            ("[runtimes.claude]\nmodel = \"x\"", "[runtime.NAME]"),
            ("[runtime]\nclaude = 3", "no table"),
            ("[runtime.\"a b\"]\ncommand = [\"x\"]", "letters"),
            ("[runtime.claude]\nchannel = \"telepathy\"", "telepathy"),
            ("[runtime.claude.host]\nfiles = [{ from = \"../x\", to = \"y\" }]", "../x"),
            ("runtime", "cannot be read"),
        ] {
            let error = Catalog::with(text).expect_err(text).to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn a_reference_takes_the_rest_from_what_it_names() {
        let reference = Runtime { model: Some("small".to_owned()), ..Runtime::named("claude") };
        assert_eq!(reference.validate(), Ok(()));
        assert_eq!(reference.need().expect("a need").map(|need| need.to_string()).as_deref(), Some("runtime.claude"));
        let shipped = Catalog::shipped().get("claude").expect("it ships").clone();
        let whole = reference.with(RuntimeChange { arguments: vec!["-x".to_owned()], ..RuntimeChange::default() });
        let whole = whole.resolved(shipped.clone());
        assert_eq!((whole.model.as_deref(), whole.arguments.as_slice()), (Some("small"), &["-x".to_owned()][..]));
        assert_eq!((whole.command, whole.channel), (shipped.command, Channel::StreamJson));
        let mine = Catalog::with("[runtime.claude]\nlogin = \"none\"").expect("is read");
        let named = mine.get("claude").expect("it is there").clone();
        assert_eq!(Runtime::named("claude").resolved(named).login, Login::None, "the outpost says so");
        let bad = Runtime { prompt: PromptDelivery::Stdin, ..Runtime::named("claude") };
        assert_eq!(bad.validate(), Err(InvalidRuntime::ChangesTooMuch("claude".to_owned())));
        assert_eq!(Runtime::named("a b").validate(), Err(InvalidRuntime::Name("a b".to_owned())));
        assert_eq!(Runtime::shell().need(), Ok(None));
    }

    #[test]
    fn a_version_is_found_in_what_programs_print() {
        for (printed, version) in [
            ("2.1.332 (Claude Code)\n", Some("2.1.332")),
            ("codex-cli 0.163.0", Some("0.163.0")),
            ("grok 0.2.111 (abc)", Some("0.2.111")),
            ("aider v0.86.2", Some("0.86.2")),
            ("no number", None),
            ("", None),
        ] {
            assert_eq!(version_in(printed), version, "{printed:?}");
        }
    }
}
