//! Programs that bring a sandbox of their own. It does not start within a worker's confinement, which lets nobody mount
//! anything or have another's user numbers; so what they say is answered with how to switch it off.
//! `docs/reference/worker.md` has the same table, measured.

/// What is said, by whom, and what to do.
struct Said {
    phrases: &'static [&'static str],
    program: &'static str,
    advice: &'static str,
}

const SAID: &[Said] = &[
    Said {
        phrases: &["No usable sandbox!", "Running as root without --no-sandbox", "Failed to move to new namespace"],
        program: "Chromium",
        advice: "start it with --no-sandbox",
    },
    Said {
        phrases: &["Sandbox: writing /proc/self/uid_map"],
        program: "Firefox",
        advice: "set MOZ_DISABLE_CONTENT_SANDBOX=1 and its kin",
    },
    Said {
        phrases: &[
            "bwrap: setting up uid map",
            "bwrap: Creating new namespace failed",
            "bwrap: No permissions to creat",
        ],
        program: "bubblewrap",
        advice: "switch off the sandbox of the program that uses it (codex: --dangerously-bypass-approvals-and-sandbox)",
    },
    Said {
        phrases: &[
            "rootless mode with multiple IDs",
            "newuidmap",
            "runtime static files directory",
            "cannot re-exec process",
        ],
        program: "a rootless container",
        advice: "use an outpost with --sandbox off on a machine of its own",
    },
    Said {
        phrases: &["cannot open /proc/self/uid_map", "unshare failed: Operation not permitted"],
        program: "a user namespace",
        advice: "do without it, or use an outpost with --sandbox off on a machine of its own",
    },
];

/// What to say of the end of a terminal on which such a program has failed.
pub(super) fn explain(terminal: &str) -> Option<String> {
    let said = SAID.iter().find(|said| said.phrases.iter().any(|phrase| terminal.contains(phrase)))?;
    Some(format!("{} does not start within a worker's confinement: {}", said.program, said.advice))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_such_programs_say_is_answered_and_the_reference_names_it() {
        let reference = include_str!("../../../docs/reference/worker.md");
        for Said { phrases, program, advice: _ } in SAID {
            assert!(reference.contains(program), "{program} is not in the reference");
            for phrase in *phrases {
                let line = format!("some words\n[1:2/x.cc] {phrase} and more\n");
                assert!(explain(&line).expect("is answered").starts_with(program), "{phrase}");
                assert!(reference.contains(phrase), "{phrase} is not in the reference");
            }
        }
        assert_eq!(explain("a test of the sandbox failed\n"), None);
    }
}
