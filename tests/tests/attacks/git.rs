//! Code: what is fetched and pushed, with the git program and without it.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use sprint_identity::connect::Credential;
use sprint_proto::v1;
use tokio::sync::Mutex;

use crate::session::{Session, failed, job_of, report};
use crate::site::{Member, Site};
use crate::table::{Attack, Outcome, STRANGER, attack};
use crate::wire::{Answer, http1, refused};

const ZERO: &str = "0000000000000000000000000000000000000000";

/// Two outposts at work on one repo, and a repo that none has work of.
pub(crate) struct Work {
    pub(crate) a: Member,
    /// Held open, so that their workers stay alive.
    #[expect(dead_code, reason = "it is dropped with the rest")]
    sessions: Mutex<Vec<Session>>,
    /// The live attempt of `a`, its second at the item, and that of `b`.
    of_a: v1::Assignment,
    of_b: v1::Assignment,
    clone: PathBuf,
}

impl Work {
    pub(crate) async fn make(site: &Arc<Site>) -> Arc<Self> {
        site.repo("web").await;
        site.repo("other").await;
        let (a, b) = (site.join("a").await, site.join("b").await);
        let (mut of_a, mut of_b) = (site.session(&a).await, site.session(&b).await);
        site.item("web", "a").await;
        let first = of_a.work().await;
        of_a.report(report(&first, 2, failed())).await.expect("it goes on");
        let second = of_a.work().await;
        assert_eq!((job_of(&second).item, job_of(&second).attempt), (job_of(&first).item, 2), "it is tried again");
        site.item("web", "b").await;
        let other = of_b.work().await;
        let clone = site.cluster.path().join("clone");
        let upstream = site.cluster.path().join("web-upstream.git").display().to_string();
        let here = site.cluster.path().to_owned();
        sprint_tests::git(&here, &["clone", "--quiet", &upstream, "clone"]);
        std::fs::write(clone.join("evil.txt"), "evil\n").expect("is written");
        sprint_tests::git(&clone, &["add", "-A"]);
        sprint_tests::git(&clone, &["commit", "--quiet", "-m", "evil"]);
        let sessions = Mutex::new(vec![of_a, of_b]);
        Arc::new(Self { a, sessions, of_a: second, of_b: other, clone })
    }

    fn own_ref(&self) -> String {
        format!("refs/sprint/work/{}/2", job_of(&self.of_a).item)
    }

    fn head(&self) -> String {
        sprint_tests::git(&self.clone, &["rev-parse", "HEAD"])
    }
}

/// The refs of a repo as the coordinator has them.
pub(crate) fn refs(site: &Site, repo: &str) -> String {
    let path = site.cluster.coordinator_data().join(format!("repos/{repo}.git"));
    sprint_tests::git(&path, &["for-each-ref", "--format=%(refname) %(objectname)"])
}

/// Runs git as the holder of a credential; what it prints when it succeeds, or says when it does not.
async fn git(site: Arc<Site>, credential: &Credential, directory: &Path, args: &[&str]) -> Outcome {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=evil", "-c", "user.email=evil@example.invalid"]).args(args).current_dir(directory);
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null").env("GIT_TERMINAL_PROMPT", "0");
    command.env("GIT_SSL_CAINFO", site.identity_dir().join("ca.pem"));
    let files = tempfile::tempdir().expect("a directory");
    if let Credential::Certificate { chain_pem, key_pem } = credential {
        for (name, content, variable) in [("cert", chain_pem, "GIT_SSL_CERT"), ("key", key_pem, "GIT_SSL_KEY")] {
            let path = files.path().join(name);
            std::fs::write(&path, content).expect("is written");
            command.env(variable, path);
        }
    }
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic").expect("git runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout) + &text(&output.stderr)) } else { Err(text(&output.stderr)) }
}

