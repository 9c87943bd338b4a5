use std::collections::BTreeMap;

use super::*;

fn read(files: &[(&'static str, &str)]) -> Recipe {
    let files: BTreeMap<_, _> = files.iter().map(|(name, text)| (*name, text.as_bytes().to_vec())).collect();
    foreign(&files)
}

#[test]
fn what_other_programs_say_is_read() {
    let conductor = r#"{"scripts": {"setup": "npm ci", "run": "npm start", "archive": "docker compose down"}}"#;
    let found = read(&[("conductor.json", conductor), (".worktreeinclude", "# secrets\n.env\n\n!.env.test\r\n")]);
    assert_eq!(found.notes, Vec::<String>::new());
    let Recipe { setup, teardown, bring, variables, .. } = found;
    assert_eq!((setup.as_str(), teardown.as_str()), ("npm ci", "docker compose down"));
    assert_eq!(bring, [".env", "!.env.test"]);
    assert_eq!(variables.as_deref(), Some("CONDUCTOR"));

    let superset = r#"{"setup": ["bun install", "cd x # not all", ""], "teardown": []}"#;
    let found = read(&[(".superset/config.json", superset)]);
    assert_eq!((found.setup.as_str(), found.teardown.as_str()), ("(bun install\n) && (cd x # not all\n)", ""));
}

#[test]
fn a_devcontainers_command_has_three_forms_and_its_file_has_comments() {
    let setup = |command: &str| {
        let text = format!("{{ // for all\n \"image\": \"x\", \"postCreateCommand\": {command}, }}");
        let found = read(&[(".devcontainer/devcontainer.json", &text)]);
        assert_eq!(found.notes, Vec::<String>::new());
        found.setup
    };
    assert_eq!(setup(r#""npm ci && npm run build""#), "npm ci && npm run build");
    assert_eq!(setup(r#"["npm", "install", "it's"]"#), r"'npm' 'install' 'it'\''s'");
    assert_eq!(setup(r#"{"a": "one", "b": ["two", "2"]}"#), "(one\n) && ('two' '2'\n)");
    assert_eq!(setup("null"), "");
}

#[test]
fn the_first_that_names_a_command_counts_and_what_cannot_be_read_is_named() {
    let files = [("conductor.json", "{"), (".superset/config.json", "{}"), (".devcontainer/devcontainer.json", "[1]")];
    let found = read(&files);
    assert!(found.setup.is_empty());
    assert_eq!(found.notes.len(), 2, "{:?}", found.notes);
    assert!(found.notes[0].starts_with("conductor.json cannot be read"), "{:?}", found.notes);
    let deep = format!("{{\"a\": {}", "[".repeat(100_000));
    assert!(read(&[("conductor.json", &deep)]).notes[0].contains("nests more than"));
    let found = read(&[("conductor.json", "{}"), (".superset/config.json", r#"{"setup": ["make"]}"#)]);
    assert_eq!(found.variables.as_deref(), Some("SUPERSET"));
}

#[test]
fn a_cache_is_a_directory_of_the_repository_with_a_key() {
    let recipe = |path: &str, key: &[&str]| Recipe {
        setup: "true".to_owned(),
        cache: vec![Cache { path: path.to_owned(), key: key.iter().map(|key| (*key).to_owned()).collect() }],
        ..Recipe::default()
    };
    for path in ["", "/etc", "../x", "a/../b", "a//b", "a/", ".", ".git", "sub/.GIT/x", "a\\b"] {
        assert_eq!(recipe(path, &["k"]).validate(), Err(InvalidRecipe::CachePath { path: path.to_owned() }));
    }
    assert_eq!(recipe("a", &[]).validate(), Err(InvalidRecipe::CacheKey { path: "a".to_owned() }));
    assert_eq!(recipe("a/b", &["k"]).validate(), Ok(()));
    let mut twice = recipe("a", &["k"]);
    twice.cache.push(Cache { path: "a/b".to_owned(), key: vec!["k".to_owned()] });
    assert_eq!(twice.validate(), Err(InvalidRecipe::CacheTwice { path: "a/b".to_owned() }));
    twice.cache[1].path = "ab".to_owned();
    assert_eq!(twice.validate(), Ok(()));
    assert_eq!(Recipe { setup: String::new(), ..twice }.validate(), Err(InvalidRecipe::CacheWithoutSetup));
}
