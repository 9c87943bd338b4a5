//! The direction of dependencies that docs/internals/architecture.md draws, held by the sources themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

fn sources(directory: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).expect("a directory").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("text");
            found.push((path, text));
        }
    }
    found
}

/// The names in a crate's `[dependencies]`.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(root().join(manifest).join("Cargo.toml")).expect("a manifest");
    let section = text.split("[dependencies]").nth(1).expect("dependencies").split("\n[").next().expect("a section");
    section
        .lines()
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .filter(|name| !name.is_empty())
        .map(ToOwned::to_owned)
        .collect()
}

/// The lines of code below `directory` that name one of `forbidden`.
fn offences(directory: &str, forbidden: &[&str]) -> Vec<String> {
    let mut offences = Vec::new();
    let sources = sources(&root().join(directory));
    assert!(!sources.is_empty(), "{directory} holds no source");
    // Tests of a module may build what it works on.
    for (path, text) in sources.into_iter().filter(|(path, _)| !path.to_string_lossy().ends_with("_tests.rs")) {
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if forbidden.iter().any(|name| code.contains(name)) {
                offences.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
            }
        }
    }
    offences
}

#[test]
fn core_has_no_input_and_no_output() {
    // Proptest is optional: for the inputs that the fuzz targets of all crates share.
    let pure =
        ["globset", "humantime", "jsonc-parser", "minijinja", "proptest", "serde", "serde_json", "thiserror", "toml"]
            .map(ToOwned::to_owned);
    assert_eq!(dependencies("core"), BTreeSet::from(pure), "a new dependency of core must be pure; then name it here");
    let forbidden = ["std::fs", "std::net", "std::process", "std::env", "SystemTime::now", "Instant::now", "tokio::"];
    assert_eq!(offences("core/src", &forbidden), Vec::<String>::new());
    assert_eq!(offences("gate/src", &forbidden[..4]), Vec::<String>::new());
}

#[test]
fn crates_depend_inwards_only() {
    let ours = |manifest: &str| {
        let names = [
            "sprint-core",
            "sprint-proto",
            "sprint-identity",
            "sprint-failpoint",
            "sprint-gate",
            "sprint-process",
            "sprint-settings",
            "sprint-telemetry",
            "coordinator",
            "outpost-agent",
            "sprintctl",
        ];
        dependencies(manifest).into_iter().filter(|name| names.contains(&name.as_str())).collect::<Vec<_>>()
    };
    assert_eq!(ours("core"), Vec::<String>::new());
    assert_eq!(ours("proto"), ["sprint-core"]);
    assert_eq!(ours("identity"), ["sprint-core"]);
    assert_eq!(ours("failpoint"), Vec::<String>::new());
    assert_eq!(ours("sprintctl"), ["sprint-core", "sprint-identity", "sprint-proto"]);
    assert_eq!(ours("gate"), ["sprint-core"]);
    assert_eq!(ours("process"), ["sprint-core"]);
    assert_eq!(ours("settings"), Vec::<String>::new());
    assert_eq!(ours("telemetry"), Vec::<String>::new());
    let expected = [
        "sprint-core",
        "sprint-failpoint",
        "sprint-identity",
        "sprint-process",
        "sprint-proto",
        "sprint-settings",
        "sprint-telemetry",
    ];
    assert_eq!(ours("coordinator"), expected);
    let wanted = [
        "sprint-core",
        "sprint-failpoint",
        "sprint-gate",
        "sprint-identity",
        "sprint-process",
        "sprint-proto",
        "sprint-settings",
        "sprint-telemetry",
    ];
    assert_eq!(ours("outpost-agent"), wanted);
}