/// A push of its own commit by `a`.
fn push(work: &Arc<Work>, name: &'static str, told: &'static str, refspecs: Vec<String>) -> Attack {
    let work = Arc::clone(work);
    attack(name, "outpost/a", told, told, async move |site: Arc<Site>, _| {
        let url = site.cluster.git_url("web");
        let before = refs(&site, "web");
        let mut args = vec!["push", "--force", &url];
        args.extend(refspecs.iter().map(String::as_str));
        let pushed = git(Arc::clone(&site), &work.a.credential, &work.clone, &args).await;
        assert_eq!(refs(&site, "web"), before, "nothing at all is updated");
        pushed
    })
    .one_by_one()
}

pub(crate) fn pushes(work: &Arc<Work>) -> Vec<Attack> {
    let (own, item, of_b) = (work.own_ref(), job_of(&work.of_a).item, job_of(&work.of_b).item);
    let to = |name: &str| vec![format!("HEAD:{name}")];
    let not_a_ref = "it is not an attempt's ref";
    let not_own = "is not one of outpost \"a\"";
    vec![
        push(work, "a push to main", not_a_ref, to("refs/heads/main")),
        push(work, "a push to a branch of its own", not_a_ref, to("refs/heads/mine")),
        push(work, "a push to a tag", not_a_ref, to("refs/tags/v1")),
        push(work, "a push to a candidate", not_a_ref, to("refs/sprint/candidate/1")),
        push(work, "a push to what was seen of the upstream", not_a_ref, to("refs/sprint/upstream/main")),
        push(work, "a push to another's work", not_own, to(&format!("refs/sprint/work/{of_b}/1"))),
        push(work, "a push to another's snapshot", not_own, to(&format!("refs/sprint/wip/{of_b}/1"))),
        push(work, "a push to an attempt that is over", "is over", to(&format!("refs/sprint/work/{item}/1"))),
        push(work, "a push to an attempt to come", not_own, to(&format!("refs/sprint/work/{item}/3"))),
        push(work, "a push as late of what is not late", "is not over", to(&format!("refs/sprint/late/work/{item}/2"))),
        push(
            work,
            "a push of two refs, one of them another's",
            not_own,
            vec![format!("HEAD:{own}"), format!("HEAD:refs/sprint/work/{of_b}/1")],
        ),
        push(
            work,
            "a push of two refs, one of them main",
            not_a_ref,
            vec![format!("HEAD:{own}"), "HEAD:refs/heads/main".to_owned()],
        ),
        push(work, "a push to digits that are none", not_a_ref, to(&format!("refs/sprint/work/{item}/\u{ff12}"))),
        push(work, "a push to a number with a zero before it", not_a_ref, to(&format!("refs/sprint/work/0{item}/2"))),
        push(work, "the deletion of main", not_a_ref, vec![":refs/heads/main".to_owned()]),
    ]
}

