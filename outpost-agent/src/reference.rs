//! The reference table of the settings, made from the flags themselves.

use std::fmt::Write as _;

use clap::Command;

use crate::config_file;

/// A Markdown table with a row for each setting of a command.
pub(crate) fn table(command: &Command) -> String {
    let mut table = "| Flag | Variable | Key | Default | Meaning |\n|---|---|---|---|---|\n".to_owned();
    for arg in command.get_arguments() {
        // Those that every program has.
        let Some(flag) = arg.get_long().filter(|flag| !["help", "version"].contains(flag)) else { continue };
        let value = match arg.get_value_names() {
            Some([name, ..]) if arg.get_action().takes_values() => format!(" {name}"),
            Some(_) | None => String::new(),
        };
        let variable = arg.get_env().map(|name| code(&name.to_string_lossy())).unwrap_or_default();
        let key = config_file::key(arg).map(|key| code(&key)).unwrap_or_default();
        let default = match arg.get_default_values() {
            [value] if arg.get_action().takes_values() => code(&value.to_string_lossy()),
            [] | [_, ..] => String::new(),
        };
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default().replace('|', "\\|");
        let _ = writeln!(table, "| `--{flag}{value}` | {variable} | {key} | {default} | {help} |");
    }
    table
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;

    #[test]
    fn every_setting_has_a_row() {
        let command = Cli::join_command();
        let table = table(&command);
        for arg in command.get_arguments().filter(|arg| arg.get_long() != Some("help")) {
            let flag = arg.get_long().expect("a setting is a flag");
            assert!(table.contains(&format!("| `--{flag}")), "{flag} has no row");
            assert!(arg.get_env().is_some(), "{flag} has no variable");
            assert!(arg.get_help().is_some(), "{flag} has no help");
        }
        let row =
            "| `--warm N` | `SPRINT_OUTPOST_WARM` | `warm` | `2` | The number of worktrees kept ready for each repo |";
        assert!(table.contains(row), "{table}");
    }
}
