use std::path::PathBuf;
use std::time::Duration;

use sprint_core::assignment::{PromptDelivery, Runtime};

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
    let plan =
        plan_step(&step(&["agent", "--file={{ prompt_file }}", "{{ run }}"], "echo '{{ x }}' & \"é\"\n"), None, &dir);
    assert_eq!(
        plan.expect("is filled in").argv,
        ["agent", "--file=/w/1/context/prompt.md", "echo '{{ x }}' & \"é\"\n"]
    );
}

#[test]
fn a_misspelt_value_is_an_error_that_names_it() {
    let dir = WorkerDir::new(PathBuf::from("/w/1"));
    let error = plan_step(&step(&["{{ rum }}"], "x"), None, &dir).expect_err("is refused");
    assert!(error.to_string().contains("{{ rum }}"), "{error}");
}
