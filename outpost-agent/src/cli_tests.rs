use super::*;

fn load(file: Option<&str>, flags: &[&str]) -> Result<JoinSettings, String> {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("outpost.toml");
    let mut args: Vec<OsString> = ["outpost-agent", "join"].map(OsString::from).into();
    if let Some(text) = file {
        std::fs::write(&path, text).expect("is written");
        args.extend(["--config".into(), path.into_os_string()]);
    }
    args.extend(flags.iter().map(OsString::from));
    match Cli::load_from(&args).map_err(|error| error.to_string())?.command {
        Command::Join(settings) => Ok(*settings),
        Command::Check(_)
        | Command::Config { .. }
        | Command::Man { .. }
        | Command::Exec { .. }
        | Command::Warm { .. }
        | Command::Within { .. } => Err("another command".to_owned()),
    }
}

#[test]
fn the_command_line_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
    let file = "coordinator = \"build:50051\"\nwarm = 5\nmax_disk = \"20GiB\"\nsandbox = \"off\"\ndrain = true\n\
                label = { gpu = \"yes\" }\nallow_read = [\"/a\", \"/b\"]\n";
    let settings = load(Some(file), &["--warm", "7"]).expect("is read");
    assert_eq!((settings.coordinator.as_str(), settings.warm, settings.max_disk), ("build:50051", 7, Some(20 << 30)));
    assert_eq!((settings.log_limit, settings.drain, settings.max_workers), (1 << 30, true, None));
    assert_eq!(settings.labels, [("gpu".to_owned(), "yes".to_owned())]);
    assert_eq!(settings.sandbox.mode, crate::settings::SandboxMode::Off);
    assert_eq!(settings.sandbox.allow_read, [PathBuf::from("/a"), PathBuf::from("/b")]);
    let settings = load(Some(file), &["--label", "os=linux"]).expect("is read");
    assert_eq!(settings.labels, [("os".to_owned(), "linux".to_owned())], "a flag replaces the list of the file");
}

#[test]
fn check_reads_what_concerns_it_of_the_same_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("outpost.toml");
    std::fs::write(&path, "coordinator = \"build:50051\"\nallow_read = [\"/a\"]\nsandbox = \"require\"\n")
        .expect("is written");
    let args = ["outpost-agent", "check", "--config"].map(OsString::from);
    let load = |more: &[&str]| {
        let args: Vec<_> = args
            .iter()
            .cloned()
            .chain([path.clone().into_os_string()])
            .chain(more.iter().map(OsString::from))
            .collect();
        Cli::load_from(&args)
    };
    let Command::Check(settings) = load(&["--run", "true"]).expect("is read").command else { panic!("is a check") };
    assert_eq!(settings.run.as_deref(), Some("true"));
    assert_eq!(settings.sandbox.mode, crate::settings::SandboxMode::Require);
    assert_eq!(settings.sandbox.allow_read, [PathBuf::from("/a")]);
    std::fs::write(&path, "alow_read = []\n").expect("is written");
    assert!(load(&[]).expect_err("is refused").to_string().contains("there is no setting \"alow_read\""));
}

#[test]
fn a_token_file_in_the_file_does_not_conflict_with_a_token() {
    let file = "coordinator = \"a:1\"\ntoken_file = \"/t\"\n";
    assert_eq!(load(Some(file), &["--token", "x"]).expect("is read").token.as_deref(), Some("x"));
}

#[test]
fn what_is_wrong_in_the_file_is_named_with_it() {
    for (file, expected) in [
        ("wram = 3", "there is no setting \"wram\"; see: outpost-agent join --help"),
        ("config = \"x\"", "there is no setting \"config\""),
        ("token = \"x\"", "there is no setting \"token\""),
        ("warm = \"many\"", "warm: invalid value 'many'"),
        ("warm = 1.5", "warm has a value of the wrong type"),
        ("drain = \"perhaps\"", "drain: invalid value 'perhaps'"),
        ("warm = ", "cannot be used"),
    ] {
        let error = load(Some(file), &["--coordinator", "a:1"]).expect_err("is refused");
        assert!(error.contains("outpost.toml") && error.contains(expected), "{file}: {error}");
    }
    let error = load(None, &["--coordinator", "a:1", "--config", "/nowhere.toml"]).expect_err("is refused");
    assert!(error.contains("/nowhere.toml cannot be used"), "{error}");
    let error = load(Some("warm = 3"), &[]).expect_err("is refused");
    assert!(error.contains("--coordinator"), "{error}");
}

#[test]
fn every_setting_has_a_row_a_variable_and_a_help_text() {
    let (program, table) = (Cli::program(), Cli::program().reference());
    let join = program.command.find_subcommand("join").expect("is a command");
    for arg in join.get_arguments() {
        let flag = arg.get_long().expect("a setting is a flag");
        assert!(table.contains(&format!("| `--{flag}")), "{flag} has no row");
        assert!(arg.get_env().is_some(), "{flag} has no variable");
        assert!(arg.get_help().is_some(), "{flag} has no help");
    }
    let row = "| `--warm N` | `SPRINT_OUTPOST_WARM` | `warm` | `2` | The number of worktrees kept ready for each repo";
    assert!(table.contains(row), "{table}");
}

#[test]
fn man_pages_are_written_for_the_program_and_for_join() {
    let dir = tempfile::tempdir().expect("a directory");
    Cli::program().man(dir.path()).expect("is written");
    let page = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap_or_default();
    assert!(page("outpost-agent.1").contains("join"), "the program");
    assert!(page("outpost-agent-join.1").contains("max\\-workers"), "the command");
    assert_eq!(page("outpost-agent-exec.1"), "", "an internal command has no page");
}
