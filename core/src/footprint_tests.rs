use proptest::prelude::*;

use super::*;
use crate::fuzz;

fn rule(unit: &str, paths: &[&str], depends_on: &[&str]) -> Rule {
    let own = |texts: &[&str]| texts.iter().copied().map(str::to_owned).collect();
    Rule { unit: unit.to_owned(), paths: own(paths), depends_on: own(depends_on), everything: false }
}

fn rules() -> Rules {
    Rules::new(&[
        rule("core", &["core/**"], &[]),
        rule("server", &["server/"], &["core"]),
        rule("web", &["web/**", "*.css"], &["server"]),
        rule("docs", &["docs/**/*.md"], &[]),
        Rule { everything: true, ..rule("schema", &["/schema.sql"], &[]) },
    ])
    .unwrap()
}

fn parts(units: &[&str], paths: &[&str]) -> Footprint {
    let own = |texts: &[&str]| texts.iter().copied().map(str::to_owned).collect();
    Footprint::Parts { units: own(units), paths: own(paths) }
}

#[test]
fn change_touches_what_is_built_from_what_it_changes() {
    let rules = rules();
    for (paths, expected) in [
        (&["core/src/lib.rs"][..], parts(&["core", "server", "web"], &[])),
        (&["server/main.rs"], parts(&["server", "web"], &[])),
        (&["web/index.html"], parts(&["web"], &[])),
        (&["deep/down/site.css"], parts(&["web"], &[])),
        (&["docs/a/b.md", "docs/c.md"], parts(&["docs"], &[])),
        (&["docs/picture.png"], parts(&[], &["docs/picture.png"])),
        (&["core2/x", "my/core/x"], parts(&[], &["core2/x", "my/core/x"])),
        (&["schema.sql"], Footprint::Everything),
        (&["old/schema.sql"], parts(&[], &["old/schema.sql"])),
        (&[], parts(&[], &[])),
    ] {
        assert_eq!(rules.footprint(paths.iter().copied()), expected, "{paths:?}");
    }
}

#[test]
fn lock_files_build_scripts_and_ci_touch_everything() {
    let rules = rules();
    for path in [
        "Cargo.lock",
        "web/package-lock.json",
        "tools/go.sum",
        "api/poetry.lock",
        "core/build.rs",
        "Makefile",
        "native/CMakeLists.txt",
        ".github/workflows/test.yml",
        ".gitlab-ci.yml",
        "sprint.toml",
    ] {
        assert_eq!(rules.footprint([path]), Footprint::Everything, "{path}");
    }
    assert_ne!(rules.footprint(["docs/Makefile.md"]), Footprint::Everything);
    assert_ne!(rules.footprint(["examples/sprint.toml"]), Footprint::Everything);
}

#[test]
fn changes_overlap_where_they_share_a_unit_or_a_path() {
    let rules = rules();
    let touches = |paths: &[&str]| rules.footprint(paths.iter().copied());
    for (one, other, expected) in [
        (&["core/a.rs"][..], &["web/b.html"][..], true),
        (&["web/b.html"], &["docs/c.md"], false),
        (&["a.txt"], &["a.txt", "b.txt"], true),
        (&["a.txt"], &["b.txt"], false),
        // A file takes the place of a folder.
        (&["a"], &["a/b.txt"], true),
        (&["a"], &["ab/b.txt"], false),
        (&["Cargo.lock"], &[], true),
        (&[], &[], false),
    ] {
        let (one, other) = (touches(one), touches(other));
        assert_eq!((one.overlaps(&other), other.overlaps(&one)), (expected, expected), "{one:?} and {other:?}");
    }
}

#[test]
fn rules_that_cannot_be_followed_say_why_and_what_to_do() {
    let told = |rules: &[Rule]| Rules::new(rules).unwrap_err().to_string();
    insta::assert_snapshot!(
        [
            told(&[rule(" ", &["a"], &[])]),
            told(&[rule("web", &[], &[])]),
            told(&[rule("web", &["a[b"], &[])]),
            told(&[rule("web", &["!a"], &[])]),
            told(&[rule("web", &["/"], &[])]),
            told(&[rule("web", &["web/**"], &["cor"])]),
        ]
        .join("\n"),
        @r#"
    a rule has an empty unit; give the unit a name, such as that of its crate or folder
    the rule of "web" has no paths; name the paths that make it up, such as "web/**"
    the rule of "web" has the pattern "a[b", which cannot be read: unclosed character class; missing ']'; write it as in .gitignore
    the rule of "web" has the pattern "!a", which cannot be read: a rule cannot exclude paths; write it as in .gitignore
    the rule of "web" has the pattern "/", which cannot be read: it names nothing; write it as in .gitignore
    the rule of "web" depends on "cor", which no rule defines; correct the name, or add a rule for it
    "#
    );
}

#[test]
fn units_may_depend_on_each_other_in_a_circle() {
    let rules = Rules::new(&[rule("a", &["a/**"], &["b"]), rule("b", &["b/**"], &["a"])]).unwrap();
    assert_eq!(rules.footprint(["a/x"]), parts(&["a", "b"], &[]));
}

#[test]
fn footprint_is_stored_and_read_back() {
    for footprint in [Footprint::Everything, parts(&["core"], &["a", "b"])] {
        let text = serde_json::to_string(&footprint).unwrap();
        assert_eq!(serde_json::from_str::<Footprint>(&text).unwrap(), footprint);
    }
}

proptest! {
    #[test]
    fn fuzz_any_pattern_is_taken_or_refused_with_a_reason(pattern in fuzz::texts(&["crates/core/**", "*.lock", "/a/"]), path in fuzz::texts(&["crates/core/a.rs"])) {
        match Rules::new(&[rule("unit", &[&pattern], &[])]) {
            Ok(rules) => {
                let footprint = rules.footprint([path.as_str()]);
                prop_assert!(footprint.overlaps(&footprint));
            }
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }
}
