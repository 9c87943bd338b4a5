//! The environment that everything the agent starts begins with.

use std::ffi::OsString;

/// What is taken over from the agent's own environment: no secret can be among it.
const KEPT: &[&str] = &["PATH", "HOME", "LANG", "USER", "SHELL", "TMPDIR"];

const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The kept variables; `PATH`, `HOME` and `LANG` always have a value.
pub(crate) fn plain() -> Vec<(&'static str, OsString)> {
    KEPT.iter()
        .filter_map(|key| {
            let default = match *key {
                "PATH" => Some(DEFAULT_PATH),
                "HOME" => Some("/"),
                "LANG" => Some("C.UTF-8"),
                _ => None,
            };
            std::env::var_os(key).or_else(|| default.map(OsString::from)).map(|value| (*key, value))
        })
        .collect()
}
