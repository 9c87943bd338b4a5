//! The configuration file: its values become the defaults of the flags, so that everything else that holds for a
//! setting (its form, its variable, its help) is declared with the flag alone.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, Command};
use toml::{Table, Value};

/// Flags that are no keys: a file cannot name another one, and a secret has a file of its own (`token_file`).
const NO_KEYS: [&str; 4] = ["config", "token", "help", "version"];

/// The key of a setting; none for a flag that a file cannot set.
pub(crate) fn key(arg: &Arg) -> Option<String> {
    let flag = arg.get_long().filter(|flag| !NO_KEYS.contains(flag))?;
    Some(flag.replace('-', "_"))
}

/// The subcommand of a command line, and the file that that or the environment names for it.
pub(crate) fn named_in(command: &Command, args: &[OsString]) -> Option<(String, PathBuf)> {
    // What is missing here may be in the file; what is wrong is found when everything is read.
    let matches = command.clone().ignore_errors(true).try_get_matches_from(args).ok()?;
    let (name, matches) = matches.subcommand()?;
    let file = matches.try_get_one::<PathBuf>("config").ok()??;
    Some((name.to_owned(), file.clone()))
}

/// Makes the values in `file`, whose keys are flags of `main`, the defaults of the flags of `subcommand`, which may have
/// fewer.
///
/// # Errors
/// The file cannot be read, or has a key or a value that no flag has.
pub(crate) fn apply(command: &Command, main: &str, subcommand: &str, file: &Path) -> Result<Command, clap::Error> {
    let failed = |why: String| {
        let why = format!("the configuration file {} cannot be used: {why}\n", file.display());
        clap::Error::raw(ErrorKind::ValueValidation, why)
    };
    let text = std::fs::read_to_string(file).map_err(|error| failed(error.to_string()))?;
    let table: Table = text.parse().map_err(|error: toml::de::Error| failed(error.to_string()))?;
    let mut changed = command.clone();
    for (name, value) in table {
        let flag_of = |subcommand: &str| {
            let mut flags = changed.find_subcommand(subcommand).into_iter().flat_map(Command::get_arguments);
            flags.find(|arg| key(arg).as_deref() == Some(&name)).cloned()
        };
        let Some(flag) = flag_of(subcommand) else {
            if flag_of(main).is_some() {
                continue;
            }
            return Err(failed(format!("there is no setting \"{name}\"; see: {} {main} --help", changed.get_name())));
        };
        let values = texts(&value).ok_or_else(|| failed(format!("{name} has a value of the wrong type")))?;
        check(&flag, &values).map_err(|why| failed(format!("{name}: {why}")))?;
        changed = changed.mut_subcommand(subcommand, |join| {
            join.mut_arg(flag.get_id(), |arg| arg.required(false).default_values(values))
        });
    }
    Ok(changed)
}

/// A value as it would be typed; a table is a list of `KEY=VALUE`.
fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Integer(number) => Some(vec![number.to_string()]),
        Value::Boolean(on) => Some(vec![on.to_string()]),
        Value::Array(values) => {
            let texts = values.iter().map(texts).collect::<Option<Vec<_>>>()?;
            Some(texts.concat())
        }
        Value::Table(table) => table
            .iter()
            .map(|(key, value)| match texts(value)?.as_slice() {
                [value] => Some(format!("{key}={value}")),
                [] | [_, ..] => None,
            })
            .collect(),
        Value::Float(_) | Value::Datetime(_) => None,
    }
}

/// Reads the values as the flag's own would be read, so that a wrong one is reported with its file.
fn check(flag: &Arg, values: &[String]) -> Result<(), String> {
    let long = flag.get_long().unwrap_or_default();
    let mut arg = Arg::new("value").long(long.to_owned()).action(ArgAction::Append);
    arg = arg.value_parser(flag.get_value_parser().clone()).value_delimiter(flag.get_value_delimiter());
    let command = Command::new("check").no_binary_name(true).arg(arg);
    let read = command.try_get_matches_from(values.iter().map(|value| format!("--{long}={value}")));
    read.map(drop).map_err(|error| {
        let text = error.to_string();
        text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_the_file_is_what_would_be_typed() {
        let table: Table =
            "a = 1\nb = [\"x\", \"y\"]\nc = true\nd = { gpu = \"yes\", cores = 8 }\n".parse().expect("is TOML");
        let read = |name: &str| texts(&table[name]).expect("has texts");
        assert_eq!(
            (read("a"), read("b"), read("c")),
            (vec!["1".into()], vec!["x".into(), "y".into()], vec!["true".into()])
        );
        assert_eq!(read("d"), ["cores=8", "gpu=yes"]);
        assert_eq!(texts(&Value::Float(1.5)), None);
    }
}
