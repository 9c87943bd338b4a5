use proptest::prelude::*;

use super::*;
use crate::fuzz::texts;

fn address(text: &str) -> RepoAddress {
    RepoAddress::new(text).expect("an address")
}

#[test]
fn an_address_is_shown_without_its_secret() {
    for (given, shown) in [
        ("https://example.org/web.git", "https://example.org/web.git"),
        ("https://ann:hunter2@example.org/web.git", "https://***@example.org/web.git"),
        ("https://ghp_token@example.org:8443/web.git", "https://***@example.org:8443/web.git"),
        ("HTTPS://ann:p%40ss@example.org/a%40b", "HTTPS://***@example.org/a%40b"),
        ("https:///ann:hunter2@example.org/web.git", "https:///***@example.org/web.git"),
        ("ssh://git@example.org/web.git", "ssh://git@example.org/web.git"),
        ("ssh://git@example.org:22/web@2.git", "ssh://git@example.org:22/web@2.git"),
        ("git@example.org:web.git", "git@example.org:web.git"),
        ("/srv/git/web@2.git", "/srv/git/web@2.git"),
        ("file:///srv/web@2.git", "file:///srv/web@2.git"),
    ] {
        assert_eq!(address(given).to_string(), shown);
        assert_eq!(format!("{:?}", address(given)), format!("RepoAddress({shown})"));
    }
    let kept = |text: &str| RepoAddress::as_kept(text.to_owned()).to_string();
    assert_eq!(kept("https://example.org/web.git?private_token=hunter2"), "https://example.org/web.git");
    assert_eq!(kept("https://ann:hun/ter2@example.org/web.git"), "https://***@example.org/web.git");
}

#[test]
fn the_address_for_git_has_no_secret_and_the_credentials_are_unescaped() {
    let (url, credentials) = address("https://ann:p%40s%20s@example.org/web.git").reach();
    assert_eq!(url, "https://example.org/web.git");
    assert_eq!(credentials, Some(Credentials { user: "ann".to_owned(), password: "p@s s".to_owned() }));
    let (_, credentials) = address("https://ghp_token@example.org/web.git").reach();
    assert_eq!(credentials, Some(Credentials { user: "ghp_token".to_owned(), password: String::new() }));
    assert_eq!(address("git@example.org:web.git").reach(), ("git@example.org:web.git".to_owned(), None));
}

#[test]
fn what_can_be_no_address_is_refused_without_being_shown() {
    for (given, why) in [
        ("", InvalidAddress::NoAddress),
        (" ", InvalidAddress::NoAddress),
        ("--upload-pack=hunter2", InvalidAddress::NoAddress),
        ("https://a/hunter2\n", InvalidAddress::NoAddress),
        ("https://a/b\0hunter2", InvalidAddress::NoAddress),
        ("https://example.org/web.git?token=hunter2", InvalidAddress::Query),
        ("ssh://ann:hunter2@example.org/web.git", InvalidAddress::Password),
        ("ann:hunter2@example.org:web.git", InvalidAddress::Password),
        ("https://ann:hunter2%@example.org/", InvalidAddress::Escapes),
        ("https://ann:hunter2%0aurl=x@example.org/", InvalidAddress::Escapes),
        ("https://ann:hunter2%ff@example.org/", InvalidAddress::Escapes),
        ("https://ann:hun/ter2@example.org/", InvalidAddress::Escapes),
        ("https://example.org/hunter2@2", InvalidAddress::Escapes),
        ("fd::0", InvalidAddress::Scheme),
        ("ext::sh -c true", InvalidAddress::Scheme),
        ("https::https://example.org/web.git", InvalidAddress::Scheme),
        ("git://example.org/web.git", InvalidAddress::Scheme),
        ("ftp://example.org/web.git", InvalidAddress::Scheme),
        ("./web.git", InvalidAddress::Scheme),
        (":web.git", InvalidAddress::Scheme),
    ] {
        assert_eq!(RepoAddress::new(given), Err(why), "{given:?}");
        assert!(!why.to_string().contains("hunter2"));
    }
}

#[test]
fn what_git_says_of_an_address_is_scrubbed() {
    let said = "fatal: could not read Password for 'https://ghp_t%6fken@example.org': ghp_token";
    let scrubbed = address("https://ghp_t%6fken@example.org/").scrub(said);
    assert_eq!(scrubbed, "fatal: could not read Password for 'https://***@example.org': ***");
    let said = "git: no access for git with p@ss (p%40ss) at git:p%40ss";
    let scrubbed = address("https://git:p%40ss@example.org/").scrub(said);
    assert_eq!(scrubbed, "git: no access for git with *** (***) at ***");
    assert_eq!(address("git@example.org:web.git").scrub("git@example.org: no"), "git@example.org: no");
}

/// A text as an address writes it.
fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect::<Vec<_>>().concat()
}

