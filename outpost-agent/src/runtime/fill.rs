//! A runtime filled in for a worker: its command, its environment, its login.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use minijinja::{Environment, UndefinedBehavior, Value, context};
use sprint_core::runtime::{Login, Runtime, RuntimeFile};
use thiserror::Error;

/// The most bytes of a file that belongs to a login.
const LONGEST: u64 = 1 << 20;
/// Stands for a runtime's further arguments.
const ARGUMENTS: &str = "{{ arguments }}";

/// A runtime whose command cannot be made sense of: the fault of who configured it.
#[derive(Debug, Error)]
#[error("runtime {runtime:?}: {template:?} cannot be filled in: {why}")]
pub(crate) struct BadTemplate {
    runtime: String,
    template: String,
    why: String,
}

/// The placeholders that make a variable's value a template.
const IN_ENV: [&str; 4] = ["state", "session_id", "model", "prompt_file"];

/// What the placeholders of a runtime stand for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Values<'a> {
    /// The item's command line.
    pub(crate) run: &'a str,
    pub(crate) prompt: &'a str,
    pub(crate) prompt_file: &'a Path,
    /// The worker's own `sprintctl`, and the socket by which it asks.
    pub(crate) sprintctl: &'a Path,
    pub(crate) socket: &'a Path,
    /// The agent's own directory.
    pub(crate) state: &'a Path,
    pub(crate) session_id: &'a str,
    /// Whether that conversation is there already.
    pub(crate) resumes: bool,
}

/// Whether a runtime is given a command line, and finds its task by itself.
pub(crate) fn takes_command_line(runtime: &Runtime) -> bool {
    uses(runtime, "run")
}

/// Whether a runtime can go on with a conversation.
pub(crate) fn resumes(runtime: &Runtime) -> bool {
    uses(runtime, "resumes")
}

fn uses(runtime: &Runtime, name: &str) -> bool {
    let templates = environment();
    let names = |template: &String| {
        templates.template_from_str(template).is_ok_and(|template| template.undeclared_variables(false).contains(name))
    };
    runtime.command.iter().any(names)
}

fn environment() -> Environment<'static> {
    let mut templates = Environment::new();
    // A misspelt name is an error, not an empty argument.
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    templates.set_keep_trailing_newline(true);
    templates
}

impl Values<'_> {
    fn context(&self, runtime: &Runtime) -> Value {
        let Values { run, prompt, prompt_file, sprintctl, socket, state, session_id, resumes } = *self;
        context! {
            run,
            prompt,
            prompt_file => prompt_file.to_string_lossy(),
            sprintctl => sprintctl.to_string_lossy(),
            socket => socket.to_string_lossy(),
            state => state.to_string_lossy(),
            session_id,
            resumes,
            model => runtime.model,
        }
    }
}

fn bad(runtime: &Runtime, template: &str, error: &minijinja::Error) -> BadTemplate {
    BadTemplate { runtime: runtime.name.clone(), template: template.to_owned(), why: error.to_string() }
}

/// The command and the environment of a runtime.
///
/// # Errors
/// [`BadTemplate`].
pub(crate) fn fill(
    runtime: &Runtime,
    values: &Values<'_>,
) -> Result<(Vec<String>, BTreeMap<String, String>), BadTemplate> {
    let templates = environment();
    let values = values.context(runtime);
    let rendered = |template: &str, values: &Value| {
        templates.render_str(template, values).map_err(|error| bad(runtime, template, &error))
    };
    let mut argv = vec![];
    for template in &runtime.command {
        if template == ARGUMENTS {
            argv.extend(runtime.arguments.iter().cloned());
            continue;
        }
        let argument = rendered(template, &values)?;
        // A condition that does not hold.
        if !argument.is_empty() || !template.contains("{%") {
            argv.push(argument);
        }
    }
    // A value that names none of them is what it says: it may be a template of somebody else's.
    let is_template = |value: &str| {
        let template = templates.template_from_str(value);
        template.is_ok_and(|template| {
            template.undeclared_variables(false).iter().any(|name| IN_ENV.contains(&name.as_str()))
        })
    };
    let variable = |(key, value): (&String, &String)| {
        let value = if is_template(value) { rendered(value, &values)? } else { value.clone() };
        Ok((key.clone(), value))
    };
    let env = runtime.env.iter().map(variable).collect::<Result<_, _>>()?;
    Ok((argv, env))
}

