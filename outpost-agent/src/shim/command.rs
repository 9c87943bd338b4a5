//! The command of a step, and the process that it becomes.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::process::{Command, Stdio};

use nix::unistd::Pid;
use sprint_core::runtime::PromptDelivery;
use sprint_core::secret::{SecretForm, SecretText};

use super::arguments;
use super::channel;
use super::plan::{Plan, PlanStep};
use crate::host::paths::WorkerDir;

/// A command's process, and what keeps all in its process namespace alive.
pub(super) struct Main {
    pub(super) pid: Pid,
    pub(super) life: io::PipeWriter,
}

/// Why there is no process.
#[derive(Debug)]
pub(super) enum NotSpawned {
    /// The command's own fault.
    Command(io::Error),
    /// The outpost's.
    Unconfined(String),
}

impl From<io::Error> for NotSpawned {
    fn from(error: io::Error) -> Self {
        Self::Command(error)
    }
}

/// The command of a step, as the plan has it.
///
/// # Errors
/// Those of its files; [`io::ErrorKind::NotFound`] when it is empty.
pub(super) fn command_of(plan: &Plan, step: &PlanStep) -> io::Result<Command> {
    let arguments = arguments::of(step, &plan.prompt_file)?;
    let Some((program, arguments)) = arguments.split_first() else {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the command is empty"));
    };
    let mut command = Command::new(program);
    command.args(arguments).current_dir(&plan.workspace).env_clear().envs(&plan.env).envs(&step.env);
    command.envs(secrets_of(plan)?);
    if let Some(term) = std::env::var_os("TERM") {
        command.env("TERM", term);
    }
    match step.prompt {
        PromptDelivery::File | PromptDelivery::Argument if step.unattended => {
            command.stdin(Stdio::null());
        }
        PromptDelivery::File | PromptDelivery::Argument => {}
        PromptDelivery::Stdin => {
            command.stdin(Stdio::from(File::open(&plan.prompt_file)?));
        }
    }
    if let Some(agent) = &step.agent {
        channel::prepare(&mut command, agent);
    }
    Ok(command)
}

/// The variables of the worker's secrets: the texts, or where their files are.
fn secrets_of(plan: &Plan) -> io::Result<Vec<(String, OsString)>> {
    let Some(path) = &plan.secrets else { return Ok(vec![]) };
    let secrets: Vec<SecretText> = serde_json::from_slice(&fs::read(path)?)?;
    let files = path.parent().map(|dir| WorkerDir::new(dir.to_owned()).secret_files()).unwrap_or_default();
    let variable = |SecretText { name, form, text }: SecretText| {
        let value = match form {
            SecretForm::Env => text.into(),
            SecretForm::File => files.join(name.as_str()).into(),
        };
        (name.into(), value)
    };
    Ok(secrets.into_iter().map(variable).collect())
}