/// What is tried around them, also with the git program.
pub(crate) fn fetches(work: &Arc<Work>) -> Vec<Attack> {
    let row =
        |name, who, told, recorded, run: fn(Arc<Site>, Arc<Work>) -> futures::future::BoxFuture<'static, Outcome>| {
            let work = Arc::clone(work);
            attack(name, who, told, recorded, move |site, _| run(site, work)).one_by_one()
        };
    vec![
        row("the deletion of its own work", "outpost/a", "is not deleted", "is not deleted", |site, work| {
            Box::pin(async move {
                let (url, own) = (site.cluster.git_url("web"), work.own_ref());
                let a = &work.a.credential;
                git(Arc::clone(&site), a, &work.clone, &["push", &url, &format!("HEAD:{own}")])
                    .await
                    .expect("it is its own");
                let before = refs(&site, "web");
                let deleted = git(Arc::clone(&site), a, &work.clone, &["push", &url, &format!(":{own}")]).await;
                assert_eq!(refs(&site, "web"), before);
                deleted
            })
        }),
        row(
            "a push that is larger than any may be",
            "outpost/a",
            "exceeds maximum",
            "it is larger than 1048576 bytes",
            |site, work| {
                Box::pin(async move {
                    let noise = (0..3 << 14).fold(String::new(), |mut noise, _| {
                        let _ = write!(noise, "{}", sprint_identity::random(32));
                        noise
                    });
                    std::fs::write(work.clone.join("noise.txt"), noise).expect("is written");
                    sprint_tests::git(&work.clone, &["add", "-A"]);
                    sprint_tests::git(&work.clone, &["commit", "--quiet", "-m", "noise"]);
                    let wip = format!("HEAD:refs/sprint/wip/{}/2", job_of(&work.of_a).item);
                    let before = refs(&site, "web");
                    let pushed = git(
                        Arc::clone(&site),
                        &work.a.credential,
                        &work.clone,
                        &["push", &site.cluster.git_url("web"), &wip],
                    )
                    .await;
                    sprint_tests::git(&work.clone, &["reset", "--quiet", "--hard", "HEAD~1"]);
                    assert_eq!(refs(&site, "web"), before);
                    pushed
                })
            },
        ),
        row(
            "a push by the admin",
            "admin/local",
            "people do not push here",
            "people do not push here",
            |site, work| {
                Box::pin(async move {
                    let (url, admin) = (site.cluster.git_url("web"), site.admin.clone());
                    git(site, &admin, &work.clone, &["push", &url, "HEAD:refs/heads/main"]).await
                })
            },
        ),
        row("a push without credentials", STRANGER, "", "code is served to callers", |site, work| {
            Box::pin(async move {
                let url = site.cluster.git_url("web");
                git(site, &Credential::None, &work.clone, &["push", &url, "HEAD:refs/heads/main"]).await
            })
        }),
        row("a clone without credentials", STRANGER, "", "code is served to callers", |site, work| {
            Box::pin(async move {
                let url = site.cluster.git_url("web");
                git(site, &Credential::None, &work.clone, &["clone", &url, "../stolen"]).await
            })
        }),
        row(
            "a clone of a repo without work of it",
            "outpost/a",
            "has no worker of repo",
            "has no worker of repo",
            |site, work| {
                Box::pin(async move {
                    let url = site.cluster.git_url("other");
                    git(site, &work.a.credential, &work.clone, &["clone", &url, "../stolen"]).await
                })
            },
        ),
        row(
            "a push to a repo without work of it",
            "outpost/a",
            "never had a worker of repo",
            "never had a worker of repo",
            |site, work| {
                Box::pin(async move {
                    let (url, own) = (site.cluster.git_url("other"), work.own_ref());
                    git(site, &work.a.credential, &work.clone, &["push", &url, &format!("HEAD:{own}")]).await
                })
            },
        ),
        row("a fetch with a certificate of another authority", STRANGER, "", "UnknownIssuer", |site, work| {
            Box::pin(async move {
                let url = site.cluster.git_url("web");
                let other = sprint_identity::authority::Authority::make(crate::site::now()).expect("is made");
                let hour = std::time::Duration::from_hours(1);
                let forged = crate::site::issued_by(&other, &work.a.key(), crate::site::now(), hour);
                git(site, &forged, &work.clone, &["ls-remote", &url]).await
            })
        }),
        row("a fetch with a guessed password", STRANGER, "", "is not known here", |site, work| {
            Box::pin(async move {
                let [id, secret, authority] = [4, 20, 32].map(sprint_identity::random);
                let token = format!("sprint1_{id}_{secret}_{authority}");
                let url = site.cluster.git_url("web").replace("https://", &format!("https://ann:{token}@"));
                git(site, &Credential::None, &work.clone, &["ls-remote", &url]).await
            })
        }),
        row("a fetch after its outpost was removed", STRANGER, "", "the outpost was removed", |site, work| {
            Box::pin(async move {
                let gone = site.join("gone").await;
                site.remove("gone").await;
                let url = site.cluster.git_url("web");
                git(site, &gone.credential, &work.clone, &["ls-remote", &url]).await
            })
        }),
    ]
}

/// A request of `a` by HTTP/1.
pub(crate) async fn ask(
    site: &Site,
    from: IpAddr,
    credential: &Credential,
    head: &str,
    body: &[u8],
) -> Result<Answer, String> {
    let mut stream = site.tls(from, credential, &[b"http/1.1"]).await?;
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    http1(&mut stream, &format!("{head}{length}"), body).await
}