/// The variables of this process that belong to a runtime's login.
pub(crate) fn login_variables(runtime: &Runtime) -> BTreeMap<String, String> {
    if runtime.login != Login::Host {
        return BTreeMap::new();
    }
    let value = |name: &String| std::env::var(name).ok().filter(|value| !value.is_empty());
    runtime.host.env.iter().filter_map(|name| Some((name.clone(), value(name)?))).collect()
}

/// The files that a runtime has made for a worker, by their names.
///
/// # Errors
/// [`BadTemplate`].
pub(crate) fn files(runtime: &Runtime, values: &Values<'_>) -> Result<BTreeMap<String, String>, BadTemplate> {
    let templates = environment();
    let values = values.context(runtime);
    let mut files = BTreeMap::<String, String>::new();
    for RuntimeFile { to, text } in &runtime.files {
        let text = templates.render_str(text, &values).map_err(|error| bad(runtime, text, &error))?;
        files.entry(to.clone()).or_default().push_str(&text);
    }
    Ok(files)
}

/// Makes the agent's own directory with the files of its login, and of its runtime after them, unless they are there: it
/// may have newer ones by now.
///
/// # Errors
/// Those of the file system; a file that a person cannot mean.
pub(crate) fn furnish_state(
    runtime: &Runtime,
    home: Option<&Path>,
    state: &Path,
    made: BTreeMap<String, String>,
) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(state)?;
    let mut contents = BTreeMap::<String, Vec<u8>>::new();
    let home = home.filter(|_| runtime.login == Login::Host);
    let of_login = home.iter().flat_map(|home| runtime.host.files.iter().map(|file| (home.join(&file.from), &file.to)));
    for (from, to) in of_login {
        let Ok(file) = File::open(&from) else { continue };
        if !file.metadata()?.is_file() {
            continue;
        }
        let content = contents.entry(to.clone()).or_default();
        file.take(LONGEST + 1).read_to_end(content)?;
        if content.len() as u64 > LONGEST {
            return Err(io::Error::other(format!("{} has more than {LONGEST} bytes", from.display())));
        }
    }
    for (to, text) in made {
        contents.entry(to).or_default().extend(text.into_bytes());
    }
    for (to, content) in contents {
        let to = state.join(to);
        if to.symlink_metadata().is_ok() {
            continue;
        }
        if let Some(parent) = to.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
        }
        File::options().write(true).create_new(true).mode(0o600).open(&to)?.write_all(&content)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use sprint_core::runtime::Catalog;

    use super::*;

    fn values<'a>() -> Values<'a> {
        Values {
            run: "",
            prompt: "do",
            prompt_file: Path::new("/w/prompt.md"),
            sprintctl: Path::new("/w/it's/sprintctl"),
            socket: Path::new("/w/it's/worker.sock"),
            state: Path::new("/w/state"),
            session_id: "s",
            resumes: false,
        }
    }

    #[test]
    fn every_runtime_that_ships_can_be_filled_in() {
        for runtime in Catalog::shipped().iter() {
            let (plain, env) = fill(runtime, &values()).expect("is filled in");
            assert!(plain.iter().all(|argument| !argument.is_empty() && !argument.contains("{{")), "{plain:?}");
            assert!(env.values().all(|value| !value.contains("{{")), "{env:?}");
            let arguments = vec!["-x".to_owned(), "y".to_owned()];
            let more = Runtime { model: Some("small".to_owned()), arguments, ..runtime.clone() };
            let (with, _) = fill(&more, &values()).expect("is filled in");
            assert_eq!(with.len(), plain.len() + 3, "{with:?}");
            assert!(!takes_command_line(runtime));
        }
        assert!(takes_command_line(&Runtime::shell()));
    }

    #[test]
    fn a_variable_is_a_template_only_where_it_names_a_placeholder() {
        let literal = [("A", "{{ other }}"), ("B", "{% raw"), ("C", "{# x")];
        let env = literal.into_iter().chain([("D", "{{ state }}/x")]);
        let env = env.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let (_, filled) = fill(&Runtime { env, ..Runtime::shell() }, &values()).expect("is filled in");
        assert!(literal.iter().all(|(key, value)| filled[*key] == *value), "{filled:?}");
        assert_eq!(filled["D"], "/w/state/x");
    }

    #[test]
    fn a_conversation_is_gone_on_with() {
        let claude = Catalog::shipped().get("claude").expect("it ships");
        let can = Catalog::shipped().iter().filter(|runtime| resumes(runtime)).map(|runtime| runtime.name.as_str());
        assert_eq!(can.collect::<Vec<_>>(), ["claude", "codex", "grok"]);
        let argument = |resumes| {
            let (argv, _) = fill(claude, &Values { resumes, ..values() }).expect("is filled in");
            argv.into_iter().find(|argument| argument.ends_with("=s")).expect("it has a session")
        };
        assert_eq!((argument(false).as_str(), argument(true).as_str()), ("--session-id=s", "--resume=s"));
    }

    #[test]
    fn the_files_of_a_login_are_copied_once_and_for_nobody_else() {
        let dir = tempfile::tempdir().expect("a directory");
        let (home, state) = (dir.path().join("home"), dir.path().join("state"));
        fs::create_dir_all(home.join(".codex")).expect("is made");
        fs::write(home.join(".codex/auth.json"), "secret").expect("is written");
        let codex = Catalog::shipped().get("codex").expect("it ships");
        let none = Runtime { login: Login::None, ..codex.clone() };
        furnish_state(&none, Some(&home), &state, BTreeMap::new()).expect("is made");
        assert!(state.is_dir() && !state.join("auth.json").exists());
        furnish_state(codex, Some(&home), &state, BTreeMap::new()).expect("is copied");
        let copy = state.join("auth.json");
        assert_eq!(fs::metadata(&copy).expect("is there").permissions().mode() & 0o777, 0o600);
        fs::write(&copy, "newer").expect("is written");
        furnish_state(codex, Some(&home), &state, BTreeMap::new()).expect("is there");
        assert_eq!(fs::read_to_string(&copy).expect("is there"), "newer");
        fs::remove_file(&copy).expect("is removed");
        fs::write(home.join(".codex/auth.json"), vec![0; 2 << 20]).expect("is written");
        assert!(furnish_state(codex, Some(&home), &state, BTreeMap::new()).is_err(), "no login is as large");
    }

    #[test]
    fn a_runtimes_file_follows_that_of_the_login() {
        let dir = tempfile::tempdir().expect("a directory");
        let (home, state) = (dir.path().join("home"), dir.path().join("state"));
        fs::create_dir_all(home.join(".grok")).expect("is made");
        fs::write(home.join(".grok/config.toml"), "[cli]\nauto_update = false").expect("is written");
        let grok = Catalog::shipped().get("grok").expect("it ships");
        let made = files(grok, &values()).expect("is filled in");
        for _ in 0..2 {
            furnish_state(grok, Some(&home), &state, made.clone()).expect("is made");
            let text = fs::read_to_string(state.join("config.toml")).expect("is there");
            let config: toml::Table = text.parse().expect("is TOML");
            assert_eq!(config["cli"]["auto_update"].as_bool(), Some(false));
            let env = &config["mcp_servers"]["sprint"]["env"];
            assert_eq!(env["SPRINT_SOCKET"].as_str(), Some("/w/it's/worker.sock"), "{text}");
        }
        let misspelt = RuntimeFile { to: "x".to_owned(), text: "{{ sokcet }}".to_owned() };
        let misspelt = Runtime { files: vec![misspelt], ..Runtime::named("mine") };
        assert!(files(&misspelt, &values()).is_err_and(|error| error.to_string().contains("sokcet")));
    }
}
