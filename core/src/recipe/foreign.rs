//! What other programs' files say of a workspace, where `sprint.toml` says nothing.

use std::collections::BTreeMap;

use jsonc_parser::ParseOptions;
use serde::Deserialize;
use serde_json::Value;

use super::Recipe;

const INCLUDE: &str = ".worktreeinclude";
const CONDUCTOR: &str = "conductor.json";
const SUPERSET: &str = ".superset/config.json";
const DEVCONTAINER: &str = ".devcontainer/devcontainer.json";

/// The files that are read, from the root of the repository.
pub const WORKTREE_FILES: [&str; 4] = [INCLUDE, CONDUCTOR, SUPERSET, DEVCONTAINER];

/// Reads the files that are there. `.worktreeinclude` says what to bring; the first of the others that names a command
/// says how to set up. One that cannot be read is noted: nothing of ours stops for it.
pub fn foreign(files: &BTreeMap<&str, Vec<u8>>) -> Recipe {
    let mut recipe = Recipe::default();
    if let Some(text) = files.get(INCLUDE) {
        recipe.bring = patterns(&String::from_utf8_lossy(text));
    }
    let readers: [(&str, Reader); 3] = [(CONDUCTOR, conductor), (SUPERSET, superset), (DEVCONTAINER, devcontainer)];
    for (name, read) in readers {
        let Some(text) = files.get(name) else { continue };
        match read(&String::from_utf8_lossy(text)) {
            Ok(Commands { setup, teardown, variables }) if !(setup.is_empty() && teardown.is_empty()) => {
                recipe = Recipe { setup, teardown, variables, ..recipe };
                break;
            }
            Ok(_) => {}
            Err(why) => recipe.notes.push(format!("{name} cannot be read and is left out: {why}")),
        }
    }
    recipe
}

type Reader = fn(&str) -> Result<Commands, String>;

#[derive(Debug, Default)]
struct Commands {
    setup: String,
    teardown: String,
    variables: Option<String>,
}

/// The lines of a `.gitignore` that are patterns. Git reads them again; comments are left out for those who read ours.
fn patterns(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.trim_end_matches('\r'));
    lines.filter(|line| !line.trim().is_empty() && !line.starts_with('#')).map(ToOwned::to_owned).collect()
}

fn conductor(text: &str) -> Result<Commands, String> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Scripts {
        setup: String,
        archive: String,
    }
    #[derive(Deserialize)]
    struct File {
        #[serde(default)]
        scripts: Scripts,
    }
    let File { scripts: Scripts { setup, archive } } = json(text)?;
    Ok(Commands { setup, teardown: archive, variables: Some("CONDUCTOR".to_owned()) })
}

fn superset(text: &str) -> Result<Commands, String> {
    #[derive(Deserialize)]
    struct File {
        #[serde(default)]
        setup: Vec<String>,
        #[serde(default)]
        teardown: Vec<String>,
    }
    let File { setup, teardown } = json(text)?;
    Ok(Commands {
        setup: one_after_another(&setup),
        teardown: one_after_another(&teardown),
        variables: Some("SUPERSET".to_owned()),
    })
}

fn devcontainer(text: &str) -> Result<Commands, String> {
    #[derive(Deserialize)]
    struct File {
        #[serde(default, rename = "postCreateCommand")]
        command: Value,
    }
    let File { command } = json(text)?;
    let setup = match &command {
        Value::Null => String::new(),
        // Named ones may run beside each other; one after another is right, too.
        Value::Object(named) => one_after_another(&named.values().map(command_line).collect::<Result<Vec<_>, _>>()?),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => command_line(&command)?,
    };
    Ok(Commands { setup, ..Commands::default() })
}

/// A line for the shell, or a program with its arguments.
fn command_line(command: &Value) -> Result<String, String> {
    let wrong = || "postCreateCommand is neither a text nor a list of texts".to_owned();
    match command {
        Value::String(line) => Ok(line.clone()),
        Value::Array(words) => {
            let words = words.iter().map(|word| word.as_str().map(quoted).ok_or_else(wrong));
            Ok(words.collect::<Result<Vec<_>, _>>()?.join(" "))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Err(wrong()),
    }
}

/// A word as a shell reads it back.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Each in a shell of its own, as it would be alone; the first that fails is the last.
fn one_after_another(lines: &[String]) -> String {
    lines
        .iter()
        .filter(|line| !line.trim().is_empty())
        .map(|line| format!("({line}\n)"))
        .collect::<Vec<_>>()
        .join(" && ")
}

/// More than any such file needs, and far less than a stack holds.
const DEEPEST: usize = 200;

/// How many brackets are open at one place, those in texts included.
fn depth(text: &str) -> usize {
    let (mut open, mut most) = (0_usize, 0);
    for character in text.chars() {
        match character {
            '[' | '{' => open += 1,
            ']' | '}' => open = open.saturating_sub(1),
            _ => {}
        }
        most = most.max(open);
    }
    most
}

/// JSON with comments and commas at the end, as these programs take it.
fn json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if depth(text) > DEEPEST {
        return Err(format!("it nests more than {DEEPEST} deep"));
    }
    let value = jsonc_parser::parse_to_serde_value::<Value>(text, &ParseOptions::default());
    serde_json::from_value(value.map_err(|error| error.to_string())?).map_err(|error| error.to_string())
}
