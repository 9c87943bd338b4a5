//! How every repository of ours is set up.

/// Git settings, by key.
pub(super) const SETTINGS: &[(&str, &str)] = &[
    ("http.receivepack", "true"),
    ("uploadpack.allowAnySHA1InWant", "true"),
    ("receive.fsckObjects", "true"),
    // A landing must not wait for housekeeping; it is done apart.
    ("receive.autogc", "false"),
    ("gc.auto", "0"),
    // What is on record must outlast a power cut: the first two are for git, the last is for libgit2.
    ("core.fsync", "committed,reference"),
    ("core.fsyncMethod", "batch"),
    ("core.fsyncObjectFiles", "true"),
];
