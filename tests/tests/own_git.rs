//! Whose git is it: the settings of the people who run the daemons change nothing about what lands.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use sprint_tests::{Cluster, OutpostOptions, commit, git};

/// Settings that people have, with values that would break daemons that heeded them.
const AWKWARD: &[(&str, &str)] = &[
    ("am.threeWay", "false"),
    ("apply.whitespace", "error"),
    ("branch.autoSetupMerge", "inherit"),
    ("branch.autoSetupRebase", "always"),
    ("checkout.defaultRemote", "nowhere"),
    ("checkout.guess", "false"),
    ("checkout.workers", "0"),
    ("clean.requireForce", "true"),
    ("clone.defaultRemoteName", "elsewhere"),
    ("clone.rejectShallow", "true"),
    ("color.ui", "always"),
    ("column.ui", "always"),
    ("commit.cleanup", "scissors"),
    ("commit.gpgSign", "true"),
    ("commit.template", "/does/not/exist"),
    ("commit.verbose", "true"),
    ("core.abbrev", "4"),
    ("core.attributesFile", "/does/not/exist"),
    ("core.autocrlf", "true"),
    ("core.bare", "false"),
    ("core.checkStat", "minimal"),
    ("core.commentChar", "auto"),
    ("core.compression", "9"),
    ("core.editor", "false"),
    ("core.eol", "crlf"),
    ("core.excludesFile", "/does/not/exist"),
    ("core.fileMode", "false"),
    ("core.fsmonitor", "false"),
    ("core.hooksPath", "/does/not/exist"),
    ("core.ignoreCase", "true"),
    ("core.logAllRefUpdates", "always"),
    ("core.multiPackIndex", "false"),
    ("core.pager", "false"),
    ("core.quotePath", "false"),
    ("core.safecrlf", "true"),
    ("core.sharedRepository", "0777"),
    ("core.symlinks", "false"),
    ("core.trustctime", "false"),
    ("core.untrackedCache", "true"),
    ("core.whitespace", "tabwidth=1"),
    ("diff.algorithm", "patience"),
    ("diff.external", "false"),
    ("diff.ignoreSubmodules", "all"),
    ("diff.mnemonicPrefix", "true"),
    ("diff.noprefix", "true"),
    ("diff.renames", "false"),
    ("fetch.fsckObjects", "true"),
    ("fetch.parallel", "0"),
    ("fetch.prune", "true"),
    ("fetch.pruneTags", "true"),
    ("fetch.recurseSubmodules", "true"),
    ("fetch.unpackLimit", "1"),
    ("fetch.writeCommitGraph", "true"),
    ("format.pretty", "%H %an"),
    ("gc.auto", "1"),
    ("gc.pruneExpire", "now"),
    ("gpg.program", "false"),
    ("i18n.commitEncoding", "ISO-8859-1"),
    ("i18n.logOutputEncoding", "UTF-16"),
    ("index.threads", "0"),
    ("index.version", "4"),
    ("init.defaultBranch", "trunk"),
    ("init.defaultObjectFormat", "sha256"),
    ("init.defaultRefFormat", "reftable"),
    ("init.templateDir", "/does/not/exist"),
    ("log.date", "relative"),
    ("log.showSignature", "true"),
    ("merge.conflictStyle", "zdiff3"),
    ("merge.directoryRenames", "conflict"),
    ("merge.ff", "only"),
    ("merge.renames", "false"),
    ("merge.verifySignatures", "true"),
    ("pack.compression", "9"),
    ("pull.rebase", "true"),
    ("push.default", "nothing"),
    ("push.followTags", "true"),
    ("push.gpgSign", "true"),
    ("push.recurseSubmodules", "check"),
    ("push.useForceIfIncludes", "true"),
    ("receive.denyCurrentBranch", "refuse"),
    ("receive.fsckObjects", "true"),
    ("safe.bareRepository", "explicit"),
    ("status.relativePaths", "false"),
    ("status.showUntrackedFiles", "no"),
    ("submodule.recurse", "true"),
    ("tag.gpgSign", "true"),
    ("transfer.fsckObjects", "true"),
    ("transfer.hideRefs", "refs/sprint"),
    ("transfer.unpackLimit", "1"),
    ("user.useConfigOnly", "true"),
];