/// Asks for a path that is none.
fn path(work: &Arc<Work>, name: &'static str, request: &'static str) -> Attack {
    let work = Arc::clone(work);
    attack(name, "outpost/a", "404", "there is no such repository", async move |site: Arc<Site>, from| {
        let head = format!("{request} HTTP/1.1\r\n");
        refused(ask(&site, from, &work.a.credential, &head, b"").await)
    })
}

fn line(text: &str) -> String {
    format!("{:04x}{text}", text.len() + 4)
}

/// Pushes what the git program would not.
fn raw_push(
    work: &Arc<Work>,
    name: &'static str,
    told: &'static str,
    recorded: &'static str,
    more: &'static str,
    body: impl FnOnce(&Work) -> Vec<u8> + Send + 'static,
) -> Attack {
    let work = Arc::clone(work);
    attack(name, "outpost/a", told, recorded, async move |site: Arc<Site>, from| {
        let head = format!(
            "POST /git/web.git/git-receive-pack HTTP/1.1\r\nContent-Type: application/x-git-receive-pack-request\r\n{more}"
        );
        let before = refs(&site, "web");
        let answer = ask(&site, from, &work.a.credential, &head, &body(&work)).await?;
        let same = refs(&site, "web") == before;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        // Git's own protocol says no within an HTTP success.
        if same
            && (text.contains("ng ") || text.contains("unpack "))
            && !text.contains("\nok ")
            && !text.contains("ok refs")
        {
            return Err(text);
        }
        refused(Ok(answer))
    })
}

