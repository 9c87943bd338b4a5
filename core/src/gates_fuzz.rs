use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::fuzz::texts;

const VALID: &[&str] = &[
    "[[gate]]\nname = \"test\"\nrun = \"make test\"\ntimeout = \"10m\"\n",
    "[[gate]]\nname = 'a'\nrun = '''true\n'''\n[[gate]]\nname = \"b\"\nrun = \"x\\u0000y\"\ntimeout = \"1h 2s\"\n",
    "gate = [{ name = \"a\", run = \"b\", timeout = \"90s\" }]\n[other]\nkey = [[[1979-05-27T07:32:00Z]]]\n",
];

proptest! {
    /// What a worker can put into `sprint.toml` is gates that hold, or an error; nothing that is half of either.
    #[test]
    fn fuzz_a_configuration_is_whole_or_refused(text in texts(VALID)) {
        let Ok(gates) = parse_config(&text) else { return Ok(()) };
        prop_assert_eq!(validate(&gates), Ok(()));
        // Writing it down and reading it again, as the wire and the record do, changes nothing.
        let json = json!(gates).to_string();
        prop_assert_eq!(serde_json::from_str::<Vec<Gate>>(&json).expect("is read"), gates.clone());
        let written = toml::to_string(&json!({ "gate": gates })).expect("is written");
        prop_assert_eq!(parse_config(&written), Ok(gates));
    }

    /// Nesting takes no stack that is not there.
    #[test]
    fn fuzz_nesting_is_bounded(
        open in proptest::sample::select(&["[", "{a=", "[{a=", "a.", "[[a]]\n"][..]),
        depth in 0..5_000_usize,
    ) {
        let value = format!("a = {}", open.repeat(depth));
        prop_assert!(parse_config(&value).is_err());
        // It may be valid, but it names no gate.
        prop_assert!(parse_config(&open.repeat(depth)).unwrap_or_default().is_empty());
    }
}
