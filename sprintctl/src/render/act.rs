//! What to do next, as scripts see it.

use serde::Serialize;
use sprint_core::act::Act;
pub(crate) use sprint_proto::advice::advice;
use sprint_proto::advice::command;

/// An act as scripts see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ActView {
    kind: &'static str,
    target: Option<String>,
    command: String,
}

impl From<&Act> for ActView {
    fn from(act: &Act) -> Self {
        Self { kind: act.word(), target: act.target(), command: command(act) }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;
    use sprint_core::act::samples;

    use super::*;

    #[test]
    fn every_act_is_advised_with_its_command() {
        insta::assert_snapshot!(crate::render::lines(samples().iter().map(advice)));
    }

    #[test]
    fn every_command_of_an_act_parses() {
        for act in samples() {
            let line =
                command(&act).replace("HOST:PORT", "localhost:1").replace("NAME", "name").replace("CHOICE", "follow");
            if !line.starts_with("sprintctl") {
                continue;
            }
            let parsed = crate::cli::Cli::command().try_get_matches_from(line.split_whitespace());
            assert!(parsed.is_ok(), "{line}: {}", parsed.err().map(|error| error.to_string()).unwrap_or_default());
        }
    }
}
