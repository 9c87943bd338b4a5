use super::*;
use crate::gates::{DEFAULT_TIMEOUT, ReportKind};
use crate::tree_rules::TreeRule;

fn gate(rest: &str) -> String {
    format!("[[gate]]\nname = \"x\"\nrun = \"true\"\n{rest}\n")
}

#[test]
fn gates_are_read_in_order_with_everything_they_say() {
    let config = parse(
        r#"
[[gate]]
name = "test"
run = "./test.sh"
timeout = "90s"
retries = 1
stage = 2
needs = ["gpu", "arch=arm64"]
report = [{ kind = "junit", path = "out/junit.xml" }, { kind = "lcov", path = "out/lcov.info" }]
require = ["coverage >= 80%", "skipped <= 2"]

[[gate]]
name = "lint"
run = "true"
needs = "gpu"
report = { kind = "sarif", path = "lint.sarif" }
require = "errors = 0"

[[gate]]
name = "plain"
run = "true"
"#,
    )
    .expect("parses");
    let [test, lint, plain] = config.gates.as_slice() else { panic!("three gates") };
    assert_eq!((test.timeout, test.retries, test.stage), (Duration::from_secs(90), 1, 2));
    assert_eq!(test.needs.iter().map(ToString::to_string).collect::<Vec<_>>(), ["gpu", "arch=arm64"]);
    assert_eq!((test.report[1].kind, test.report[1].path.as_str()), (ReportKind::Lcov, "out/lcov.info"));
    assert_eq!(test.require.iter().map(ToString::to_string).collect::<Vec<_>>(), ["coverage >= 80%", "skipped <= 2"]);
    assert_eq!((lint.needs.len(), lint.report.len(), lint.require.len()), (1, 1, 1));
    assert_eq!(plain, &Gate::new("plain", "true"));
    assert_eq!((plain.timeout, plain.retries, plain.stage), (DEFAULT_TIMEOUT, 0, 1));
}

#[test]
fn a_file_that_cannot_be_understood_is_an_error_and_not_an_empty_list() {
    for bad in [
        "[[gate]",
        "[[gate]]\nname = \"x\"\n",
        "[[gate]]\nname = \"x\"\nrun = \"\"\n",
        "[[gate]]\nname = \"\"\nrun = \"true\"\n",
        "[[gate]]\nname = \"x\"\nrun = \"true\"\n[[gate]]\nname = \"x\"\nrun = \"false\"\n",
        "gate = 3\n",
        "merge = 3\n",
        "[[merge]]\nmethod = \"merge\"\n",
        "[merge]\nmetod = \"merge\"\n",
        "[merge]\nmethod = \"octopus\"\n",
        "[merge]\nlanding = \"soft\"\n",
        "[merge]\ntogether = \"yes\"\n",
        "[[footprint]]\nunit = \"core\"\n",
        "[[footprint]]\nunit = \"\"\npaths = []\n",
        "[[footprint]]\nunit = \"core\"\npaths = []\ndepends = []\n",
        "[[footprint]]\nunit = \"a\"\npaths = []\ndepends_on = [\"b\"]\n",
    ] {
        assert!(parse(bad).is_err(), "{bad:?} must be refused");
    }
    assert_eq!(parse("[x-other]\nkey = 1\n"), Ok(RepoConfig::default()));
    for (misspelt, name) in
        [("[[gates]]\nname = \"x\"\nrun = \"true\"\n", "gates"), ("merg = 1\n", "merg"), ("[X-y]\n", "X-y")]
    {
        assert_eq!(parse(misspelt), Err(InvalidConfig::Unknown(name.to_owned())));
    }
}

#[test]
fn rules_for_trees_are_read_and_a_misspelt_one_is_refused() {
    let rules = |text: &str| parse(&format!("[tree]\n{text}")).map(|config| config.tree);
    assert_eq!(rules(""), Ok(TreeRules::default()));
    let set = rules("same_but_case = \"allow\"\nwindows_names = \"refuse\"\nmax_blob = \"1MiB\"\n").expect("is read");
    let expected = TreeRules {
        same_but_case: TreeRule::Allow,
        windows_names: TreeRule::Refuse,
        max_blob: Some(1 << 20),
        ..TreeRules::default()
    };
    assert_eq!(set, expected);
    assert_eq!(rules("max_blob = \"none\"").map(|rules| rules.max_blob), Ok(None));
    for (text, why) in [
        ("max_blob = \"100MB\"", "\"100MB\" is neither a size nor \"none\""),
        ("max_blob = 5", "string"),
        ("same_but_cas = \"allow\"", "same_but_cas"),
        ("conflict_markers = false", "conflict_markers"),
        ("conflict_markers = \"off\"", "off"),
    ] {
        let error = rules(text).expect_err("is refused").to_string();
        assert!(error.contains(why), "{text}: {error}");
    }
}

