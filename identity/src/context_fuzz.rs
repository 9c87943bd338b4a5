use proptest::prelude::*;
use sprint_core::fuzz::texts;

use super::*;

const SECRET: &str = "5555555555555555555555555555555555555555";

const VALID: &[&str] = &[
    "coordinator = \"a:1\"\ntrust = \"pem\"\ntoken = \"sprint1_0a1b2c3d_5555555555555555555555555555555555555555_ab\"\n",
    "coordinator = \"a:1\"\ntrust = \"\"\"\npem\n\"\"\"\nkey = '5555555555555555555555555555555555555555'\ncertificate = \"c\"\ndata_dir = \"/d\"\n",
];

proptest! {
    /// A context is read whole or refused, and what is wrong with it is said without its secrets.
    #[test]
    fn fuzz_a_context_is_whole_or_refused_without_its_secrets(text in texts(VALID)) {
        match Context::parse(&text) {
            Ok(context) => {
                let written = toml::to_string(&context).expect("is written");
                prop_assert!(Context::parse(&written) == Ok(context.clone()), "{}", written);
                // No token, or one that makes sense, or an error; never a panic.
                let credential = context.credential();
                prop_assert!(credential.is_ok() || context.token.is_some());
            }
            Err(why) => prop_assert!(!why.contains(SECRET), "{why}"),
        }
    }
}
