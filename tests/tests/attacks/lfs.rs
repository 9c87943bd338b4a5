//! Objects of Git LFS: what is asked for, and handed over.

use std::sync::Arc;

use crate::git::{Work, ask};
use crate::site::Site;
use crate::table::{Attack, attack};
use crate::wire::refused;

const OID: &str = "4350e6efbf3e48ade3f8225d50fcbfa8aaa6f28ec18c79ccfdd057b97946eb73";

/// A request of `a`; nothing is kept of it.
fn request(
    work: &Arc<Work>,
    name: &'static str,
    told: &'static str,
    recorded: &'static str,
    head: &str,
    body: Vec<u8>,
) -> Attack {
    let (work, head) = (Arc::clone(work), format!("{head} HTTP/1.1\r\n"));
    attack(name, "outpost/a", told, recorded, async move |site: Arc<Site>, from| {
        let answer = ask(&site, from, &work.a.credential, &head, &body).await;
        for repo in ["web", "other"] {
            let kept = site.cluster.coordinator_data().join(format!("repos/{repo}.git/lfs/objects"));
            assert!(!kept.exists(), "an object is kept at {}", kept.display());
        }
        refused(answer)
    })
}

fn batch(operation: &str, objects: &str) -> Vec<u8> {
    format!(r#"{{"operation":"{operation}","transfers":["basic"],"objects":[{objects}]}}"#).into_bytes()
}

pub(crate) fn requests(work: &Arc<Work>) -> Vec<Attack> {
    let one = format!(r#"{{"oid":"{OID}","size":3}}"#);
    let many = [one.as_str(); 1_001].join(",");
    let no_question = "this is no question for objects of Git LFS";
    let nothing = "there is no such repository";
    let never = "never had a worker of repo";
    let objects = |repo: &str| format!("/git/{repo}.git/info/lfs/objects");
    let (web, other) = (objects("web"), objects("other"));
    let ask = |name, told, recorded, head: &str, body| request(work, name, told, recorded, head, body);
    let question = |name, told, repo: &str, body| ask(name, told, told, &format!("POST {repo}/batch"), body);
    vec![
        ask(
            "an object that is not what its name says",
            "400",
            "not what its name says",
            &format!("PUT {web}/{OID}"),
            b"abc".to_vec(),
        ),
        ask("an object for another's repo", "403", never, &format!("PUT {other}/{OID}"), b"abc".to_vec()),
        ask("an object of another's repo", "403", "has no worker of repo", &format!("GET {other}/{OID}"), vec![]),
        ask("an object that climbs out", "404", nothing, &format!("GET {web}/../../../HEAD"), vec![]),
        ask(
            "an object that climbs out, escaped",
            "404",
            nothing,
            &format!("GET {web}/%2e%2e%2f%2e%2e%2fconfig"),
            vec![],
        ),
        ask("an object by another method", "404", nothing, &format!("DELETE {web}/{OID}"), vec![]),
        ask(
            "an object with a name in capitals",
            "404",
            nothing,
            &format!("PUT {web}/{}", OID.to_uppercase()),
            b"abc".to_vec(),
        ),
        ask("the locks of a repo", "404", nothing, "POST /git/web.git/info/lfs/locks/verify", b"{}".to_vec()),
        question("a question about another's repo", never, &other, batch("download", &one)),
        question("a question for nothing", no_question, &web, batch("delete", &one)),
        question("a question that is none", no_question, &web, b"{\"operation\":".to_vec()),
        question(
            "a question for a path",
            no_question,
            &web,
            batch("download", r#"{"oid":"../../../../etc/passwd","size":3}"#),
        ),
        question(
            "a question for less than nothing",
            no_question,
            &web,
            batch("upload", &format!(r#"{{"oid":"{OID}","size":-3}}"#)),
        ),
        question("more objects than a question may have", "at most 1000 objects", &web, batch("upload", &many)),
        question("a question without end", "at most 1048576 bytes", &web, vec![b' '; 2 << 20]),
    ]
}
