use std::path::PathBuf;
use std::time::Duration;

use sprint_core::recipe::{Cache, Recipe};
use sprint_core::runtime::{PromptDelivery, Runtime};

use super::*;

fn step(command: &[&str], run: &str) -> Command {
    let command = command.iter().map(|word| (*word).to_owned()).collect();
    Command {
        name: "developer".to_owned(),
        runtime: Runtime { command, prompt: PromptDelivery::File, ..Runtime::shell() },
        run: run.to_owned(),
        timeout: Duration::from_secs(1),
    }
}

#[test]
fn a_runtimes_command_is_filled_in_and_its_values_are_not_templates() {
    let dir = WorkerDir::new(PathBuf::from("/w/1"));
    let plan = plan_step(
        &step(&["agent", "--file={{ prompt_file }}", "{{ run }}"], "echo '{{ x }}' & \"é\"\n"),
        None,
        &dir,
        &Task::default(),
    );
    assert_eq!(
        plan.expect("is filled in").argv,
        ["agent", "--file=/w/1/context/prompt.md", "echo '{{ x }}' & \"é\"\n"]
    );
}

/// The page for those who write agents and gates lists exactly what they get.
#[test]
fn the_reference_names_each_variable_and_who_gets_it() {
    let page = include_str!("../../../docs/reference/worker.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let rows = rows.filter(|(name, _)| !name.starts_with(['$', '/']));
    let listed: Vec<(&str, &str)> = rows.filter_map(|(name, rest)| Some((name, rest.split(" | ").next()?))).collect();
    let dir = WorkerDir::new(PathBuf::from("/w/1"));
    let cache = vec![Cache { path: "node_modules".to_owned(), key: vec!["package-lock.json".to_owned()] }];
    let recipe = Recipe { setup: "npm ci".to_owned(), cache, ..Recipe::default() };
    let place = Place { ports: Some(20_000..=20_009), ..Place::default() };
    let attempt = Assignment {
        feedback: vec!["it failed".to_owned()],
        recipe,
        ..sprint_core::fixtures::assignment(1, 1, "true")
    };
    let job = Job::Gate(GateJob { trial: sprint_core::ids::TrialId::new(4), gate: "unit".to_owned() });
    let gate = Assignment { job, ..attempt.clone() };
    for (who, assignment) in [("attempt", attempt), ("gate", gate)] {
        let given = variables(&assignment, &Progress::default(), &dir, &place);
        let plain: Vec<_> = environment::plain().into_iter().map(|(name, _)| name).collect();
        let given = given.keys().map(String::as_str).filter(|name| !plain.contains(name)).collect::<Vec<_>>();
        let expected = listed.iter().filter(|(_, whom)| *whom == "all" || *whom == who).map(|(name, _)| *name);
        let mut expected: Vec<_> = expected.collect();
        expected.sort_unstable();
        assert_eq!(given, expected, "{who}");
    }
}

#[test]
fn a_misspelt_value_is_an_error_that_names_it() {
    let dir = WorkerDir::new(PathBuf::from("/w/1"));
    let error = plan_step(&step(&["{{ rum }}"], "x"), None, &dir, &Task::default()).expect_err("is refused");
    assert!(error.to_string().contains("{{ rum }}"), "{error}");
}
