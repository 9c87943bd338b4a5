//! Where the programs on `PATH` really are: a directory of links or scripts is of no use without what they lead to.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

/// More than a directory of one's own programs has.
const MOST: usize = 2_000;

/// The directories that the programs of `directory` need besides it: of what its links lead to, and of the interpreters
/// of its scripts, such as a virtual environment's Python.
pub(super) fn beyond(directory: &Path) -> BTreeSet<PathBuf> {
    let Ok(own) = directory.canonicalize() else { return BTreeSet::new() };
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(&own).into_iter().flatten().flatten().take(MOST) {
        let Ok(real) = entry.path().canonicalize() else { continue };
        if !real.starts_with(&own) {
            found.insert(prefix(&real));
        }
        let Some(interpreter) = interpreter(&real) else { continue };
        found.insert(prefix(&interpreter));
        found.extend(interpreter.canonicalize().ok().as_deref().map(prefix));
    }
    found.retain(|path| *path != own);
    found
}

/// What a program's libraries lie in, from where it finds them.
const BESIDE_BIN: [&str; 5] = ["lib", "lib64", "libexec", "share", "pyvenv.cfg"];

/// The directory that a program was installed into; the program alone where that is no such directory.
pub(crate) fn prefix(program: &Path) -> PathBuf {
    let named = |name: &'static str| move |path: &&Path| path.file_name() == Some(OsStr::new(name));
    // Packages find each other in the outermost.
    let modules = program.ancestors().filter(named("node_modules")).last();
    let bin = program.ancestors().skip(1).find(named("bin")).and_then(Path::parent);
    let bin = bin.filter(|path| BESIDE_BIN.iter().any(|name| path.join(name).exists()));
    modules.or(bin).unwrap_or(program).to_owned()
}

/// What a script begins with: `#!/…/python3`.
fn interpreter(script: &Path) -> Option<PathBuf> {
    // Opening a pipe would wait for its other end.
    let file = File::options().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(script).ok()?;
    let mut start = Vec::new();
    file.metadata().ok().filter(fs::Metadata::is_file)?;
    file.take(256).read_to_end(&mut start).ok()?;
    let line = start.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let word = line.trim_ascii().split(u8::is_ascii_whitespace).next()?;
    let path = PathBuf::from(OsStr::from_bytes(word));
    path.is_absolute().then_some(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_and_scripts_lead_to_what_they_need() {
        let dir = tempfile::tempdir().expect("a directory");
        let root = dir.path().canonicalize().expect("is there");
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().expect("is within")).expect("is made");
            fs::write(path, text).expect("is written");
        };
        write("npm/lib/node_modules/tool/node_modules/inner/cli.js", "#!/usr/bin/env node\n");
        write("cellar/jq/1.7/bin/jq", "\x7fELF");
        write("cellar/jq/1.7/share/jq", "");
        write("venv/bin/python", "\x7fELF");
        write("venv/pyvenv.cfg", "");
        write("papers/bin/tool", "\x7fELF");
        write("own/plain", "\x7fELF");
        write("own/script", &format!("#! {}/venv/bin/python -s\nprint()\n", root.display()));
        symlink("../npm/lib/node_modules/tool/node_modules/inner/cli.js", root.join("own/tool")).expect("is made");
        symlink(root.join("cellar/jq/1.7/bin/jq"), root.join("own/jq")).expect("is made");
        symlink(root.join("nowhere"), root.join("own/broken")).expect("is made");
        symlink("../papers/bin/tool", root.join("own/paper")).expect("is made");
        nix::unistd::mkfifo(&root.join("own/pipe"), nix::sys::stat::Mode::S_IRWXU).expect("is made");
        symlink("plain", root.join("own/same")).expect("is made");
        let found: Vec<_> = beyond(&root.join("own")).into_iter().collect();
        let expected = ["cellar/jq/1.7", "npm/lib/node_modules", "papers/bin/tool", "venv"].map(|path| root.join(path));
        let usr = PathBuf::from("/usr");
        assert_eq!(found.into_iter().filter(|path| *path != usr).collect::<Vec<_>>(), expected);
    }
}