pub(crate) fn raw(work: &Arc<Work>) -> Vec<Attack> {
    let update = |work: &Work, name: &str| line(&format!("{ZERO} {} {name}\0report-status", work.head())) + "0000";
    let invalid = "the push makes no sense";
    let to = |attack: &'static str, name: &'static str| {
        raw_push(work, attack, "400", invalid, "", move |work| update(work, name).into_bytes())
    };
    let not_a_ref = |attack: &'static str, name: &'static str| {
        let told = "it is not an attempt's ref";
        raw_push(work, attack, told, told, "", move |work| {
            update(work, &name.replace('#', &job_of(&work.of_a).item.to_string())).into_bytes()
        })
    };
    vec![
        path(work, "the file HEAD", "GET /git/web.git/HEAD"),
        path(work, "the file config", "GET /git/web.git/config"),
        path(work, "the list of packs", "GET /git/web.git/objects/info/packs"),
        path(work, "a loose object", "GET /git/web.git/objects/aa/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
        path(work, "refs by the protocol without a service", "GET /git/web.git/info/refs"),
        path(work, "refs by HEAD", "HEAD /git/web.git/info/refs?service=git-upload-pack"),
        path(work, "refs by PUT", "PUT /git/web.git/info/refs?service=git-upload-pack"),
        path(work, "a service by GET", "GET /git/web.git/git-upload-pack"),
        path(work, "a service that there is not", "GET /git/web.git/info/refs?service=git-upload-archive"),
        path(
            work,
            "two services at once",
            "GET /git/other.git/info/refs?service=git-upload-pack&service=git-receive-pack",
        ),
        path(work, "a service in other letters", "GET /git/other.git/info/refs?service=git%2Dreceive%2Dpack"),
        path(work, "a service with something before it", "GET /git/web.git/info/refs?x=y&service=git-upload-pack"),
        path(work, "a repo above the repos", "GET /git/../sprint.db.git/info/refs?service=git-upload-pack"),
        path(work, "a repo above the repos, escaped", "GET /git/%2e%2e%2fsprint.git/info/refs?service=git-upload-pack"),
        path(work, "a repo at the root", "GET /git//etc.git/info/refs?service=git-upload-pack"),
        path(work, "a repo that ends in the middle", "GET /git/web%00.git/info/refs?service=git-upload-pack"),
        path(work, "a repo over two lines", "GET /git/web%0a.git/info/refs?service=git-upload-pack"),
        path(work, "a repo that is an option", "GET /git/--upload-pack=x.git/info/refs?service=git-upload-pack"),
        path(work, "a repo that looks like another", "GET /git/w%D0%B5b.git/info/refs?service=git-upload-pack"),
        path(work, "the hooks", "GET /git/.hooks/update"),
        path(work, "a repo that was set aside", "GET /git/.removed-web-1.git/info/refs?service=git-upload-pack"),
        path(work, "a repo in another's place", "GET /git/other.git/../web.git/info/refs?service=git-upload-pack"),
        path(work, "bytes that are no text", "GET /git/%ff%fe.git/info/refs?service=git-upload-pack"),
        not_a_ref("a ref that climbs to main", "refs/sprint/work/#/2/../../../../heads/main"),
        not_a_ref("a ref that climbs out of the repository", "../../../../etc/cron.d/evil"),
        not_a_ref("a ref from the root", "/refs/heads/main"),
        not_a_ref("a ref that is an option", "--force"),
        not_a_ref("HEAD itself", "HEAD"),
        not_a_ref("a ref with a lock's name", "refs/sprint/work/#/2.lock"),
        to("a ref over two lines", "refs/sprint/work/1/1\nrefs/heads/main"),
        to("a ref of two words", "refs/sprint/work/1/1 refs/heads/main"),
        to("a ref with a line's end in it", "refs/sprint/work/1/1\rx"),
        to("a ref longer than any path", Box::leak(format!("refs/heads/{}", "x".repeat(5000)).into_boxed_str())),
        raw_push(work, "a ref with a NUL in a later line", "400", "a name holds a NUL", "", |work| {
            let first = line(&format!("{ZERO} {} {}\0report-status", work.head(), work.own_ref()));
            (first + &line(&format!("{ZERO} {} refs/heads/main\0x", work.head())) + "0000").into_bytes()
        }),
        raw_push(
            work,
            "a push that is compressed as a whole",
            "400",
            "not compressed as a whole",
            "Content-Encoding: gzip\r\n",
            move |work| update(work, "refs/heads/main").into_bytes(),
        ),
        raw_push(work, "a signed push", "400", invalid, "", |_| {
            (line("push-cert\0report-status\n") + "0000").into_bytes()
        }),
        raw_push(work, "a shallow push", "400", invalid, "", |work| {
            (line(&format!("shallow {}", work.head())) + "0000").into_bytes()
        }),
        raw_push(work, "garbage in the place of a push", "400", invalid, "", |_| b"zzzz\xff\xfe\x00garbage".to_vec()),
        raw_push(work, "a line that is longer than what comes", "400", "ended in the middle", "", |_| b"ffff".to_vec()),
        raw_push(work, "a line of no length", "400", invalid, "", |_| b"0001".to_vec()),
        raw_push(work, "more refs than a push may have", "400", "updates too many refs", "", |work| {
            line(&format!("{ZERO} {} refs/heads/main", work.head())).repeat(2000).into_bytes()
        }),
        raw_push(work, "a pack that is none", "unpack ", "git did not take what was pushed", "", |work| {
            let own = line(&format!("{ZERO} {} {}\0report-status", work.head(), work.own_ref()));
            [own.as_bytes(), b"0000PACK\x00\x00\x00\x02\xff\xff\xff\xffgarbage"].concat()
        }),
        raw_push(work, "commits that are not there", "unpack ", "git did not take what was pushed", "", |work| {
            let missing = "d".repeat(40);
            let own = line(&format!("{ZERO} {missing} {}\0report-status", work.own_ref()));
            // An empty pack, with its checksum.
            let empty = b"PACK\x00\x00\x00\x02\x00\x00\x00\x00\x02\x9d\x08\x82\x3b\xd8\xa8\xea\xb5\x10\xad\x6a\xc7\x5c\x82\x3c\xfd\x3e\xd3\x1e";
            [own.as_bytes(), b"0000", empty].concat()
        }),
    ]
}
