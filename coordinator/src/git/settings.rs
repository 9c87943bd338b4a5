//! How every repository of ours is set up.

/// Git settings, by key.
pub(super) const SETTINGS: &[(&str, &str)] = &[
    ("http.receivepack", "true"),
    ("uploadpack.allowAnySHA1InWant", "true"),
    // What could lead a reader of a tree elsewhere is refused; what old programs have written wrongly and harms nobody
    // is taken, as upstreams have it in their history.
    ("receive.fsckObjects", "true"),
    ("fetch.fsckObjects", "true"),
    ("receive.fsck.badDate", "ignore"),
    ("receive.fsck.badDateOverflow", "ignore"),
    ("receive.fsck.badEmail", "ignore"),
    ("receive.fsck.badFilemode", "ignore"),
    ("receive.fsck.badTimezone", "ignore"),
    ("receive.fsck.missingEmail", "ignore"),
    ("receive.fsck.missingNameBeforeEmail", "ignore"),
    ("receive.fsck.missingSpaceBeforeDate", "ignore"),
    ("receive.fsck.missingSpaceBeforeEmail", "ignore"),
    ("receive.fsck.missingTaggerEntry", "ignore"),
    ("receive.fsck.zeroPaddedDate", "ignore"),
    ("receive.fsck.zeroPaddedFilemode", "ignore"),
    ("fetch.fsck.badDate", "ignore"),
    ("fetch.fsck.badDateOverflow", "ignore"),
    ("fetch.fsck.badEmail", "ignore"),
    ("fetch.fsck.badFilemode", "ignore"),
    ("fetch.fsck.badTimezone", "ignore"),
    ("fetch.fsck.missingEmail", "ignore"),
    ("fetch.fsck.missingNameBeforeEmail", "ignore"),
    ("fetch.fsck.missingSpaceBeforeDate", "ignore"),
    ("fetch.fsck.missingSpaceBeforeEmail", "ignore"),
    ("fetch.fsck.missingTaggerEntry", "ignore"),
    ("fetch.fsck.zeroPaddedDate", "ignore"),
    ("fetch.fsck.zeroPaddedFilemode", "ignore"),
    // What packs the files of others has so much memory in each of its threads; larger files are not compared
    // (`DELTA_FILE`).
    ("core.bigFileThreshold", "128m"),
    ("pack.threads", "4"),
    ("pack.windowMemory", "256m"),
    // A landing must not wait for housekeeping; it is done apart.
    ("receive.autogc", "false"),
    ("gc.auto", "0"),
    // What is on record must outlast a power cut: the first two are for git, the last is for libgit2.
    ("core.fsync", "committed,reference"),
    ("core.fsyncMethod", "batch"),
    ("core.fsyncObjectFiles", "true"),
];
