//! The reference table of the settings, made from the flags themselves.

use std::fmt::Write as _;

use clap::Command;

use crate::file;

/// A Markdown table with a row for each setting of a command.
pub fn table(command: &Command) -> String {
    let mut table = "| Flag | Variable | Key | Default | Meaning |\n|---|---|---|---|---|\n".to_owned();
    for arg in command.get_arguments() {
        // Those that every program has.
        let Some(flag) = arg.get_long().filter(|flag| !["help", "version"].contains(flag)) else { continue };
        let value = match arg.get_value_names() {
            Some([name, ..]) if arg.get_action().takes_values() => format!(" {name}"),
            Some(_) | None => String::new(),
        };
        let variable = arg.get_env().map(|name| code(&name.to_string_lossy())).unwrap_or_default();
        let key = file::key(arg).map(|key| code(&key)).unwrap_or_default();
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
    use clap::Args;

    use super::*;

    #[derive(Debug, Args)]
    struct Settings {
        /// The number of | worktrees.
        #[arg(long, env = "SPRINT_WARM", value_name = "N", default_value_t = 2)]
        warm: usize,
    }

    #[test]
    fn a_setting_is_a_row_and_has_its_default() {
        let table = table(&Settings::augment_args(Command::new("join")));
        let row = "| `--warm N` | `SPRINT_WARM` | `warm` | `2` | The number of \\| worktrees |";
        assert!(table.contains(row), "{table}");
        assert_eq!(crate::defaults::<Settings>().warm, 2);
    }
}
