use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;

use super::*;

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().expect("a directory"));
        for (name, text) in [("a", "1"), ("sub/b", "2"), ("target/c", "3")] {
            place.write(name, text);
        }
        place.git(&["init", "--quiet"]);
        place.git(&["add", "a"]);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("is made");
        fs::write(path, text).expect("is written");
    }

    fn git(&self, args: &[&str]) {
        let identity = ["-c", "user.name=a", "-c", "user.email=a@b"];
        let done = Command::new("git").arg("-C").arg(self.0.path()).args(identity).args(args).status();
        assert!(done.expect("git runs").success());
    }

    /// Once the last change is old enough.
    fn settled(&self) -> u64 {
        let ignored = BTreeSet::from([PathBuf::from("target")]);
        loop {
            if let Some(sum) = of(self.0.path(), &ignored).expect("is walked").print {
                return sum;
            }
            std::thread::sleep(TICK);
        }
    }
}

type Change = (&'static str, Box<dyn Fn(&Place)>, bool);

#[test]
fn each_change_is_seen_and_what_is_ignored_is_not() {
    let place = Place::new();
    let changes: Vec<Change> = vec![
        ("nothing", Box::new(|_| {}), false),
        ("content of the same size", Box::new(|place| place.write("sub/b", "7")), true),
        ("a new file", Box::new(|place| place.write("sub/deep/d", "4")), true),
        ("a file's end", Box::new(|place| fs::remove_file(place.path("sub/deep/d")).expect("is removed")), true),
        ("a new name", Box::new(|place| fs::rename(place.path("a"), place.path("z")).expect("is renamed")), true),
        (
            "a mode",
            Box::new(|place| {
                fs::set_permissions(place.path("z"), fs::Permissions::from_mode(0o755)).expect("is changed");
            }),
            true,
        ),
        ("a link", Box::new(|place| symlink("/etc/passwd", place.path("link")).expect("is made")), true),
        ("the index", Box::new(|place| place.git(&["add", "sub"])), true),
        ("a commit", Box::new(|place| place.git(&["commit", "--quiet", "-m", "x"])), true),
        ("an ignored directory", Box::new(|place| place.write("target/deep/e", "5")), false),
    ];
    for (what, change, seen) in changes {
        let before = place.settled();
        change(&place);
        assert_eq!(place.settled() != before, seen, "{what}");
    }
}

#[test]
fn what_has_just_changed_is_not_settled() {
    let place = Place::new();
    place.settled();
    place.write("a", "9");
    // The walk may have been slow to begin.
    while of(place.0.path(), &BTreeSet::new()).expect("is walked").print.is_some() {
        place.write("a", "9");
    }
}

#[test]
fn nothing_outside_is_walked_and_what_waits_is_not_opened() {
    let place = Place::new();
    let outside = tempfile::tempdir().expect("a directory");
    symlink(outside.path(), place.path("out")).expect("is made");
    assert!(Command::new("mkfifo").arg(place.path("pipe")).status().expect("mkfifo runs").success());
    let before = place.settled();
    fs::write(outside.path().join("x"), "x").expect("is written");
    assert_eq!(place.settled(), before);
    assert!(of(&place.path("out"), &BTreeSet::new()).is_err());
}
