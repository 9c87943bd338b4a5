//! What a hostile worker does: command lines, each of which is to harm nobody but its own item.

/// One thing that a worker does.
#[derive(Debug, Clone, Copy)]
pub struct Act {
    pub name: &'static str,
    /// Its command line; it runs in the workspace, before a last command that fails.
    pub run: &'static str,
    /// What the record says of it afterwards.
    pub said: &'static str,
}

/// The settings of a person on whose outpost the acts run: a filter that is a script of the repository.
pub const GIT_CONFIG: &str =
    "[filter \"x\"]\n\tclean = sh ./clean.sh\n[filter \"y\"]\n\tclean = cat\n\tsmudge = sh ./a.sh\n";

/// What makes the filter run when an agent's git looks at the workspace.
const FILTERED: &str = "echo '*.f filter=x' > .gitattributes; echo a > a.f";

/// For how many seconds a process sleeps that an act leaves behind: it is found by this number.
pub const SLEEP: &str = "31415";

/// The bounds of the outpost on which they run.
pub const MAX_PROCESSES: &str = "60";

const fn act(name: &'static str, run: &'static str, said: &'static str) -> Act {
    Act { name, run, said }
}

/// Those whose traces are in the workspace: they fail, and are looked at and saved.
pub const LEAVING: &[Act] = &[
    act(
        "a filter that says 20 MB and fails",
        "printf 'head -c 20000000 /dev/zero | tr \"\\\\0\" e >&2; exit 1' > clean.sh",
        "exited with code 7",
    ),
    act("a filter that says errors without end", "echo 'yes error >&2' > clean.sh", "printed more than"),
    act(
        "a filter with 300 processes",
        "echo 'for n in $(seq 300); do sleep 31415 & done; wait' > clean.sh",
        "processes, and was ended",
    ),
    act(
        "a filter that leaves a daemon",
        "echo 'setsid sleep 31415 </dev/null >/dev/null 2>&1 & cat' > clean.sh",
        "exited with code 7",
    ),
    act("a filter that waits for a pipe", "mkfifo pipe; echo 'cat pipe' > clean.sh", "waited for a pipe"),
    act("a pipe in the place of another HEAD", "mkdir -p nested/.git; mkfifo nested/.git/HEAD", "waited for a pipe"),
    act("directories within each other", "perl -e 'for (1..18000) { mkdir \"d\"; chdir \"d\" }'", "exited with code 7"),
    act("a sparse file", "truncate -s 1T sparse.bin", "files larger than is saved"),
    act("many sparse files", "for n in $(seq 40); do truncate -s 400M sparse-$n; done", "files larger than is saved"),
    act("a sparse HEAD", "truncate -s 1T .git/HEAD", "exited with code 7"),
    act("a sparse index", "truncate -s 1T .git/index", "exited with code 7"),
    act("sparse refs", "truncate -s 1T .git/packed-refs", "exited with code 7"),
    act(
        "20,000 branches",
        "for n in $(seq 20000); do echo \"create refs/heads/b$n HEAD\"; done | git update-ref --stdin",
        "exited with code 7",
    ),
    act(
        "names that steer",
        "touch \"$(printf 'a\\033]52;c;eA==\\007\\nb')\" \"$(printf '\\377\\376')\" -- '-rf' ':(top)x'",
        "exited with code 7",
    ),
    act("no rights", "mkdir -p a/b; echo x > a/b/c; chmod -R 000 a .git", "exited with code 7"),
    act("links in a circle", "ln -s . a; ln -s b c; ln -s c b; ln -s / root; ln -s /proc proc", "exited with code 7"),
    act("ends all that it can", "kill -9 -1", "exited with code 7"),
    act("floods its terminal", "yes flood | head -c 30000000", "exited with code 7"),
    act("no repository", "rm -rf .git; ln -s / .git", "exited with code 7"),
    act("a daemon of its own", "setsid sleep 31415 </dev/null >/dev/null 2>&1 & sleep 0.1", "exited with code 7"),
];

