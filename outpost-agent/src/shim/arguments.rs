//! The arguments of a command. The kernel takes 128 KiB in one of them; what is longer goes by a file.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;

use sprint_core::runtime::PromptDelivery;

use super::plan::PlanStep;

/// `MAX_ARG_STRLEN`, with the NUL at its end.
const LONGEST: usize = 128 << 10;

/// The program and its arguments, with the prompt where that is one.
///
/// # Errors
/// Those of the files; an argument that is too long and is no command line of a shell.
pub(super) fn of(step: &PlanStep, prompt_file: &Path) -> io::Result<Vec<OsString>> {
    let mut arguments: Vec<OsString> = step.argv.iter().map(OsString::from).collect();
    if let [shell, flag, line] = step.argv.as_slice()
        && flag == "-c"
        && line.len() >= LONGEST
    {
        // One at a time: a step begins when the one before it has ended.
        let script = prompt_file.with_file_name("command");
        fs::write(&script, line)?;
        arguments = vec![shell.into(), script.into()];
    }
    if step.prompt == PromptDelivery::Argument {
        let mut prompt = fs::read(prompt_file)?;
        // An argument ends at a NUL.
        prompt.retain(|byte| *byte != 0);
        arguments.push(if prompt.len() < LONGEST {
            OsString::from_vec(prompt)
        } else {
            format!("Your task is in the file {}: read all of it, and do what it says.", prompt_file.display()).into()
        });
    }
    match arguments.iter().find(|argument| argument.len() >= LONGEST) {
        None => Ok(arguments),
        Some(argument) => Err(io::Error::new(
            io::ErrorKind::ArgumentListTooLong,
            format!(
                "an argument has {} bytes, and Linux takes {LONGEST}; have the runtime read {{{{ prompt_file }}}}",
                argument.len()
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn step(argv: &[&str], prompt: PromptDelivery) -> PlanStep {
        PlanStep {
            name: "developer".to_owned(),
            argv: argv.iter().map(|word| (*word).to_owned()).collect(),
            env: BTreeMap::new(),
            prompt,
            success_codes: vec![0],
            timeout_ms: 1,
            gate: None,
            unattended: false,
            agent: None,
        }
    }

    #[test]
    fn what_is_too_long_for_an_argument_goes_by_a_file() {
        let dir = tempfile::tempdir().expect("a directory");
        let prompt = dir.path().join("prompt.md");
        let long = "x".repeat(LONGEST);
        fs::write(&prompt, &long).expect("is written");
        let of = |argv: &[&str], how| of(&step(argv, how), &prompt);
        let short = of(&["sh", "-c", "true"], PromptDelivery::File).expect("is short");
        assert_eq!(short, ["sh", "-c", "true"]);
        let line = of(&["sh", "-c", &long], PromptDelivery::File).expect("is a command line");
        assert_eq!(fs::read_to_string(&line[1]).expect("is written"), long);
        let argument = of(&["agent"], PromptDelivery::Argument).expect("goes by a file");
        assert!(argument[1].to_string_lossy().contains("prompt.md"), "{argument:?}");
        let error = of(&["agent", &long], PromptDelivery::File).expect_err("is too long");
        assert!(error.to_string().contains("131072"), "{error}");
        fs::write(&prompt, "a\0b").expect("is written");
        assert_eq!(of(&["agent"], PromptDelivery::Argument).expect("is short")[1], "ab");
    }
}
