use axum::http::HeaderValue;
use proptest::prelude::*;
use sprint_core::fuzz::{bytes, texts};

use super::*;

#[test]
fn only_what_gits_client_asks_is_served() {
    let read = |path: &str, query| Asked::read(&Method::GET, path, query);
    let refs = read("web.git/info/refs", Some("service=git-receive-pack")).expect("is read");
    assert_eq!((refs.repo.as_str(), refs.service, refs.begins), ("web", Service::ReceivePack, true));
    assert!(Asked::read(&Method::POST, "web.git/git-upload-pack", None).is_some());
    for (path, query) in [
        // The protocol without a service reads files.
        ("web.git/info/refs", None),
        ("web.git/info/refs", Some("")),
        ("web.git/info/refs", Some("service=git-upload-archive")),
        ("web.git/info/refs", Some("service=git%2Dreceive-pack")),
        ("web.git/info/refs", Some("service=git-upload-pack&service=git-receive-pack")),
        ("web.git/info/refs", Some("a=b&service=git-upload-pack")),
        ("web.git/HEAD", None),
        ("web.git/objects/info/packs", None),
        ("web.git/config", None),
        ("web.git/git-upload-pack", None),
        ("%77eb.git/info/refs", Some("service=git-upload-pack")),
        ("../web.git/info/refs", Some("service=git-upload-pack")),
        ("web.git/../web.git/info/refs", Some("service=git-upload-pack")),
        ("web.git.git/info/refs", Some("service=git-upload-pack")),
        ("/web.git/info/refs", Some("service=git-upload-pack")),
    ] {
        assert_eq!(read(path, query), None, "{path} {query:?} must not be served");
    }
    for method in [Method::HEAD, Method::POST, Method::PUT, Method::OPTIONS] {
        let asked = Asked::read(&method, "web.git/info/refs", Some("service=git-upload-pack"));
        assert_eq!(asked, None, "{method} must not be served");
    }
}

#[test]
fn a_token_is_read_from_either_kind_of_header() {
    let with = |value: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_static(value));
        token(&headers)
    };
    assert_eq!(with("Bearer abc").as_deref(), Some("abc"));
    assert_eq!(with("basic YW5uOmFiYw==").as_deref(), Some("abc"));
    for bad in ["Basic", "Basic !", "Basic YW5u", "Digest abc", "abc"] {
        assert_eq!(with(bad), None, "{bad:?} shows no token");
    }
}

proptest! {
    /// What is served is one repo's one service, and git's program is told exactly what was asked.
    #[test]
    fn fuzz_what_is_asked_of_git_is_read_exactly(
        path in texts(&["web.git/info/refs", "my.repo.git/git-upload-pack", "a.git/git-receive-pack"]),
        query in proptest::option::of(texts(&["service=git-upload-pack", "service=git-receive-pack"])),
        post in any::<bool>(),
    ) {
        let method = if post { Method::POST } else { Method::GET };
        if let Some(asked) = Asked::read(&method, &path, query.as_deref()) {
            let (told, path_info, told_query) = asked.for_backend();
            prop_assert_eq!(told, method.as_str());
            prop_assert_eq!(path_info, format!("/{path}"));
            prop_assert_eq!(told_query, query.unwrap_or_default());
        }
    }

    /// Any header may come; what is taken for a token is what was shown, and no more.
    #[test]
    fn fuzz_any_header_may_show_a_token(
        value in bytes(vec![b"Bearer sprint1_0a1b2c3d".to_vec(), b"Basic YW5uOmFiYw==".to_vec()])
    ) {
        let Ok(value) = HeaderValue::from_bytes(&value) else { return Ok(()) };
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, value.clone());
        if let Some(token) = token(&headers) {
            prop_assert!(token.len() <= value.len());
            if let Some(shown) = bearer(&headers) {
                let shown_whole = value.to_str().is_ok_and(|value| value.ends_with(shown.trim()) || value.contains(shown));
                prop_assert!(shown_whole);
            }
        }
    }
}