/// Those that hand something over: they commit, and exit with 0.
pub const HANDING_OVER: &[Act] = &[
    act(
        "ten million files",
        "test -e .git/done && exit 0; touch .git/done; b=$(git hash-object -w README); t=$(for n in 0 1 2 3 4 5 6 7 8 9; do printf '100644 blob %s\\t%s\\n' $b $n; done | git mktree); \
         for l in 1 2 3 4 5 6; do t=$(for n in 0 1 2 3 4 5 6 7 8 9; do printf '040000 tree %s\\t%s\\n' $t $n; done | git mktree); done; \
         t=$( (git ls-tree HEAD; printf '040000 tree %s\\tbomb\\n' $t) | git mktree); \
         git update-ref HEAD $(git commit-tree $t -p HEAD -m bomb); sleep 0.1",
        "out of memory",
    ),
    act(
        "120,000 files",
        "test -e .git/done && exit 0; touch .git/done; b=$(git hash-object -w README); t=$(for n in $(seq 100); do printf '100644 blob %s\\t%s\\n' $b $n; done | git mktree); \
         t=$(for n in $(seq 1200); do printf '040000 tree %s\\t%s\\n' $t $n; done | git mktree); \
         t=$( (git ls-tree HEAD; printf '040000 tree %s\\tbomb\\n' $t) | git mktree); \
         git update-ref HEAD $(git commit-tree $t -p HEAD -m bomb); git reset -q; git checkout -q -- README",
        "it touches more than 100000 files",
    ),
    act(
        "a deep tree",
        "test -e .git/done && exit 0; touch .git/done; t=$(git rev-parse 'HEAD^{tree}'); for n in $(seq 1100); do t=$(printf '040000 tree %s\\td\\n' $t | git mktree); done; \
         t=$( (git ls-tree HEAD; printf '040000 tree %s\\tdeep\\n' $t) | git mktree); \
         git update-ref HEAD $(git commit-tree $t -p HEAD -m deep)",
        "within each other more than 1000 times",
    ),
    act(
        "12,000 commits",
        "(for n in $(seq 12000); do printf 'commit HEAD\\ncommitter x <x> %s +0000\\ndata 1\\nx\\n' $n; test $n = 1 && printf 'from %s\\n' $(git rev-parse HEAD); \
         printf 'M 644 inline f\\ndata <<E\\n%s\\nE\\n' $n; done) | git fast-import --quiet --force; git reset -q --hard",
        "it has more than 10000 commits",
    ),
    act(
        "large attributes",
        "yes '# x' | head -c 2000000 > .gitattributes; git add -A; git commit -qm x",
        ".gitattributes has more than 1048576 bytes",
    ),
    act(
        "many attributes",
        "for n in $(seq 20); do mkdir d$n; yes '# x' | head -c 1000000 > d$n/.gitattributes; done; git add -A; git commit -qm x",
        "its .gitattributes have more than 16777216 bytes",
    ),
    act(
        "a long configuration",
        "(echo '#'; head -c 2000000 /dev/zero | tr '\\0' '#') > sprint.toml; git add -A; git commit -qm x",
        "sprint.toml has more than 1048576 bytes",
    ),
    act(
        "another's gates",
        "printf '[[gate]]\\nname = \"x\"\\nrun = \"true\"\\n' > sprint.toml; git add -A; git commit -qm x",
        "change.awaits_approval",
    ),
];

/// Those that take seconds: few of the short runs have them.
const SLOW: &[&str] = &[
    "directories within each other",
    "many sparse files",
    "a filter that waits for a pipe",
    "a pipe in the place of another HEAD",
    "floods its terminal",
    "20,000 branches",
];

/// How a worker that was made up ends.
const ENDS: &[&str] = &["exit 7", "kill -9 $$", "git add -A; git commit -qm x; exit 0", "exit 0", "sleep 60"];

/// A worker that a seed makes up: some acts, one after the other, and an end.
pub fn made_up(seed: u64) -> String {
    let mut random = fastrand::Rng::with_seed(seed);
    let some = (0..random.usize(1..4)).filter_map(|_| {
        let act = random.choice(LEAVING.iter())?;
        (!SLOW.contains(&act.name) || random.u8(..) < 32).then_some(act.run)
    });
    let acts: Vec<&str> = some.collect();
    let end = random.choice(ENDS.iter().copied()).unwrap_or("exit 7");
    format!("echo {seed} > precious; {FILTERED}; {}; {end}", acts.join("; ")).replace("; ;", ";")
}

impl Act {
    /// The command line of a worker that does this.
    pub fn leaving(&self) -> String {
        format!("echo precious > precious; {FILTERED}; {}; exit 7", self.run)
    }
}
