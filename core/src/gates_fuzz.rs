use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::config::{RepoConfig, parse};
use crate::fuzz::texts;
use crate::recipe::Recipe;

const VALID: &[&str] = &[
    "[workspace]\nsetup = \"npm ci\"\nbring = [\".env\"]\ntimeout = \"5m\"\ncache = [{ path = \"a\", key = [\"b\"] }]",
    "[tree]\nsame_but_case = \"allow\"\nmax_blob = \"1 MiB\"\n",
    "[[gate]]\nname = \"test\"\nrun = \"make test\"\ntimeout = \"10m\"\n",
    "[[gate]]\nname = 'a'\nrun = '''true\n'''\n[[gate]]\nname = \"b\"\nrun = \"x\\u0000y\"\ntimeout = \"1h 2s\"\n",
    "gate = [{ name = \"a\", run = \"b\", timeout = \"90s\" }]\n[other]\nkey = [[[1979-05-27T07:32:00Z]]]\n",
    "[[gate]]\nname = \"a\"\nrun = \"b\"\nretries = 2\nstage = 3\nneeds = [\"gpu\", \"a=b\"]\nreport = [{ kind = \"junit\", path = \"j.xml\" }, { kind = \"lcov\", path = \"l\" }]\nrequire = [\"coverage >= 82.5%\", \"tests > 3\"]\n",
    "[[gate]]\nname = \"a\"\nrun = \"b\"\nneeds = \"gpu\"\nreport = { kind = \"sarif\", path = \"a/b\" }\nrequire = \"critical = 0\"\n[merge]\nmethod = \"squash\"\nlanding = \"relaxed\"\n",
    "[merge]\ntogether = false\n[[footprint]]\nunit = \"core\"\npaths = [\"core/**\"]\ndepends_on = [\"core\"]\neverything = true\n",
];

const THRESHOLDS: &[&str] =
    &["coverage >= 80", "mutation > 79.125 %", "errors=0", "complexity<=15.5", "tests == 10", "skipped < 3"];

proptest! {
    /// What a worker can put into `sprint.toml` is gates that hold, or an error; nothing that is half of either.
    #[test]
    fn fuzz_a_configuration_is_whole_or_refused(text in texts(VALID)) {
        let Ok(config) = parse(&text) else { return Ok(()) };
        prop_assert_eq!(validate(&config.gates), Ok(()));
        // Writing it down and reading it again, as the wire and the record do, changes nothing.
        let json = json!(config).to_string();
        prop_assert_eq!(&serde_json::from_str::<RepoConfig>(&json).expect("is read"), &config);
        let RepoConfig { gates, merge, tree, protect: _, footprint, workspace, runtime: _ } = &config;
        let mut file = json!({ "gate": gates, "merge": merge, "tree": tree, "footprint": footprint });
        if let Some(Recipe { setup, teardown, timeout, bring, cache, variables: _, notes: _ }) = workspace {
            let timeout = humantime::format_duration(*timeout).to_string();
            file["workspace"] =
                json!({ "setup": setup, "teardown": teardown, "timeout": timeout, "bring": bring, "cache": cache });
        }
        let written = toml::to_string(&file).expect("is written");
        prop_assert_eq!(parse(&written), Ok(config));
    }

    /// A threshold means what it says, and no figure is both as it must be and not.
    #[test]
    fn fuzz_a_threshold_is_whole_or_refused(text in texts(THRESHOLDS), figure in any::<f64>()) {
        let Ok(threshold) = text.parse::<Threshold>() else { return Ok(()) };
        prop_assert_eq!(threshold.to_string().parse::<Threshold>(), Ok(threshold));
        prop_assert_eq!(threshold.holds(figure), threshold.shortfall(figure).is_none());
        prop_assert!(!threshold.holds(f64::NAN));
    }

    /// Nesting takes no stack that is not there.
    #[test]
    fn fuzz_nesting_is_bounded(
        open in proptest::sample::select(&["[", "{a=", "[{a=", "a.", "[[a]]\n"][..]),
        depth in 0..5_000_usize,
    ) {
        let value = format!("a = {}", open.repeat(depth));
        prop_assert!(parse(&value).is_err());
        // It may be valid, but it names no gate.
        prop_assert!(parse(&open.repeat(depth)).unwrap_or_default().gates.is_empty());
    }
}
