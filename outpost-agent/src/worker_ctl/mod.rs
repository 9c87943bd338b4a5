//! The `sprintctl` of a worker: this program under that name. It speaks to the worker's own socket, and to nothing
//! else.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand, ValueEnum};
use serde_json::{Value, json};
use sprint_core::item::{ItemKind, Priority};

mod ask;
mod mcp;

pub(crate) use ask::SOCKET;
use ask::answer;

/// The name under which this program is a worker's.
pub(crate) const NAME: &str = "sprintctl";

const CAN: &str = "\
A worker can:
  sprintctl item show                            show its item, and where its prompt is
  sprintctl item feedback                        show what was said of earlier attempts
  sprintctl item file TITLE                      file other work that it has found
  sprintctl item resolve --nothing-to-do \"why\"   say that there is nothing to do, and why; then exit with 0
  sprintctl progress TEXT                        say how far it is
  sprintctl handoff --completed TEXT …           write down what the next attempt should know
  sprintctl mcp                                  offer all of this as tools, over the Model Context Protocol";

/// What a worker asks of Sprint, over its own socket.
#[derive(Debug, Parser)]
#[command(name = NAME, version, disable_help_subcommand = true, after_help = CAN)]
struct Ctl {
    /// A text for people, or JSON for scripts
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Table)]
    output: Format,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The item that this worker is on
    #[command(subcommand)]
    Item(ItemCommand),
    /// Say how far this worker is
    Progress {
        /// In a line or two
        #[arg(required = true)]
        text: Vec<String>,
    },
    /// Write down what the next attempt should know; the newest counts
    Handoff(HandoffArgs),
    /// Offer all of this as tools on standard input and output, over the Model Context Protocol
    Mcp,
}

#[derive(Debug, Subcommand)]
enum ItemCommand {
    /// Show it, and where its prompt is
    Show,
    /// Show what was said of earlier attempts
    Feedback,
    /// File other work that this worker has found
    File(FileArgs),
    /// Say that no commit is needed
    Resolve(ResolveArgs),
}

#[derive(Debug, Args)]
struct FileArgs {
    /// What is to be done, in a line
    title: String,
    /// All that somebody needs to know who does it
    #[arg(long, default_value = "", hide_default_value = true)]
    description: String,
    /// feature, convoy, task, bug or chore
    #[arg(long, default_value_t = ItemKind::Task)]
    kind: ItemKind,
    /// low, medium, high or urgent
    #[arg(long, default_value_t = Priority::Medium)]
    priority: Priority,
    /// An acceptance criterion; repeatable
    #[arg(long, value_name = "CRITERION")]
    accept: Vec<String>,
    /// An item that must be done before it; repeatable
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    needs: Vec<u64>,
    /// The feature that it is a part of
    #[arg(long, value_name = "ID")]
    parent: Option<u64>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct HandoffArgs {
    /// What is done; repeatable
    #[arg(long, value_name = "TEXT")]
    completed: Vec<String>,
    /// A file that was changed, and what for; repeatable
    #[arg(long = "file", value_name = "TEXT")]
    files_changed: Vec<String>,
    /// What was decided, and why; repeatable
    #[arg(long = "decision", value_name = "TEXT")]
    decisions: Vec<String>,
    /// What is left to do, or in doubt; repeatable
    #[arg(long = "open", value_name = "TEXT")]
    open_issues: Vec<String>,
    /// Which tests pass, and which do not
    #[arg(long = "tests", value_name = "TEXT")]
    test_status: Option<String>,
}

#[derive(Debug, Args)]
struct ResolveArgs {
    /// Why there is nothing to do
    #[arg(long, value_name = "WHY", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    nothing_to_do: String,
}

/// Whether this program was called as a worker's `sprintctl`.
pub(crate) fn is_meant(program: Option<&OsStr>) -> bool {
    program.and_then(|program| Path::new(program).file_name()).is_some_and(|name| name == NAME)
}

/// Carries out what the arguments say, the program's name first.
pub(crate) fn run(args: impl Iterator<Item = OsString>) -> ExitCode {
    let ctl = match Ctl::try_parse_from(args) {
        Ok(ctl) => ctl,
        Err(error) if !error.use_stderr() && error.kind() != ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            error.print().ok();
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            let text = error.to_string();
            let is_bare = error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
            let said = text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ").replace("\n ", "");
            let what = if is_bare { "a command is missing".to_owned() } else { said };
            eprintln!("error: {what}; this is a worker's sprintctl, which speaks to its outpost only\n{CAN}");
            return ExitCode::from(2);
        }
    };
    let done = match request(ctl.command) {
        Some(request) => answer(&request).map(|answer| println!("{}", shown(&answer, ctl.output))),
        None => mcp::serve(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}

/// What a command asks of the outpost; none for one that goes on asking.
fn request(command: Command) -> Option<Value> {
    Some(match command {
        Command::Item(ItemCommand::Show) => json!({ "op": "show" }),
        Command::Item(ItemCommand::Feedback) => json!({ "op": "feedback" }),
        Command::Item(ItemCommand::Resolve(ResolveArgs { nothing_to_do })) => {
            json!({ "op": "resolve", "resolution": "nothing_to_do", "reason": nothing_to_do })
        }
        Command::Item(ItemCommand::File(args)) => {
            let FileArgs { title, description, kind, priority, accept, needs, parent } = args;
            json!({
                "op": "file", "title": title, "description": description, "kind": kind, "priority": priority,
                "acceptance": accept, "needs": needs, "parent": parent,
            })
        }
        Command::Progress { text } => json!({ "op": "progress", "text": text.join(" ") }),
        Command::Handoff(HandoffArgs { completed, files_changed, decisions, open_issues, test_status }) => json!({
            "op": "hand_off", "completed": completed, "files_changed": files_changed, "decisions": decisions,
            "open_issues": open_issues, "test_status": test_status.unwrap_or_default(),
        }),
        Command::Mcp => return None,
    })
}

fn shown(answer: &Value, format: Format) -> String {
    if format == Format::Json {
        return format!("{answer:#}");
    }
    let Some(fields) = answer.as_object() else { return answer.to_string() };
    // Texts of many lines are read where they are.
    let fields = || fields.iter().filter(|(key, value)| !value.is_null() && *key != "task");
    let width = fields().map(|(key, _)| key.len()).max().unwrap_or_default();
    let words = |text: &Value| text.as_str().map_or_else(|| text.to_string(), str::to_owned);
    let text = |value: &Value| match value.as_array() {
        Some(several) => several.iter().map(words).collect::<Vec<_>>().join("\n"),
        None => words(value),
    };
    let lines = fields();
    lines.map(|(key, value)| format!("{key:width$}  {}", text(value))).collect::<Vec<_>>().join("\n")
}