proptest! {
    /// Whatever the secret is and however it is written, it is neither shown nor told to git in its arguments.
    #[test]
    fn fuzz_no_secret_of_an_address_is_shown(
        secret in "[!-~]{6,20}",
        escape in any::<bool>(),
        alone in any::<bool>(),
        before in proptest::sample::select(&["https://", "http:///", "HtTp://", "https::https://", "ssh://"][..]),
        after in texts(&["example.org/web.git", "[::1]:1/a@b", "example.org:1/x?y"]),
    ) {
        let written = if escape { escaped(&secret) } else { secret.clone() };
        let user = if alone { written.clone() } else { format!("ann:{written}") };
        let plain = format!("{before}ann@{after}");
        // A name at a host that is reached by ssh is no secret.
        if plain.contains(&secret) || plain.contains(&written) || (alone && before == "ssh://") {
            return Ok(());
        }
        let address = RepoAddress::as_kept(format!("{before}{user}@{after}"));
        let shown = format!("{address} {address:?}");
        prop_assert!(!shown.contains(&secret) && !shown.contains(&written), "{shown}");
        if let Ok(taken) = RepoAddress::new(format!("{before}{user}@{after}")) {
            let (url, credentials) = taken.reach();
            let said = taken.scrub(&format!("fatal: '{user}' ({written}, {secret})"));
            for text in [url, said, taken.without_credentials()] {
                prop_assert!(!text.contains(&secret) && !text.contains(&written), "{text}");
            }
            if escape {
                let credentials = credentials.expect("are there");
                prop_assert_eq!(if alone { credentials.user } else { credentials.password }, secret);
            }
        }
    }

    /// What is shown of an address is an address that is shown so, too: it may come over the wire.
    #[test]
    fn fuzz_what_is_shown_of_an_address_is_shown_alike(
        text in texts(&["https://ann:hunter2@example.org/a@b?c", "git@example.org:web.git", "ssh://a:b@c/d", "file:///a@b"])
    ) {
        let address = RepoAddress::as_kept(text.clone());
        let shown = address.to_string();
        prop_assert_eq!(RepoAddress::as_kept(shown.clone()).to_string(), shown);
        if let Ok(taken) = RepoAddress::new(text) {
            let (url, credentials) = taken.reach();
            prop_assert!(!url.starts_with('-') && !url.contains('\0'));
            prop_assert!(credentials.is_none_or(|known| !known.user.contains('\n') && !known.password.contains('\n')));
        }
    }
}

#[test]
fn a_submodules_address_stays_with_its_repository() {
    let of =
        |parent: &str, text: &str| RepoAddress::as_kept(parent.to_owned()).submodule(text).map(|found| found.reach().0);
    let is = |parent: &str, text: &str, expected: &str| {
        assert_eq!(of(parent, text).as_deref(), Ok(expected), "{parent} {text}");
    };
    is("https://example.org/team/web.git", "../lib.git", "https://example.org/team/lib.git");
    is("https://example.org/team/web.git/", "../../other/lib.git", "https://example.org/other/lib.git");
    is("https://example.org/team/web.git", "./sub", "https://example.org/team/web.git/sub");
    is("git@example.org:team/web.git", "../lib.git", "git@example.org:team/lib.git");
    is("git@example.org:web.git", "../lib.git", "git@example.org:lib.git");
    is("ssh://git@example.org:22/web.git", "../lib.git", "ssh://git@example.org:22/lib.git");
    is("/srv/git/web", "../lib", "/srv/git/lib");
    is("file:///srv/git/web", "/srv/git/lib", "/srv/git/lib");
    is("/srv/git/web", "https://example.org/lib.git", "https://example.org/lib.git");
    is("https://example.org/web.git", "git@example.org:lib.git", "git@example.org:lib.git");
    let refused =
        |parent: &str, text: &str, why: InvalidSubmodule| assert_eq!(of(parent, text), Err(why), "{parent} {text}");
    refused("https://example.org/web.git", "../../../lib.git", InvalidSubmodule::BeyondHost);
    refused("https://example.org/web.git", "/etc", InvalidSubmodule::Path);
    refused("https://example.org/web.git", "file:///etc", InvalidSubmodule::Path);
    refused("/srv/web", "ext::sh -c id", InvalidSubmodule::Scheme);
    refused("/srv/web", "fd::0", InvalidSubmodule::Scheme);
    refused("/srv/web", "https::https://example.org/a", InvalidSubmodule::Scheme);
    refused("/srv/web", "ftp://example.org/a", InvalidSubmodule::Scheme);
    refused("/srv/web", "lib", InvalidSubmodule::Scheme);
    refused("/srv/web", "--upload-pack=id", InvalidSubmodule::Address(InvalidAddress::NoAddress));
}

#[test]
fn a_submodule_at_the_same_server_is_reached_with_the_same_credentials() {
    let parent = RepoAddress::as_kept("https://ann:hunter2@example.org/team/web.git".to_owned());
    let user = |text: &str| parent.submodule(text).expect("is one").reach().1.map(|known| known.user);
    assert_eq!(user("../lib.git").as_deref(), Some("ann"));
    assert_eq!(user("https://example.org/other/lib.git").as_deref(), Some("ann"));
    assert_eq!(user("https://bob:x@example.org/other/lib.git").as_deref(), Some("bob"));
    for other in ["https://example.com/lib.git", "http://example.org/lib.git", "https://example.org:8443/lib.git"] {
        assert_eq!(user(other), None, "{other}");
    }
}
