use clap::{Command, CommandFactory, Parser};

use crate::cli::Cli;

#[test]
fn the_definition_of_the_command_line_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_explains_itself() {
    let mut text = String::new();
    help(Cli::command().term_width(100), "", &mut text);
    insta::assert_snapshot!(text);
}

fn help(mut command: Command, parent: &str, text: &mut String) {
    let path = format!("{parent} {}", command.get_name()).trim().to_owned();
    command.build();
    let short = command.render_help().to_string();
    text.extend(["$ ", &path, " -h\n", short.trim_end(), "\n\n"]);
    for inner in command.get_subcommands() {
        help(inner.clone(), &path, text);
    }
}

#[test]
fn every_command_and_flag_has_a_word_of_help() {
    fn check(command: &Command, path: &str) {
        assert!(command.get_about().is_some(), "{path} has no help");
        for arg in command.get_arguments() {
            assert!(arg.get_help().is_some(), "{path} {} has no help", arg.get_id());
        }
        for inner in command.get_subcommands() {
            check(inner, &format!("{path} {}", inner.get_name()));
        }
    }
    let mut command = Cli::command();
    command.build();
    check(&command, "sprintctl");
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_asked() {
    for line in [
        "item add",
        "item add x",
        "item add -f a.jsonl x",
        "item add -f a.jsonl --priority high",
        "item add --repo web x --stage done",
        "item add --repo Web x",
        "item add --repo web x --require os",
        "item list --stage nowhere",
        "item edit 1 --needs 2 --no-needs",
        "item show 0",
        "repo add web",
        "repo add web url --limit cook=3",
        "repo set web --gate a=b --no-gates",
        "worker logs 1 --since soon",
        "wait",
        "wait 1 --for nowhere",
        "--coordinator nowhere status",
        "--context A status",
        "token create",
        "token create --kind worker",
        "token create --kind outpost --uses 0",
        "token create --kind viewer --name Ann",
        "token revoke",
        "context use",
        "audit --since soon",
    ] {
        let parsed = Cli::try_parse_from(format!("sprintctl {line}").split(' '));
        let error = parsed.expect_err(&format!("`{line}` must be refused"));
        assert_eq!(error.exit_code(), 2, "{line}: {error}");
    }
}

#[test]
fn what_people_type_is_understood() {
    for line in [
        "item add --repo web x --kind bug --priority urgent --label a --label b --require os=linux --needs 1,#2",
        "item add -f - --repo web -o json",
        "repo add web ../web --run ./agent --role-run tester=./check --limit developer=3 --gate test=./test.sh",
        "repo set web --halt later",
        "worker logs -f --offset 10 3",
        "event tail -f --since 0 --item 3 -o json",
        "wait 1 2 --for merging --timeout 1m30s",
        "token create --kind outpost --ttl 1h --uses 3 --name-prefix gpu- -o json",
        "login --coordinator host:1 --token - --name work",
        "logout",
        "--context work whoami",
        "audit -f --since 0 --refused -o json",
        "completions bash",
        "man /tmp/x",
    ] {
        let parsed = Cli::try_parse_from(format!("sprintctl {line}").split(' '));
        assert!(parsed.is_ok(), "{line}: {}", parsed.err().map(|error| error.to_string()).unwrap_or_default());
    }
}