/// A home with these settings.
fn home(parent: &Path, settings: &[(&str, &str)]) -> PathBuf {
    let home = parent.join("home");
    fs::create_dir_all(&home).expect("is made");
    let mut text = String::new();
    for (key, value) in settings {
        let (section, name) = key.rsplit_once('.').expect("a section");
        writeln!(text, "[{section}]\n\t{name} = \"{value}\"").expect("is text");
    }
    fs::write(home.join(".gitconfig"), text).expect("is written");
    home
}

/// As [`works`], with a test's failure as a reason.
fn works_with(settings: &[(&str, &str)]) -> Result<(), String> {
    std::panic::catch_unwind(|| works(settings)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        Err(text.unwrap_or_else(|| "the test failed for a reason that is not text".to_owned()))
    })
}

/// Whether the main job is done by daemons whose person has these settings: a worker commits, a gate passes, two changes
/// are merged, the upstream has them, and the next item begins there.
fn works(settings: &[(&str, &str)]) -> Result<(), String> {
    let mut cluster = Cluster::start(0);
    let home = home(cluster.path(), settings).display().to_string();
    cluster.kill_coordinator();
    cluster.coordinator_variable("HOME", &home);
    cluster.start_coordinator();
    // The worker is the person's agent, and may sign or not as it likes: its own settings are its own.
    let variables = vec![("HOME".to_owned(), home)];
    cluster.add_outpost("local-1", OutpostOptions { variables, ..OutpostOptions::default() });
    cluster.online("local-1");
    let gate = "lines=test \"$(git status --porcelain --untracked-files=no)\" = ''";
    let repo = cluster.repo("web", &[("lines.txt", "one\ntwo\n")], &["--gate", gate]);
    let work = |file: &str| format!("export GIT_CONFIG_GLOBAL=/dev/null; {}", commit(file, "1"));
    let identity = "git config --local user.name w; git config --local user.email w@example.invalid";
    let first = cluster.add(&repo, "First", &format!("{identity}; {}", work("first.txt")));
    let second = cluster.add(&repo, "Second", &format!("{identity}; {}", work("second.txt")));
    for id in [first, second] {
        let waited = cluster.sprintctl(&["wait", &id.to_string(), "--timeout", "25s"]);
        if waited.code != 0 {
            let explained = cluster.sprintctl(&["item", "explain", &id.to_string()]).text();
            return Err(format!("item {id}: {explained}{}", waited.stderr));
        }
        if repo.landings(id) != 1 {
            return Err(format!("item {id} is not at the upstream"));
        }
    }
    let third = cluster.add(&repo, "Third", &format!("test -e first.txt; {identity}; {}", work("third.txt")));
    cluster.landed(&repo, third);
    let lines = git(&repo.upstream, &["show", "main:lines.txt"]);
    if lines.contains('\r') { Err("line ends were changed".to_owned()) } else { Ok(()) }
}

#[test]
fn awkward_settings_of_the_daemons_people_change_nothing() {
    let known = AWKWARD.iter().map(|(key, _)| key.to_ascii_lowercase()).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(known.len(), AWKWARD.len(), "each is named once");
    if std::env::var_os("SPRINT_MATRIX").is_some() {
        let alone = |setting| Some((setting, works_with(std::slice::from_ref(setting)).err()?));
        let broken: Vec<_> = AWKWARD.iter().filter_map(alone).collect();
        assert!(broken.is_empty(), "{broken:#?}");
        return;
    }
    // All at once; on a failure they are halved until the one is found that does it.
    let mut suspects = AWKWARD;
    let Err(mut why) = works_with(suspects) else { return };
    for _ in 0..7 {
        if suspects.len() == 1 {
            break;
        }
        let (left, right) = suspects.split_at(suspects.len() / 2);
        match works_with(left) {
            Err(found) => (suspects, why) = (left, found),
            Ok(()) => suspects = right,
        }
    }
    panic!("with {suspects:?}: {why}");
}
