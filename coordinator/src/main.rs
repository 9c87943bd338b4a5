//! The coordinator's command line.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use coordinator::app::App;
use coordinator::command::backup::{self, BackupArgs, RestoreArgs};
use coordinator::command::check::{self, CheckArgs};
use coordinator::command::token::{self, TokenCommand};
use coordinator::config::{self, Config};
use coordinator::service::fleet::prompts;
use sprint_telemetry::Telemetry;
use tokio::signal::unix::{SignalKind, signal};

/// The time that a stop gives to the last spans.
const SPANS_LIMIT: Duration = Duration::from_secs(1);

/// Owns the work queue, the merge queue and the record of a fleet of coding agents.
#[derive(Parser)]
#[command(name = "coordinator", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
#[expect(clippy::doc_markdown, reason = "these texts are the help that people read")]
enum Command {
    /// Runs the coordinator until SIGTERM or SIGINT.
    ///
    /// Each flag is also an environment variable and a key of the configuration file (data_dir, listen, …). A flag
    /// takes precedence over its variable, a variable over the file, the file over the default. The variable
    /// RUST_LOG sets the log level (default: info).
    Serve(Box<Config>),
    /// Prints the reference table of the settings, in Markdown.
    #[command(hide = true)]
    Config {
        #[arg(long, required = true)]
        reference: bool,
    },
    /// Writes the man pages into a directory, which is created if it is missing.
    #[command(hide = true)]
    Man { directory: PathBuf },
    /// Creates, lists and revokes the tokens with which outposts join and people log in.
    ///
    /// It works on the data directory, through the coordinator while that runs. On other machines use
    /// sprintctl token.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Checks the whole record, and that each landed commit is in its branch; exits with 1 when a check fails.
    ///
    /// It works while the coordinator runs, too.
    Check(CheckArgs),
    /// Writes the record, the repositories, the logs and the keys into one file.
    ///
    /// It works while the coordinator runs, too; the file has the state of one moment.
    Backup(BackupArgs),
    /// Fills an empty data directory from a backup.
    Restore(RestoreArgs),
}

fn main() -> ExitCode {
    let args = std::env::args_os().collect::<Vec<_>>();
    // No person types it.
    if args.get(1).is_some_and(|word| word == prompts::COMMAND) {
        return prompts::fill_from_stdin();
    }
    sprint_identity::init();
    let matches = config::read(Cli::command(), &args).unwrap_or_else(|error| error.exit());
    match Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit()).command {
        Command::Serve(config) => finish(run(&config)),
        Command::Config { reference: _ } => {
            print!("{}", config::program(Cli::command()).reference());
            ExitCode::SUCCESS
        }
        Command::Man { directory } => {
            let pages = config::program(Cli::command()).man(&directory);
            let context = || format!("the man pages cannot be written to {}", directory.display());
            finish(async { pages.with_context(context) })
        }
        Command::Token(command) => finish(token::run(command)),
        Command::Check(args) => finish(check::run(args)),
        Command::Backup(args) => finish(backup::write(args)),
        Command::Restore(args) => finish(backup::read(args)),
    }
}

/// Runs to the end, and says what went wrong.
fn finish(command: impl Future<Output = anyhow::Result<()>>) -> ExitCode {
    let ran = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(command));
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Lets this process have as many open files as it may: each connection is one.
fn raise_file_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, most)| setrlimit(Resource::RLIMIT_NOFILE, most, most).map(|()| most));
    match raised {
        Ok(most) => tracing::debug!(most, "open files"),
        Err(error) => {
            tracing::warn!(%error, "the number of open files cannot be raised; there may be fewer connections");
        }
    }
}

async fn run(config: &Config) -> anyhow::Result<()> {
    let telemetry = Telemetry::start("coordinator", config.log.log_format, config.log.otlp.as_ref())?;
    let ended = serve(config).await;
    telemetry.finish(SPANS_LIMIT).await;
    ended
}

async fn serve(config: &Config) -> anyhow::Result<()> {
    raise_file_limit();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let app = App::start(config).await?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("shutting down; workers go on at their outposts");
    app.shut_down().await;
    Ok(())
}