#[test]
fn an_error_in_a_gate_names_the_gate_and_the_valid_values() {
    let junit = "report = { kind = \"junit\", path = \"j.xml\" }\n";
    let with = |rest: &str| gate(&format!("{junit}{rest}"));
    for (text, why) in [
        (gate("timeot = \"5m\""), "unknown field `timeot`"),
        (gate("timeout = \"soon\""), "\"soon\" is not a duration"),
        (gate("timeout = \"0s\""), "gate \"x\" has a timeout of zero"),
        (gate("stage = 0"), "gate \"x\" is in stage 0"),
        (gate("stage = -1"), "-1"),
        (gate("retries = 11"), "gate \"x\" is to run again 11 times; at most 10"),
        (gate("needs = \"a b\""), "gate \"x\": needs = \"a b\": it is not a label"),
        (gate("report = { kind = \"tap\", path = \"x\" }"), "junit"),
        (gate("report = { kind = \"junit\", pth = \"x\" }"), "pth"),
        (gate("report = { kind = \"junit\" }"), "path"),
        (gate("report = \"x.xml\""), "x.xml"),
        (gate("report = { kind = \"junit\", path = \"/tmp/x\" }"), "it is absolute"),
        (gate("report = { kind = \"junit\", path = \"a/../../x\" }"), "it leads out of the repository"),
        (gate("report = { kind = \"junit\", path = \"./\" }"), "it names a directory"),
        (gate("report = { kind = \"junit\", path = \"a/.GIT/x\" }"), "it leads into a git directory"),
        (gate("report = { kind = \"junit\", path = \"\" }"), "it is empty"),
        (
            gate("report = [{ kind = \"junit\", path = \"x\" }, { kind = \"lcov\", path = \"x\" }]"),
            "names the report \"x\" twice",
        ),
        (
            with("require = \"covrage >= 80\""),
            "gate \"x\": require = \"covrage >= 80\": there is no metric \"covrage\"",
        ),
        (with("require = [\"tests > many\"]"), "gate \"x\": require = \"tests > many\": \"many\" is not a number"),
        (
            with("require = \"coverage >= 80\""),
            "none of its reports measures coverage; they measure tests, failures, errors, skipped, and coverage comes from a report of kind \"lcov\" or \"cobertura\"",
        ),
        (gate("require = \"mutation >= 80\""), "the gate has no report; add report = { kind = \"stryker\","),
    ] {
        let error = parse(&text).expect_err(&text).to_string();
        assert!(error.contains(why), "{text}\n{error}");
    }
}

#[test]
fn merges_are_strict_and_whole_unless_the_file_says_otherwise() {
    let merge = |text: &str| parse(&format!("[merge]\n{text}\n")).map(|config| config.merge);
    assert_eq!(merge(""), Ok(MergeConfig { method: MergeMethod::Merge, landing: Landing::Strict, together: true }));
    assert_eq!(
        merge("method = \"fast-forward\"\nlanding = \"relaxed\""),
        Ok(MergeConfig { method: MergeMethod::FastForward, landing: Landing::Relaxed, together: false })
    );
    assert!(!merge("together = false").expect("parses").together);
    assert_eq!(merge("method = \"squash\"\ntogether = true"), Err(InvalidConfig::Together(MergeMethod::Squash)));
}

#[test]
fn footprints_are_read() {
    let text = "[[footprint]]\nunit = \"core\"\npaths = [\"core/**\"]\n[[footprint]]\nunit = \"lock\"\npaths = [\"*.lock\"]\neverything = true\ndepends_on = [\"core\"]\n";
    let rules = parse(text).expect("parses").footprint;
    assert_eq!((rules[0].unit.as_str(), rules[0].everything), ("core", false));
    assert!(rules[1].everything && rules[1].depends_on == ["core"]);
}

/// The examples of a page, each of which is a whole file.
fn examples(page: &str) -> Vec<&str> {
    page.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default()).collect()
}

#[test]
fn every_example_of_the_handbook_is_a_configuration() {
    let gates = examples(include_str!("../../docs/reference/gates.md"));
    assert_eq!(gates.len(), 6);
    let readme = examples(include_str!("../../README.md"));
    for example in gates.into_iter().chain(readme) {
        let config = parse(example).unwrap_or_else(|error| panic!("{example}\n{error}"));
        assert_ne!(config, RepoConfig::default(), "{example}");
    }
}

#[test]
fn the_handbook_names_every_metric_and_kind_of_report() {
    let page = include_str!("../../docs/reference/gates.md");
    for metric in crate::gates::Metric::ALL {
        assert!(page.contains(&format!("`{metric}`")), "{metric}");
    }
    for kind in ReportKind::ALL {
        assert!(page.contains(&format!("| `{kind}` |")), "{kind}");
        for metric in kind.gives() {
            let row = page.lines().find(|line| line.starts_with('|') && line.contains(&format!("`{metric}`")));
            assert!(row.is_some_and(|row| row.contains(kind.as_str())), "{kind} gives {metric}");
        }
    }
}

#[test]
fn a_workspace_is_read_and_its_mistakes_are_named() {
    let text = r#"
        [workspace]
        setup = "npm ci"
        teardown = "docker compose down"
        timeout = "5m"
        bring = [".env", "config/*.local"]
        cache = [{ path = "node_modules", key = "package-lock.json" }]
    "#;
    let recipe = parse(text).expect("is read").workspace.expect("is there");
    assert_eq!(recipe.timeout, Duration::from_mins(5));
    assert_eq!(recipe.cache[0].key, ["package-lock.json"]);
    assert_eq!(parse("").expect("is read").workspace, None);
    for (text, said) in [
        ("[workspace]\nsetpu = 'x'", "setpu"),
        ("[workspace]\ntimeout = '0s'", "workspace.timeout is 0"),
        ("[workspace]\nsetup = 'x'\ncache = [{ path = '../x', key = 'a' }]", "\"../x\" is no directory"),
        ("[workspace]\nbring = ['']", "workspace.bring"),
        ("[[workspace]]\nsetup = 'x'", "workspace"),
    ] {
        let error = parse(text).expect_err("is refused").to_string();
        assert!(error.contains(said), "{error}");
    }
}
