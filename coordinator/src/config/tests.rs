use std::path::Path;
use std::time::Duration;

use sprint_telemetry::LogFormat;

use super::*;

fn load(file: Option<&str>, flags: &[&str]) -> Result<Config, String> {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("coordinator.toml");
    let mut args = vec!["coordinator".into(), SERVE.into()];
    if let Some(text) = file {
        std::fs::write(&path, text).expect("is written");
        args.extend(["--config".into(), path.into_os_string()]);
    }
    args.extend(flags.iter().map(OsString::from));
    let command = Command::new("coordinator").subcommand(Config::augment_args(Command::new(SERVE)));
    let matches = read(command, &args).map_err(|error| error.to_string())?;
    let serve = matches.subcommand_matches(SERVE).expect("it is typed");
    Ok(Config::from_arg_matches(serve).expect("has all settings"))
}

#[test]
fn plain_http_that_others_could_reach_is_refused() {
    let error = load(None, &["--http", "0.0.0.0:8080"]).expect_err("is refused");
    assert!(error.contains("--http") && error.contains("0.0.0.0:8080") && error.contains("127.0.0.1:8080"), "{error}");
    let error = load(Some("http = \"10.0.0.1:80\"\n"), &[]).expect_err("is refused");
    assert!(error.contains("coordinator.toml") && error.contains("127.0.0.1:80"), "{error}");
}

#[test]
fn a_password_on_the_command_line_is_refused_without_being_shown() {
    for url in ["postgres://sprint:hunter2@db/sprint", "postgres://db/sprint?user=a&password=hunter2"] {
        let error = load(None, &["--database-url", url]).expect_err("is refused");
        assert!(error.contains("SPRINT_DATABASE_URL") && !error.contains("hunter2"), "{error}");
        let config = load(Some(&format!("database_url = \"{url}\"\n")), &[]).expect("a file may hold it");
        assert_eq!(config.store.database_url.as_deref(), Some(url));
        let help = load(Some(&format!("database_url = \"{url}\"\n")), &["--help"]).expect_err("is the help");
        assert!(help.contains("--database-url") && !help.contains("hunter2"), "{help}");
    }
    assert!(load(None, &["--database-url", "postgres://sprint@db/sprint"]).is_ok());
}

#[test]
fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
    let file = "heartbeat = \"1s\"\ndisconnect_grace = \"2m\"\nmax_connections = 7\nadvertise = [\"a\", \"b\"]\n\
                log_format = \"json\"\n";
    let Config { fleet, limits, listen, log, .. } = load(Some(file), &["--heartbeat", "3s"]).expect("is read");
    assert_eq!((fleet.heartbeat, fleet.disconnect_grace), (Duration::from_secs(3), Duration::from_mins(2)));
    assert_eq!((limits.max_connections, limits.max_connections_per_address), (7, 1024));
    assert_eq!((listen.http.to_string().as_str(), listen.advertise), ("127.0.0.1:8080", vec!["a".into(), "b".into()]));
    assert_eq!(log.log_format, LogFormat::Json);
    assert_eq!(fleet.max_push_bytes(), 2 << 30);
}

#[test]
fn what_is_wrong_is_named() {
    for (file, flags, expected) in [
        (Some("hartbeat = \"1s\"\n"), &[][..], "there is no setting \"hartbeat\"; see: coordinator serve --help"),
        (Some("heartbeat = \"soon\"\n"), &[], "heartbeat: invalid value 'soon'"),
        (None, &["--heartbeat", "0s"], "it is zero"),
        (None, &["--otlp", "https://collector:4317"], "run a collector on this host"),
        (Some("otlp = \"localhost:4317\"\n"), &[], "http://HOST:PORT"),
        (None, &["--outpost-cert-ttl", "0s"], "it is zero"),
        (None, &["--tls-cert", "a"], "give both or none"),
        (None, &["--config", "/nowhere.toml"], "/nowhere.toml cannot be used"),
    ] {
        let error = load(file, flags).expect_err("is refused");
        assert!(error.contains(expected), "{error}");
    }
    assert!(load(Some("tls_cert = \"a\"\n"), &["--tls-key", "b"]).is_ok());
}

#[test]
fn another_command_finds_the_data_directory_of_the_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("coordinator.toml");
    std::fs::write(&file, "data_dir = \"/data\"\n").expect("is written");
    let place = Place { data_dir: None, config: Some(file) };
    assert_eq!(Config::of(&place).expect("is read").place.data_dir(), Path::new("/data"));
    let place = Place { data_dir: Some("/other".into()), ..place };
    assert_eq!(Config::of(&place).expect("is read").place.data_dir(), Path::new("/other"));
}

#[test]
fn every_setting_has_a_variable_and_a_help_text() {
    for arg in Config::augment_args(Command::new(SERVE)).get_arguments() {
        let flag = arg.get_long().expect("a setting is a flag");
        let variable = format!("SPRINT_{}", flag.replace('-', "_").to_uppercase());
        assert_eq!(arg.get_env().and_then(|name| name.to_str()), Some(variable.as_str()));
        assert!(arg.get_help().is_some(), "{flag} has no help");
    }
}
