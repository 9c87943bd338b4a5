//! Calls of those who may not make them: by what they are, or by what they show.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;
use sprint_identity::connect::Credential;
use sprint_proto::{DESCRIPTORS, v1};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use crate::site::{LIMIT, Site, with_token};
use crate::table::{Attack, Outcome, STRANGER, attack};
use crate::wire::{http1, refused};

/// Calls a method by its path with one empty message.
pub(crate) async fn call(channel: Channel, path: &str, request: Request<()>) -> Result<(), Status> {
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.map_err(|error| Status::from_error(error.into()))?;
    let path = PathAndQuery::try_from(path).map_err(|error| Status::invalid_argument(error.to_string()))?;
    let answered = tokio::time::timeout(LIMIT, grpc.unary(request, path, ProstCodec::<(), ()>::default())).await;
    answered.map_err(|_| Status::ok("it is being answered"))?.map(|_| ())
}

fn outcome(answer: Result<(), Status>) -> Outcome {
    match answer {
        Ok(()) => Ok("an answer".to_owned()),
        Err(status) if status.code() == Code::Ok => Ok(status.message().to_owned()),
        Err(status) => Err(format!("{:?}: {}", status.code(), status.message())),
    }
}

/// What a caller shows.
#[derive(Clone, Copy)]
enum As {
    Stranger,
    /// A person with a token of this role.
    Person(&'static str),
    Outpost,
}

async fn call_as(site: Arc<Site>, from: IpAddr, who: As, path: &'static str) -> Outcome {
    let (credential, request) = match who {
        As::Stranger => (Credential::None, Request::new(())),
        As::Person(role) => {
            let (_, token) = site.person(role, "ann").await;
            (Credential::None, with_token((), &token))
        }
        As::Outpost => {
            // Each row joins by itself: an address has a number of its own.
            let name: &'static str = format!("outpost-{}", from.to_string().replace('.', "-")).leak();
            (site.join(name).await.credential, Request::new(()))
        }
    };
    let channel = site.channel(from, &credential).await.map_err(|status| status.message().to_owned())?;
    outcome(call(channel, path, request).await)
}

/// A call with something in the place of a token.
async fn showing(site: Arc<Site>, from: IpAddr, header: String) -> Outcome {
    let channel = site.channel(from, &Credential::None).await.map_err(|status| status.message().to_owned())?;
    let mut request = Request::new(());
    request.metadata_mut().insert("authorization", header.parse().map_err(|_| "no header".to_owned())?);
    outcome(call(channel, "/sprint.v1.Items/List", request).await)
}

/// A token with something changed.
async fn token_but(site: Arc<Site>, from: IpAddr, change: impl FnOnce(String) -> String) -> Outcome {
    let (_, token) = site.person("admin", "ann").await;
    showing(site, from, format!("Bearer {}", change(token))).await
}

/// The parts of a token: what it begins with, its id, its secret, its authority.
fn parts(token: &str) -> [&str; 4] {
    token.split('_').collect::<Vec<_>>().try_into().expect("four parts")
}

const UNAUTHENTICATED: &str = "the call is not authenticated";

fn unauthenticated(name: &'static str, path: &'static str) -> Attack {
    attack(name, STRANGER, UNAUTHENTICATED, UNAUTHENTICATED, move |site, from| call_as(site, from, As::Stranger, path))
}

fn person(name: &'static str, role: &'static str, path: &'static str) -> Attack {
    let who: &'static str = format!("{role}/ann").leak();
    attack(name, who, "PermissionDenied", "may not do this", move |site, from| {
        call_as(site, from, As::Person(role), path)
    })
}

pub(crate) fn strangers() -> Vec<Attack> {
    vec![
        unauthenticated("a stranger reads the queue", "/sprint.v1.Items/List"),
        unauthenticated("a stranger reads the record", "/sprint.v1.Events/Tail"),
        unauthenticated("a stranger reads a worker's log", "/sprint.v1.Workers/Logs"),
        unauthenticated("a stranger adds an item", "/sprint.v1.Items/Add"),
        unauthenticated("a stranger types into a terminal", "/sprint.v1.Workers/Attach"),
        unauthenticated("a stranger makes a token", "/sprint.v1.Identity/CreateToken"),
        unauthenticated("a stranger opens an outpost's session", "/sprint.v1.Link/Session"),
        unauthenticated("a stranger lists the methods", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"),
        unauthenticated("a stranger lists the services' health", "/grpc.health.v1.Health/List"),
        unauthenticated("a stranger calls a method that does not exist", "/sprint.v1.Items/Unheard"),
        unauthenticated("a stranger spells a path differently", "/sprint.v1.Items//List"),
        unauthenticated("a stranger leaves a public path by dots", "/sprint.v1.Identity/Enrol/../CreateToken"),
        attack("a stranger calls by HTTP/1", STRANGER, "", UNAUTHENTICATED, async |site: Arc<Site>, from| {
            let mut stream = site.tls(from, &Credential::None, &[b"http/1.1"]).await?;
            let head = "POST /sprint.v1.Items/List HTTP/1.1\r\nContent-Type: application/grpc\r\nContent-Length: 0\r\n";
            let answer = http1(&mut stream, head, b"").await?;
            // gRPC's own refusal is an HTTP success without a body.
            if answer.body.is_empty() { Err("an empty answer".to_owned()) } else { Ok(format!("{answer:?}")) }
        }),
        attack(
            "a stranger requests an unknown path",
            STRANGER,
            "404",
            "there is nothing there",
            async |site: Arc<Site>, from| {
                let mut stream = site.tls(from, &Credential::None, &[b"http/1.1"]).await?;
                refused(http1(&mut stream, "GET /admin HTTP/1.1\r\n", b"").await)
            },
        ),
        attack("a token with another secret", STRANGER, "not known here", "not known here", |site, from| {
            token_but(site, from, |token| {
                let [begin, id, _, authority] = parts(&token);
                format!("{begin}_{id}_{}_{authority}", "0".repeat(40))
            })
        }),
        attack("a token with another id", STRANGER, "not known here", "not known here", |site, from| {
            token_but(site, from, |token| {
                let [begin, _, secret, authority] = parts(&token);
                format!("{begin}_00000000_{secret}_{authority}")
            })
        }),
        attack("a token that is cut off", STRANGER, "incomplete", "incomplete", |site, from| {
            token_but(site, from, |token| token[..70].to_owned())
        }),
        attack("a token of another coordinator", STRANGER, "not known here", "not known here", |site, from| {
            let secret = sprint_identity::random(20);
            let token = format!("sprint1_{}_{secret}_{}", sprint_identity::random(4), sprint_identity::random(32));
            showing(site, from, format!("Bearer {token}"))
        }),
        attack(
            "an outpost's token as a person's",
            STRANGER,
            "of kind outpost",
            "of kind outpost",
            async |site: Arc<Site>, from| {
                let (_, token) = site.join_token(1, "").await;
                showing(site, from, format!("Bearer {token}")).await
            },
        ),
        attack("something else than a token", STRANGER, "not a token", "not a token", |site, from| {
            showing(site, from, "Bearer ../../etc/passwd".to_owned())
        }),
        attack("nothing in the place of a token", STRANGER, "not a token", "not a token", |site, from| {
            showing(site, from, "Bearer  ".to_owned())
        }),
        attack(
            "a token by another scheme",
            STRANGER,
            UNAUTHENTICATED,
            UNAUTHENTICATED,
            async |site: Arc<Site>, from| {
                let (_, token) = site.person("admin", "ann").await;
                showing(site, from, format!("Token {token}")).await
            },
        ),
        attack("a token that has expired", STRANGER, "expired at", "expired at", async |site: Arc<Site>, from| {
            let request =
                v1::CreateTokenRequest { kind: "admin".to_owned(), ttl_ms: 1, ..v1::CreateTokenRequest::default() };
            let (_, token) = site.token(request).await;
            showing(site, from, format!("Bearer {token}")).await
        }),
        attack("a token that was revoked", STRANGER, "was revoked", "was revoked", async |site: Arc<Site>, from| {
            let (token, text) = site.person("admin", "ann").await;
            site.revoke(&token).await;
            showing(site, from, format!("Bearer {text}")).await
        }),
        attack(
            "a token in the clear, on loopback, that was revoked",
            STRANGER,
            "401",
            "was revoked",
            async |site: Arc<Site>, from| {
                let (token, text) = site.person("admin", "ann").await;
                site.revoke(&token).await;
                in_the_clear(&site, from, &format!("Authorization: Bearer {text}\r\n")).await
            },
        ),
        attack(
            "no token in the clear, on loopback",
            STRANGER,
            "401",
            "code is served to callers",
            async |site: Arc<Site>, from| in_the_clear(&site, from, "").await,
        ),
    ]
}

/// A question for a repository's refs by plain HTTP.
async fn in_the_clear(site: &Site, from: IpAddr, header: &str) -> Outcome {
    let mut stream = site.plain(from).await;
    let head = format!("GET /git/web.git/info/refs?service=git-upload-pack HTTP/1.1\r\n{header}");
    refused(http1(&mut stream, &head, b"").await)
}

pub(crate) fn people() -> Vec<Attack> {
    vec![
        person("a viewer adds an item", "viewer", "/sprint.v1.Items/Add"),
        person("a viewer stops a worker", "viewer", "/sprint.v1.Workers/Stop"),
        person("a viewer types into a terminal", "viewer", "/sprint.v1.Workers/Attach"),
        person("a viewer sets a repo's command", "viewer", "/sprint.v1.Repos/Set"),
        person("a viewer makes a token", "viewer", "/sprint.v1.Identity/CreateToken"),
        person("a viewer speaks as an outpost", "viewer", "/sprint.v1.Link/Session"),
        person("an operator makes a token", "operator", "/sprint.v1.Identity/CreateToken"),
        person("an operator lists the tokens", "operator", "/sprint.v1.Identity/ListTokens"),
        person("an operator adds a repo", "operator", "/sprint.v1.Repos/Add"),
        person("an operator removes an outpost", "operator", "/sprint.v1.Outposts/Remove"),
        person("an operator sends logs", "operator", "/sprint.v1.Link/Logs"),
        person("an admin speaks as an outpost", "admin", "/sprint.v1.Link/Session"),
        attack(
            "a repo's name leads out of its directory",
            "admin/ann",
            "InvalidArgument",
            "is not a repo name",
            |site, from| add_repo(site, from, "../../etc"),
        ),
        attack("a repo's name is an option", "admin/ann", "InvalidArgument", "is not a repo name", |site, from| {
            add_repo(site, from, "--upload-pack=x")
        }),
        attack(
            "a repo's name looks like another's",
            "admin/ann",
            "InvalidArgument",
            "is not a repo name",
            |site, from| {
                // The first letter is Cyrillic.
                add_repo(site, from, "\u{440}lain")
            },
        ),
        attack(
            "a repo's name ends in the middle",
            "admin/ann",
            "InvalidArgument",
            "is not a repo name",
            |site, from| add_repo(site, from, "web\0.git"),
        ),
        attack(
            "a token is revoked over an open connection",
            STRANGER,
            "was revoked",
            "was revoked",
            async |site: Arc<Site>, from| {
                let (token, text) = site.person("viewer", "ann").await;
                let channel = site.channel(from, &Credential::None).await.expect("it connects");
                call(channel.clone(), "/sprint.v1.Items/List", with_token((), &text)).await.expect("it counts");
                site.revoke(&token).await;
                outcome(call(channel, "/sprint.v1.Items/List", with_token((), &text)).await)
            },
        ),
        attack(
            "a token is revoked while its holder reads the record",
            "viewer/ann",
            "was revoked",
            "was revoked",
            async |site: Arc<Site>, from| {
                let (token, text) = site.person("viewer", "ann").await;
                let channel = site.channel(from, &Credential::None).await.expect("it connects");
                let request = v1::TailRequest { follow: true, ..v1::TailRequest::default() };
                let mut events = v1::events_client::EventsClient::new(channel);
                let mut tail = events.tail(with_token(request, &text)).await.expect("it may").into_inner();
                site.revoke(&token).await;
                loop {
                    match tokio::time::timeout(LIMIT, tail.message()).await {
                        // Its own revocation may come to its end, too.
                        Ok(Ok(Some(_))) => {}
                        Ok(Ok(None)) => return Ok("a stream that ended well".to_owned()),
                        Ok(Err(status)) => return Err(status.message().to_owned()),
                        Err(_) => return Ok("a stream that goes on".to_owned()),
                    }
                }
            },
        ),
        attack(
            "a token is revoked while its holder waits",
            "viewer/ann",
            "was revoked",
            "was revoked",
            async |site: Arc<Site>, from| {
                site.repo("waiting").await;
                let id = site.item("waiting", "nobody").await;
                let (token, text) = site.person("viewer", "ann").await;
                let channel = site.channel(from, &Credential::None).await.expect("it connects");
                let request =
                    v1::WaitRequest { ids: vec![id], stage: "done".to_owned(), timeout_ms: 0, ..Default::default() };
                let mut items = v1::items_client::ItemsClient::new(channel);
                let (waited, ()) =
                    tokio::join!(tokio::time::timeout(LIMIT, items.wait(with_token(request, &text))), async {
                        // Nothing shows that a caller waits.
                        tokio::time::sleep(Duration::from_secs(1)).await;
                        site.revoke(&token).await;
                    });
                match waited {
                    Ok(Err(status)) => Err(status.message().to_owned()),
                    Ok(Ok(answer)) => Ok(format!("{answer:?}")),
                    Err(_) => Ok("a wait that goes on".to_owned()),
                }
            },
        ),
    ]
}

async fn add_repo(site: Arc<Site>, from: IpAddr, name: &str) -> Outcome {
    let (_, token) = site.person("admin", "ann").await;
    let channel = site.channel(from, &Credential::None).await.map_err(|status| status.message().to_owned())?;
    let request = v1::AddRepoRequest { name: name.to_owned(), url: "/tmp".to_owned(), ..v1::AddRepoRequest::default() };
    let added = v1::repos_client::ReposClient::new(channel).add(with_token(request, &token)).await;
    outcome(added.map(|_| ()))
}

pub(crate) fn outposts() -> Vec<Attack> {
    [
        ("an outpost reads the queue", "/sprint.v1.Items/List"),
        ("an outpost adds an item", "/sprint.v1.Items/Add"),
        ("an outpost reads the record", "/sprint.v1.Events/Tail"),
        ("an outpost reads others' logs", "/sprint.v1.Workers/Logs"),
        ("an outpost types into others' terminals", "/sprint.v1.Workers/Attach"),
        ("an outpost makes a token", "/sprint.v1.Identity/CreateToken"),
        ("an outpost removes another", "/sprint.v1.Outposts/Remove"),
        ("an outpost lists the others", "/sprint.v1.Outposts/List"),
        ("an outpost lands a change", "/sprint.v1.Changes/Retry"),
    ]
    .into_iter()
    .zip(1..)
    .map(|((name, path), number)| {
        let who: &'static str = format!("outpost/outpost-127-0-1-{number}").leak();
        attack(name, who, "PermissionDenied", "may not do this", move |site, from| {
            call_as(site, from, As::Outpost, path)
        })
    })
    .collect()
}

/// Every method but those for anyone, as a path.
pub(crate) fn methods() -> Vec<String> {
    let set = prost_types::FileDescriptorSet::decode(DESCRIPTORS).expect("descriptors");
    let services = set.file.iter().flat_map(|file| file.service.iter().map(move |service| (file.package(), service)));
    let methods = services.flat_map(|(package, service)| {
        service.method.iter().map(move |method| format!("/{package}.{}/{}", service.name(), method.name()))
    });
    methods.filter(|method| method != "/sprint.v1.Identity/Enrol").collect()
}