#[test]
fn the_coordinators_layers_call_downwards_only() {
    for (layer, forbidden) in [
        (
            "store",
            &["sprint_proto", "tonic", "axum", "git2", "crate::git", "crate::service", "crate::face", "crate::loops"][..],
        ),
        (
            "identity",
            &["sprint_proto", "tonic", "axum", "sqlx", "crate::store", "crate::git", "crate::service", "crate::face"],
        ),
        (
            "git",
            &["sprint_proto", "tonic", "axum", "sqlx", "crate::store", "crate::service", "crate::face", "crate::loops"],
        ),
        ("service", &["sprint_proto", "tonic", "axum", "sqlx", "git2", "crate::face", "crate::loops"]),
        ("face", &["sqlx", "git2", "crate::store", "crate::git", "crate::loops", "sprint.store", "sprint.git"]),
        ("loops", &["sprint_proto", "tonic", "axum", "sqlx", "git2", "crate::face", "sprint.store"]),
    ] {
        assert_eq!(offences(&format!("coordinator/src/{layer}"), forbidden), Vec::<String>::new(), "layer {layer}");
    }
}

#[test]
fn commands_are_worded_by_the_client_alone() {
    for directory in ["core/src", "coordinator/src/service", "coordinator/src/face"] {
        let found = offences(directory, &["sprintctl", "coordinator token", "token create --"]);
        assert_eq!(found, Vec::<String>::new(), "{directory}: name an Act instead; sprintctl words it");
    }
}

#[test]
fn messages_of_the_coordinator_name_no_flag_of_a_client() {
    let flag =
        |line: &str| line.split(" --").skip(1).any(|rest| rest.starts_with(|letter: char| letter.is_ascii_lowercase()));
    for directory in ["core/src", "coordinator/src/service", "coordinator/src/face"] {
        let found = offences(directory, &[" --", "\"--"]);
        // A resolver's prompt has a command line of git.
        let found = found.into_iter().filter(|line| flag(&line.replace('"', " ")) && !line.contains("merge --no-edit"));
        assert_eq!(found.collect::<Vec<_>>(), Vec::<String>::new(), "{directory}: say what to set in words");
    }
}

#[test]
fn only_the_store_speaks_sql() {
    let statements = ["select ", "insert into ", "update ", "delete from "];
    for (path, text) in sources(&root().join("coordinator/src")) {
        if path.starts_with(root().join("coordinator/src/store")) {
            continue;
        }
        for line in text.lines() {
            let found = statements.iter().any(|statement| line.contains(&format!("\"{statement}")));
            assert!(!found, "{}: {line}", path.display());
        }
    }
}

/// The variables that a source names, each as a literal of its own; texts that mention one do not count.
fn variables(text: &str) -> BTreeSet<String> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let quoted =
        code.lines().filter_map(|line| line.split("//").next()).flat_map(|line| line.split('"').skip(1).step_by(2));
    let is_variable = |text: &&str| {
        text.strip_prefix("SPRINT_")
            .is_some_and(|rest| rest.chars().all(|char| char.is_ascii_uppercase() || char == '_'))
    };
    quoted.filter(is_variable).map(ToOwned::to_owned).collect()
}

#[test]
fn every_variable_is_read_in_one_way() {
    let crates = [
        "coordinator",
        "outpost-agent",
        "sprintctl",
        "core",
        "identity",
        "failpoint",
        "gate",
        "process",
        "settings",
        "telemetry",
    ];
    let mut named = BTreeMap::<String, BTreeSet<String>>::new();
    for (path, text) in crates.iter().flat_map(|name| sources(&root().join(name).join("src"))) {
        let path = path.strip_prefix(root()).expect("it is below the root").display().to_string();
        if path.ends_with("tests.rs") {
            continue;
        }
        for variable in variables(&text) {
            named.entry(variable).or_default().insert(path.clone());
        }
    }
    assert!(named.len() > 40, "only {} variables were found", named.len());
    named.retain(|_, files| files.len() > 1);
    let several = |name: &str, files: [&str; 2]| (name.to_owned(), files.map(ToOwned::to_owned).into());
    let expected = BTreeMap::from([
        // The address of a coordinator's gRPC port, for both.
        several("SPRINT_COORDINATOR", ["outpost-agent/src/settings.rs", "sprintctl/src/cli.rs"]),
        // A person's token; the agent reads it as its own in this release only, with a warning.
        several("SPRINT_TOKEN", ["outpost-agent/src/settings.rs", "sprintctl/src/secret.rs"]),
    ]);
    assert_eq!(named, expected, "a variable has one meaning, and is declared where that is");
}
