use std::fs::FileTimes;

use super::*;

const CONTENT: &[u8] = b"abc";
const OID: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn object() -> LfsObject {
    LfsObject { oid: LfsOid::new(OID).expect("is one"), size: CONTENT.len() as u64 }
}

fn keep(store: &LfsStore, oid: &LfsOid) {
    let mut draft = store.draft().expect("is made");
    io::Write::write_all(&mut draft, CONTENT).expect("is written");
    store.keep(draft, oid).expect("is kept");
}

#[test]
fn a_store_has_what_was_kept_and_is_unused_before() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = LfsStore::of(directory.path());
    assert!(store.is_unused());
    assert!(!store.has(&object()));
    drop(store.draft().expect("is made"));
    assert!(store.list().is_empty(), "a draft is no object");
    keep(&store, &object().oid);
    assert!(store.has(&object()) && !store.is_unused());
    assert!(!store.has(&LfsObject { size: 4, ..object() }));
    assert_eq!(store.list(), BTreeSet::from([object().oid]));
}

#[test]
fn an_old_object_that_no_file_names_goes() {
    let directory = tempfile::tempdir().expect("a directory");
    let repository = Repository::init_bare(directory.path()).expect("is made");
    let store = LfsStore::of(directory.path());
    let young = LfsOid::new("1".repeat(64)).expect("is one");
    let unnamed = LfsOid::new("2".repeat(64)).expect("is one");
    for oid in [&object().oid, &young, &unnamed] {
        keep(&store, oid);
    }
    repository.blob(object().pointer().as_bytes()).expect("is written");
    for oid in [&object().oid, &unnamed] {
        let old = SystemTime::now() - UNNAMED * 2;
        let file = fs::File::open(store.path(oid)).expect("is there");
        file.set_times(FileTimes::new().set_modified(old)).expect("is set");
    }
    assert_eq!(reclaim(directory.path()).expect("works"), 1);
    assert_eq!(store.list(), BTreeSet::from([young, object().oid]));
}

#[test]
fn a_path_becomes_an_address_that_git_lfs_reads() {
    assert_eq!(file_url(Path::new("/srv/a b/é#.git")), "file:///srv/a%20b/%C3%A9%23.git");
}

#[test]
fn the_words_of_git_lfs_are_told_from_its_progress() {
    let said =
        "fetch: Fetching reference 12\rUploading LFS objects: 0%\nerror: failed to fetch some objects from 'x'\n";
    assert_eq!(words(said), "failed to fetch some objects from 'x'");
    assert!(words("git: 'lfs' is not a git command. See 'git --help'.").contains("install it there"));
    assert_eq!(words(""), "git-lfs failed without a word");
}

#[test]
fn a_server_that_says_no_is_told_from_one_that_cannot_be_asked() {
    for said in [
        "error transferring \"4350\": [0] remote missing object 4350",
        "[4350] Object does not exist on the server: [404] Object does not exist on the server",
        "batch response: over its data quota",
        "batch response: Git LFS is disabled for this repository.",
        "Authorization error: https://example.org/web.git/info/lfs/objects/batch",
    ] {
        assert!(is_refusal(said), "{said}");
    }
    for said in [
        "batch response: Post \"https://x/\": dial tcp: lookup x on 1.1.1.1:53: no such host",
        "batch response: Post \"https://x/objects\": dial tcp 127.0.0.1:1: connect: connection refused",
        "batch response: Server error: https://x/objects/batch from HTTP 500",
        "EOF",
        "it did not end within 10m",
    ] {
        assert!(!is_refusal(said), "{said}");
    }
}
