//! The `sprintctl` of a worker: this program under that name. It speaks to the worker's own socket, and to nothing
//! else.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand, ValueEnum};
use serde_json::{Value, json};

/// The name under which this program is a worker's.
pub(crate) const NAME: &str = "sprintctl";
/// Where its socket is.
pub(crate) const SOCKET: &str = "SPRINT_SOCKET";
/// How long the agent may take to answer.
const LIMIT: Duration = Duration::from_secs(30);

const CAN: &str = "\
A worker can:
  sprintctl item show                            show its item, and where its prompt is
  sprintctl item resolve --nothing-to-do \"why\"   say that there is nothing to do, and why; then exit with 0";

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
}

#[derive(Debug, Subcommand)]
enum ItemCommand {
    /// Show it, and where its prompt is
    Show,
    /// Say that no commit is needed
    Resolve(ResolveArgs),
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
    match answer(&ctl.command) {
        Ok(answer) => {
            println!("{}", shown(&answer, ctl.output));
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}

fn answer(command: &Command) -> Result<Value, String> {
    let request = match command {
        Command::Item(ItemCommand::Show) => json!({ "op": "show" }),
        Command::Item(ItemCommand::Resolve(ResolveArgs { nothing_to_do })) => {
            json!({ "op": "resolve", "resolution": "nothing_to_do", "reason": nothing_to_do })
        }
    };
    let socket = std::env::var_os(SOCKET).map(PathBuf::from).ok_or_else(|| {
        format!(
            "{SOCKET} is not set: this sprintctl works within a worker only, and its runtime must keep that variable"
        )
    })?;
    let asked = ask(&socket, &request)
        .map_err(|error| format!("the outpost does not answer at {}: {error}", socket.display()))?;
    match asked.get("error").and_then(Value::as_str) {
        Some(why) => Err(why.to_owned()),
        None => Ok(asked),
    }
}

fn ask(socket: &Path, request: &Value) -> std::io::Result<Value> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.write_all(format!("{request}\n").as_bytes())?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    Ok(serde_json::from_str(&line)?)
}

fn shown(answer: &Value, format: Format) -> String {
    if format == Format::Json {
        return format!("{answer:#}");
    }
    let Some(fields) = answer.as_object() else { return answer.to_string() };
    let width = fields.keys().map(String::len).max().unwrap_or_default();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let lines = fields.iter().filter(|(_, value)| !value.is_null());
    lines.map(|(key, value)| format!("{key:width$}  {}", text(value))).collect::<Vec<_>>().join("\n")
}
